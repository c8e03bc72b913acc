"""Adam and its relatives: steps of about lr, whatever the gradient's size."""

import math
from typing import Any

from nnx.backend import namespace
from nnx.optim.base import Optimizer, coupled
from nnx.typing import Array


class Adam(Optimizer):
    """p ← p - lr · m̂ / (√v̂ + eps): running means of g and g², corrected for their start (Kingma and Ba 2015).

    betas: how slowly m and v forget, in [0, 1)   eps: > 0   weight_decay: λ of L2, added to g as λ p
    """

    slots = ("m", "v")

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr)
        if not all(0.0 <= beta < 1.0 for beta in betas):
            raise ValueError(f"{type(self).__name__}: betas must be in [0, 1), got {betas}")
        if eps < 0.0 or weight_decay < 0.0:
            raise ValueError(f"{type(self).__name__}: eps and weight_decay must be >= 0, got {eps} and {weight_decay}")
        self.betas, self.eps, self.weight_decay = tuple(betas), eps, weight_decay

    def _step(self) -> Any:
        b1, b2 = self.betas
        eps, decay = self.eps, self.weight_decay
        # the corrections, taken out of the arrays: m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ)
        size = self.lr / (1.0 - b1**self.steps)
        root = 1.0 / math.sqrt(1.0 - b2**self.steps)

        def rule(p: Array, g: Array, m: Array, v: Array) -> tuple[Array, Array, Array]:
            g = coupled(g, p, decay)
            m = m * b1 + g * (1.0 - b1)
            v = v * b2 + (g * g) * (1.0 - b2)
            return p - m / (namespace(v).sqrt(v) * root + eps) * size, m, v

        return rule
