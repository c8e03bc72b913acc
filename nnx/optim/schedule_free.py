"""AdamW without a schedule: an average of all steps takes the place of a learning rate that falls."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nnx.backend import namespace
from nnx.fusion import fuse
from nnx.layers.module import Module
from nnx.optim.base import Optimizer
from nnx.optim.numbers import Number, choose, smaller
from nnx.optim.saved import Slots, copy_of
from nnx.optim.updates import Update, coupled, some
from nnx.typing import Array

__all__ = ["AdamWScheduleFree"]


class AdamWScheduleFree(Optimizer):
    """z ← z - γ (g / (√v + eps) + λ y), x ← (1 - c) x + c z, y = (1 - β₁) z + β₁ x (Defazio et al. 2024, algorithm 1).

    γ = lr √(1 - β₂ᵗ) min(1, t / warmup_steps), c = γ² / Σ γ². Gradients are taken at y, which is in the model while it
    is trained; the average x, which is better, is there between `optimizer.eval(model)` and `optimizer.train(model)`,
    or inside of `with optimizer.averaged(model):`. An update in between raises RuntimeError.
    betas: β₁ in (0, 1), β₂ in [0, 1)   eps: > 0   weight_decay: λ >= 0   warmup_steps: of a linear warm-up
    maximize, groups: see Optimizer (the weights c are the optimizer's own lr's, whatever the groups have)
    """

    compiles = False

    def __init__(
        self,
        lr: float = 2.5e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        *,
        maximize: bool = False,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.betas, self.eps, self.weight_decay, self.warmup_steps = tuple(betas), eps, weight_decay, warmup_steps
        super().__init__(lr, maximize=maximize, groups=groups)
        self.weight_sum: Number = 0.0
        """Σ γ² so far."""
        self.evaluating = False
        self._share: Number = 0.0
        self._held: dict[str, tuple[Array, Array]] = {}

    def _validate(self) -> None:
        super()._validate()
        self._check_betas(self.betas)
        self._check(eps=self.eps, weight_decay=self.weight_decay, warmup_steps=self.warmup_steps)
        if self.betas[0] == 0.0:
            raise ValueError("AdamWScheduleFree: betas[0] must be in (0, 1), got 0: y would not hold the average")

    @property
    def slots(self) -> tuple[str, ...]:
        """See Optimizer.slots."""
        return "z", "v"

    def _fresh(self, p: Array) -> Slots:
        return copy_of(p), super()._fresh(p)[1]

    def apply(self, params: dict[str, Array], grads: dict[str, Array]) -> dict[str, Array]:
        """See Optimizer.apply."""
        if self.evaluating:
            raise RuntimeError("the model holds the averages: optimizer.train(model) comes before the next update")
        weight = self._size(self.steps + 1) ** 2
        total = self.weight_sum + weight
        self._share = choose(total > 0.0, lambda: weight / total, 0.0)
        new = super().apply(params, grads)
        self.weight_sum = total
        return new

    def _size(self, age: int) -> Number:
        size = self.lr * (1.0 - self.betas[1] ** age) ** 0.5
        return size * smaller(1.0, age / self.warmup_steps) if self.warmup_steps else size

    def _step(self, age: int) -> Any:
        b1, share = self.betas[0], self._share
        # y = (1 - β₁) z + β₁ x, with x taken out of the old y and z
        old, new = 1.0 - share, 1.0 - b1 * (1.0 - share)
        return Update(_moved, (*self.betas, self.eps, some(self.weight_decay), self._size(age), old, new))

    # ---- which weights the model holds ---------------------------------------------------------------------------

    def eval(self, model: Module) -> None:
        """Put the averages x into the model, for evaluation."""
        if self.evaluating:
            return
        params, held = model.trainable(), {}
        for path, y in params.items():
            b1 = self._of(path).betas[0]
            x = (y - self.state[path][0] * (1.0 - b1)) / b1 if path in self.state else y
            held[path] = y, x
        model._replace(params, {path: x for path, (_, x) in held.items()})
        self._held, self.evaluating = held, True

    def train(self, model: Module) -> None:
        """Put back the weights y at which gradients are taken, bit for bit as they were."""
        if not self.evaluating:
            return
        params, new = model.trainable(), {}
        for path, x in params.items():
            b1, (before, shown) = self._of(path).betas[0], self._held.get(path, (None, None))
            if x is shown:
                new[path] = before
            else:  # loaded, or replaced
                new[path] = self.state[path][0] * (1.0 - b1) + x * b1 if path in self.state else x
        model._replace(params, new)
        self._held, self.evaluating = {}, False

    @contextmanager
    def averaged(self, model: Module) -> Iterator[Module]:
        """The model with the averages inside of the block."""
        self.eval(model)
        try:
            yield model
        finally:
            self.train(model)


@fuse
def _moved(
    y: Array, g: Array, z: Array, v: Array, b1: Number, b2: Number, eps: Number, decay: Number | None, size: Number,
    old: Number, new: Number,
) -> tuple[Array, ...]:  # fmt: skip
    v = v * b2 + (g * g) * (1.0 - b2)
    moved = z - coupled(g / (namespace(v).sqrt(v) + eps), y, decay) * size
    return (y - z * (1.0 - b1)) * old + moved * new, moved, v
