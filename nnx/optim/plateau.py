"""A schedule that watches a number: it cannot be a formula of t alone."""

import math
from collections.abc import Sequence
from typing import Any, Literal

from nnx.optim.base import Optimizer
from nnx.optim.schedules import each

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau:
    """lr · factor whenever a number, given to each step, has not become better for more than `patience` steps.

    mode: "min" or "max", which is better   threshold, threshold_mode: by how much, relative ("rel") or absolute ("abs")
    cooldown: steps after a reduction that do not count   eps: no change smaller than this
    min_lr: never below; a number, or one for the optimizer and each of its groups with an lr
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if not 0.0 <= factor < 1.0:
            raise ValueError(f"ReduceLROnPlateau: factor must be in [0, 1), got {factor}")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"ReduceLROnPlateau: mode must be 'min' or 'max' and threshold_mode 'rel' or 'abs', got '{mode}' and "
                f"'{threshold_mode}'"
            )
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.eps = cooldown, eps
        self.min_lrs = each(min_lr, optimizer, "ReduceLROnPlateau: min_lr")
        self.t, self.bad, self.cooling = 0, 0, 0
        self.best: float | None = None

    def step(self, metrics: float) -> None:
        """metrics: the number to watch; an array is read, which waits for its device."""
        value = float(metrics)
        self.t += 1
        if self._better(value):
            self.best, self.bad = value, 0
        else:
            self.bad += 1
        if self.cooling > 0:
            self.cooling, self.bad = self.cooling - 1, 0
        if self.bad > self.patience:
            for options, least in zip(self.optimizer._having("lr"), self.min_lrs, strict=True):
                lr = max(options["lr"] * self.factor, least)
                if options["lr"] - lr > self.eps:
                    options["lr"] = lr
            self.cooling, self.bad = self.cooldown, 0

    def _better(self, value: float) -> bool:
        if self.best is None:
            return not math.isnan(value)
        margin = self.threshold * (self.best if self.threshold_mode == "rel" else 1.0)
        return value < self.best - margin if self.mode == "min" else value > self.best + margin

    def get_last_lr(self) -> list[float]:
        """The learning rates of the optimizer and of its groups that have one."""
        return [options["lr"] for options in self.optimizer._having("lr")]

    def state_dict(self) -> dict[str, Any]:
        """What JSON can hold of it."""
        return {name: value for name, value in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where state_dict was taken; the learning rate is in the optimizer's own state."""
        vars(self).update(state)
