"""Schedules along a wave: cosine annealing, with and without restarts, and the one cycle."""

import math
from collections.abc import Sequence
from typing import Literal

from nnx.optim.base import Optimizer
from nnx.optim.momenta import check_momentum, cycle_momentum_to
from nnx.optim.schedules import Schedule, each

__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts", "OneCycleLR"]


def _cosine(start: float, end: float, done: float) -> float:
    """From start to end on half a wave; done: in [0, 1]."""
    return end + (start - end) * (1.0 + math.cos(math.pi * done)) / 2.0


class CosineAnnealingLR(Schedule):
    """From base_lr down to eta_min in T_max steps on half a wave, and on along it (Loshchilov and Hutter 2017)."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, t: int, base_lr: float) -> float:
        """See Schedule.rate."""
        return _cosine(base_lr, self.eta_min, t / self.T_max)

    def _chained(self, t: int, lrs: list[float]) -> list[float]:
        before, now = (1.0 + math.cos(math.pi * k / self.T_max) for k in (t - 1, t))
        if (t - 1 - self.T_max) % (2 * self.T_max) == 0:  # at its lowest, from which no factor leads up
            rise = (1.0 - math.cos(math.pi / self.T_max)) / 2.0
            return [lr + (base - self.eta_min) * rise for lr, base in zip(lrs, self.base_lrs, strict=True)]
        return [now / before * (lr - self.eta_min) + self.eta_min for lr in lrs]


class CosineAnnealingWarmRestarts(Schedule):
    """From base_lr down to eta_min in T_0 steps, and again from the top, each time T_mult as long (SGDR)."""

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> None:
        if T_0 < 1 or T_mult < 1:
            raise ValueError(f"CosineAnnealingWarmRestarts: T_0 and T_mult must be >= 1, got {T_0} and {T_mult}")
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer)

    def rate(self, t: int, base_lr: float) -> float:
        """See Schedule.rate."""
        length = self.T_0
        if self.T_mult == 1:
            t %= length
        while t >= length:
            t, length = t - length, length * self.T_mult
        return _cosine(base_lr, self.eta_min, t / length)


class OneCycleLR(Schedule):
    """Up from max_lr / div_factor to max_lr, then down to 1 / final_div_factor of where it began (Smith 2018).

    max_lr: a number, or one for the optimizer and each of its groups with an lr
    total_steps, or epochs and steps_per_epoch: how long; one step more is the last   pct_start: the share that goes up
    anneal_strategy: "cos" or "linear"   three_phase: down to the start as it went up, then further down
    cycle_momentum: momentum (or β₁) goes from max_momentum to base_momentum and back, against the learning rate
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR needs total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        if total_steps < 1 or not 0.0 <= pct_start <= 1.0:
            raise ValueError(
                f"OneCycleLR: total_steps must be >= 1 and pct_start in [0, 1], got {total_steps} and {pct_start}"
            )
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR: anneal_strategy must be 'cos' or 'linear', got '{anneal_strategy}'")
        if cycle_momentum:
            check_momentum(optimizer)
        self.total_steps, self.linear, self.cycle_momentum = total_steps, anneal_strategy == "linear", cycle_momentum
        self.max_lrs = each(max_lr, optimizer, "OneCycleLR: max_lr")
        up, last = pct_start * total_steps - 1.0, total_steps - 1.0
        # where each phase ends: at which step, with what part of max_lr, and which momentum
        self.phases = [[0.0, 1.0 / div_factor, max_momentum], [up, 1.0, base_momentum]]
        if three_phase:
            self.phases.append([2.0 * up, 1.0 / div_factor, max_momentum])
        self.phases.append([last, 1.0 / div_factor / final_div_factor, max_momentum])
        super().__init__(optimizer)

    def _rates(self, t: int) -> list[float]:
        """See Schedule.at. Raises ValueError beyond total_steps."""
        return [self._between(t, 1, max_lr) for max_lr in self.max_lrs]

    def _between(self, t: int, column: int, scale: float = 1.0) -> float:
        if t > self.total_steps:
            raise ValueError(f"OneCycleLR was made for {self.total_steps} steps, and this is step {t}")
        k = next((k for k in range(1, len(self.phases)) if t <= self.phases[k][0]), len(self.phases) - 1)
        before, after = self.phases[k - 1], self.phases[k]
        done = (t - before[0]) / (after[0] - before[0])
        start, end = before[column] * scale, after[column] * scale
        return start + (end - start) * done if self.linear else _cosine(start, end, done)

    def _set(self, t: int) -> None:
        super()._set(t)
        if self.cycle_momentum:
            cycle_momentum_to(self.optimizer, self._between(t, 2))
