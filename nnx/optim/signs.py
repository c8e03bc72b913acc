"""Optimizers that look at the sign of the gradient alone: Rprop and Lion."""

from collections.abc import Mapping
from typing import Any

from nnx.backend import namespace
from nnx.fusion import fuse
from nnx.optim.base import Optimizer
from nnx.optim.numbers import Number
from nnx.optim.saved import Slots
from nnx.optim.updates import Update
from nnx.typing import Array

__all__ = ["Lion", "Rprop"]


class Rprop(Optimizer):
    """p ← p - sign(g) · s, each entry with a step s of its own, for whole batches (Riedmiller and Braun 1993).

    s begins at lr, and grows by η⁺ while g keeps its sign; where it turned, s shrinks by η⁻ and p stays for a step.
    etas: (η⁻, η⁺), η⁻ in (0, 1), η⁺ > 1   step_sizes: (the least, the largest s)   maximize, groups: see Optimizer
    """

    def __init__(
        self,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        maximize: bool = False,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.etas, self.step_sizes = tuple(etas), tuple(step_sizes)
        super().__init__(lr, maximize=maximize, groups=groups)

    def _validate(self) -> None:
        super()._validate()
        if not 0.0 < self.etas[0] < 1.0 < self.etas[1]:
            raise ValueError(f"Rprop: etas must be one in (0, 1) and one above 1, got {self.etas}")

    @property
    def slots(self) -> tuple[str, ...]:
        """See Optimizer.slots."""
        return "before", "size"

    def _fresh(self, p: Array) -> Slots:
        before, size = super()._fresh(p)
        return before, size + self.lr

    def _step(self, age: int) -> Any:
        return Update(_rprop, (*self.etas, *map(float, self.step_sizes)))


@fuse
def _rprop(
    p: Array, g: Array, before: Array, size: Array, down: Number, up: Number, least: Number, most: Number
) -> tuple[Array, ...]:
    xp = namespace(size)
    kept = g * before
    turned, same = xp.astype(kept < 0.0, g.dtype), xp.astype(kept > 0.0, g.dtype)
    factor = turned * down + same * up + (1.0 - turned - same)
    size = xp.minimum(xp.maximum(size * factor, least), most)
    g = g * (1.0 - turned)
    return p - xp.sign(g) * size, g, size


class Lion(Optimizer):
    """p ← (1 - lr λ) p - lr · sign(β₁ m + (1 - β₁) g), then m ← β₂ m + (1 - β₂) g (Chen et al. 2023, algorithm 2).

    Every entry moves by lr: about a third to a tenth of Adam's, with a weight_decay λ that much larger.
    betas: in [0, 1)   weight_decay: λ >= 0, decoupled   maximize, groups: see Optimizer
    """

    calls = 8

    def __init__(
        self,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.betas, self.weight_decay = tuple(betas), weight_decay
        super().__init__(lr, maximize=maximize, groups=groups)

    def _validate(self) -> None:
        super()._validate()
        self._check_betas(self.betas)
        self._check(weight_decay=self.weight_decay)

    @property
    def slots(self) -> tuple[str, ...]:
        """See Optimizer.slots."""
        return ("m",)

    def _step(self, age: int) -> Any:
        return Update(_lion, (*self.betas, self.lr, 1.0 - self.lr * self.weight_decay))


@fuse
def _lion(p: Array, g: Array, m: Array, b1: Number, b2: Number, lr: Number, shrink: Number) -> tuple[Array, ...]:
    direction = namespace(m).sign(m * b1 + g * (1.0 - b1))
    return p * shrink - direction * lr, m * b2 + g * (1.0 - b2)
