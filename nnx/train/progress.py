"""Progress: a live display in a terminal or notebook, one plain line an epoch elsewhere, nothing when quiet."""

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from nnx.train.callbacks import Callback
from nnx.train.displays import Display, Plain, display_for
from nnx.typing import Array

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer

HIDDEN = ("epoch", "step", "lr", "seconds", "messages")


def numbers_of(record: dict[str, Any]) -> str:
    """The numbers of a record as text; not those of a single layer, "grad_norm/0.weight"."""
    return "  ".join(f"{name} {x:.4f}" for name, x in record.items() if name not in HIDDEN and "/" not in name)


def line_of(record: dict[str, Any]) -> str:
    """An epoch's record as a line of text.

    >>> line_of({"epoch": 3, "step": 90, "lr": 0.1, "loss": 0.5, "val_accuracy": 0.75, "seconds": 1.0})
    'epoch   3  loss 0.5000  val_accuracy 0.7500  1.0 s'
    """
    return f"epoch {record['epoch']:3d}  {numbers_of(record)}  {record['seconds']:.1f} s"


class Progress(Callback):
    """Shows how a training goes: rate, remaining time, and the numbers of the last epoch. No loss is read for it.

    total: the number of epochs that the bar counts to; None for those that `fit` was asked for
    live: True, False (plain lines), or None for live in a terminal or a notebook   file: where it writes
    """

    def __init__(self, total: int | None = None, live: bool | None = None, file: Any = None) -> None:
        self.total, self._given = total, (total, live, file)
        self.display: Display = display_for(live, file)
        self.live = not isinstance(self.display, Plain)
        self._open = False

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy (sklearn.base.clone, pickle) is made anew: a display is no thing to copy."""
        return type(self), self._given

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Open the display."""
        self._total = self.total or trainer.limits.epochs
        steps = len(trainer.loader) if hasattr(trainer.loader, "__len__") else None
        self._steps = trainer.limits.steps_with(self._total, steps, trainer.accumulate)
        self.display.open(self._steps, trainer.step)
        self._open, self._shown, self._last = True, 0.0, ""
        self._began: tuple[float, int] | None = None

    def on_batch_end(self, trainer: "Trainer", loss: Array) -> None:
        """Move the bar, ten times a second at the most; the loss itself is not read."""
        now = time.perf_counter()
        if not self.live or now - self._shown < 0.1:
            return
        self._shown = now
        if self._began is None:  # after the first step, which may have been compiled
            self._began = now, trainer.step
            return
        rate = (trainer.step - self._began[1]) / max(now - self._began[0], 1e-9)
        of = "" if self._total is None else f"/{self._total}"
        left = "" if self._steps is None else _clock((self._steps - trainer.step) / max(rate, 1e-9))
        self.display.move(trainer.step, f"epoch {trainer.epoch + 1}{of}{self._last}", f"{rate:,.0f} steps/s", left)

    def on_validation(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """A line for a validation within an epoch."""
        self.display.line(f"epoch {record['epoch']:3d}  step {record['step']}  {numbers_of(record)}")

    def on_epoch_end(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """A line for the epoch, and for each message."""
        self._last = f"  {numbers_of(record)}"
        for line in [line_of(record), *record.get("messages", [])]:
            self.display.line(line)

    def on_train_end(self, trainer: "Trainer") -> None:
        """Close the display."""
        if self._open:
            self._open = False
            self.display.close(trainer.step)


def _clock(seconds: float) -> str:
    """Remaining time as text.

    >>> _clock(3725.4)
    '1:02:05 left'
    """
    return f"{timedelta(seconds=round(max(seconds, 0.0)))} left"
