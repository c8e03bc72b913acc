"""Callbacks that watch one number of the epochs' records: what is better, and to stop in time."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nnx.train.callbacks import Callback
from nnx.typing import Array

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer


SCORES = ("acc", "auc", "auroc", "dice", "f1", "fbeta", "iou", "precision", "r2", "recall")
"""What the names of numbers begin with, behind val_ or within, of which more is better."""


def _is_score(monitor: str) -> bool:
    """Whether more is better, by the words of a number's name.

    >>> [_is_score(name) for name in ("val_top5_accuracy", "val_f1", "val_loss", "val_dice_loss")]
    [True, True, False, False]
    """
    words = monitor.lower().split("_")
    return not {"loss", "error"} & {*words} and ("acc" in monitor or any(word.startswith(SCORES) for word in words))


class Monitor(Callback):
    """Watches one number of the records for its best value."""

    def __init__(self, monitor: str, mode: str | None, min_delta: float = 0.0) -> None:
        if mode not in (None, "min", "max"):
            raise ValueError(f"{type(self).__name__}: mode must be 'min' or 'max', got '{mode}'")
        if not min_delta >= 0.0:
            raise ValueError(
                f"{type(self).__name__}: min_delta must be >= 0, got {min_delta}: for larger is better, mode='max'"
            )
        self.monitor = monitor
        self.sign = -1.0 if (mode or ("max" if _is_score(monitor) else "min")) == "max" else 1.0
        self.min_delta = min_delta
        self.best = math.inf

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Raise ValueError now rather than after an epoch if what it watches will not be there."""
        if self.monitor.startswith("val_") and trainer.validation is None:
            raise ValueError(
                f"{type(self).__name__} watches '{self.monitor}', but there is nothing to validate on: pass "
                "validation=(x, y) to fit, or watch 'loss'"
            )

    def value_of(self, record: dict[str, Any]) -> float:
        """The number that is watched. Raises ValueError if the record has none of that name."""
        if self.monitor not in record:
            raise ValueError(
                f"{type(self).__name__} watches '{self.monitor}', which is not recorded: there is {', '.join(record)}; "
                "name it in Trainer's metrics"
            )
        return float(record[self.monitor])

    def improved(self, record: dict[str, Any]) -> bool:
        """Whether this record is better than all before, by more than min_delta."""
        value = self.sign * self.value_of(record)
        if value < self.best - self.min_delta:
            self.best = value
            return True
        return False


class EarlyStopping(Monitor):
    """Stops when the monitored number has not improved for `patience` epochs, and puts the best weights back.

    The best weights are those that were evaluated: the averages, if the training has some.

    patience: epochs, ≥ 1   mode: "min" or "max"; by default max for names of scores (acc, auc, f1, r2, ...)
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
        self._stop: Callable[[], None] | None = None
        self._forget()

    def _forget(self) -> None:
        self.best, self.waited, self.best_epoch = math.inf, 0, 0
        self.weights: dict[str, Array] | None = None

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Count from here."""
        super().on_train_begin(trainer)
        self._forget()
        self._stop = trainer.stop

    def on_epoch_end(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """Count the epochs without an improvement."""
        if self.improved(record):
            self.waited, self.best_epoch = 0, record["epoch"]
            with trainer.shown() as model:
                self.weights = model.state_dict() if self.restore_best else None
            return
        self.waited += 1
        if self.waited >= self.patience:
            trainer.stop()

    def on_train_end(self, trainer: "Trainer") -> None:
        """Put the best weights back."""
        self._stop = None
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
        if self.waited >= self.patience and self._stop is not None:
            self._stop()  # killed between its last epoch and its end
