"""Trainer(precision=...): in which numbers a training computes, by Lightning's names."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from nnx.autodiff import value_and_grad
from nnx.autodiff.casting import autocast, wide
from nnx.autodiff.tree import tree_map
from nnx.backend import backend_of
from nnx.layers.module import Module
from nnx.optim import Optimizer
from nnx.precision import GradScaler
from nnx.typing import Array

Grads = dict[str, Array]

DTYPES = {"32": None, "32-true": None, "16-mixed": "float16", "bf16-mixed": "bfloat16"}


class Precision:
    """By name. "32": as the model is   "16-mixed": autocast in float16, and a GradScaler   "bf16-mixed": in bfloat16

    Parameters, gradients, losses, and the outputs that metrics and `predict` give are float32 in all of them.
    """

    def __init__(self, name: str | int) -> None:
        if str(name) not in DTYPES:
            raise ValueError(f"Trainer's precision must be one of {', '.join(map(repr, DTYPES))}, got {name!r}")
        self.name, self.dtype = str(name), DTYPES[str(name)]
        self.scaler = GradScaler() if self.dtype == "float16" else None

    @property
    def carried(self) -> tuple[GradScaler, ...]:
        """What nnx.compile must carry."""
        return () if self.scaler is None else (self.scaler,)

    def autocast(self) -> AbstractContextManager[Any]:
        """A block in which a forward pass runs."""
        return nullcontext() if self.dtype is None else autocast(self.dtype)

    def full(self, tree: Any) -> Any:
        """What came of a forward pass, in float32."""
        return tree if self.dtype is None else tree_map(wide, tree)

    def unscaled(self, delta: Array) -> Array:
        """A gradient within the backward pass in float32, and as it would be without a scaler."""
        delta = wide(delta)
        return delta if self.scaler is None else self.scaler.unscale(delta)

    def value_and_grad(self, f: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
        """Of a function that returns (loss, anything)."""
        take = value_and_grad if self.scaler is None else self.scaler.value_and_grad
        return take(f, has_aux=True)

    def update(
        self, optimizer: Optimizer, model: Module, grads: Grads, changes: Sequence[Callable[[Grads], Grads]]
    ) -> None:
        """Change the gradients, then the parameters; not, if the gradients have overflowed."""
        scaler = self.scaler
        with nullcontext() if scaler is None else backend_of(scaler.carried.loss_scale).overflowing():
            for change in changes:
                grads = change(grads)
        if scaler is None:
            optimizer.update(model, grads)
        else:
            scaler.update(optimizer, model, grads)
