"""Functions that move, join, pick and multiply arrays of a graph, and the shapes that come of it."""

from collections.abc import Callable
from typing import Any

import numpy

from nnx.backend.onnx.array import Traced
from nnx.backend.onnx.functions import bare, is_floating, wrapped
from nnx.backend.onnx.library import ndx, op
from nnx.backend.onnx.sizes import NotTraceable, Size, Sizes
from nnx.backend.onnx.trace import current

__all__ = [
    "broadcast_arrays", "broadcast_to", "concat", "expand_dims", "getitem", "matmul", "matrix_transpose", "moveaxis",
    "permute_dims", "repeat", "reshape", "squeeze", "stack", "take", "take_along_axis", "tensordot", "tile",
    "unstack", "vecdot", "with_item",
]  # fmt: skip


def _shadow(x: Any) -> Any:
    """An array of NumPy of the same shape that takes no memory: what a function makes of it has the result's shape."""
    if type(x) is Traced:
        kind = numpy.int64 if not is_floating(x.dtype) else numpy.float32
        return numpy.broadcast_to(numpy.zeros((), kind), tuple(map(int, x.shape)))
    return tuple(map(_shadow, x)) if isinstance(x, tuple) else x


def reshape(x: Traced, /, shape: Any, *, copy: bool | None = None) -> Traced:
    """See the standard."""
    sizes = list(current().shape((shape,) if isinstance(shape, int) else shape))
    if -1 in sizes:
        rest = 1
        for n in sizes:
            rest = rest if n == -1 else rest * int(n)
        sizes[sizes.index(-1)] = current().shape((int(x.size) // rest if rest else 0,))[0]
    if numpy.prod([int(n) for n in sizes], dtype=object) != int(x.size):
        raise ValueError(f"cannot reshape {tuple(map(int, x.shape))} to {tuple(map(int, sizes))}")
    moving = [k for k, n in enumerate(sizes) if type(n) is Size]
    if tuple(sizes) == tuple(x.shape):
        return x
    if len(moving) <= 1:
        target: Any = tuple(-1 if k in moving else int(n) for k, n in enumerate(sizes))
    else:
        target = current().dynamic(tuple(sizes))
    return Traced(ndx().reshape(x.array, target), tuple(sizes))


def broadcast_to(x: Traced, /, shape: Any) -> Traced:
    """See the standard."""
    sizes = current().shape(shape)
    numpy.broadcast_to(_shadow(x), tuple(map(int, sizes)))
    target = tuple(map(int, sizes)) if current().known(sizes) else current().dynamic(sizes)
    return x if tuple(x.shape) == sizes else Traced(ndx().broadcast_to(x.array, target), sizes)


def broadcast_arrays(*arrays: Traced) -> list[Traced]:
    """See the standard."""
    shape = numpy.broadcast_shapes(*(x.shape for x in arrays))
    return [broadcast_to(x, shape) for x in arrays]


def permute_dims(x: Traced, /, axes: tuple[int, ...]) -> Traced:
    """See the standard."""
    return Traced(ndx().permute_dims(x.array, tuple(axes)), tuple(x.shape[k] for k in axes))


def matrix_transpose(x: Traced, /) -> Traced:
    """See the standard."""
    return permute_dims(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def matmul(x1: Traced, x2: Traced, /) -> Traced:
    """See the standard."""
    a, b = bare(x1), bare(x2)
    left = tuple(x1.shape) if x1.ndim > 1 else (1, *x1.shape)
    right = tuple(x2.shape) if x2.ndim > 1 else (*x2.shape, 1)
    if left[-1] != right[-2]:
        raise ValueError(f"cannot multiply matrices of shapes {tuple(x1.shape)} and {tuple(x2.shape)}")
    shape = (*numpy.broadcast_shapes(left[:-2], right[:-2]), *left[-2:-1][: x1.ndim - 1], *right[-1:][: x2.ndim - 1])
    if a.dtype == b.dtype and is_floating(a.dtype):
        return wrapped(op().matmul(a.unwrap_spox(), b.unwrap_spox()), shape)
    return Traced(ndx().matmul(a, b), shape)


def concat(arrays: Any, /, *, axis: int | None = 0) -> Traced:
    """See the standard."""
    arrays = list(arrays)
    if axis is None:
        arrays, axis = [reshape(x, (-1,)) for x in arrays], 0
    first = arrays[0]
    shape = list(first.shape)
    shape[axis] = sum(int(x.shape[axis]) for x in arrays)
    return Traced(ndx().concat([x.array for x in arrays], axis=axis), tuple(shape))


def stack(arrays: Any, /, *, axis: int = 0) -> Traced:
    """See the standard."""
    return concat([expand_dims(x, axis=axis) for x in arrays], axis=axis)


def unstack(x: Traced, /, *, axis: int = 0) -> tuple[Traced, ...]:
    """See the standard."""
    before = (slice(None),) * (axis % x.ndim)
    return tuple(getitem(x, (*before, k, ...)) for k in range(int(x.shape[axis])))


def expand_dims(x: Traced, /, *, axis: int = 0) -> Traced:
    """See the standard."""
    shape = list(x.shape)
    shape.insert(axis % (x.ndim + 1), 1)
    return Traced(ndx().expand_dims(x.array, axis=axis), tuple(shape))


def squeeze(x: Traced, /, axis: Any) -> Traced:
    """See the standard."""
    gone = {k % x.ndim for k in ((axis,) if isinstance(axis, int) else axis)}
    return reshape(x, tuple(n for k, n in enumerate(x.shape) if k not in gone))


def take(x: Traced, indices: Traced, /, *, axis: int | None = None) -> Traced:
    """See the standard."""
    if axis is None:
        axis = 0
    axis %= x.ndim
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    return wrapped(op().gather(bare(x).unwrap_spox(), bare(indices).unwrap_spox(), axis=axis), shape)


def take_along_axis(x: Traced, indices: Traced, /, *, axis: int = -1) -> Traced:
    """See the standard."""
    axis %= x.ndim
    whole = numpy.broadcast_shapes(*((*a.shape[:axis], 1, *a.shape[axis + 1 :]) for a in (x, indices)))
    index = broadcast_to(indices, (*whole[:axis], indices.shape[axis], *whole[axis + 1 :]))
    table = broadcast_to(x, (*whole[:axis], x.shape[axis], *whole[axis + 1 :]))
    wide = ndx().astype(index.array, ndx().int64)
    return wrapped(op().gather_elements(table.array.unwrap_spox(), wide.unwrap_spox(), axis=axis), index.shape)


def getitem(x: Traced, key: Any) -> Traced:
    """x[key]: slices, numbers, None and ..., and one array of integers. Raises NotTraceable for a mask."""
    parts = key if isinstance(key, tuple) else (key,)
    arrays = [k for k, part in enumerate(parts) if type(part) is Traced]
    if any(parts[k].dtype == ndx().bool for k in arrays):
        raise NotTraceable(
            "x[mask] has a shape that depends on values, which a traced ONNX graph cannot tell: xp.where"
        )
    if len(arrays) == 1:
        return _taken(x, parts, arrays[0])
    shape = _shadow(x)[key].shape
    explicit = _explicit(x, parts)
    return Traced(x.array[explicit], shape)


def _explicit(x: Traced, parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """The key with slices that a batch of any size understands: those that reach to its end are left open."""
    used = sum(part is not None and part is not Ellipsis for part in parts)
    found: list[Any] = []
    axis = 0
    for part in parts:
        if part is Ellipsis:
            axis += x.ndim - used
        elif part is not None:
            if isinstance(part, slice) and type(x.shape[axis]) is Size and part.stop == x.shape[axis]:
                part = slice(part.start, None, part.step)
            elif isinstance(part, slice):
                part = slice(*(None if v is None else int(v) for v in (part.start, part.stop, part.step)))
            axis += 1
        found.append(part)
    return tuple(found)


def _taken(x: Traced, parts: tuple[Any, ...], at: int) -> Traced:
    """One array of integers among whole slices is a take."""
    whole = slice(None)
    if any(part is not Ellipsis and part != whole for k, part in enumerate(parts) if k != at):
        raise NotTraceable("x[...] with an array of integers beside other indices: take them one after the other")
    axis = at if Ellipsis not in parts[:at] else x.ndim - (len(parts) - at)
    return take(x, parts[at], axis=axis)


def with_item(x: Traced, key: Any, value: Any) -> Traced:
    """x, but for x[key], which is value."""
    y = ndx().asarray(x.array, copy=True)
    y[_explicit(x, key if isinstance(key, tuple) else (key,))] = bare(value, x.dtype)
    return Traced(y, x.shape)


def _as_numpy(name: str) -> Callable[..., Traced]:
    """ndonnx's function, with the shape that NumPy's gives."""

    def call(*args: Any, **options: Any) -> Traced:
        shape: Sizes = getattr(numpy, name)(*map(_shadow, args), **options).shape
        return Traced(getattr(ndx(), name)(*map(bare, args), **options), shape)

    return call


moveaxis, repeat, tile = _as_numpy("moveaxis"), _as_numpy("repeat"), _as_numpy("tile")
tensordot, vecdot = _as_numpy("tensordot"), _as_numpy("vecdot")
