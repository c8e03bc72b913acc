"""Where the time of a training goes: a stopwatch that the loop presses after each part of a step."""

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from nnx.backend import get_backend
from nnx.train.callbacks import Callback

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer

PARTS = ("data", "forward+backward", "update", "metrics", "callbacks", "validation")


class Clock:
    """The stopwatch that nobody looks at."""

    def lap(self, part: str) -> None:
        """The time since the last lap went into this part."""


class Stopwatch(Clock):
    """Adds up seconds by part. synchronize: wait for the device at each lap, so that the part that asked pays."""

    def __init__(self, synchronize: bool = True) -> None:
        self.synchronize = synchronize
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        """See Clock."""
        if self.synchronize and part not in ("data", "callbacks"):
            get_backend().synchronize()
        now = time.perf_counter()
        self.seconds[part] += now - self._last
        self._last = now


class Profiler(Callback):
    """Measures where the time of a training's steps goes, and prints a table at the end.

    parts: data, forward+backward, update, metrics, callbacks, validation. The first step, with all that is compiled or
    set up in it, is a row of its own.   file: where the table is written; None for nowhere (`summary()` gives it)
    synchronize: wait for the device after forward+backward and update. It slows a GPU down a little, and without it
    their time is only that of asking.
    """

    last = True

    def __init__(self, synchronize: bool = True, file: Any = "stdout") -> None:
        self.synchronize, self.file = synchronize, file
        self.seconds: dict[str, float] = {}
        """By part, of the last training."""
        self.steps = 0

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Put a stopwatch into the trainer."""
        self.watch = trainer.clock = Stopwatch(self.synchronize)
        self.first, self.began = 0.0, trainer.step

    def on_batch_end(self, trainer: "Trainer", loss: Any) -> None:
        """Set the first step apart."""
        if trainer.step == self.began + 1:
            self.watch.lap("callbacks")
            self.first = sum(self.watch.seconds.values())
            self.watch.seconds.clear()

    def on_train_end(self, trainer: "Trainer") -> None:
        """Take the stopwatch out, print the table."""
        trainer.clock = Clock()
        self.steps = trainer.step - self.began
        self.seconds = {"first step": self.first, **{part: self.watch.seconds.get(part, 0.0) for part in PARTS}}
        if self.file is not None:
            print(self.summary(), file=None if self.file == "stdout" else self.file)

    def summary(self) -> str:
        """The table: seconds, the share of the whole, and milliseconds a step."""
        whole, steps = sum(self.seconds.values()) or 1.0, max(self.steps - 1, 1)
        lines = [f"{'':18s}{'seconds':>9s}{'share':>8s}{'ms/step':>10s}   of {self.steps} steps"]
        for part, seconds in self.seconds.items():
            each = "" if part == "first step" else f"{1e3 * seconds / steps:10.3f}"
            lines.append(f"{part:18s}{seconds:9.3f}{seconds / whole:8.1%}{each}")
        return "\n".join(lines)
