"""Indexing: reading a place and adding to a place are each other's pullback.

`x[key]` sends some numbers on; backward, each gradient is added to the place that it came from, once for every time
that the place was read. The places are computed by indexing an array of positions with the same key, so that one rule
serves integers, slices, masks and integer arrays, on every library.
"""

from typing import Any
from weakref import ref

from nnx.autodiff.rules.common import RULES, composed, like, placed, product, standard, unbroadcast
from nnx.autodiff.tape import op, resolve
from nnx.autodiff.thread import Note, thread
from nnx.autodiff.var import Var
from nnx.backend import backend_of, device_of, innermost, is_array, namespace
from nnx.typing import Array, Shape


def plain_key(key: Any) -> Any:
    """A key without Vars: indices and masks have no gradient."""
    if type(key) is tuple:
        return tuple(map(plain_key, key))
    return innermost(key)


def _may_repeat(key: Any) -> bool:
    """Whether a key can name a place twice: one with integer arrays or lists, not of numbers, slices, masks."""
    keys = key if type(key) is tuple else (key,)
    return any(type(k) in (list, tuple) or (is_array(k) and "bool" not in str(k.dtype)) for k in keys)


@op
def getitem(x: Array, key: Any) -> Any:
    """x[key]."""
    shape = x.shape
    return x[key], lambda dy: (put(dy, key, shape), None)


@op
def put(values: Array, key: Any, shape: Shape) -> Any:
    """Zeros of that shape to which values are added at key, once for each time that it names a place."""
    return _write(values, key, shape), lambda dy: (getitem(dy, key), None, None)


def _write(values: Array, key: Any, shape: Shape) -> Array:
    if type(values) is Var:
        return put(values, key, shape)
    backend = backend_of(values)
    if not _may_repeat(key):
        zeros = backend.zeros(shape, values)
        if type(key) is tuple and any(k is None for k in key):  # the standard reads through newaxis, but does not write
            key = tuple(k for k in key if k is not None)
            values = namespace(values).reshape(values, zeros[key].shape)
        return backend.set_item(zeros, key, values)
    xp = namespace(values)
    size = product(shape)
    places = xp.reshape(xp.arange(size, device=device_of(values)), shape)[key]
    return xp.reshape(backend.index_add(size, xp.reshape(places, (-1,)), xp.reshape(values, (-1,))), shape)


@op
def set_item(x: Array, value: Array, key: Any) -> Any:
    """x with value at key, as a new array."""
    xp = namespace(x, value)
    to, shape = like(value), x.shape
    if type(x) is Var:
        y = set_item(x, value, key)
    else:
        y = backend_of(x).set_item(x, key, value)  # which casts it, or refuses to, as it does by itself

    def kept(dy: Array) -> Array:
        return set_item(dy, xp.zeros((), dtype=dy.dtype, device=device_of(dy)), key)

    def written(dy: Array) -> Array | None:
        d = dy[key]
        if to is None:
            return None
        if _may_repeat(key):
            d = xp.where(_last(innermost(d), plain_key(key), shape), d, 0.0)
        return unbroadcast(d, to)

    return y, lambda dy: (lambda: kept(dy), lambda: written(dy), None)


def _last(like: Array, key: Any, shape: Shape) -> Array:
    """Which entries of what was written at key are still there: of those that went to one place, one is."""
    xp = namespace(like)
    entries = xp.reshape(xp.arange(product(like.shape), device=device_of(like)), like.shape)
    nobody = xp.zeros(shape, dtype=entries.dtype, device=device_of(like))
    return backend_of(like).set_item(nobody, key, entries)[key] == entries


def assign(self: Var, key: Any, value: Any, /) -> None:
    """`x[key] = value` on a Var: it takes a new value and a new place on the tape; the array it was is untouched."""
    if type(value) is Var and value.watched and not backend_of(self).is_inexact(self.dtype):
        raise TypeError(
            f"a watched array was assigned into one of dtype {self.dtype}, which has no gradient: convert it"
        )
    key = plain_key(key)
    if is_array(value) and value.ndim > 1 and value.shape[0] == 1:
        value = _without_extra_axes(value, innermost(self)[key].ndim)
    new = set_item(self, value, key)
    if thread.notes is not None:
        thread.notes.append(_Earlier(self))
    if self.tape is not None:
        self.tape.moved.setdefault(id(self), (self, self.index))
    self.value, self.tape, self.index = new.value, new.tape, new.index


def _without_extra_axes(value: Array, ndim: int) -> Array:
    """A value may have more axes than its place, in front, of length one; not every library takes them."""
    shape = value.shape
    while len(shape) > max(ndim, 1) and shape[0] == 1:
        shape = shape[1:]
    return RULES["reshape"](value, tuple(shape))


class _Earlier(Note):
    """What a Var was before it was assigned to."""

    def __init__(self, var: Var) -> None:
        self.var, self.was = ref(var), (var.value, var.tape, var.index)

    @property
    def alive(self) -> bool:
        return self.var() is not None

    def __call__(self) -> None:
        var = self.var()
        if var is not None:
            now = var.value, var.tape, var.index
            var.value, var.tape, var.index = self.was
            self.was = now


@op
def _take(x: Array, indices: Array, axis: int) -> Any:
    xp = namespace(x)
    n = x.shape[axis]
    return xp.take(x, indices, axis=axis), lambda dy: (_untake(dy, indices, n, axis), None, None)


@op
def _untake(dy: Array, indices: Array, n: int, axis: int) -> Any:
    """Zeros with n places along the axis, to which slice k of dy is added at indices[k]."""
    if type(dy) is Var:
        y = _untake(dy, resolve(indices), n, axis)
    else:
        xp = namespace(dy)
        # one axis of indices, where a library takes several (or none)
        line = (*dy.shape[:axis], product(indices.shape), *dy.shape[axis + indices.ndim :])
        rows = xp.moveaxis(xp.reshape(dy, line), axis, 0)
        y = xp.moveaxis(backend_of(dy).index_add(n, xp.reshape(indices, (-1,)), rows), 0, axis)
    return y, lambda d: (_take(d, indices, axis), None, None, None)


@composed
def take(x: Array, indices: Array, /, *, axis: int | None = None) -> Array:
    """The slices of x at indices (k,) in [-n, n) along an axis; repeated ones add up backward."""
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"take from an array of {x.ndim} dimensions needs an axis")
        axis = 0
    (axis,) = placed(axis, x.ndim)
    indices = innermost(indices)
    xp = namespace(indices)
    return _take(x, xp.where(indices < 0, indices + x.shape[axis], indices), axis)


@standard
def take_along_axis(x: Array, indices: Array, /, *, axis: int = -1) -> Any:
    """For each line along the axis, its elements at that line's indices."""
    xp = namespace(x)
    shape = x.shape
    along = axis % x.ndim

    def pullback(dy: Array) -> tuple[Any, None]:
        grids = []
        for k, n in enumerate(shape):  # of x: one line of indices may serve all, or all one line of x
            grids.append(indices if k == along else _line(xp, n, k, len(shape), indices))
        key = plain_key(tuple(namespace(innermost(indices)).broadcast_arrays(*map(innermost, grids))))
        return put(dy, key, shape), None

    return xp.take_along_axis(x, indices, axis=axis), pullback


def _line(xp: Any, n: int, k: int, ndim: int, indices: Array) -> Array:
    """0, 1, ..., n - 1 along axis k of ndim; the axes in front of it are for broadcasting to add."""
    return xp.reshape(xp.arange(n, dtype=indices.dtype, device=device_of(indices)), (n,) + (1,) * (ndim - k - 1))
