"""Units that have stopped to learn: ReLUs that are never active, sigmoids at their flat ends."""

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from nnx.backend import namespace
from nnx.layers import Hardsigmoid, Hardtanh, ReLU, ReLU6, Sigmoid, Tanh
from nnx.layers.module import Module
from nnx.train.callbacks import Callback
from nnx.train.watching import Watcher, named_layers
from nnx.typing import Array

if TYPE_CHECKING:
    from nnx.train.trainer import Trainer

FLAT = 0.04
"""Of the largest slope: a sigmoid at its flat end is below 0.01 or above 0.99."""

SLOPES: dict[type[Module], Callable[[Array], Array]] = {
    Sigmoid: lambda y: 4.0 * y * (1.0 - y),
    Hardsigmoid: lambda y: 4.0 * y * (1.0 - y),
    Tanh: lambda y: 1.0 - y * y,
    Hardtanh: lambda y: 1.0 - y * y,
}
"""σ′ by σ, relative to its largest value."""


class ActivationStats(Callback):
    """By epoch, the share of dead ReLUs and of saturated sigmoids in each layer, and a word on layers with many.

    dead: of a ReLU layer's units (features or channels), those that were 0 for every sample of the epoch
    saturated: of a Sigmoid, Tanh, Hardsigmoid or Hardtanh layer's outputs, those where the slope is below 4 % of its
    largest   shares: one dict an epoch, path -> share
    dead_above, saturated_above: which share is named in a message; they go into the epoch's record

    Layers are seen, functions (nnx.functional.relu) are not. Summed on the device, read once an epoch.
    """

    informs = True

    def __init__(self, dead_above: float = 0.25, saturated_above: float = 0.5) -> None:
        for name, share in (("dead_above", dead_above), ("saturated_above", saturated_above)):
            if not 0.0 <= share < 1.0:
                raise ValueError(f"ActivationStats: {name} must be in [0, 1), got {share}")
        self.dead_above, self.saturated_above = dead_above, saturated_above
        self.shares: list[dict[str, float]] = []
        self.messages: list[str] = []
        self._watchers: list[Watcher] = []
        self._forget()

    def _forget(self) -> None:
        self._highest: dict[str, Array] = {}
        self._flat: dict[str, Array] = {}

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Watch the activations. Raises ValueError if the model has none as layers."""
        dead = named_layers(trainer.model, lambda layer: isinstance(layer, ReLU | ReLU6))
        self._watchers = [Watcher("dead", dead, output=_highest, join=lambda a, b: namespace(a).maximum(a, b))]
        for kind, slope in SLOPES.items():
            layers = named_layers(trainer.model, functools.partial(_is, kind))
            self._watchers.append(Watcher(f"flat {kind.__name__}", layers, output=_share_of(slope)))
        self._watchers = [watcher for watcher in self._watchers if watcher.layers]
        if not self._watchers:
            raise ValueError(
                f"ActivationStats looks at layers such as nnx.ReLU and nnx.Sigmoid, and {type(trainer.model).__name__} "
                "has none: make the activations layers, not functions"
            )
        self._layers = {path: layer for watcher in self._watchers for path, layer in watcher.layers.items()}
        trainer.steps.watchers += self._watchers

    def on_train_end(self, trainer: "Trainer") -> None:
        """Look away."""
        trainer.steps.watchers = [w for w in trainer.steps.watchers if w not in self._watchers]
        self._watchers = []  # whose functions do not pickle

    def on_epoch_begin(self, trainer: "Trainer") -> None:
        """Begin anew."""
        self._forget()

    def on_gradients(self, trainer: "Trainer", grads: dict[str, Array]) -> None:
        """Take up what was seen; nothing is read."""
        for notes in trainer.gathered.notes:
            for (key, path), found in notes.items():
                if key == "dead":
                    old = self._highest.get(path)
                    self._highest[path] = found if old is None else namespace(found).maximum(old, found)
                elif key.startswith("flat "):
                    self._flat[path] = found if path not in self._flat else self._flat[path] + found

    def on_epoch_end(self, trainer: "Trainer", record: dict[str, Any]) -> None:
        """Read the shares; name the layers."""
        found = {}
        for path, highest in self._highest.items():
            xp = namespace(highest)
            found[path] = float(xp.mean(xp.astype(highest <= 0.0, highest.dtype)))
        found |= {path: float(total[0]) / float(total[1]) for path, total in self._flat.items()}
        self._forget()
        self.shares.append(found)
        self.messages = list(self.judge(found))
        if self.messages:
            record["messages"] = [*record.get("messages", []), *self.messages]

    def judge(self, shares: dict[str, float]) -> Iterator[str]:
        """A message for every layer with many dead or saturated units, with what helps."""
        for path, share in shares.items():
            layer = f"{path} ({type(self._layers[path]).__name__})"
            if isinstance(self._layers[path], ReLU | ReLU6):
                if share > self.dead_above:
                    yield (
                        f"{share:.0%} of the units of {layer} are dead: 0 for every sample of the epoch. A lower lr, "
                        "Kaiming initialisation, normalisation or LeakyReLU help"
                    )
            elif share > self.saturated_above:
                yield (
                    f"{share:.0%} of the outputs of {layer} are saturated: the slope there is nearly 0. Smaller "
                    "weights (Xavier initialisation), inputs of variance 1 or normalisation help"
                )


def _highest(y: Array) -> Array:
    """The largest output of each unit: of each channel (axis 1; of (n, t, d) the last one)."""
    xp = namespace(y)
    if y.ndim < 2:
        return xp.reshape(xp.max(y), (1,))
    unit = 2 if y.ndim == 3 else 1
    return xp.max(y, axis=tuple(k for k in range(y.ndim) if k != unit))


def _share_of(slope: Callable[[Array], Array]) -> Callable[[Array], Array]:
    def share(y: Array) -> Array:
        """(share, 1): sums of which are a mean over calls."""
        xp = namespace(y)
        found = xp.mean(xp.astype(slope(y) < FLAT, y.dtype))
        return xp.stack([found, xp.ones_like(found)])

    return share


def _is(kind: type[Module], layer: Module) -> bool:
    return isinstance(layer, kind)
