"""Adam and its relatives: steps of about lr, whatever the gradient's size."""

from typing import Any, ClassVar

from nnx.backend import namespace
from nnx.optim.base import Optimizer, coupled
from nnx.typing import Array


class Adam(Optimizer):
    """p ← p - lr · m̂ / (√v̂ + eps): running means of g and g², corrected for their start (Kingma and Ba 2015).

    betas: how slowly m and v forget, in [0, 1)   eps: > 0   weight_decay: λ of L2, added to g as λ p
    """

    decoupled: ClassVar[bool] = False

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
        self._check(eps=eps, weight_decay=weight_decay)
        self.betas, self.eps, self.weight_decay = tuple(betas), eps, weight_decay

    @property
    def slots(self) -> tuple[str, ...]:
        """See Optimizer.slots."""
        return "m", "v"

    def _step(self, age: int) -> Any:
        b1, b2 = self.betas
        eps = self.eps
        # the weight decay, of the gradient or (decoupled) of the parameter itself
        decay, shrink = (0.0, 1.0 - self.lr * self.weight_decay) if self.decoupled else (self.weight_decay, None)
        # the corrections, taken out of the arrays: m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ)
        size = self.lr / (1.0 - b1**age)
        root = (1.0 - b2**age) ** -0.5

        def rule(p: Array, g: Array, m: Array, v: Array) -> tuple[Array, Array, Array]:
            g = coupled(g, p, decay)
            m = m * b1 + g * (1.0 - b1)
            v = v * b2 + (g * g) * (1.0 - b2)
            p = p if shrink is None else p * shrink
            return p - m / (namespace(v).sqrt(v) * root + eps) * size, m, v

        return rule


class AdamW(Adam):
    """Adam whose weight decay is not part of the gradient: p ← (1 - lr λ) p first (Loshchilov and Hutter 2019).

    betas, eps: as Adam's   weight_decay: λ >= 0
    """

    decoupled = True

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay)
