"""What is minimised: one loss, or a sum of several, each with a weight and a name of its own in the records."""

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nnx.backend import innermost, namespace
from nnx.layers.module import Module
from nnx.train.batches import Parts, forward
from nnx.typing import Array

KEPT = ("loss", "epoch", "step", "lr", "seconds", "messages")
"""What records hold already."""


@dataclass(frozen=True)
class Term:
    """One of several losses.

    function: (output, target) -> scalar, or with of="model" (model, batch) -> scalar: a penalty on the weights, or a
    loss that calls the model as it likes   weight: its factor in the sum; the record has the loss without it
    """

    function: Callable[..., Array]
    weight: float = 1.0
    of: Literal["output", "model"] = "output"

    def __post_init__(self) -> None:
        if self.of not in ("output", "model"):
            raise ValueError(f"Term: of must be 'output' or 'model', got '{self.of}'")
        if not callable(self.function):
            raise TypeError(f"Term takes a function, got {type(self.function).__name__}: e.g. nnx.losses.mse_loss")


class Objective:
    """Σ weight · loss over the terms.  given: a function (output, target), a Term, or a dict of them by name."""

    def __init__(self, given: Any) -> None:
        several = isinstance(given, Mapping)
        if several and not given:
            raise ValueError("Trainer's loss is an empty dict: one loss at least, by name")
        if wrong := [name for name in (given if several else ()) if name in KEPT]:
            raise ValueError(f"a loss is named '{wrong[0]}', which records keep for themselves: choose another name")
        self.terms: dict[str, Term] = {
            name: f if isinstance(f, Term) else Term(f) for name, f in (given.items() if several else [("", given)])
        }
        self.whole = all(term.of == "model" for term in self.terms.values())
        """Whether no loss asks for an output and a target."""

    @property
    def names(self) -> list[str]:
        """Of the losses that are recorded by themselves."""
        return [name for name in self.terms if name]

    def __call__(self, model: Module, batch: Parts, outputs: bool) -> tuple[Array, dict[str, Array], Any]:
        """The sum, each loss by its name, and the model's output if a loss or a metric (outputs) needs it."""
        output = forward(model, batch.inputs) if outputs or not self.whole else None
        total, found = None, {}
        for name, term in self.terms.items():
            loss = self._loss(term, model, batch, output)
            if name:
                found[name] = loss
            loss = loss if term.weight == 1.0 else loss * term.weight
            total = loss if total is None else total + loss
        return total, found, output

    def _loss(self, term: Term, model: Module, batch: Parts, output: Any) -> Array:
        if term.of == "model":
            return term.function(model, batch.whole)
        if batch.weight is None:
            return term.function(output, batch.target)
        return averaged(each(term.function)(output, batch.target), batch.weight)


def averaged(losses: Array, weight: Array) -> Array:
    """Σ wᵢ lᵢ / n: what a sample adds does not depend on which others are in its batch (as in Keras).

    losses: (n, ...), averaged over what follows the first axis   weight: (n,) or the shape of the losses
    """
    if not losses.ndim or losses.shape[0] != weight.shape[0]:
        raise ValueError(
            f"sample weights of shape {tuple(weight.shape)} for losses of shape {tuple(losses.shape)}: one a sample"
        )
    xp = namespace(losses)
    if weight.ndim < losses.ndim:
        losses = xp.mean(xp.reshape(losses, (*weight.shape, -1)), axis=-1)
    return xp.mean(losses * xp.astype(innermost(weight), losses.dtype))


def each(loss: Callable[..., Array]) -> Callable[..., Array]:
    """The loss as a function that gives one a sample. Raises TypeError if it takes no reduction."""
    if isinstance(getattr(loss, "reduction", None), str):  # one of nnx's modules
        single = copy.copy(loss)
        object.__setattr__(single, "reduction", "none")
        return single
    if "reduction" not in inspect.signature(loss).parameters:
        name = getattr(loss, "__name__", type(loss).__name__)
        raise TypeError(
            f"weights of samples or classes need one loss a sample, and {name} takes no reduction='none': pass a loss "
            "of nnx.losses, or weight it yourself in a Term of='model'"
        )
    return lambda output, target: loss(output, target, reduction="none")
