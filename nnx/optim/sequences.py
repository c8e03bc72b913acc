"""Schedules made of schedules: one after the other, or all of them at once."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from nnx.optim.base import Optimizer
from nnx.optim.cycles import SWALR
from nnx.optim.schedules import Factor, LambdaLR, LinearLR, MultiplicativeLR, Schedule
from nnx.optim.waves import CosineAnnealingLR

__all__ = ["ChainedScheduler", "SequentialLR", "warmup_cosine"]


class SequentialLR(Schedule):
    """One schedule after the other: schedulers[k] from step milestones[k - 1] on, each beginning at its own 0."""

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[Schedule], milestones: Sequence[int]) -> None:
        if len(milestones) != len(schedulers) - 1 or list(milestones) != sorted(milestones):
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedules need {len(schedulers) - 1} milestones in order, got "
                f"{milestones}"
            )
        self._schedules, self.milestones = _of_one(schedulers, optimizer, "SequentialLR"), list(milestones)
        super().__init__(optimizer)

    def _part(self, t: int) -> tuple[Schedule, int]:
        k = bisect_right(self.milestones, t)
        return self._schedules[k], t - (self.milestones[k - 1] if k else 0)

    def _rates(self, t: int) -> list[float]:
        schedule, own = self._part(t)
        return schedule._rates(own)

    def _chained(self, t: int, lrs: list[float]) -> list[float]:
        schedule, own = self._part(t)
        return schedule._chained(own, lrs) if own else schedule._rates(0)

    def _set(self, t: int) -> None:
        schedule, own = self._part(t)
        schedule._set(own)
        schedule.t = own

    def state_dict(self) -> dict[str, Any]:
        """See Schedule.state_dict."""
        return {**super().state_dict(), "schedules": [schedule.state_dict() for schedule in self._schedules]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Schedule.load_state_dict."""
        _load(self._schedules, state["schedules"])
        super().load_state_dict({name: value for name, value in state.items() if name != "schedules"})


class ChainedScheduler(Schedule):
    """All schedules at each step, each of them on what those before it have made of the learning rate.

    Those that multiply (Constant, Linear, Polynomial, Step, MultiStep, Exponential, Multiplicative and CosineAnnealing)
    multiply; the others start from where they began, as PyTorch's do.
    """

    def __init__(self, schedulers: Sequence[Schedule], optimizer: Optimizer | None = None) -> None:
        if not schedulers:
            raise ValueError("ChainedScheduler needs at least one schedule, got none")
        optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        self._schedules = _of_one(schedulers, optimizer, "ChainedScheduler")
        super().__init__(optimizer)

    def _rates(self, t: int) -> list[float]:
        lrs = list(self.base_lrs)
        for schedule in self._schedules:
            lrs = _first(schedule, lrs)
        for k in range(1, t + 1):
            lrs = self._chained(k, lrs)
        return lrs

    def _chained(self, t: int, lrs: list[float]) -> list[float]:
        for schedule in self._schedules:
            lrs = schedule._chained(t, lrs)
        return lrs

    def _set(self, t: int) -> None:
        """From the rates as they are, which may be another's: PyTorch's way."""
        if t == 0:
            self._put(self._rates(0))
        elif t == self.t + 1:
            lrs = self.get_last_lr()
            for schedule in self._schedules:
                schedule.t = t - 1
                schedule._set(t)  # for the momentum, too
                schedule.t = t
            self._put(self._chained(t, lrs))

    def state_dict(self) -> dict[str, Any]:
        """See Schedule.state_dict."""
        parts = [schedule.state_dict() for schedule in self._schedules]
        return {**super().state_dict(), "lrs": self.get_last_lr(), "schedules": parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Schedule.load_state_dict."""
        _load(self._schedules, state["schedules"])
        super().load_state_dict({k: v for k, v in state.items() if k not in ("schedules", "lrs")})
        self._put(state["lrs"])


def _of_one(schedules: Sequence[Schedule], optimizer: Optimizer, name: str) -> tuple[Schedule, ...]:
    for schedule in schedules:
        if not isinstance(schedule, Schedule):
            raise TypeError(f"{name} takes schedules of t alone, got {type(schedule).__name__}")
        if schedule.optimizer is not optimizer:
            raise ValueError(f"{name}: every schedule must be of the same optimizer")
    return tuple(schedules)


def _load(schedules: Sequence[Schedule], states: Sequence[dict[str, Any]]) -> None:
    for schedule, state in zip(schedules, states, strict=True):
        schedule.load_state_dict(state)


def _first(schedule: Schedule, lrs: list[float]) -> list[float]:
    """The learning rates at 0, given those of the schedules before it in a chain."""
    if isinstance(schedule, Factor):
        return [lr * schedule.factor(0) for lr in lrs]
    if isinstance(schedule, CosineAnnealingLR | MultiplicativeLR | SWALR):
        return lrs
    return schedule._rates(0)


def warmup_cosine(optimizer: Optimizer, warmup_steps: int, total_steps: int, min_lr: float = 0.0) -> SequentialLR:
    """Up to the optimizer's lr in warmup_steps equal steps, then down to min_lr at total_steps on half a wave.

    >>> from nnx.optim import SGD
    >>> schedule = warmup_cosine(SGD(lr=1.0), warmup_steps=3, total_steps=5)
    >>> [schedule.at(t) for t in range(7)]
    [0.25, 0.5, 0.75, 1.0, 0.5, 0.0, 0.0]
    """
    if not 0 <= warmup_steps < total_steps:
        raise ValueError(
            f"warmup_cosine: warmup_steps must be in [0, total_steps), got {warmup_steps} of {total_steps}"
        )
    up = LinearLR(optimizer, 1.0 / (warmup_steps + 1), 1.0, warmup_steps)
    down = CosineAnnealingLR(optimizer, total_steps - warmup_steps, min_lr)
    flat = LambdaLR(optimizer, lambda t: min_lr / down.base_lr)
    return SequentialLR(optimizer, [up, down, flat], [warmup_steps, total_steps])
