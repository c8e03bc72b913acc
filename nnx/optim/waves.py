"""Schedules along a wave: cosine annealing, with and without restarts, and the one cycle."""

import math
from typing import Any, Literal

from nnx.optim.base import Optimizer
from nnx.optim.schedules import Schedule


def _cosine(start: float, end: float, done: float) -> float:
    """From start to end on half a wave; done: in [0, 1]."""
    return end + (start - end) * (1.0 + math.cos(math.pi * done)) / 2.0


class CosineAnnealingLR(Schedule):
    """From base_lr down to eta_min in T_max steps on half a wave, and on along it (Loshchilov and Hutter 2017)."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def at(self, t: int) -> float:
        """See Schedule.at."""
        return _cosine(self.base_lr, self.eta_min, t / self.T_max)


class CosineAnnealingWarmRestarts(Schedule):
    """From base_lr down to eta_min in T_0 steps, and again from the top, each time T_mult as long (SGDR)."""

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> None:
        if T_0 < 1 or T_mult < 1:
            raise ValueError(f"CosineAnnealingWarmRestarts: T_0 and T_mult must be >= 1, got {T_0} and {T_mult}")
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer)

    def at(self, t: int) -> float:
        """See Schedule.at."""
        length = self.T_0
        if self.T_mult == 1:
            t %= length
        while t >= length:
            t, length = t - length, length * self.T_mult
        return _cosine(self.base_lr, self.eta_min, t / length)


class OneCycleLR(Schedule):
    """Up from max_lr / div_factor to max_lr, then down to 1 / final_div_factor of where it began (Smith 2018).

    total_steps, or epochs and steps_per_epoch: how long; one step more is the last   pct_start: the share that goes up
    anneal_strategy: "cos" or "linear"   three_phase: down to the start as it went up, then further down
    cycle_momentum: momentum (or β₁) goes from max_momentum to base_momentum and back, against the learning rate
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
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
        if cycle_momentum and not hasattr(optimizer, "momentum") and not hasattr(optimizer, "betas"):
            raise ValueError(f"{type(optimizer).__name__} has no momentum to cycle: cycle_momentum=False")
        self.total_steps, self.linear, self.cycle_momentum = total_steps, anneal_strategy == "linear", cycle_momentum
        start, up = max_lr / div_factor, pct_start * total_steps - 1.0
        last = [total_steps - 1.0, start / final_div_factor, max_momentum]
        # where each phase ends: at which step, with which learning rate and momentum
        self.phases = [[0.0, start, max_momentum], [up, max_lr, base_momentum]]
        self.phases += [[2.0 * up, start, max_momentum], last] if three_phase else [last]
        super().__init__(optimizer)

    def at(self, t: int) -> float:
        """See Schedule.at. Raises ValueError beyond total_steps."""
        return self._between(t, 1)

    def _between(self, t: int, column: int) -> float:
        if t > self.total_steps:
            raise ValueError(f"OneCycleLR was made for {self.total_steps} steps, and this is step {t}")
        k = next((k for k in range(1, len(self.phases)) if t <= self.phases[k][0]), len(self.phases) - 1)
        before, after = self.phases[k - 1], self.phases[k]
        done = (t - before[0]) / (after[0] - before[0])
        start, end = before[column], after[column]
        return start + (end - start) * done if self.linear else _cosine(start, end, done)

    def _set(self, t: int) -> None:
        super()._set(t)
        if self.cycle_momentum:
            momentum = self._between(t, 2)
            optimizer: Any = self.optimizer  # SGD has a momentum, Adam its betas
            if hasattr(optimizer, "betas"):
                optimizer.betas = (momentum, *optimizer.betas[1:])
            else:
                optimizer.momentum = momentum
