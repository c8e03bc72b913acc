"""When a training ends: after so many epochs, updates, or seconds, whichever comes first."""

import math
import time
from datetime import timedelta
from numbers import Real
from typing import TYPE_CHECKING

from nnx.data.checks import is_count

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer


class Limits:
    """epochs, steps: counted from the start of a fit, after a resume in all   seconds: of this fit alone, > 0

    With none of the three one epoch is trained.
    """

    def __init__(self, epochs: int | None, steps: int | None, seconds: float | timedelta | None) -> None:
        if epochs is None and steps is None and seconds is None:
            epochs = 1
        for name, value in (("epochs", epochs), ("max_steps", steps)):
            if value is not None and not is_count(value):
                raise ValueError(f"{name} must be at least 1, got {value!r}: a whole number")
        seconds = seconds.total_seconds() if isinstance(seconds, timedelta) else seconds
        if seconds is not None and not (isinstance(seconds, Real) and seconds > 0):
            raise ValueError(f"max_time must be more than 0 seconds, got {seconds!r}: a number, or a timedelta")
        self.epochs: int | None = epochs
        self.steps = math.inf if steps is None else steps
        self.end = math.inf if seconds is None else time.perf_counter() + seconds

    def steps_with(self, epochs: int | None, batches: int | None, accumulate: int) -> int | None:
        """How many updates there will be at the most, if that is known."""
        by_epochs = math.inf if epochs is None or batches is None else epochs * -(-batches // accumulate)
        steps = min(self.steps, by_epochs)
        return None if steps == math.inf else int(steps)

    def count_from(self, trainer: "Trainer") -> None:
        """Begin to count here, as this is no resume."""
        if self.epochs is not None:
            self.epochs += trainer.epoch
        self.steps += trainer.step

    def reached(self, trainer: "Trainer") -> bool:
        """Whether no further epoch is to begin."""
        return (self.epochs is not None and trainer.epoch >= self.epochs) or self.reached_within(trainer)

    def reached_within(self, trainer: "Trainer") -> bool:
        """Whether no further batch is to begin."""
        return trainer.step >= self.steps or time.perf_counter() >= self.end
