"""Gradients that vanish or explode, named by layer."""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from nnx.autodiff.casting import wide
from nnx.backend import innermost, is_array, namespace
from nnx.layers.module import Module
from nnx.train.callbacks import Callback
from nnx.train.watching import Watcher, named_layers
from nnx.typing import Array

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer


class GradientStats(Callback):
    """The norm of every parameter's gradient and of each layer's δ, by epoch, and a word on what vanishes or explodes.

    norms: one dict an epoch, path -> root mean square over the epoch's batches of ‖∂C/∂W‖, before clipping
    deltas: so, too, layer -> ‖δ‖, δ = ∂C/∂z of what a layer with weights gives (Linear, Conv2d, ...), in their order
    small, large: what counts as vanishing (relative to the largest norm that does not explode) and as exploding
    Steps that a GradScaler leaves out, as they have overflowed, do not count.
    messages: of the last epoch; they go into its record too. Summed on the device, read once an epoch.
    log: the norms go into the record as well, as grad_norm/<path> and delta_norm/<layer>, for the logs behind it in the
    list of callbacks (MetricsLog, CSVLogger, TensorBoard)
    """

    informs = True

    def __init__(self, small: float = 1e-4, large: float = 1e3, log: bool = False) -> None:
        if not 0.0 < small < 1.0 < large:
            raise ValueError(f"GradientStats: expected 0 < small < 1 < large, got small {small} and large {large}")
        self.small, self.large, self.log = small, large, log
        self.norms: list[dict[str, float]] = []
        self.deltas: list[dict[str, float]] = []
        self.messages: list[str] = []
        self._forget()

    def _forget(self) -> None:
        self._sums: dict[str, Array] = {}
        self._deltas: dict[str, Array] = {}
        self._batches: float | Array = 0.0
        self._passes: float | Array = 0.0

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Watch the layers that have weights."""
        self._watcher = Watcher("delta", named_layers(trainer.model, _has_weights), delta=_square)
        trainer.steps.watchers.append(self._watcher)

    def on_train_end(self, trainer: "Trainer") -> None:
        """Look away."""
        trainer.steps.watchers = [watcher for watcher in trainer.steps.watchers if watcher is not self._watcher]

    def on_epoch_begin(self, trainer: "Trainer") -> None:
        """Begin new sums."""
        self._forget()

    def on_gradients(self, trainer: "Trainer", grads: dict[str, Array]) -> None:
        """Add up the squares."""
        squares = {path: _square(g) for path, g in grads.items()}
        counts, kept = _kept(squares) if trainer.precision.scaler is not None else (1.0, lambda square: square)
        self._batches = self._batches + counts
        for path, square in squares.items():
            _add(self._sums, path, kept(square))
        for notes in trainer.gathered.notes:
            self._passes = self._passes + counts
            for (key, path), square in notes.items():
                if key == "delta":
                    _add(self._deltas, path, kept(square))

    def on_epoch_end(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """Read the sums; name the layers."""
        self.norms.append(_roots(self._sums, float(self._batches)))
        found = _roots(self._deltas, float(self._passes))
        self.deltas.append({path: found[path] for path in self._watcher.layers if path in found})
        self._forget()
        if self.log:
            record |= {f"grad_norm/{path}": norm for path, norm in self.norms[-1].items()}
            record |= {f"delta_norm/{layer}": norm for layer, norm in self.deltas[-1].items()}
        self.messages = list(self.judge(self.norms[-1], self.deltas[-1]))
        if self.messages:
            record["messages"] = [*record.get("messages", []), *self.messages]

    def judge(self, norms: dict[str, float], deltas: dict[str, float] | None = None) -> Iterator[str]:
        """A message for every weight whose gradient vanishes or explodes, with what helps."""
        weights = {path: norm for path, norm in norms.items() if path.endswith("weight")} or norms
        largest = max((norm for norm in weights.values() if norm <= self.large), default=0.0)
        for path, norm in weights.items():
            delta = (deltas or {}).get(path.rpartition(".")[0])
            seen = f"norm {norm:.1e}" + ("" if delta is None else f", ‖δ‖ {delta:.1e}")
            if not norm <= self.large:  # nan, too
                yield f"the gradient of {path} explodes: {seen}. A lower lr or clipping by norm helps"
            elif norm < self.small * largest or norm == 0.0:
                seen += f", norm {largest:.1e} elsewhere" if largest else ", and so do all others"
                yield (
                    f"the gradient of {path} vanishes: {seen}. ReLU in place of sigmoid, Kaiming initialisation, "
                    "residual connections or normalisation help"
                )


def _add(sums: dict[str, Array], path: str, x: Array) -> None:
    sums[path] = sums[path] + x if path in sums else x


def _roots(sums: dict[str, Array], n: float) -> dict[str, float]:
    """Of the means; nothing, if there was nothing to count."""
    return {path: math.sqrt(float(total) / n) for path, total in sums.items()} if n else {}


def _kept(squares: dict[str, Array]) -> tuple[Array, Callable[[Array], Array]]:
    """For a GradScaler, which leaves out a step that has overflowed: 1.0 or 0.0, and what makes its squares 0."""
    xp = namespace(*squares.values())
    finite = xp.isfinite(sum(squares.values()))
    return xp.astype(finite, xp.float32), lambda square: xp.where(finite, square, xp.zeros_like(square))


def _square(x: Array) -> Array:
    x = wide(x)
    return namespace(x).sum(x * x)


def _has_weights(layer: Module) -> bool:
    """Whether a layer multiplies by a matrix or a kernel of its own."""
    weight = vars(layer).get("weight")
    return is_array(weight) and innermost(weight).ndim >= 2
