"""Stochastic gradient descent."""

from typing import Any

from nnx.optim.base import Optimizer, coupled
from nnx.typing import Array


class SGD(Optimizer):
    """p ← p - lr · g, with a velocity v ← μ v + (1 - τ) g in the place of g if momentum μ is not 0.

    momentum: μ in [0, 1)   dampening: τ, not for the first step (PyTorch's)   weight_decay: λ of L2, added as λ p
    nesterov: look ahead, g + μ v in the place of v (Sutskever et al. 2013)
    """

    slots = ("velocity",)

    def __init__(
        self,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(lr)
        if momentum < 0.0 or weight_decay < 0.0:
            raise ValueError(f"SGD: momentum and weight_decay must be >= 0, got {momentum} and {weight_decay}")
        if nesterov and (momentum <= 0.0 or dampening != 0.0):
            raise ValueError(f"SGD: nesterov needs momentum > 0 and no dampening, got {momentum} and {dampening}")
        self.momentum, self.dampening = momentum, dampening
        self.weight_decay, self.nesterov = weight_decay, nesterov

    def _zeros(self, p: Array) -> tuple[Array, ...]:
        return super()._zeros(p) if self.momentum else ()

    def _step(self) -> Any:
        lr, mu, decay = self.lr, self.momentum, self.weight_decay
        fresh = 1.0 if self.steps == 1 else 1.0 - self.dampening

        def plain(p: Array, g: Array) -> tuple[Array, ...]:
            return (p - (coupled(g, p, decay) if decay else g) * lr,)

        def with_velocity(p: Array, g: Array, v: Array) -> tuple[Array, ...]:
            g = coupled(g, p, decay)
            v = v * mu + (g if fresh == 1.0 else g * fresh)
            return p - ((g + v * mu) if self.nesterov else v) * lr, v

        return with_velocity if mu else plain
