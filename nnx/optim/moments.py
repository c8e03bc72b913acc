"""Adam's relatives: with Nesterov's look ahead, with a rectified start, with a maximum in the place of the mean."""

from collections.abc import Mapping
from typing import Any

from nnx.backend import namespace
from nnx.fusion import fuse
from nnx.optim.base import Optimizer
from nnx.optim.numbers import Number, choose, is_number
from nnx.optim.saved import Slots
from nnx.optim.updates import Update, coupled, some
from nnx.typing import Array

__all__ = ["Adamax", "NAdam", "RAdam"]


class _Moments(Optimizer):
    """What they share: β₁ and β₂, eps, and a weight decay of the gradient or of the parameter itself."""

    betas: tuple[float, ...]
    eps: float
    weight_decay: float
    decoupled_weight_decay: bool = False

    def _validate(self) -> None:
        super()._validate()
        self._check_betas(self.betas)
        self._check(eps=self.eps, weight_decay=self.weight_decay)

    @property
    def slots(self) -> tuple[str, ...]:
        """See Optimizer.slots."""
        return "m", "v"

    def _decay(self) -> tuple[Number | None, Number | None]:
        """(of the gradient, what the parameter itself is multiplied by)."""
        if self.decoupled_weight_decay:
            return None, 1.0 - self.lr * self.weight_decay
        return some(self.weight_decay), None


def _decayed(p: Array, g: Array, decay: Number | None, shrink: Number | None) -> tuple[Array, Array]:
    """The parameter and its gradient after the weight decay."""
    return (p, coupled(g, p, decay)) if shrink is None else (p * shrink, g)


def _means(g: Array, m: Array, v: Array, b1: Number, b2: Number) -> tuple[Array, Array]:
    """The running means of g and g²."""
    return m * b1 + g * (1.0 - b1), v * b2 + (g * g) * (1.0 - b2)


class NAdam(_Moments):
    """Adam that looks ahead: p ← p - lr (μₜ₊₁ m / (1 - Π μ · μₜ₊₁) + (1 - μₜ) g / (1 - Π μ)) / (√v̂ + eps) (Dozat 2016).

    μₜ = β₁ (1 - ½ · 0.96^(t ψ)), and Π μ is the product of all so far (a slot)   momentum_decay: ψ
    betas, eps, weight_decay, decoupled_weight_decay: as Adam's   maximize, groups: see Optimizer
    """

    def __init__(
        self,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.betas, self.eps, self.weight_decay, self.momentum_decay = tuple(betas), eps, weight_decay, momentum_decay
        self.decoupled_weight_decay = decoupled_weight_decay
        super().__init__(lr, maximize=maximize, groups=groups)

    def _validate(self) -> None:
        super()._validate()
        self._check(momentum_decay=self.momentum_decay)

    @property
    def slots(self) -> tuple[str, ...]:
        """See Optimizer.slots."""
        return "m", "v", "product"

    def _fresh(self, p: Array) -> Slots:
        m, v, zeros = super()._fresh(p)
        return m, v, zeros + 1.0

    def _mu(self, age: int) -> Number:
        return self.betas[0] * (1.0 - 0.5 * 0.96 ** (age * self.momentum_decay))

    def _step(self, age: int) -> Any:
        b2, lr = self.betas[1], self.lr
        mu, mu_next, root = self._mu(age), self._mu(age + 1), (1.0 - b2**age) ** -0.5
        sizes = mu, mu_next, lr * (1.0 - mu), lr * mu_next, root
        return Update(_nadam, (*self.betas, self.eps, *self._decay(), *sizes))


@fuse
def _nadam(
    p: Array, g: Array, m: Array, v: Array, product: Array, b1: Number, b2: Number, eps: Number, decay: Number | None,
    shrink: Number | None, mu: Number, mu_next: Number, now: Number, ahead: Number, root: Number,
) -> tuple[Array, ...]:  # fmt: skip
    p, g = _decayed(p, g, decay, shrink)
    m, v = _means(g, m, v, b1, b2)
    product = product * mu
    step = g * now / (1.0 - product) + m * ahead / (1.0 - product * mu_next)
    return p - step / (namespace(v).sqrt(v) * root + eps), m, v, product


class RAdam(_Moments):
    """Adam without its v while that has seen too little: p ← p - lr · m̂ · r / (√v̂ + eps), or lr · m̂ (Liu et al. 2020).

    r = √((ρ - 4) (ρ - 2) ρ∞ / ((ρ∞ - 4) (ρ∞ - 2) ρ)) once ρ = ρ∞ - 2 t β₂ᵗ / (1 - β₂ᵗ) > 5, ρ∞ = 2 / (1 - β₂) - 1
    betas, eps, weight_decay, decoupled_weight_decay: as Adam's   maximize, groups: see Optimizer
    As in PyTorch eps is added to √v, before its correction.
    """

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.betas, self.eps, self.weight_decay = tuple(betas), eps, weight_decay
        self.decoupled_weight_decay = decoupled_weight_decay
        super().__init__(lr, maximize=maximize, groups=groups)

    def _rectification(self, age: int) -> tuple[Number, Number]:
        """(the factor of 1 / (√v + eps), the factor of 1): one of them is 0."""
        b2 = self.betas[1]
        most, root = 2.0 / (1.0 - b2) - 1.0, (1.0 - b2**age) ** 0.5
        rho = most - 2.0 * age * b2**age / (1.0 - b2**age)

        def rectified() -> Number:
            return ((rho - 4.0) * (rho - 2.0) * most / ((most - 4.0) * (most - 2.0) * rho)) ** 0.5 * root

        return choose(rho > 5.0, rectified, 0.0), choose(rho <= 5.0, lambda: 1.0, 0.0)

    def _step(self, age: int) -> Any:
        rectified, plain = self._rectification(age)
        chosen = (None, None) if is_number(rectified, 0.0) else (rectified, plain)
        size = self.lr / (1.0 - self.betas[0] ** age)
        return Update(_radam, (*self.betas, self.eps, *self._decay(), size, *chosen))


@fuse
def _radam(
    p: Array, g: Array, m: Array, v: Array, b1: Number, b2: Number, eps: Number, decay: Number | None,
    shrink: Number | None, size: Number, rectified: Number | None, plain: Number | None,
) -> tuple[Array, ...]:  # fmt: skip
    p, g = _decayed(p, g, decay, shrink)
    m, v = _means(g, m, v, b1, b2)
    if rectified is None:
        return p - m * size, m, v
    return p - m * size * (rectified / (namespace(v).sqrt(v) + eps) + plain), m, v


class Adamax(_Moments):
    """p ← p - lr / (1 - β₁ᵗ) · m / u, u = max(β₂ u, |g| + eps): Adam by the maximum norm (Kingma and Ba 2015, §7).

    betas: how slowly m and u forget, in [0, 1)   eps: > 0   weight_decay: λ of L2, added to g as λ p
    maximize, groups: see Optimizer
    """

    def __init__(
        self,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.betas, self.eps, self.weight_decay = tuple(betas), eps, weight_decay
        super().__init__(lr, maximize=maximize, groups=groups)

    @property
    def slots(self) -> tuple[str, ...]:
        """See Optimizer.slots."""
        return "m", "u"

    def _step(self, age: int) -> Any:
        size = self.lr / (1.0 - self.betas[0] ** age)
        return Update(_adamax, (*self.betas, self.eps, some(self.weight_decay), size))


@fuse
def _adamax(
    p: Array, g: Array, m: Array, u: Array, b1: Number, b2: Number, eps: Number, decay: Number | None, size: Number
) -> tuple[Array, ...]:
    xp, g = namespace(u), coupled(g, p, decay)
    m = m * b1 + g * (1.0 - b1)
    u = xp.maximum(u * b2, xp.abs(g) + eps)
    return p - m / u * size, m, u
