"""The training loop, written once: epochs of batches; gradients of all parameters, and only then the update.

    an epoch      every sample once
    a batch       the samples of one step (mini-batch stochastic gradient descent)
    an iteration  one step: forward, backward, update

Losses and metrics are summed where they were computed and read once an epoch: a device is not waited for in between.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nnx import random
from nnx.autodiff import value_and_grad
from nnx.backend import asarray, backend_of, get_backend, innermost, namespace
from nnx.layers.module import Module
from nnx.optim import Optimizer
from nnx.train.callbacks import Callback
from nnx.train.history import History
from nnx.typing import Array

Metric = Callable[[Array, Array], Array]


class Diverged(FloatingPointError):  # noqa: N818 - named for what happened
    """The loss of an epoch is not a finite number."""


class Trainer:
    """Trains a model: `fit`, `evaluate`, `predict`.

    loss(output, target) -> scalar array   metrics: name -> function (output, target) -> the batch's mean
    schedule: its step() is called after each epoch, or after each update with schedule_every="step"
    transform_grads: a function of the gradients' dict, called before each update (clipping)
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
        transform_grads: Callable[[dict[str, Array]], dict[str, Array]] | None = None,
    ) -> None:
        if not isinstance(model, Module):
            raise TypeError(f"Trainer's model must be a Module, got {type(model).__name__}")
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"Trainer's optimizer must be one of nnx.optim, got {type(optimizer).__name__}")
        if not callable(loss):
            raise TypeError(f"Trainer's loss must be a function (output, target), got {type(loss).__name__}")
        if schedule_every not in ("epoch", "step"):
            raise ValueError(f"schedule_every must be 'epoch' or 'step', got '{schedule_every}'")
        self.model, self.optimizer, self.loss, self.metrics = model, optimizer, loss, dict(metrics or {})
        self.schedule, self.schedule_every, self.transform_grads = schedule, schedule_every, transform_grads
        self.history = History()
        self.epoch = 0
        """Epochs that were finished."""
        self.step = 0
        """Updates that were made."""
        self.stopping = False
        self.loader: Any = None
        self.callbacks: list[Callback] = []
        self._sums: dict[str, Any] = {}
        self._samples = 0
        self._value_and_grad = value_and_grad(self._loss_and_output, has_aux=True)

    def _loss_and_output(self, model: Module, x: Any, y: Array) -> tuple[Array, Array]:
        output = model(x)
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
        """Train until `epochs` epochs are done, those of before a resume included. Returns the history.

        x, y: arrays, shuffled into batches anew each epoch; or x alone: a loader, an iterable of (x, y) batches
        validation: (x, y) or a loader, evaluated after every epoch as val_loss, ...
        Raises Diverged if an epoch's loss is not finite, ValueError for an empty dataset.
        """
        if epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {epochs}")
        # the loader of arrays is kept: it knows which epoch it is in
        self.loader = _loader(x, y, batch_size, shuffle=True)
        held_out = None if validation is None else _loader(*_pair(validation), batch_size=max(batch_size, 256))
        self.callbacks = list(callbacks)
        self.stopping = False
        self.optimizer.init(self.model)
        if (pending := getattr(self, "_pending_loader", None)) is not None:
            self.loader.load_state_dict(pending)
            self._pending_loader = None
        self._tell("on_train_begin")
        try:
            while self.epoch < epochs and not self.stopping:
                self._run_epoch(held_out)
        finally:
            self._tell("on_train_end")
        return self.history

    def _run_epoch(self, validation: Any) -> None:
        start = time.perf_counter()
        self._tell("on_epoch_begin")
        self.model.train()
        for x, y in self.loader:
            self._train_batch(x, y)
            if self.stopping:
                break
        record: dict[str, Any] = {"epoch": self.epoch + 1, "step": self.step, "lr": self.optimizer.lr, **self._means()}
        record["seconds"] = time.perf_counter() - start
        if not math.isfinite(record["loss"]):
            raise Diverged(
                f"the loss of epoch {record['epoch']} is {record['loss']}: lower lr (now {self.optimizer.lr:g}), clip the "
                "gradients, or look for NaN in the inputs (nnx.data.check_finite) and labels out of range"
            )
        if validation is not None:
            record |= {f"val_{name}": value for name, value in self.evaluate(validation).items()}
        self.history.append(record)
        self.epoch += 1
        if self.schedule is not None and self.schedule_every == "epoch":
            _advance(self.schedule, record)
        self._tell("on_epoch_end", record)

    def _train_batch(self, x: Any, y: Array) -> None:
        (loss, output), grads = self._value_and_grad(self.model, x, y)
        self._tell("on_gradients", grads)
        if self.transform_grads is not None:
            grads = self.transform_grads(grads)
        self.optimizer.update(self.model, grads)
        self.step += 1
        if self.schedule is not None and self.schedule_every == "step":
            self.schedule.step()
        self._count({"loss": loss} | {name: metric(output, y) for name, metric in self.metrics.items()}, y.shape[0])
        self._tell("on_batch_end", loss)

    def _count(self, values: dict[str, Array], n: int) -> None:
        """Add a batch's means to the sums, on the device: nothing is read here."""
        self._samples += n
        for name, value in values.items():
            weighted = value * float(n)
            self._sums[name] = weighted if name not in self._sums else self._sums[name] + weighted

    def _means(self) -> dict[str, float]:
        """Read the sums, and begin new ones."""
        if not self._samples:
            raise ValueError("the loader gave no batch: the dataset is empty, or smaller than a batch with drop_last")
        means = {name: float(total) / self._samples for name, total in self._sums.items()}
        self._sums, self._samples = {}, 0
        return means

    def stop(self) -> None:
        """End the training after the batch or epoch that is under way (for callbacks)."""
        self.stopping = True

    def _tell(self, hook: str, *args: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(self, *args)

    # ---- use -----------------------------------------------------------------------------------------------------

    def evaluate(self, x: Any, y: Array | None = None, batch_size: int = 256) -> dict[str, float]:
        """The loss and metrics over the samples of arrays x, y or of a loader, in evaluation mode."""
        loader = _loader(*_pair(x) if y is None else (x, y), batch_size=batch_size)
        training, sums, samples = self.model.training, self._sums, self._samples
        self._sums, self._samples = {}, 0
        self.model.eval()
        try:
            for inputs, targets in loader:
                output = self.model(inputs)
                values = {"loss": self.loss(output, targets)}
                values |= {name: metric(output, targets) for name, metric in self.metrics.items()}
                self._count(values, targets.shape[0])
            return self._means()
        finally:
            self.model.train(training)
            self._sums, self._samples = sums, samples

    def predict(self, x: Array, batch_size: int = 256) -> Array:
        """The model's outputs for all samples of x, in evaluation mode, as one array of the active backend.

        x: (n, ...)   returns (n, ...)
        """
        training = self.model.training
        self.model.eval()
        try:
            if not len(x):
                raise ValueError("predict was given no sample: x is empty")
            parts = [self.model(asarray(x[k : k + batch_size], _floating(x))) for k in range(0, len(x), batch_size)]
            return namespace(parts[0]).concat(parts)
        finally:
            self.model.train(training)

    # ---- checkpoints ---------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that a run needs to go on as if nothing had happened: arrays by name, and plain numbers under "meta"."""
        optimizer = self.optimizer.state_dict()
        arrays = {f"model/{name}": x for name, x in self.model.state_dict().items()}
        arrays |= {f"optimizer/{name}": x for name, x in optimizer.pop("slots").items()}
        arrays |= {f"sums/{name}": innermost(x) for name, x in self._sums.items()}
        meta = {
            "epoch": self.epoch,
            "step": self.step,
            "samples": self._samples,
            "history": self.history.records,
            "optimizer": optimizer,
            "random": random.get_state(),
            "loader": self.loader.state_dict() if hasattr(self.loader, "state_dict") else None,
            "schedule": self.schedule.state_dict() if self.schedule is not None else None,
        }
        return {"arrays": arrays, "meta": meta}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where state_dict was taken, on this backend or another."""
        arrays, meta = state["arrays"], state["meta"]
        self.model.load_state_dict(_under("model/", arrays))
        self.optimizer.load_state_dict({**meta["optimizer"], "slots": _under("optimizer/", arrays)})
        self._sums = {name: asarray(x) for name, x in _under("sums/", arrays).items()}
        self.epoch, self.step, self._samples = meta["epoch"], meta["step"], meta["samples"]
        self.history = History(meta["history"])
        self._pending_loader = meta["loader"]
        if self.schedule is not None and meta["schedule"] is not None:
            self.schedule.load_state_dict(meta["schedule"])
        random.set_state(meta["random"])

    def save(self, path: Any) -> None:
        """Write state_dict to a safetensors file, atomically."""
        from nnx.io import save_safetensors

        state = self.state_dict()
        save_safetensors(path, state["arrays"], state["meta"])

    def resume(self, path: Any) -> None:
        """Read what `save` wrote; the next `fit` goes on from there."""
        from nnx.io import CheckpointError, load_safetensors

        arrays, meta = load_safetensors(path)
        if "optimizer" not in meta or "epoch" not in meta:
            raise CheckpointError(f"{path}: expected a checkpoint of Trainer.save, got weights only: nnx.io.load reads these")
        self.load_state_dict({"arrays": arrays, "meta": meta})


def _under(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): x for name, x in arrays.items() if name.startswith(prefix)}


def _pair(data: Any) -> tuple[Any, Any]:
    return data if isinstance(data, tuple) and len(data) == 2 else (data, None)


def _loader(x: Any, y: Any, batch_size: int, shuffle: bool = False) -> Iterable[tuple[Any, Any]]:
    """x itself if it is an iterable of batches, else a loader over the arrays x and y."""
    from nnx.data import ArrayDataset, DataLoader

    if y is None:
        if not hasattr(x, "__iter__") or hasattr(x, "shape"):
            raise TypeError(f"expected arrays x and y, or a loader of (x, y) batches, got {type(x).__name__} without y")
        return x  # type: ignore[no-any-return]
    return DataLoader(ArrayDataset(x, y), batch_size=batch_size, shuffle=shuffle)


def _floating(x: Array) -> str | None:
    """float32 for floating host arrays, as loaders have it; None keeps the dtype."""
    x = innermost(x)
    return "float32" if backend_of(x).name == "numpy" and x.dtype.kind == "f" else None


def _advance(schedule: Any, record: dict[str, Any]) -> None:
    """A step of a schedule; one that watches a number gets the validation loss, or the training loss without one."""
    import inspect

    if "metrics" in inspect.signature(schedule.step).parameters:
        schedule.step(record.get("val_loss", record["loss"]))
    else:
        schedule.step()


def describe(model: Module) -> str:
    """One line on where and what is trained."""
    backend = get_backend()
    return f"{model.num_parameters():,} parameters on {backend.name} {backend.version} ({backend.device})"


