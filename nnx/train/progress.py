"""Progress: a live display in a terminal (rich), one plain line an epoch elsewhere, nothing when quiet."""

import sys
import time
from typing import TYPE_CHECKING, Any

from nnx.train.callbacks import Callback
from nnx.typing import Array

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer


def line_of(record: dict[str, Any]) -> str:
    """An epoch's record as a line of text.

    >>> line_of({"epoch": 3, "step": 90, "lr": 0.1, "loss": 0.5, "val_accuracy": 0.75, "seconds": 1.0})
    'epoch   3  loss 0.5000  val_accuracy 0.7500  1.0 s'
    """
    hidden = ("epoch", "step", "lr", "seconds", "messages")
    numbers = "  ".join(f"{name} {value:.4f}" for name, value in record.items() if name not in hidden)
    return f"epoch {record['epoch']:3d}  {numbers}  {record['seconds']:.1f} s"


class Progress(Callback):
    """Shows how a training goes. live: True, False (plain lines), or None for live exactly on a terminal.

    total: the number of epochs that the bar counts to   file: where it writes (standard output)
    """

    def __init__(self, total: int, live: bool | None = None, file: Any = None) -> None:
        self.total = total
        self.file = file or sys.stdout
        self.live = bool(getattr(self.file, "isatty", lambda: False)()) if live is None else live
        self._bar: Any = None
        self._shown = 0.0

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Open the display."""
        if not self.live:
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=Console(file=self.file))
        self._bar.start()
        self._steps = len(trainer.loader) if hasattr(trainer.loader, "__len__") else None
        total = None if self._steps is None else self._steps * self.total
        self._task = self._bar.add_task("training", total=total, completed=trainer.step, rate="")
        self._began = (time.perf_counter(), trainer.step)

    def on_batch_end(self, trainer: "Trainer", loss: Array) -> None:
        """Move the bar, ten times a second at the most; the loss itself is not read."""
        if self._bar is None or time.perf_counter() - self._shown < 0.1:
            return
        self._shown = time.perf_counter()
        rate = (trainer.step - self._began[1]) / max(self._shown - self._began[0], 1e-9)
        description = f"epoch {trainer.epoch + 1}/{self.total}"
        self._bar.update(self._task, completed=trainer.step, description=description, rate=f"{rate:,.0f} steps/s")

    def on_epoch_end(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """A line for the epoch."""
        lines = [line_of(record), *record.get("messages", [])]
        for line in lines:
            if self._bar is not None:
                self._bar.console.print(line, highlight=False)
            else:
                print(line, file=self.file, flush=True)

    def on_train_end(self, trainer: "Trainer") -> None:
        """Close the display."""
        if self._bar is not None:
            self._bar.update(self._task, completed=trainer.step)
            self._bar.stop()
            self._bar = None
