"""The training loop, written once: epochs of batches; gradients of all parameters, and only then the update.

    an epoch      every sample once
    a batch       the samples of one step (mini-batch stochastic gradient descent)
    an iteration  one step: forward, backward, update

Losses and metrics are summed where they were computed and read once an epoch: a device is not waited for in between.
"""

import inspect
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from nnx.autodiff import value_and_grad
from nnx.backend import asarray, backend_of, innermost, namespace
from nnx.compiled import compile as compiled
from nnx.layers.module import Module
from nnx.optim import Optimizer
from nnx.train import state
from nnx.train.batches import forward, loader_of, parts
from nnx.train.callbacks import Callback
from nnx.train.history import History
from nnx.train.means import Means
from nnx.train.memory import explained
from nnx.typing import Array

Metric = Callable[[Any, Array], Array]
Transform = Callable[[dict[str, Array]], dict[str, Array]]


class Diverged(FloatingPointError):
    """The loss of an epoch is not a finite number."""


class Trainer:
    """Trains a model: `fit`, `evaluate`, `predict`.

    loss(output, target) -> scalar array   metrics: name -> function (output, target) -> the batch's mean, or an object
    of nnx.metrics, which is computed over all samples of an epoch at once (AUROC is no mean over batches)
    schedule: its step() is called after each epoch, or after each update with schedule_every="step"
    transform_grads: a function of the gradients' dict, called before each update (clipping)
    compile: give gradients, update and evaluation to nnx.compile: much faster on JAX; loss and model must read no value
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        loss: Metric,
        metrics: Mapping[str, Metric] | None = None,
        *,
        schedule: Any = None,
        schedule_every: str = "epoch",
        transform_grads: Transform | None = None,
        compile: bool = False,
    ) -> None:
        _check(model, optimizer, loss, metrics or {}, schedule, schedule_every)
        self.model, self.optimizer, self.loss, self.metrics = model, optimizer, loss, dict(metrics or {})
        self.schedule, self.schedule_every, self.transform_grads = schedule, schedule_every, transform_grads
        self.history = History()
        self.epoch = 0
        """Epochs that were finished."""
        self.step = 0
        """Updates that were made."""
        self.stopping = False
        self.loader: Any = None
        self.validation: Iterable[Any] | None = None
        self.callbacks: list[Callback] = []
        self.means = Means()
        """Of the epoch under way."""
        self._batch_size: int | None = None
        self._pending: state.State | None = None
        self._value_and_grad = value_and_grad(self._loss_and_output, has_aux=True)
        self._gradients, self._update, self._judge = self._take_gradients, self._change, self._assess
        if compile:  # in two programs: callbacks see the gradients in between
            self._gradients = compiled(self._take_gradients, state=model, donate=False)
            self._update = compiled(self._change, state=(model, optimizer), donate=False)
            self._judge = compiled(self._assess, state=model, donate=False)

    def _take_gradients(self, inputs: Any, y: Array) -> Any:
        return self._value_and_grad(self.model, inputs, y)

    def _change(self, grads: dict[str, Array]) -> None:
        self.optimizer.update(self.model, grads if self.transform_grads is None else self.transform_grads(grads))

    def _assess(self, inputs: Any, y: Array) -> Any:
        return self._loss_and_output(self.model, inputs, y)

    def _loss_and_output(self, model: Module, inputs: Any, y: Array) -> tuple[Array, Any]:
        output = forward(model, inputs)
        return self.loss(output, y), output

    # ---- training ------------------------------------------------------------------------------------------------

    def fit(
        self,
        x: Any,
        y: Array | None = None,
        *,
        validation: Any = None,
        epochs: int = 1,
        batch_size: int = 32,
        callbacks: Sequence[Callback] = (),
    ) -> History:
        """Train for `epochs` epochs; after a `resume`, until `epochs` are done in all. Returns the history.

        x, y: arrays, shuffled into batches anew each epoch; or x alone: a loader, an iterable of (x, y) batches
        validation: (x, y) or a loader, evaluated after every epoch as val_loss, ...
        Raises Diverged if an epoch's loss is not finite, ValueError for an empty dataset.
        """
        if epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {epochs}")
        self.loader = loader_of(x, y, batch_size, shuffle=True)
        self.validation = None if validation is None else loader_of(validation, None, max(batch_size, 256))
        self.callbacks = sorted(callbacks, key=lambda callback: callback.last)
        self.stopping = False
        self.optimizer.init(self.model)
        with ExitStack() as ends:
            for callback in reversed(self.callbacks):
                ends.callback(callback.on_train_end, self)
            self._tell("on_train_begin")
            end = epochs if self._take_up() else self.epoch + epochs
            while self.epoch < end and not self.stopping:
                self._run_epoch()
        return self.history

    def _take_up(self) -> bool:
        """Whether this training goes on from a checkpoint; then the loader and callbacks do, too."""
        pending, self._pending = self._pending, None
        if pending is None:
            self.means = Means()  # what an interrupted epoch has left
            return False
        state.take_up(self, pending)
        return True

    def _run_epoch(self) -> None:
        start = time.perf_counter()
        self._tell("on_epoch_begin")
        self._batch_size = getattr(self.loader, "batch_size", None)
        self.model.train()
        with explained(lambda: self._batch_size):
            for batch in self.loader:
                self._train_batch(*parts(batch))
                if self.stopping:
                    break
        record: dict[str, Any] = {
            "epoch": self.epoch + 1,
            "step": self.step,
            "lr": self.optimizer.lr,
            **self.means.read(),
        }
        record["seconds"] = time.perf_counter() - start
        self.means = Means()
        self._check_finite(record, "loss")
        if self.validation is not None:
            record |= {f"val_{name}": value for name, value in self.evaluate(self.validation).items()}
            self._check_finite(record, "val_loss")
        self.history.append(record)
        self.epoch += 1
        if self.schedule is not None and self.schedule_every == "epoch":
            _advance(self.schedule, record)
        self._tell("on_epoch_end", record)

    def _train_batch(self, inputs: Any, y: Array) -> None:
        self._batch_size = y.shape[0]
        (loss, output), grads = self._gradients(inputs, y)
        self._tell("on_gradients", grads)
        self._update(grads)
        self.step += 1
        if self.schedule is not None and self.schedule_every == "step":
            self.schedule.step()
        self.means.add({"loss": loss} | self.means.measured(self.metrics, output, y), y.shape[0])
        self._tell("on_batch_end", loss)

    def _check_finite(self, record: dict[str, Any], name: str) -> None:
        if not math.isfinite(record[name]):
            raise Diverged(
                f"the {name} of epoch {record['epoch']} is {record[name]}: lower lr (now {self.optimizer.lr:g}), "
                "clip the gradients, or look for NaN in the inputs (nnx.data.check_finite) and labels out of range"
            )

    def stop(self) -> None:
        """End the training after the batch or epoch that is under way (for callbacks)."""
        self.stopping = True

    def _tell(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self, *args)

    # ---- use -----------------------------------------------------------------------------------------------------

    def evaluate(self, x: Any, y: Array | None = None, batch_size: int = 256) -> dict[str, float]:
        """The loss and metrics over the samples of arrays x, y or of a loader, in evaluation mode."""
        means, training = Means(), self.model.training
        self.model.eval()
        try:
            for batch in loader_of(x, y, batch_size):
                inputs, target = parts(batch)
                loss, output = self._judge(inputs, target)
                means.add({"loss": loss} | means.measured(self.metrics, output, target), target.shape[0])
            return means.read()
        finally:
            self.model.train(training)

    def predict(self, x: Array, batch_size: int = 256) -> Array:
        """The model's outputs for all samples of x, in evaluation mode, as one array of the active backend.

        x: (n, ...), n ≥ 1   returns (n, ...)
        """
        x = innermost(x)
        library, training = backend_of(x), self.model.training
        if not x.ndim or not x.shape[0]:
            raise ValueError(
                f"predict expects samples x of shape (n, ...), got {tuple(x.shape)}: there is none to predict for"
            )
        # as loaders have it: float32 of whatever floating array the host holds
        dtype = "float32" if library.name == "numpy" and library.is_inexact(x.dtype) else None
        starts = range(0, x.shape[0], batch_size)
        self.model.eval()
        try:
            outputs = [self.model(asarray(x[k : min(k + batch_size, x.shape[0]), ...], dtype)) for k in starts]
            return namespace(outputs[0]).concat(outputs)
        finally:
            self.model.train(training)

    # ---- checkpoints ---------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that a run needs to go on as if nothing had happened: arrays by name, and plain numbers under "meta"."""
        return state.collect(self)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where state_dict was taken, on this backend or another; the next `fit` goes on with it."""
        state.restore(self, state_dict)
        self._pending = state_dict

    def save(self, path: Any) -> None:
        """Write state_dict to a safetensors file, atomically."""
        from nnx.io import save_safetensors

        found = self.state_dict()
        save_safetensors(path, found["arrays"], found["meta"])

    def resume(self, path: Any) -> None:
        """Read what `save` wrote; the next `fit` goes on from there."""
        from nnx.io import CheckpointError, load_safetensors

        arrays, meta = load_safetensors(path)
        if "optimizer" not in meta or "epoch" not in meta:
            raise CheckpointError(
                f"{path}: expected a checkpoint of Trainer.save, got weights only: nnx.io.load reads these"
            )
        self.load_state_dict({"arrays": arrays, "meta": meta})


def _check(model: Any, optimizer: Any, loss: Any, metrics: Any, schedule: Any, schedule_every: str) -> None:
    """Raises TypeError or ValueError for what Trainer cannot train with."""
    if not isinstance(model, Module):
        raise TypeError(f"Trainer's model must be a Module, got {type(model).__name__}: e.g. nnx.Sequential(...)")
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"Trainer's optimizer must be one of nnx.optim, got {type(optimizer).__name__}: e.g. nnx.optim.Adam()"
        )
    if not callable(loss):
        raise TypeError(
            f"Trainer's loss must be a function (output, target), got {type(loss).__name__}: e.g. nnx.losses.mse_loss"
        )
    if not isinstance(metrics, Mapping):
        raise TypeError(f"Trainer's metrics must be a dict of functions by name, got {type(metrics).__name__}")
    if "loss" in metrics:
        raise ValueError("Trainer's metrics hold 'loss', the name of the loss itself: choose another name")
    if schedule_every not in ("epoch", "step"):
        raise ValueError(f"schedule_every must be 'epoch' or 'step', got '{schedule_every}'")
    if schedule is not None and schedule_every == "step" and _watches(schedule):
        raise ValueError(
            f"{type(schedule).__name__} watches an epoch's number: schedule_every must be 'epoch', got 'step'"
        )


def _watches(schedule: Any) -> bool:
    return "metrics" in inspect.signature(schedule.step).parameters


def _advance(schedule: Any, record: dict[str, Any]) -> None:
    """A step of a schedule; one that watches a number gets the validation loss, or the training loss without one."""
    if _watches(schedule):
        schedule.step(record.get("val_loss", record["loss"]))
    else:
        schedule.step()
