"""Stochastic gradient descent."""

from typing import Any

from nnx.optim.base import Optimizer, coupled
from nnx.typing import Array


class SGD(Optimizer):
    """p ← p - lr · g, with a velocity v ← μ v + (1 - τ) g in the place of g if momentum μ is not 0.

    momentum: μ in [0, 1)   dampening: τ, not for the first step (PyTorch's)   weight_decay: λ of L2, added as λ p
    nesterov: look ahead, g + μ v in the place of v (Sutskever et al. 2013)
    """

    calls = 3

    def __init__(
        self,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(lr)
        self._check(momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0.0 or dampening != 0.0):
            raise ValueError(f"SGD: nesterov needs momentum > 0 and no dampening, got {momentum} and {dampening}")
        self.momentum, self.dampening = momentum, dampening
        self.weight_decay, self.nesterov = weight_decay, nesterov

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
