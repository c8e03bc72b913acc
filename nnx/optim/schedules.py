"""Schedules: the learning rate as a function of how many times `step()` was called, under PyTorch's names.

Each is a formula `rate(t, base_lr)`, so that nothing drifts, and a checkpoint is little more than t. `schedule.step()`
comes after `optimizer.update`, once an epoch or once an update, as t is meant.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from nnx.optim.base import Optimizer

__all__ = [
    "ConstantLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "PolynomialLR",
    "Schedule",
    "StepLR",
]

Lambda = Callable[[int], float]


class Schedule:
    """Base class: sets the optimizer's lr to at(0) now and to at(t) at the t-th step.

    A parameter group with an lr of its own, and each optimizer in a ByPath, follows the same formula from its own
    start. base_lrs: what they had: the optimizer's, then those of its groups in their order; base_lr: the first
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer, self.t = _checked(optimizer, type(self).__name__), 0
        self.base_lrs: list[float] = []
        for options in optimizer._having("lr"):
            if options.get("initial_lr") is None:  # a later schedule of the same optimizer begins where the first did
                options["initial_lr"] = options["lr"]
            self.base_lrs.append(options["initial_lr"])
        self._set(0)

    @property
    def base_lr(self) -> float:
        """What the optimizer's lr was."""
        return self.base_lrs[0]

    def at(self, t: int) -> float:
        """The optimizer's learning rate after t steps."""
        return self._rates(t)[0]

    def rate(self, t: int, base_lr: float) -> float:
        """The learning rate after t steps of what began with base_lr."""
        raise NotImplementedError

    def _rates(self, t: int) -> list[float]:
        """The learning rates after t steps, in the order of base_lrs."""
        return [self.rate(t, base_lr) for base_lr in self.base_lrs]

    def _chained(self, t: int, lrs: list[float]) -> list[float]:
        """The learning rates after t steps (t >= 1), given those that it found at this step: see ChainedScheduler.

        A schedule that multiplies the one before overrides this; others start from where they began.
        """
        return self._rates(t)

    def step(self) -> None:
        """One step further."""
        self._set(self.t + 1)
        self.t += 1

    def _set(self, t: int) -> None:
        self._put(self._rates(t))

    def _put(self, lrs: list[float]) -> None:
        for options, lr in zip(self.optimizer._having("lr"), lrs, strict=True):
            options["lr"] = lr

    def get_last_lr(self) -> list[float]:
        """The learning rates of the optimizer and of its groups that have one."""
        return [options["lr"] for options in self.optimizer._having("lr")]

    def state_dict(self) -> dict[str, Any]:
        """What JSON can hold of it; functions are not part of it."""
        return {k: v for k, v in vars(self).items() if k != "optimizer" and k[0] != "_" and not callable(v)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where state_dict was taken."""
        vars(self).update(state)
        self._set(self.t)


class Factor(Schedule):
    """Base class of those that are base_lr · factor(t): in a chain they multiply what the others have made."""

    def factor(self, t: int) -> float:
        """By which base_lr is multiplied after t steps."""
        raise NotImplementedError

    def rate(self, t: int, base_lr: float) -> float:
        """See Schedule.rate."""
        return base_lr * self.factor(t)

    def _chained(self, t: int, lrs: list[float]) -> list[float]:
        before = self.factor(t - 1)
        share = self.factor(t) / before if before else 1.0
        return [lr * share for lr in lrs]


class LambdaLR(Schedule):
    """base_lr · lr_lambda(t). lr_lambda: a function, or one for the optimizer and each of its groups with an lr."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Lambda | Sequence[Lambda]) -> None:
        self._lambdas = each(lr_lambda, optimizer, "LambdaLR: lr_lambda")
        super().__init__(optimizer)

    def _rates(self, t: int) -> list[float]:
        return [lr * f(t) for lr, f in zip(self.base_lrs, self._lambdas, strict=True)]


class MultiplicativeLR(Schedule):
    """base_lr · lr_lambda(1) · lr_lambda(2) · ... · lr_lambda(t). lr_lambda: as LambdaLR's."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Lambda | Sequence[Lambda]) -> None:
        self._lambdas = each(lr_lambda, optimizer, "MultiplicativeLR: lr_lambda")
        self._known: tuple[int, list[float]] = 0, [1.0] * len(self._lambdas)
        super().__init__(optimizer)

    def _rates(self, t: int) -> list[float]:
        k, products = self._known if self._known[0] <= t else (0, [1.0] * len(self._lambdas))
        for j in range(k + 1, t + 1):
            products = [product * f(j) for product, f in zip(products, self._lambdas, strict=True)]
        self._known = t, products
        return [lr * product for lr, product in zip(self.base_lrs, products, strict=True)]

    def _chained(self, t: int, lrs: list[float]) -> list[float]:
        return [lr * f(t) for lr, f in zip(lrs, self._lambdas, strict=True)]


class ConstantLR(Factor):
    """base_lr · factor for total_iters steps, then base_lr."""

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3.0, total_iters: int = 5) -> None:
        self.share, self.total_iters = factor, total_iters
        super().__init__(optimizer)

    def factor(self, t: int) -> float:
        """See Factor.factor."""
        return self.share if t < self.total_iters else 1.0


class LinearLR(Factor):
    """From base_lr · start_factor to base_lr · end_factor on a straight line of total_iters steps; then as it is."""

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3.0, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def factor(self, t: int) -> float:
        """See Factor.factor."""
        done = min(t / self.total_iters, 1.0) if self.total_iters else 1.0
        return self.start_factor + (self.end_factor - self.start_factor) * done


class PolynomialLR(Factor):
    """base_lr · (1 - t / total_iters)^power, 0 from total_iters on."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0) -> None:
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer)

    def factor(self, t: int) -> float:
        """See Factor.factor."""
        return float((1.0 - min(t, self.total_iters) / self.total_iters) ** self.power)


class StepLR(Factor):
    """base_lr · gamma^⌊t / step_size⌋."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def factor(self, t: int) -> float:
        """See Factor.factor."""
        return float(self.gamma ** (t // self.step_size))


class MultiStepLR(Factor):
    """base_lr · gamma^(how many of the milestones t has reached)."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer)

    def factor(self, t: int) -> float:
        """See Factor.factor."""
        return float(self.gamma ** bisect_right(self.milestones, t))


class ExponentialLR(Factor):
    """base_lr · gammaᵗ."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def factor(self, t: int) -> float:
        """See Factor.factor."""
        return float(self.gamma**t)


def _checked(optimizer: Any, name: str) -> Optimizer:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{name} takes an optimizer of nnx.optim, got {type(optimizer).__name__}")
    return optimizer


def each(value: Any, optimizer: Optimizer, name: str) -> list[Any]:
    """A value for the optimizer and each of its groups with an lr: the same for all, or those of a list."""
    count = len(_checked(optimizer, name.partition(":")[0])._having("lr"))
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{name}: the optimizer and its groups have {count} learning rates, got {len(value)} values")
    return list(value)
