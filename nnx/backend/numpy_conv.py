"""Convolution on NumPy: windows copied to columns, a few rows of the image at a time, so that they stay in the cache.

In memory samples come last: (c, h, w, n), seen by the user as (n, c, h, w). A strided view shows all windows, the copy
that makes the columns moves long runs of numbers, and the product with the kernels has two dimensions. NumPy's own
elementwise functions keep this order, so that the next layer finds it; only the first input is turned around.
"""

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nnx.backend.windows import Windows
from nnx.typing import Array, DType, Shape

BLOCK = 3 << 19
"""Bytes of columns that are made at a time: 1.5 MB was the fastest of those that were tried."""

Part = tuple[slice, slice]
"""Outputs along the first spatial axis, and samples."""


def convolve(x: Array, weight: Array, bias: Array | None, at: Windows, groups: int) -> Array:
    """See nnx.functional.conv_core.convolve."""
    turned = _samples_last(padded(x, at, 0.0))
    y = _convolved(turned, weight, at, groups, at.outputs(x.shape[2:]))
    if bias is not None:
        line = bias.reshape((-1,) + (1,) * (y.ndim - 1))
        y = np.add(y, line, out=y) if np.result_type(y, bias) == y.dtype else y + line
    return np.moveaxis(y, -1, 0)


def _convolved(x: Array, weight: Array, at: Windows, groups: int, outputs: Shape) -> Array:
    """(o, *outputs, n) of a padded (c, *size, n)."""
    n, o = x.shape[-1], weight.shape[0]
    rows = weight.reshape(groups, o // groups, -1)
    y = np.empty((o, *outputs, n), np.result_type(x, weight))
    for (lines, samples), columns in _columns(x, outputs, at, groups):
        part = y[:, lines, ..., samples]
        if samples == slice(0, n):
            np.matmul(rows, columns, out=part.reshape(groups, o // groups, -1, copy=False))
        else:
            part[...] = np.matmul(rows, columns).reshape(part.shape)
    return y


def correlate(x: Array, dy: Array, at: Windows, groups: int) -> Array:
    """See nnx.functional.conv_core.correlate."""
    o, turned = dy.shape[1], _samples_last(dy)
    kernels = (o, x.shape[1] // groups, *at.kernel)
    dw = np.zeros((groups, math.prod(kernels[1:]), o // groups), dtype=np.result_type(x, dy))
    last = _samples_last(padded(x, at, 0.0))
    for (lines, samples), columns in _columns(last, dy.shape[2:], at, groups):
        part = turned[:, lines, ..., samples].reshape(groups, o // groups, -1)
        dw += np.matmul(columns, part.swapaxes(1, 2))  # dwᵀ: with few kernels, twice as fast as dw
    return dw.swapaxes(1, 2).reshape(kernels)


def spread(dy: Array, weight: Array, at: Windows, groups: int, size: Shape) -> Array:
    """See nnx.functional.conv_core.spread."""
    turned = _samples_last(dy)
    flipped = _flipped(at)
    if flipped is not None and len(weight) <= 2 * weight.shape[1] * groups:  # else there are fewer columns of dx
        kernels = _turned(weight, groups)
        turned = _samples_last(padded(np.moveaxis(turned, -1, 0), flipped, 0.0))
        return np.moveaxis(_convolved(turned, kernels, flipped, groups, size), -1, 0)
    return np.moveaxis(_spread(turned, weight, at, groups, size), -1, 0)


def _flipped(at: Windows) -> Windows | None:
    """The outputs that read a place of x are a window, too: where it lies; None for other strides than 1."""
    if any(s != 1 for s in at.stride) or math.prod(at.kernel) == 1:
        return None
    found = [
        (span - 1 - before, span - 1 - after) for span, (before, after) in zip(at.spans(), at.padding, strict=True)
    ]
    return at._replace(padding=tuple(found)) if min(map(min, found)) >= 0 else None


def _turned(weight: Array, groups: int) -> Array:
    """(c, o/groups, *kernel), each kernel back to front."""
    o, c = weight.shape[:2]
    back = np.flip(weight.reshape(groups, o // groups, *weight.shape[1:]), tuple(range(3, weight.ndim + 1)))
    return np.ascontiguousarray(back.swapaxes(1, 2)).reshape(groups * c, o // groups, *weight.shape[2:])


def _spread(turned: Array, weight: Array, at: Windows, groups: int, size: Shape) -> Array:
    """(c, *size, n) of (o, *outputs, n): the columns of dx, a slice of them added for each offset of the kernel."""
    o, *outputs, n = turned.shape
    channels = weight.shape[1] * groups
    kernels = weight.reshape(groups, o // groups, -1).swapaxes(1, 2)
    dx = np.zeros((channels, *_needed(at, size), n), dtype=np.result_type(turned, weight))
    for lines, samples in _parts(tuple(outputs), n, channels * math.prod(at.kernel) * dx.itemsize):
        part = turned[:, lines, ..., samples]
        shape = (channels, *at.kernel, *part.shape[1:])
        columns = _scratch(shape, dx.dtype)
        np.matmul(kernels, part.reshape(groups, o // groups, -1), out=columns.reshape(groups, -1, part[0].size))
        into = dx[:, lines.start * at.stride[0] :, ..., samples]
        for offset in np.ndindex(*at.kernel):
            into[(slice(None), *_read(at, offset, part.shape[1:-1]))] += columns[(slice(None), *offset)]
    return dx[(slice(None), *_inside(at, size))]


def _samples_last(x: Array) -> Array:
    """(c, *size, n) of (n, c, *size), in that order in memory."""
    turned = np.moveaxis(x, 0, -1)
    if turned.flags.c_contiguous:
        return turned
    y = np.empty(turned.shape, dtype=x.dtype)
    for first in range(0, x.shape[0], 16):  # the numbers of 16 samples are a line of the cache: four times as fast
        y[..., first : first + 16] = turned[..., first : first + 16]
    return y


def _columns(x: Array, outputs: Shape, at: Windows, groups: int) -> Iterator[tuple[Part, Array]]:
    """(part, its windows as (groups, c/groups · k, l · n)), a part after the other in the same memory.

    x: (c, *size, n), padded
    """
    n, rows = x.shape[-1], x.shape[0] // groups * math.prod(at.kernel)
    view = _windows(x, at, outputs)
    if math.prod(at.kernel) == 1 and math.prod(at.stride) == 1:
        yield (slice(0, outputs[0]), slice(0, n)), view.reshape(groups, rows, -1 if n else 0)
        return
    for part in _parts(outputs, n, groups * rows * x.itemsize):
        source = view[(slice(None), *(slice(None),) * len(at.kernel), part[0], ..., part[1])]
        columns = _scratch(source.shape, x.dtype)
        np.copyto(columns, source)
        yield part, columns.reshape(groups, rows, -1)


def _scratch(shape: Shape, dtype: DType, name: str = "columns") -> Array:
    """Memory by name, this thread's and always the same: fresh memory would cost more than what is written to it.

    What is larger than a thread keeps gets its own.
    """
    size = math.prod(shape) * dtype.itemsize
    if size > 4 * BLOCK:
        return np.empty(shape, dtype=dtype)
    memory = getattr(_thread, name, None)
    if memory is None or memory.size < size:
        memory = np.empty(max(size, 4 * BLOCK), dtype=np.uint8)
        setattr(_thread, name, memory)
    found: Array = memory[:size].view(dtype).reshape(shape)
    return found


_thread = threading.local()


def _parts(outputs: Shape, n: int, bytes_each: int) -> Iterator[Part]:
    """All outputs and samples, in parts of about BLOCK bytes; samples are split if a line of them alone is too long."""
    line = math.prod(outputs[1:]) * bytes_each
    some = n if line * n <= 4 * BLOCK else max(1, min(n, BLOCK // line))
    lines = max(1, BLOCK // max(line * some, 1))
    for first in range(0, n, max(some, 1)):
        for start in range(0, outputs[0], lines):
            yield slice(start, min(start + lines, outputs[0])), slice(first, min(first + some, n))


def _windows(x: Array, at: Windows, outputs: Shape) -> Array:
    """(c, *kernel, *outputs, n): a view of all windows over a padded (c, *size, n)."""
    channel, *places, sample = x.strides
    offsets = (s * d for s, d in zip(places, at.dilation, strict=True))
    steps = (s * d for s, d in zip(places, at.stride, strict=True))
    shape = (x.shape[0], *at.kernel, *outputs, x.shape[-1])
    return np.lib.stride_tricks.as_strided(x, shape, (channel, *offsets, *steps, sample), writeable=False)


def _read(at: Windows, offset: Shape, outputs: Shape) -> tuple[slice, ...]:
    """The places that so many windows read at an offset of theirs, axis by axis of a padded image."""
    axes = zip(offset, at.dilation, at.stride, outputs, strict=True)
    return tuple(slice(k * d, k * d + s * (o - 1) + 1, s) for k, d, s, o in axes)


def _needed(at: Windows, size: Shape) -> Shape:
    """The padded size; a negative padding after the image is what no window reads: it stays."""
    return tuple(n + before + max(after, 0) for n, (before, after) in zip(size, at.padding, strict=True))


def _inside(at: Windows, size: Shape) -> tuple[slice, ...]:
    return tuple(slice(before, before + n) for n, (before, _) in zip(size, at.padding, strict=True))


def padded(x: Array, at: Windows, fill: float) -> Array:
    """x with its padding, in the same order in memory: this thread's, until it pads again."""
    size = x.shape[2:]
    if not any(map(any, at.padding)):
        return x
    shape = *x.shape[:2], *_needed(at, size)
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
    y = _scratch(tuple(shape[axis] for axis in order), x.dtype, "padded").transpose(np.argsort(order))
    inside, whole = (slice(None), slice(None), *_inside(at, size)), [slice(None)] * x.ndim
    for axis in range(2, x.ndim):
        for edge in (slice(inside[axis].start), slice(inside[axis].stop, None)):
            y[(*whole[:axis], edge)] = fill
    y[inside] = x
    return y


# ---- pools: a slice of all windows for each offset -------------------------------------------------------------------


def _slices(at: Windows, outputs: Shape) -> Iterator[tuple[slice, ...]]:
    """For each offset the key of what all windows read there, in a padded (n, c, *size)."""
    for offset in np.ndindex(*at.kernel):
        yield slice(None), slice(None), *_read(at, offset, outputs)


def max_pool(x: Array, at: Windows) -> tuple[Array, Any]:
    """See nnx.functional.pool_core.max_pool."""
    whole = padded(x, at, -math.inf)
    first, *others = _slices(at, at.outputs(x.shape[2:]))
    y = whole[first].copy(order="K")
    for key in others:
        np.maximum(y, whole[key], out=y)
    return y, None


def unpool(dy: Array, x: Array, y: Array, saved: Any, at: Windows) -> Array:
    """See nnx.functional.pool_core.unpool: the first offset at which x is y has won."""
    whole, size = padded(x, at, -math.inf), x.shape[2:]
    dx = np.zeros_like(whole, dtype=dy.dtype)
    alone = all(s >= span for s, span in zip(at.stride, at.spans(), strict=True))
    some_nan = bool(np.isnan(np.add.reduce(y, axis=None))) and bool(np.isnan(y).any())
    left = np.ones_like(y, dtype=bool)
    for key in _slices(at, y.shape[2:]):
        won = whole[key] == y
        if some_nan:
            won |= np.isnan(whole[key])
        won &= left
        left ^= won
        if alone:  # no two windows meet
            np.copyto(dx[key], dy, where=won)
        else:
            dx[key] += np.where(won, dy, 0)
    return dx[(slice(None), slice(None), *_inside(at, size))]


def sum_pool(x: Array, at: Windows) -> Array:
    """See nnx.functional.pool_core.sum_pool."""
    whole = padded(x, at, 0.0)
    first, *others = _slices(at, at.outputs(x.shape[2:]))
    y = whole[first].copy(order="K")
    for key in others:
        np.add(y, whole[key], out=y)
    return y


def spread_pool(dy: Array, at: Windows, size: Shape) -> Array:
    """See nnx.functional.pool_core.spread_pool."""
    dx = np.zeros_like(dy, shape=(*dy.shape[:2], *_needed(at, size)))
    for key in _slices(at, dy.shape[2:]):
        dx[key] += dy
    return dx[(slice(None), slice(None), *_inside(at, size))]


KERNELS: dict[str, Callable[..., Any]] = {
    "convolve": convolve,
    "correlate": correlate,
    "spread": spread,
    "max_pool": max_pool,
    "unpool": unpool,
    "sum_pool": sum_pool,
    "spread_pool": spread_pool,
}
