"""The end of a training at the step that makes the first NaN, before it reaches the weights."""

import math
from typing import TYPE_CHECKING

from nnx import random
from nnx.autodiff.nans import NaNFound, debug_nans
from nnx.backend import namespace
from nnx.train.callbacks import Callback
from nnx.train.errors import Diverged
from nnx.typing import Array

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer


class TerminateOnNaN(Callback):
    """Raises Diverged when a loss or a gradient is not finite, and says which operation made the first NaN.

    The weights are still those before that step. One number is read each `every` updates, which waits for the device;
    the step that failed is then done once more under nnx.debug_nans, uncompiled, with the same random numbers.
    """

    def __init__(self, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"TerminateOnNaN: every must be at least 1 update, got {every}")
        self.every = every

    def on_epoch_begin(self, trainer: "Trainer") -> None:
        """Remember the random numbers of the next step."""
        self._draws = random.get_state()

    def on_batch_end(self, trainer: "Trainer", loss: Array) -> None:
        """Remember the random numbers of the next step."""
        self._draws = random.get_state()

    def on_gradients(self, trainer: "Trainer", grads: dict[str, Array]) -> None:
        """Look, and look closer."""
        if (trainer.step + 1) % self.every:
            return
        total, _ = trainer.gathered.mean()
        for g in grads.values() if trainer.precision.scaler is None else ():  # which skips a step that has overflowed
            xp = namespace(g)
            total = total + xp.astype(xp.sum(g * 0.0), total.dtype)  # 0, or nan
        if math.isfinite(float(total)):
            return
        raise Diverged(f"step {trainer.step + 1} of epoch {trainer.epoch + 1} is not finite: {self._cause(trainer)}")

    def _cause(self, trainer: "Trainer") -> str:
        for batch in trainer.gathered.batches:
            for infinities in (False, True):
                now = random.get_state()
                random.set_state(self._draws)
                try:
                    with debug_nans(infinities):
                        trainer.steps.eagerly(batch)
                except NaNFound as found:
                    return str(found)
                finally:
                    random.set_state(now)
        return "done again without nnx.compile it was finite"
