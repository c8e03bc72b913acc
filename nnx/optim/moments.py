"""Adam's relatives: with Nesterov's look ahead, with a rectified start, with a maximum in the place of the mean."""

from collections.abc import Mapping
from typing import Any

from nnx.backend import namespace
from nnx.optim.base import Optimizer, coupled
from nnx.optim.numbers import Number, choose, is_number
from nnx.optim.saved import Slots
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

    def _decayed(self, p: Array, g: Array) -> tuple[Array, Array]:
        """The parameter and its gradient after the weight decay."""
        if self.decoupled_weight_decay:
            return p * (1.0 - self.lr * self.weight_decay), g
        return p, coupled(g, p, self.weight_decay)


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
        b1, b2 = self.betas
        lr, eps = self.lr, self.eps
        mu, mu_next, root = self._mu(age), self._mu(age + 1), (1.0 - b2**age) ** -0.5

        def rule(p: Array, g: Array, m: Array, v: Array, product: Array) -> tuple[Array, ...]:
            p, g = self._decayed(p, g)
            m = m * b1 + g * (1.0 - b1)
            v = v * b2 + (g * g) * (1.0 - b2)
            product = product * mu
            step = g * (lr * (1.0 - mu)) / (1.0 - product) + m * (lr * mu_next) / (1.0 - product * mu_next)
            return p - step / (namespace(v).sqrt(v) * root + eps), m, v, product

        return rule


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
        b1, b2 = self.betas
        eps, size = self.eps, self.lr / (1.0 - b1**age)
        rectified, plain = self._rectification(age)

        def rule(p: Array, g: Array, m: Array, v: Array) -> tuple[Array, ...]:
            p, g = self._decayed(p, g)
            m = m * b1 + g * (1.0 - b1)
            v = v * b2 + (g * g) * (1.0 - b2)
            if is_number(rectified, 0.0):
                return p - m * size, m, v
            return p - m * size * (rectified / (namespace(v).sqrt(v) + eps) + plain), m, v

        return rule


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
        b1, b2 = self.betas
        eps, decay, size = self.eps, self.weight_decay, self.lr / (1.0 - b1**age)

        def rule(p: Array, g: Array, m: Array, u: Array) -> tuple[Array, ...]:
            xp, g = namespace(u), coupled(g, p, decay)
            m = m * b1 + g * (1.0 - b1)
            u = xp.maximum(u * b2, xp.abs(g) + eps)
            return p - m / u * size, m, u

        return rule
