"""A look at what layers compute in a training step: each one's output, and δ, the gradient that comes back to it.

For the duration of the step the layers that somebody watches are of a subclass that calls them and takes a note: an
array, computed where the output is. Nothing is read, and in a compiled step the notes are results like any other.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nnx.autodiff import op
from nnx.autodiff.casting import wide
from nnx.backend import innermost, is_array
from nnx.layers.module import Module
from nnx.typing import Array

Notes = dict[tuple[str, str], Array]
"""By (the watcher's key, the layer's path)."""


@dataclass(frozen=True)
class Watcher:
    """What somebody wants to know of some layers.

    layers: path -> layer   output: of its plain output, or delta: of ∂C/∂output, a small array   join: of two calls
    """

    key: str
    layers: dict[str, Module]
    output: Callable[[Array], Array] | None = None
    delta: Callable[[Array], Array] | None = None
    join: Callable[[Array, Array], Array] = operator.add


def named_layers(model: Module, wanted: Callable[[Module], bool]) -> dict[str, Module]:
    """The model's layers of a kind by path; the model itself is called by its class."""
    return {path or type(layer).__name__: layer for path, layer in model.named_modules() if wanted(layer)}


@contextmanager
def watched(watchers: Sequence[Watcher], unscaled: Callable[[Array], Array] = wide) -> Iterator[Notes]:
    """Inside of the block the layers take notes of their calls, and of the backward pass, in 32 bits or more.

    unscaled: of a gradient within the pass, what it would be if the loss were not scaled
    """
    notes: Notes = {}
    places: dict[int, tuple[Module, list[tuple[str, Watcher]]]] = {}
    for watcher in watchers:
        for path, layer in watcher.layers.items():
            places.setdefault(id(layer), (layer, []))[1].append((path, watcher))
    own = [(layer, type(layer)) for layer, _ in places.values()]
    try:
        for layer, wanted in places.values():
            object.__setattr__(layer, "__class__", _noting(type(layer), wanted, notes, unscaled))
        yield notes
    finally:
        for layer, cls in own:
            object.__setattr__(layer, "__class__", cls)


def _noting(cls: type, wanted: list[tuple[str, Watcher]], notes: Notes, unscaled: Callable[[Array], Array]) -> type:
    """A subclass of one layer's class whose calls are written down."""

    def note(watcher: Watcher, path: str, found: Array) -> None:
        key = watcher.key, path
        notes[key] = watcher.join(notes[key], found) if key in notes else found

    def told(dy: Array) -> None:
        for path, watcher in wanted:
            if watcher.delta is not None:
                note(watcher, path, watcher.delta(unscaled(innermost(dy))))

    def call(self: Module, *args: Any, **kwargs: Any) -> Any:
        y = cls.__call__(self, *args, **kwargs)
        if not is_array(y):
            return y
        for path, watcher in wanted:
            if watcher.output is not None:
                note(watcher, path, watcher.output(wide(innermost(y))))
        return _probe(y, told) if any(watcher.delta for _, watcher in wanted) else y

    return type(
        cls.__name__, (cls,), {"__call__": call, "__module__": cls.__module__, "__qualname__": cls.__qualname__}
    )


@op
def _probe(x: Array, tell: Callable[[Array], None]) -> Any:
    """x itself; tells what comes back to it."""

    def pullback(dy: Array) -> tuple[Array, None]:
        tell(dy)
        return dy, None

    return x, pullback
