"""Callbacks that watch one number of the epochs' records: to stop in time, and to keep the best weights."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnx.train.callbacks import Callback
from nnx.typing import Array

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer


class _Monitor(Callback):
    """Watches one number of the records for its best value."""

    def __init__(self, monitor: str, mode: str | None, min_delta: float = 0.0) -> None:
        if mode not in (None, "min", "max"):
            raise ValueError(f"{type(self).__name__}: mode must be 'min' or 'max', got '{mode}'")
        if not min_delta >= 0.0:
            raise ValueError(
                f"{type(self).__name__}: min_delta must be >= 0, got {min_delta}: for larger is better, mode='max'"
            )
        self.monitor = monitor
        self.sign = -1.0 if (mode or ("max" if "acc" in monitor else "min")) == "max" else 1.0
        self.min_delta = min_delta
        self.best = math.inf

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Raise ValueError now rather than after an epoch if what it watches will not be there."""
        if self.monitor.startswith("val_") and trainer.validation is None:
            raise ValueError(
                f"{type(self).__name__} watches '{self.monitor}', but there is nothing to validate on: pass "
                "validation=(x, y) to fit, or watch 'loss'"
            )

    def improved(self, record: dict[str, Any]) -> bool:
        """Whether this record is better than all before, by more than min_delta."""
        if self.monitor not in record:
            raise ValueError(
                f"{type(self).__name__} watches '{self.monitor}', which is not recorded: there is {', '.join(record)}; "
                "name it in Trainer's metrics"
            )
        value = self.sign * record[self.monitor]
        if value < self.best - self.min_delta:
            self.best = value
            return True
        return False


class EarlyStopping(_Monitor):
    """Stops when the monitored number has not improved for `patience` epochs, and puts the best weights back.

    patience: epochs, ≥ 1   mode: "min" or "max"; by default max for a name with "acc" in it
    min_delta: what counts as an improvement, ≥ 0   Each `fit` begins anew; a resumed one goes on.
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
            raise ValueError(f"EarlyStopping: patience must be at least 1 epoch, got {patience}")
        self.patience, self.restore_best = patience, restore_best
        self._forget()

    def _forget(self) -> None:
        self.best, self.waited, self.best_epoch = math.inf, 0, 0
        self.weights: dict[str, Array] | None = None

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Count from here."""
        super().on_train_begin(trainer)
        self._forget()

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

    def state_dict(self) -> dict[str, Any]:
        """The best value, when it was, and its weights."""
        meta = {"best": self.best, "waited": self.waited, "best_epoch": self.best_epoch}
        return {**meta, "arrays": self.weights} if self.weights is not None else meta

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Callback.load_state_dict."""
        self.best, self.waited, self.best_epoch = state["best"], state["waited"], state["best_epoch"]
        self.weights = state.get("arrays")


class ModelCheckpoint(_Monitor):
    """Writes the weights whenever the monitored number is better than ever.

    path: of the safetensors file, replaced atomically   mode: as EarlyStopping's
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
            self.saved = dict(record)

    def state_dict(self) -> dict[str, Any]:
        """The best value and its record."""
        return {"best": self.best, "saved": self.saved}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Callback.load_state_dict."""
        self.best, self.saved = state["best"], state["saved"]
