"""Small parameters are updated together: one behind another in one vector, to which the rule is applied once.

An update rule is elementwise, so that it cannot tell one array from several. For a bias of ten numbers the calls cost
more than the arithmetic: Adam makes thirteen an array. The parameters become views of the new vector, made anew at each
step, so that nothing that a user holds ever changes.
"""

from collections.abc import Callable, Mapping
from typing import Any, Self

from nnx.backend import backend_of
from nnx.typing import Array, Shape

SMALL = 8192
"""Elements of an array up to which calls cost more than arithmetic (measured: Adam on NumPy, arrays of 4,096)."""


WORTHWHILE = 24
"""Calls of array functions in an update from which on packing pays for itself (measured: SGD, 4 arrays: 8, a loss)."""


class Pack:
    """Some parameters of one dtype, and their slots, as vectors."""

    def __init__(self, params: Mapping[str, Array], slots: Mapping[str, tuple[Array, ...]]) -> None:
        first = next(iter(params.values()))
        self.kind, self.dtype, self.library = type(first), first.dtype, backend_of(first)
        self.paths = list(params)
        self.places: list[tuple[int, int, Shape]] = []
        start = 0
        for p in params.values():
            stop = start + _size(p.shape)
            self.places.append((start, stop, p.shape))
            start = stop
        self.views = list(params.values())
        self.stepped: tuple[tuple[Array, ...], list[Array]] | None = None
        self.vector = self.library.pack(self.views)
        self.slots = [self.library.pack(list(arrays)) for arrays in zip(*(slots[path] for path in params), strict=True)]

    @classmethod
    def of(cls, params: Mapping[str, Array], slots: Mapping[str, tuple[Array, ...]]) -> Self | None:
        """A pack of the small ones among these parameters; None if there are not two that can share a vector."""
        chosen: dict[str, Array] = {}
        for path, p in params.items():
            alike = not chosen or _alike(p, next(iter(chosen.values())))
            if path in slots and alike and 0 < _size(p.shape) <= SMALL and len(chosen) < backend_of(p).packed:
                chosen[path] = p
        return cls(chosen, slots) if len(chosen) > 1 else None

    def fits(self, params: Mapping[str, Array], grads: Mapping[str, Array], count: int) -> bool:
        """Whether these parameters and gradients are still of the form that was packed. count: of slots"""
        if count != len(self.slots):
            return False
        kind, dtype = self.kind, self.dtype
        for path, (_, _, shape) in zip(self.paths, self.places, strict=True):
            p, g = params.get(path), grads.get(path)
            if (
                p is None
                or g is None
                or p.shape != shape
                or g.shape != shape
                or type(p) is not kind
                or type(g) is not kind
            ):
                return False
            if p.dtype != dtype or g.dtype != dtype:
                return False
        return True

    def step(
        self, rule: Callable[..., Any], params: Mapping[str, Array], grads: Mapping[str, Array]
    ) -> dict[str, Array]:
        """The new parameters by path; nothing changes before `commit`."""
        given = [params[path] for path in self.paths]
        if any(p is not view for p, view in zip(given, self.views, strict=True)):  # somebody has put others there
            self.vector, self.views = self.library.pack(given), given
        moved = rule(self.vector, self.library.pack([grads[path] for path in self.paths]), *self.slots)
        views = self.library.unpack(moved[0], self.places)
        self.stepped = moved, views
        return dict(zip(self.paths, views, strict=True))

    def commit(self) -> None:
        """Keep what `step` has made, once no other parameter's update can fail any more."""
        if self.stepped is not None:
            (self.vector, *self.slots), self.views = self.stepped
            self.stepped = None

    def unpacked(self) -> dict[str, tuple[Array, ...]]:
        """The slots by path."""
        by_slot = [self.library.unpack(vector, self.places) for vector in self.slots]
        return {path: tuple(arrays[k] for arrays in by_slot) for k, path in enumerate(self.paths)}


def _alike(a: Array, b: Array) -> bool:
    return type(a) is type(b) and a.dtype == b.dtype and getattr(a, "device", None) == getattr(b, "device", None)


def _size(shape: Shape) -> int:
    size = 1
    for n in shape:
        size *= n
    return size
