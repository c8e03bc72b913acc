"""Adam: steps of about lr, whatever the gradient's size."""

from collections.abc import Mapping
from typing import Any

from nnx.backend import namespace
from nnx.fusion import fuse
from nnx.optim.base import Optimizer
from nnx.optim.numbers import Number
from nnx.optim.updates import Update, coupled, some
from nnx.typing import Array

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """p ← p - lr · m̂ / (√v̂ + eps): running means of g and g², corrected for their start (Kingma and Ba 2015).

    betas: how slowly m and v forget, in [0, 1)   eps: > 0   weight_decay: λ of L2, added to g as λ p
    amsgrad: the largest v so far in the place of v (Reddi et al. 2018)   maximize, groups: see Optimizer
    decoupled_weight_decay: AdamW's decay
    """

    decoupled_weight_decay: bool

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.betas, self.eps, self.weight_decay, self.amsgrad = tuple(betas), eps, weight_decay, amsgrad
        self.decoupled_weight_decay = decoupled_weight_decay
        super().__init__(lr, maximize=maximize, groups=groups)

    def _validate(self) -> None:
        super()._validate()
        self._check_betas(self.betas)
        self._check(eps=self.eps, weight_decay=self.weight_decay)

    @property
    def slots(self) -> tuple[str, ...]:
        """See Optimizer.slots."""
        return ("m", "v", "largest") if self.amsgrad else ("m", "v")

    def _step(self, age: int) -> Any:
        b1, b2 = self.betas
        eps = self.eps
        # the weight decay, of the gradient or (decoupled) of the parameter itself
        decay, shrink = some(self.weight_decay), None
        if self.decoupled_weight_decay:
            decay, shrink = None, 1.0 - self.lr * self.weight_decay
        # the corrections, taken out of the arrays: m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ)
        size = self.lr / (1.0 - b1**age)
        root = (1.0 - b2**age) ** -0.5

        return Update(_with_largest if self.amsgrad else _adam, (b1, b2, eps, decay, shrink, size, root))


@fuse
def _adam(
    p: Array, g: Array, m: Array, v: Array, b1: Number, b2: Number, eps: Number, decay: Number | None,
    shrink: Number | None, size: Number, root: Number,
) -> tuple[Array, ...]:  # fmt: skip
    g = coupled(g, p, decay)
    m = m * b1 + g * (1.0 - b1)
    v = v * b2 + (g * g) * (1.0 - b2)
    p = p if shrink is None else p * shrink
    return p - m / (namespace(v).sqrt(v) * root + eps) * size, m, v


@fuse
def _with_largest(
    p: Array, g: Array, m: Array, v: Array, largest: Array, b1: Number, b2: Number, eps: Number, decay: Number | None,
    shrink: Number | None, size: Number, root: Number,
) -> tuple[Array, ...]:  # fmt: skip
    g = coupled(g, p, decay)
    m = m * b1 + g * (1.0 - b1)
    v = v * b2 + (g * g) * (1.0 - b2)
    largest = namespace(v).maximum(largest, v)
    p = p if shrink is None else p * shrink
    return p - m / (namespace(v).sqrt(largest) * root + eps) * size, m, v, largest


class AdamW(Adam):
    """Adam whose weight decay is not part of the gradient: p ← (1 - lr λ) p first (Loshchilov and Hutter 2019).

    betas, eps, amsgrad: as Adam's   weight_decay: λ >= 0   maximize, groups: see Optimizer
    """

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(
            lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True, groups=groups
        )

    def hyperparameters(self) -> dict[str, Any]:
        """See Optimizer.hyperparameters."""
        return {k: v for k, v in super().hyperparameters().items() if k != "decoupled_weight_decay"}
