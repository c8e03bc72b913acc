"""Stochastic gradient descent, and its average."""

from collections.abc import Mapping
from typing import Any

from nnx.fusion import fuse
from nnx.optim.base import Optimizer
from nnx.optim.numbers import Number, larger
from nnx.optim.saved import Slots, copy_of
from nnx.optim.updates import Update, coupled, some
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
        lr, mu, decay = self.lr, self.momentum, some(self.weight_decay)
        if not mu:
            return Update(_plain, (lr, decay))
        share = 1.0 - self.dampening * (age > 1) if self.dampening else None
        return Update(_with_velocity, (lr, mu, share, decay, self.nesterov))


@fuse
def _plain(p: Array, g: Array, lr: Number, decay: Number | None) -> tuple[Array, ...]:
    return (p - coupled(g, p, decay) * lr,)


@fuse
def _with_velocity(
    p: Array, g: Array, v: Array, lr: Number, mu: Number, share: Number | None, decay: Number | None, ahead: bool
) -> tuple[Array, ...]:
    g = coupled(g, p, decay)
    v = v * mu + (g if share is None else g * share)
    return p - (g + v * mu if ahead else v) * lr, v


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
        t = age - 1
        eta = self.lr / (1.0 + self.lambd * self.lr * t) ** self.alpha
        share, shrink = 1.0 / larger(1.0, t - self.t0), 1.0 - self.lambd * eta
        return Update(_averaged, (eta, share, shrink, some(self.weight_decay)))


@fuse
def _averaged(
    p: Array, g: Array, average: Array, eta: Number, share: Number, shrink: Number, decay: Number | None
) -> tuple[Array, ...]:
    p = p * shrink - coupled(g, p, decay) * eta
    return p, average * (1.0 - share) + p * share
