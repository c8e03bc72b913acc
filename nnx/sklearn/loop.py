"""The training of an estimator: epochs of steps over samples that lie where they are computed with.

A plain loop over value_and_grad and update: batches are gathered where the samples are, the losses are read once an
epoch, and where the library has a compiler a step is one program.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nnx.autodiff import value_and_grad
from nnx.backend import Backend, namespace
from nnx.compiled import compile as compiled
from nnx.layers import Module
from nnx.sklearn.arrays import Host, born, chunks, dense
from nnx.sklearn.criteria import Criterion
from nnx.typing import Array

if TYPE_CHECKING:
    from nnx.sklearn.watch import Watch


class Samples:
    """Inputs, targets and weights (or None) on a backend; a sparse matrix stays in host memory and goes in batches."""

    def __init__(self, home: Backend, x: Any, y: Host, weight: Host | None, dtype: str | None) -> None:
        self.home, self.dtype = home, dtype
        self.sparse: Any = x if hasattr(x, "toarray") else None
        self.x: Array | None = None if self.sparse is not None else born(home, x, dtype)
        floating = y.dtype.kind == "f"
        self.y = born(home, y, dtype or "float32" if floating else None)
        self.weight = None if weight is None else born(home, weight, dtype or "float32")
        self.n = int(y.shape[0])

    def taken(self, rows: Host) -> "Samples":
        """Those of these rows."""
        part = object.__new__(Samples)
        part.home, part.dtype, part.n = self.home, self.dtype, len(rows)
        part.sparse = None if self.sparse is None else self.sparse[rows]
        at = self.home.asarray(rows)
        for name in ("x", "y", "weight"):
            x = getattr(self, name)
            setattr(part, name, None if x is None else namespace(x).take(x, at, axis=0))
        return part

    def whole(self) -> tuple[Array, Array, Array | None]:
        """All of them, dense."""
        x = self.x if self.sparse is None else born(self.home, dense(self.sparse, slice(0, self.n)), self.dtype)
        return x, self.y, self.weight

    def batch(self, rows: Any) -> tuple[Array, Array, Array | None]:
        """A batch of them as they lie (a slice); of a sparse matrix in any order (indices in host memory)."""
        kept = [self.y] if self.weight is None else [self.y, self.weight]
        if isinstance(rows, slice):
            parts = [part[rows, ...] for part in kept]
        else:
            at = self.home.asarray(rows)
            parts = [namespace(part).take(part, at, axis=0) for part in kept]
        x = self.x[rows, ...] if self.x is not None else born(self.home, dense(self.sparse, rows), self.dtype)
        return x, parts[0], parts[1] if self.weight is not None else None


class Steps:
    """Gradient steps of a model on batches.

    optimizer: of nnx.optim; None for L-BFGS, which calls `penalized` itself
    alpha: of the penalty ½ α Σ ‖W‖² / Σ w (w = 1 without weights) over the model's `squares`
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        criterion: Criterion,
        alpha: float = 0.0,
        watch: "Watch | None" = None,
    ) -> None:
        self.model, self.optimizer, self.criterion = model, optimizer, criterion
        self.alpha, self.watch = alpha, watch
        self.gradients = value_and_grad(self._loss)

    def _loss(self, model: Module, x: Array, y: Array, weight: Array | None) -> Array:
        return self.criterion(model(x), y, weight)

    def penalized(self, model: Any, x: Array, y: Array, weight: Array | None) -> Array:
        """The loss with the penalty, as a function to differentiate (L-BFGS looks at values)."""
        loss = self._loss(model, x, y, weight)
        return loss + model.squares() * self._share(y, weight, 0.5) if self.alpha else loss

    def _share(self, y: Array, weight: Array | None, factor: float) -> Any:
        """factor · α / Σ w."""
        return factor * self.alpha / (y.shape[0] if weight is None else namespace(weight).sum(weight))

    def __call__(self, x: Array, y: Array, weight: Array | None, at: Array | None) -> Array:
        """One step on the rows `at` (None: on all); returns the loss before it."""
        if at is not None:
            xp = namespace(x)
            x, y = xp.take(x, at, axis=0), xp.take(y, at, axis=0)
            weight = None if weight is None else xp.take(weight, at, axis=0)
        taken = self.gradients if self.watch is None else self.watch.seen(self.gradients)
        loss, grads = taken(self.model, x, y, weight)
        loss = loss * self.criterion.scale
        if self.alpha:
            loss = loss + self.model.squares() * self._share(y, weight, 0.5)
            grads = self._with_penalty(grads, self._share(y, weight, 1.0))
        if self.watch is not None:
            self.watch.tell("on_gradients", grads)
        self.optimizer.update(self.model, grads)
        return loss

    def _with_penalty(self, grads: dict[str, Array], share: Any) -> dict[str, Array]:
        """The gradients with that of the penalty, share · W; an update in host memory adds it as it goes."""
        params = self.model.trainable()
        if all(type(p) is np.ndarray for p in params.values()):
            self.optimizer.__dict__["_penalty"] = float(share)  # of rules.OnHost
            return grads
        return {path: g + params[path] * share if params[path].ndim == 2 else g for path, g in grads.items()}


def program(steps: Steps, home: Backend, wanted: bool | None) -> Callable[..., Array]:
    """The steps, compiled if that is wanted and nobody wants to see the gradients.

    wanted: None for where a function that is not compiled compiles each of its operations, JAX
    """
    if not (home.name == "jax" if wanted is None else wanted):
        return steps
    if home.compiler() is None or (steps.watch is not None and steps.watch.sees_gradients):
        return steps
    return compiled(steps.__call__, state=(steps.model, steps.optimizer))


def run_epoch(
    step: Callable[..., Array], samples: Samples, order: Host | None, batch_size: int, watch: "Watch | None" = None
) -> float:
    """Every sample once, in this order (None: as they lie); the mean loss of the samples, read once.

    Stops after a batch if somebody who watches asks for it.
    """
    total, seen, n = None, 0, samples.n
    device_order = None
    if order is not None and samples.sparse is None:
        device_order = samples.home.asarray(order.astype(np.int32))
    y, weight = samples.y, samples.weight
    for start in range(0, n, batch_size):
        stop = min(start + batch_size, n)
        if device_order is not None:
            loss = step(samples.x, y, weight, device_order[start:stop])
        else:
            rows = slice(start, stop)
            loss = step(*samples.batch(rows if order is None else order[rows]), None)
        part = loss * float(stop - start)
        total, seen = part if total is None else total + part, stop
        if watch is not None and watch.after_batch(loss):
            break
    return float(total) / seen if total is not None else float("nan")


def outputs(model: Module, x: Any, home: Backend, dtype: str | None) -> Array:
    """The model's outputs for all samples of x, in evaluation mode, a chunk at a time."""
    training = model.training
    model.eval()
    try:
        found = [model(part) for part in chunks(x, home, dtype)]
    finally:
        model.train(training)
    return found[0] if len(found) == 1 else namespace(found[0]).concat(found)
