"""Schedules: the learning rate as a function of how many times `step()` was called, under PyTorch's names.

Each is a formula `at(t)`, so that nothing drifts, and a checkpoint is little more than t. `schedule.step()` comes after
`optimizer.update`, once an epoch or once an update, as t is meant.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from nnx.optim.base import Optimizer


class Schedule:
    """Base class: sets optimizer.lr to at(0) now and to at(t) at the t-th step. base_lr: what the optimizer had."""

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__} takes an optimizer of nnx.optim, got {type(optimizer).__name__}")
        if optimizer.initial_lr is None:  # a later schedule of the same optimizer begins where the first one did
            optimizer.initial_lr = optimizer.lr
        self.optimizer, self.base_lr, self.t = optimizer, optimizer.initial_lr, 0
        self._set(0)

    def at(self, t: int) -> float:
        """The learning rate after t steps."""
        raise NotImplementedError

    def step(self) -> None:
        """One step further."""
        self._set(self.t + 1)
        self.t += 1

    def _set(self, t: int) -> None:
        self.optimizer.lr = self.at(t)

    def get_last_lr(self) -> list[float]:
        """The optimizer's learning rate, in a list as PyTorch has it."""
        return [self.optimizer.lr]

    def state_dict(self) -> dict[str, Any]:
        """What JSON can hold of it; functions are not part of it."""
        return {name: value for name, value in vars(self).items() if name != "optimizer" and not callable(value)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where state_dict was taken."""
        vars(self).update(state)
        self._set(self.t)


class LambdaLR(Schedule):
    """base_lr · lr_lambda(t)."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def at(self, t: int) -> float:
        """See Schedule.at."""
        return self.base_lr * self.lr_lambda(t)


class ConstantLR(Schedule):
    """base_lr · factor for total_iters steps, then base_lr."""

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3.0, total_iters: int = 5) -> None:
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer)

    def at(self, t: int) -> float:
        """See Schedule.at."""
        return self.base_lr * (self.factor if t < self.total_iters else 1.0)


class LinearLR(Schedule):
    """From base_lr · start_factor to base_lr · end_factor on a straight line of total_iters steps; then as it is."""

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3.0, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def at(self, t: int) -> float:
        """See Schedule.at."""
        done = min(t / self.total_iters, 1.0) if self.total_iters else 1.0
        return self.base_lr * (self.start_factor + (self.end_factor - self.start_factor) * done)


class PolynomialLR(Schedule):
    """base_lr · (1 - t / total_iters)^power, 0 from total_iters on."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0) -> None:
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer)

    def at(self, t: int) -> float:
        """See Schedule.at."""
        return self.base_lr * float((1.0 - min(t, self.total_iters) / self.total_iters) ** self.power)


class StepLR(Schedule):
    """base_lr · gamma^⌊t / step_size⌋."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def at(self, t: int) -> float:
        """See Schedule.at."""
        return self.base_lr * float(self.gamma ** (t // self.step_size))


class MultiStepLR(Schedule):
    """base_lr · gamma^(how many of the milestones t has reached)."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer)

    def at(self, t: int) -> float:
        """See Schedule.at."""
        return self.base_lr * self.gamma ** bisect_right(self.milestones, t)


class ExponentialLR(Schedule):
    """base_lr · gammaᵗ."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def at(self, t: int) -> float:
        """See Schedule.at."""
        return self.base_lr * float(self.gamma**t)
