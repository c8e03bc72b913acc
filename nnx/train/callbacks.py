"""Callbacks: what happens beside the training loop. Each hook gets the Trainer first.

    on_train_begin(trainer)             on_train_end(trainer)        also after an exception
    on_epoch_begin(trainer)             on_epoch_end(trainer, record)    the epoch's loss, metrics, lr, seconds
    on_gradients(trainer, grads)        before the update; grads: path -> array
    on_batch_end(trainer, loss)         after the update; loss is an array: reading it waits for the device
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnx.backend import namespace
from nnx.typing import Array

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer


class Callback:
    """The base: every hook does nothing."""

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Before the first epoch."""

    def on_train_end(self, trainer: "Trainer") -> None:
        """After the last epoch, also if it ended with an exception."""

    def on_epoch_begin(self, trainer: "Trainer") -> None:
        """Before the first batch of an epoch."""

    def on_epoch_end(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """After the validation of an epoch."""

    def on_gradients(self, trainer: "Trainer", grads: dict[str, Array]) -> None:
        """After a backward pass, before the update."""

    def on_batch_end(self, trainer: "Trainer", loss: Array) -> None:
        """After an update."""


class _Monitor(Callback):
    """Watches one number of the records for its best value."""

    def __init__(self, monitor: str, mode: str | None, min_delta: float = 0.0) -> None:
        if mode not in (None, "min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', got '{mode}'")
        self.monitor = monitor
        self.sign = -1.0 if (mode or ("max" if "acc" in monitor else "min")) == "max" else 1.0
        self.min_delta = abs(min_delta)
        self.best = math.inf

    def improved(self, record: dict[str, Any]) -> bool:
        """Whether this record is better than all before, by more than min_delta."""
        if self.monitor not in record:
            raise KeyError(
                f"{type(self).__name__} watches '{self.monitor}', which is not recorded: there is {', '.join(record)}"
                + ("; pass validation= to fit" if self.monitor.startswith("val_") else "")
            )
        value = self.sign * record[self.monitor]
        if value < self.best - self.min_delta:
            self.best = value
            return True
        return False


class EarlyStopping(_Monitor):
    """Stops when the monitored number has not improved for `patience` epochs, and puts the best weights back.

    mode: "min" or "max"; by default max for a name with "acc" in it   min_delta: what counts as an improvement, ≥ 0
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        mode: str | None = None,
        restore_best: bool = True,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if patience < 1:
            raise ValueError(f"patience must be at least 1 epoch, got {patience}")
        self.patience, self.restore_best = patience, restore_best
        self.waited = 0
        self.best_epoch = 0
        self.weights: dict[str, Array] | None = None

    def on_epoch_end(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """Count the epochs without an improvement."""
        if self.improved(record):
            self.waited, self.best_epoch = 0, record["epoch"]
            self.weights = trainer.model.state_dict() if self.restore_best else None
            return
        self.waited += 1
        if self.waited >= self.patience:
            trainer.stop()

    def on_train_end(self, trainer: "Trainer") -> None:
        """Put the best weights back."""
        if self.weights is not None:
            trainer.model.load_state_dict(self.weights)


class ModelCheckpoint(_Monitor):
    """Writes the weights whenever the monitored number is better than ever.

    path: of the safetensors file, replaced atomically
    """

    def __init__(self, path: str | Path, monitor: str = "val_loss", mode: str | None = None) -> None:
        super().__init__(monitor, mode)
        self.path = Path(path)
        self.saved: dict[str, Any] | None = None
        """The record of the epoch whose weights are in the file."""

    def on_epoch_end(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """Save, if this was the best epoch."""
        from nnx.io import save

        if self.improved(record):
            save(self.path, trainer.model, {"epoch": record["epoch"], self.monitor: record[self.monitor]})
            self.saved = record


class Checkpoint(Callback):
    """Writes the whole state (`Trainer.save`) after every epoch, or every `every` updates: what `Trainer.resume` reads."""

    def __init__(self, path: str | Path, every: int | None = None) -> None:
        self.path, self.every = Path(path), every

    def on_epoch_end(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """Save."""
        trainer.save(self.path)

    def on_batch_end(self, trainer: "Trainer", loss: Array) -> None:
        """Save, every so many updates."""
        if self.every is not None and trainer.step % self.every == 0:
            trainer.save(self.path)


class MetricsLog(Callback):
    """Appends every epoch's record to a file of JSON lines."""

    def __init__(self, path: str | Path) -> None:
        from nnx.io import JsonLines

        self.file = JsonLines(path)

    def on_epoch_end(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """Write the line."""
        self.file.append(record)


class GradientStats(Callback):
    """The norm of every parameter's gradient, by epoch, and a word on the ones that vanish or explode.

    norms: one dict an epoch, path -> root mean square over the epoch's batches of ‖∂C/∂W‖   small, large: what counts
    as vanishing (relative to the largest layer's norm) and as exploding. Summed on the device, read once an epoch.
    """

    def __init__(self, small: float = 1e-4, large: float = 1e3) -> None:
        self.small, self.large = small, large
        self.norms: list[dict[str, float]] = []
        self.messages: list[str] = []
        self._sums: dict[str, Array] = {}
        self._batches = 0

    def on_gradients(self, trainer: "Trainer", grads: dict[str, Array]) -> None:
        """Add up the squares."""
        self._batches += 1
        for path, g in grads.items():
            square = namespace(g).sum(g * g)
            self._sums[path] = square if path not in self._sums else self._sums[path] + square

    def on_epoch_end(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """Read the sums; name the layers."""
        norms = {path: math.sqrt(float(total) / self._batches) for path, total in self._sums.items()}
        self._sums, self._batches = {}, 0
        self.norms.append(norms)
        self.messages = list(self.judge(norms))
        record["messages"] = [*record.get("messages", []), *self.messages] if self.messages else record.get("messages", [])

    def judge(self, norms: dict[str, float]) -> list[str]:
        """A message for every weight whose gradient vanishes or explodes, with what helps."""
        weights = {path: norm for path, norm in norms.items() if path.endswith("weight")} or norms
        largest = max(weights.values(), default=0.0)
        found = []
        for path, norm in weights.items():
            if norm < self.small * largest or norm == 0.0:
                found.append(
                    f"the gradient of {path} vanishes: norm {norm:.1e}, {largest:.1e} elsewhere. ReLU in place of sigmoid, "
                    "Kaiming initialisation, residual connections or normalisation help"
                )
            elif not norm <= self.large:
                found.append(f"the gradient of {path} explodes: norm {norm:.1e}. A lower lr or clipping by norm helps")
        return found
