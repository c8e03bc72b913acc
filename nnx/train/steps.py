"""The parts of a training step as functions of a batch, which nnx.compile may make programs of.

Gradients and update are two programs: callbacks see the gradients in between.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nnx.compiled import compile as compiled
from nnx.data.checks import is_count
from nnx.layers.module import Module
from nnx.optim import Optimizer, clip_grad_norm, clip_grad_value
from nnx.train.batches import Parts
from nnx.train.half import Precision
from nnx.train.objective import Objective
from nnx.train.watching import Notes, Watcher, watched
from nnx.typing import Array

Grads = dict[str, Array]


class Result(NamedTuple):
    """Of a batch: the loss, the losses it is the sum of by name, the model's output, and how the gradients went."""

    loss: Array
    terms: dict[str, Array]
    output: Any
    grads: Grads
    notes: Notes


class Steps:
    """gradients(batch), update(grads), judge(batch): the loss and output without a gradient."""

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        objective: Objective,
        outputs: bool,
        changes: Sequence[Callable[[Grads], Grads]],
        compile: bool,
        precision: Precision,
    ) -> None:
        self.model, self.optimizer, self.objective, self.outputs = model, optimizer, objective, outputs
        self.changes, self.precision = changes, precision
        self.watchers: list[Watcher] = []
        self._whole = any(term.of == "model" for term in objective.terms.values())
        self._value_and_grad = precision.value_and_grad(self._loss)
        self.gradients_of, self.update, self.judgement_of = self._gradients, self._update, self._judge
        if compile:
            own = precision.carried
            self.gradients_of = compiled(self._gradients, state=(model, *own), donate=False)
            self.update = compiled(self._update, state=(model, optimizer, *own), donate=False)
            self.judgement_of = compiled(self._judge, state=model, donate=False)

    def gradients(self, batch: Parts) -> Result:
        """Forward and backward; nothing is changed but buffers."""
        return Result(*self.gradients_of(self._slim(batch), [watcher.key for watcher in self.watchers]))

    def eagerly(self, batch: Parts) -> Result:
        """As gradients, but never compiled: for whoever looks into it."""
        return Result(*self._gradients(self._slim(batch), []))

    def judge(self, batch: Parts) -> tuple[Array, dict[str, Array], Any]:
        """Forward."""
        found: tuple[Array, dict[str, Array], Any] = self.judgement_of(self._slim(batch))
        return found

    def _slim(self, batch: Parts) -> Parts:
        return batch if self._whole else batch._replace(whole=None)

    def _loss(self, model: Module, batch: Parts) -> tuple[Array, Any]:
        loss, terms, output = self._run(model, batch)
        return loss, (terms, output)

    def _run(self, model: Module, batch: Parts) -> tuple[Array, dict[str, Array], Any]:
        with self.precision.autocast():
            found: tuple[Array, dict[str, Array], Any] = self.precision.full(self.objective(model, batch, self.outputs))
        return found

    def _gradients(self, batch: Parts, watching: list[str]) -> Any:
        """watching: what is watched is part of what a program was compiled for."""
        with watched(self.watchers if watching else (), self.precision.unscaled) as notes:
            (loss, (terms, output)), grads = self._value_and_grad(self.model, batch)
        return loss, terms, output, grads, notes

    def _update(self, grads: Grads) -> None:
        self.precision.update(self.optimizer, self.model, grads, self.changes)

    def _judge(self, batch: Parts) -> tuple[Array, dict[str, Array], Any]:
        return self._run(self.model, batch)


def changes(
    clip_norm: float | None, clip_value: float | None, transform: Callable[[Grads], Grads] | None
) -> list[Callable[[Grads], Grads]]:
    """What happens to the gradients before the update, in this order."""
    for name, bound in (("clip_norm", clip_norm), ("clip_value", clip_value)):
        if bound is not None and not bound > 0.0:
            raise ValueError(f"Trainer: {name} must be more than 0, or None, got {bound}")
    found: list[Callable[[Grads], Grads]] = []
    if clip_value is not None:
        found.append(lambda grads: clip_grad_value(grads, clip_value))
    if clip_norm is not None:
        found.append(lambda grads: clip_grad_norm(grads, clip_norm)[0])
    if transform is not None:
        found.append(transform)
    return found


class Gathered:
    """Gradients of several batches: their mean over all samples, which is what one batch of them all would give."""

    def __init__(self, wanted: int) -> None:
        if not is_count(wanted):
            raise ValueError(f"Trainer: accumulate must be at least 1 batch, got {wanted!r}: a whole number")
        self.wanted = wanted
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.batches: list[Parts] = []
        self.notes: list[Notes] = []
        self.samples = 0
        self._loss: Any = None
        self._grads: Grads = {}

    @property
    def full(self) -> bool:
        """Whether it is time for an update."""
        return len(self.batches) >= self.wanted

    def add(self, batch: Parts, found: Result) -> None:
        """Those of a batch; the first ones alone are kept as they are."""
        if self.full:
            self.clear()
        n, before = batch.n, self.samples
        if not before:
            self._loss, self._grads = found.loss, found.grads
        else:
            old, new = before / (before + n), n / (before + n)
            self._loss = self._loss * old + found.loss * new
            self._grads = {path: self._grads[path] * old + g * new for path, g in found.grads.items()}
        self.batches.append(batch)
        self.notes.append(found.notes)
        self.samples = before + n

    def mean(self) -> tuple[Array, Grads]:
        """Loss and gradients."""
        return self._loss, self._grads
