"""Schedules made of schedules: one after the other."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from nnx.optim.base import Optimizer
from nnx.optim.schedules import LambdaLR, LinearLR, Schedule
from nnx.optim.waves import CosineAnnealingLR


class SequentialLR(Schedule):
    """One schedule after the other: schedules[k] from step milestones[k - 1] on, each beginning at its own 0."""

    def __init__(self, optimizer: Optimizer, schedules: Sequence[Schedule], milestones: Sequence[int]) -> None:
        if len(milestones) != len(schedules) - 1 or list(milestones) != sorted(milestones):
            raise ValueError(
                f"SequentialLR: {len(schedules)} schedules need {len(schedules) - 1} milestones in order, got "
                f"{milestones}"
            )
        if any(schedule.optimizer is not optimizer for schedule in schedules):
            raise ValueError("SequentialLR: every schedule must be of the same optimizer")
        self._schedules, self.milestones = tuple(schedules), list(milestones)
        super().__init__(optimizer)

    def _part(self, t: int) -> tuple[Schedule, int]:
        k = bisect_right(self.milestones, t)
        return self._schedules[k], t - (self.milestones[k - 1] if k else 0)

    def at(self, t: int) -> float:
        """See Schedule.at."""
        schedule, own = self._part(t)
        return schedule.at(own)

    def _set(self, t: int) -> None:
        schedule, own = self._part(t)
        schedule._set(own)

    def state_dict(self) -> dict[str, Any]:
        """See Schedule.state_dict."""
        parts = [schedule.state_dict() for schedule in self._schedules]
        return {"t": self.t, "base_lr": self.base_lr, "milestones": self.milestones, "schedules": parts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Schedule.load_state_dict."""
        for schedule, part in zip(self._schedules, state["schedules"], strict=True):
            schedule.load_state_dict(part)
        super().load_state_dict({name: value for name, value in state.items() if name != "schedules"})


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
