"""Optimizers that divide by how large the gradients have been: RMSprop and Adadelta forget, Adagrad does not."""

from collections.abc import Mapping
from typing import Any

from nnx.backend import namespace
from nnx.fusion import fuse
from nnx.optim.base import Optimizer
from nnx.optim.numbers import Number
from nnx.optim.saved import Slots
from nnx.optim.updates import Update, coupled, some
from nnx.typing import Array

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


class RMSprop(Optimizer):
    """p ← p - lr · g / (√v + eps), v a running mean of g² (Tieleman and Hinton 2012).

    alpha: how slowly v forgets, in [0, 1)   eps: >= 0   weight_decay: λ of L2, added to g as λ p
    momentum: μ of a velocity b ← μ b + g / (√v + eps)   centered: the variance of g in the place of v
    maximize, groups: see Optimizer
    """

    def __init__(
        self,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        maximize: bool = False,
        *,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.alpha, self.eps, self.weight_decay = alpha, eps, weight_decay
        self.momentum, self.centered = momentum, centered
        super().__init__(lr, maximize=maximize, groups=groups)

    def _validate(self) -> None:
        super()._validate()
        self._check(alpha=self.alpha, eps=self.eps, weight_decay=self.weight_decay, momentum=self.momentum)

    @property
    def slots(self) -> tuple[str, ...]:
        """See Optimizer.slots."""
        return ("v", *(("velocity",) if self.momentum else ()), *(("mean",) if self.centered else ()))

    def _step(self, age: int) -> Any:
        numbers = self.lr, self.alpha, self.eps, some(self.weight_decay)
        if self.momentum:
            return Update(_centered_velocity if self.centered else _velocity, (*numbers, self.momentum))
        return Update(_centered if self.centered else _rmsprop, numbers)


def _mean(x: Array, kept: Array, alpha: Number) -> Array:
    return kept * alpha + x * (1.0 - alpha)


def _variance(square: Array, mean: Array) -> Array:
    return namespace(square).maximum(square - mean * mean, 0.0)  # of equal gradients, rounding may leave less than 0


def _scaled(g: Array, v: Array, eps: Number) -> Array:
    return g / (namespace(v).sqrt(v) + eps)


@fuse
def _rmsprop(
    p: Array, g: Array, v: Array, lr: Number, alpha: Number, eps: Number, decay: Number | None
) -> tuple[Array, ...]:
    g = coupled(g, p, decay)
    v = _mean(g * g, v, alpha)
    return p - _scaled(g, v, eps) * lr, v


@fuse
def _velocity(
    p: Array, g: Array, v: Array, b: Array, lr: Number, alpha: Number, eps: Number, decay: Number | None, mu: Number
) -> tuple[Array, ...]:
    g = coupled(g, p, decay)
    v = _mean(g * g, v, alpha)
    b = b * mu + _scaled(g, v, eps)
    return p - b * lr, v, b


@fuse
def _centered(
    p: Array, g: Array, v: Array, mean: Array, lr: Number, alpha: Number, eps: Number, decay: Number | None
) -> tuple[Array, ...]:
    g = coupled(g, p, decay)
    v, mean = _mean(g * g, v, alpha), _mean(g, mean, alpha)
    return p - _scaled(g, _variance(v, mean), eps) * lr, v, mean


@fuse
def _centered_velocity(
    p: Array, g: Array, v: Array, b: Array, mean: Array, lr: Number, alpha: Number, eps: Number, decay: Number | None,
    mu: Number,
) -> tuple[Array, ...]:  # fmt: skip
    g = coupled(g, p, decay)
    v, mean = _mean(g * g, v, alpha), _mean(g, mean, alpha)
    b = b * mu + _scaled(g, _variance(v, mean), eps)
    return p - b * lr, v, b, mean


class Adagrad(Optimizer):
    """p ← p - lr · g / (√s + eps), s the sum of all g² so far (Duchi et al. 2011).

    lr_decay: lr / (1 + (t - 1) lr_decay) at step t   weight_decay: λ of L2, added to g as λ p
    initial_accumulator_value: where s begins, >= 0   eps: >= 0   maximize, groups: see Optimizer
    """

    def __init__(
        self,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.lr_decay, self.weight_decay, self.eps = lr_decay, weight_decay, eps
        self.initial_accumulator_value = initial_accumulator_value
        super().__init__(lr, maximize=maximize, groups=groups)

    def _validate(self) -> None:
        super()._validate()
        self._check(lr_decay=self.lr_decay, weight_decay=self.weight_decay, eps=self.eps)
        self._check(initial_accumulator_value=self.initial_accumulator_value)

    @property
    def slots(self) -> tuple[str, ...]:
        """See Optimizer.slots."""
        return ("sum",)

    def _fresh(self, p: Array) -> Slots:
        return tuple(s + self.initial_accumulator_value for s in super()._fresh(p))

    def _step(self, age: int) -> Any:
        lr = self.lr / (1.0 + (age - 1) * self.lr_decay)
        return Update(_adagrad, (lr, self.eps, some(self.weight_decay)))


@fuse
def _adagrad(p: Array, g: Array, s: Array, lr: Number, eps: Number, decay: Number | None) -> tuple[Array, ...]:
    g = coupled(g, p, decay)
    s = s + g * g
    return p - _scaled(g, s, eps) * lr, s


class Adadelta(Optimizer):
    """p ← p - lr · Δ, Δ = √(d + eps) / √(v + eps) · g: running means v of g² and d of Δ² (Zeiler 2012).

    rho: how slowly both forget, in [0, 1]   eps: >= 0   weight_decay: λ of L2, added to g as λ p
    maximize, groups: see Optimizer
    """

    def __init__(
        self,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.rho, self.eps, self.weight_decay = rho, eps, weight_decay
        super().__init__(lr, maximize=maximize, groups=groups)

    def _validate(self) -> None:
        super()._validate()
        self._check(eps=self.eps, weight_decay=self.weight_decay)
        if not 0.0 <= self.rho <= 1.0:
            raise ValueError(f"Adadelta: rho must be in [0, 1], got {self.rho}")

    @property
    def slots(self) -> tuple[str, ...]:
        """See Optimizer.slots."""
        return "v", "d"

    def _step(self, age: int) -> Any:
        return Update(_adadelta, (self.lr, self.rho, self.eps, some(self.weight_decay)))


@fuse
def _adadelta(
    p: Array, g: Array, v: Array, d: Array, lr: Number, rho: Number, eps: Number, decay: Number | None
) -> tuple[Array, ...]:
    xp, g = namespace(v), coupled(g, p, decay)
    v = _mean(g * g, v, rho)
    delta = xp.sqrt(d + eps) / xp.sqrt(v + eps) * g
    return p - delta * lr, v, _mean(delta * delta, d, rho)
