"""Stochastic gradient descent, and its average."""

from collections.abc import Mapping
from typing import Any

from nnx.optim.base import Optimizer, coupled
from nnx.optim.numbers import larger
from nnx.optim.saved import Slots, copy_of
from nnx.typing import Array

__all__ = ["ASGD", "SGD"]


class SGD(Optimizer):
    """p ← p - lr · g, with a velocity v ← μ v + (1 - τ) g in the place of g if momentum μ is not 0.

    momentum: μ in [0, 1)   dampening: τ, not for the first step (PyTorch's)   weight_decay: λ of L2, added as λ p
    nesterov: look ahead, g + μ v in the place of v (Sutskever et al. 2013)   maximize, groups: see Optimizer
    """

    calls = 3

    def __init__(
        self,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.momentum, self.dampening = momentum, dampening
        self.weight_decay, self.nesterov = weight_decay, nesterov
        super().__init__(lr, maximize=maximize, groups=groups)

    def _validate(self) -> None:
        super()._validate()
        self._check(momentum=self.momentum, weight_decay=self.weight_decay)
        if self.nesterov and (self.momentum <= 0.0 or self.dampening != 0.0):
            raise ValueError(
                f"SGD: nesterov needs momentum > 0 and no dampening, got {self.momentum} and {self.dampening}"
            )

    @property
    def slots(self) -> tuple[str, ...]:
        """See Optimizer.slots."""
        return ("velocity",) if self.momentum else ()

    def _step(self, age: int) -> Any:
        lr, mu, decay, ahead = self.lr, self.momentum, self.weight_decay, self.nesterov
        damped = self.dampening != 0.0
        share = 1.0 - self.dampening * (age > 1)

        def plain(p: Array, g: Array) -> tuple[Array, ...]:
            return (p - (coupled(g, p, decay) if decay else g) * lr,)

        def with_velocity(p: Array, g: Array, v: Array) -> tuple[Array, ...]:
            g = coupled(g, p, decay)
            v = v * mu + (g * share if damped else g)
            return p - (g + v * mu if ahead else v) * lr, v

        return with_velocity if mu else plain


class ASGD(Optimizer):
    """p ← (1 - λ η) p - η g, η = lr / (1 + λ lr t)^α; and p's average a ← a + (p - a) / max(1, t - t0).

    The average is in the slot "average" (Polyak and Juditsky 1992); t counts from 0. lambd: λ   alpha: α
    t0: the step at which averaging begins   weight_decay: of L2, added to g as λ p   maximize, groups: see Optimizer
    A new lr counts at once, where PyTorch's counts one step later.
    """

    def __init__(
        self,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        maximize: bool = False,
        *,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.lambd, self.alpha, self.t0, self.weight_decay = lambd, alpha, t0, weight_decay
        super().__init__(lr, maximize=maximize, groups=groups)

    def _validate(self) -> None:
        super()._validate()
        self._check(lambd=self.lambd, weight_decay=self.weight_decay)

    @property
    def slots(self) -> tuple[str, ...]:
        """See Optimizer.slots."""
        return ("average",)

    def _fresh(self, p: Array) -> Slots:
        return (copy_of(p),)

    def _step(self, age: int) -> Any:
        decay, t = self.weight_decay, age - 1
        eta = self.lr / (1.0 + self.lambd * self.lr * t) ** self.alpha
        share, shrink = 1.0 / larger(1.0, t - self.t0), 1.0 - self.lambd * eta

        def rule(p: Array, g: Array, average: Array) -> tuple[Array, ...]:
            g = coupled(g, p, decay)
            p = p * shrink - g * eta
            return p, average * (1.0 - share) + p * share

        return rule
