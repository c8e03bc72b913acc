"""Gradients that vanish or explode, named by layer."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nnx.backend import namespace
from nnx.train.callbacks import Callback
from nnx.typing import Array

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer


class GradientStats(Callback):
    """The norm of every parameter's gradient, by epoch, and a word on the ones that vanish or explode.

    norms: one dict an epoch, path -> root mean square over the epoch's batches of ‖∂C/∂W‖, before clipping
    small, large: what counts as vanishing (relative to the largest norm that does not explode) and as exploding
    messages: of the last epoch; they go into its record too. Summed on the device, read once an epoch.
    """

    def __init__(self, small: float = 1e-4, large: float = 1e3) -> None:
        if not 0.0 < small < 1.0 < large:
            raise ValueError(f"GradientStats: expected 0 < small < 1 < large, got small {small} and large {large}")
        self.small, self.large = small, large
        self.norms: list[dict[str, float]] = []
        self.messages: list[str] = []
        self._forget()

    def _forget(self) -> None:
        self._sums: dict[str, Array] = {}
        self._batches = 0

    def on_epoch_begin(self, trainer: "Trainer") -> None:
        """Begin new sums."""
        self._forget()

    def on_gradients(self, trainer: "Trainer", grads: dict[str, Array]) -> None:
        """Add up the squares."""
        self._batches += 1
        for path, g in grads.items():
            square = namespace(g).sum(g * g)
            self._sums[path] = square if path not in self._sums else self._sums[path] + square

    def on_epoch_end(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """Read the sums; name the layers."""
        self.norms.append({path: math.sqrt(float(total) / self._batches) for path, total in self._sums.items()})
        self._forget()
        self.messages = list(self.judge(self.norms[-1]))
        if self.messages:
            record["messages"] = [*record.get("messages", []), *self.messages]

    def judge(self, norms: dict[str, float]) -> Iterator[str]:
        """A message for every weight whose gradient vanishes or explodes, with what helps."""
        weights = {path: norm for path, norm in norms.items() if path.endswith("weight")} or norms
        largest = max((norm for norm in weights.values() if norm <= self.large), default=0.0)
        for path, norm in weights.items():
            if not norm <= self.large:  # nan, too
                yield f"the gradient of {path} explodes: norm {norm:.1e}. A lower lr or clipping by norm helps"
            elif norm < self.small * largest or norm == 0.0:
                yield (
                    f"the gradient of {path} vanishes: norm {norm:.1e}, {largest:.1e} elsewhere. ReLU in place of "
                    "sigmoid, Kaiming initialisation, residual connections or normalisation help"
                )
