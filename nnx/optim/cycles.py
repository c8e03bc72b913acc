"""Schedules that go up and down in straight lines, and the one that leads to a constant rate for averaging."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from nnx.optim.base import Optimizer
from nnx.optim.momenta import check_momentum, cycle_momentum_to
from nnx.optim.schedules import Schedule, each

__all__ = ["SWALR", "CyclicLR"]


class CyclicLR(Schedule):
    """From base_lr up to max_lr in step_size_up steps, down again in step_size_down, and anew (Smith 2017).

    base_lr, max_lr: numbers, or one for the optimizer and each of its groups with an lr   step_size_down: None: as up
    mode: "triangular"; "triangular2", half as high in each cycle; "exp_range", gamma^t as high
    scale_fn: instead of a mode, how high, of the cycle's number (scale_mode "cycle", from 1 on) or of t ("iterations")
    cycle_momentum: momentum (or β₁) goes from max_momentum to base_momentum and back, against the learning rate
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float = 0.8,
        max_momentum: float = 0.9,
    ) -> None:
        lowest = each(base_lr, optimizer, "CyclicLR: base_lr")
        self.max_lrs = each(max_lr, optimizer, "CyclicLR: max_lr")
        if scale_fn is None and mode not in ("triangular", "triangular2", "exp_range"):
            raise ValueError(f"CyclicLR: mode must be 'triangular', 'triangular2' or 'exp_range', got '{mode}'")
        if scale_mode not in ("cycle", "iterations"):
            raise ValueError(f"CyclicLR: scale_mode must be 'cycle' or 'iterations', got '{scale_mode}'")
        if cycle_momentum:
            check_momentum(optimizer)
        self.mode, self.gamma, self.scale_mode, self._scale_fn = mode, gamma, scale_mode, scale_fn
        self.total = float(step_size_up) + float(step_size_up if step_size_down is None else step_size_down)
        self.up = step_size_up / self.total
        self.cycle_momentum, self.base_momentum, self.max_momentum = cycle_momentum, base_momentum, max_momentum
        self.lowest = lowest
        for options, lr in zip(optimizer._having("lr"), lowest, strict=True):
            options["lr"] = lr
        super().__init__(optimizer)

    def _height(self, t: int) -> float:
        """How far from base_lr to max_lr, in [0, 1]."""
        cycle = math.floor(1.0 + t / self.total)
        x = 1.0 + t / self.total - cycle
        slope = x / self.up if x <= self.up else (x - 1.0) / (self.up - 1.0)
        if self._scale_fn is not None:
            return slope * self._scale_fn(cycle if self.scale_mode == "cycle" else t)
        if self.mode == "exp_range":
            return slope * float(self.gamma**t)
        return slope / 2.0 ** (cycle - 1) if self.mode == "triangular2" else slope

    def _rates(self, t: int) -> list[float]:
        height = self._height(t)
        return [low + (high - low) * height for low, high in zip(self.lowest, self.max_lrs, strict=True)]

    def _set(self, t: int) -> None:
        super()._set(t)
        if self.cycle_momentum:
            span = self.max_momentum - self.base_momentum
            cycle_momentum_to(self.optimizer, self.max_momentum - span * self._height(t))


class SWALR(Schedule):
    """From whatever the learning rate is, another schedule's too, to swa_lr in anneal_epochs steps; then constant.

    swa_lr: a number, or one for the optimizer and each of its groups with an lr   anneal_strategy: "cos" or "linear"
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
    ) -> None:
        self.swa_lrs = each(swa_lr, optimizer, "SWALR: swa_lr")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"SWALR: anneal_strategy must be 'cos' or 'linear', got '{anneal_strategy}'")
        if anneal_epochs < 0:
            raise ValueError(f"SWALR: anneal_epochs must be >= 0, got {anneal_epochs}")
        self.anneal_epochs, self.linear = anneal_epochs, anneal_strategy == "linear"
        super().__init__(optimizer)

    def _done(self, t: int) -> float:
        done = max(0.0, min(1.0, t / max(1, self.anneal_epochs)))
        return done if self.linear else (1.0 - math.cos(math.pi * done)) / 2.0

    def _rates(self, t: int) -> list[float]:
        done = self._done(max(1, t) if self.anneal_epochs == 0 else t)
        return [lr * (1.0 - done) + last * done for lr, last in zip(self.base_lrs, self.swa_lrs, strict=True)]

    def _chained(self, t: int, lrs: list[float]) -> list[float]:
        before, done = self._done(t - 1), self._done(t)
        found = []
        for lr, last in zip(lrs, self.swa_lrs, strict=True):
            start = last if before == 1.0 else (lr - before * last) / (1.0 - before)
            found.append(last * done + start * (1.0 - done))
        return found

    def _set(self, t: int) -> None:
        """From where the rate is: at the beginning it stays."""
        if t == self.t + 1:
            self._put(self._chained(t, self.get_last_lr()))
        elif self.anneal_epochs == 0:
            self._put(self.swa_lrs)

    def state_dict(self) -> dict[str, Any]:
        """See Schedule.state_dict."""
        return {**super().state_dict(), "lrs": self.get_last_lr()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Schedule.load_state_dict."""
        super().load_state_dict({name: value for name, value in state.items() if name != "lrs"})
        self._put(state["lrs"])
