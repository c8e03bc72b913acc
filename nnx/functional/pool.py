"""Pools by PyTorch's names: arguments are checked here, the math is in pool_core."""

import math
from typing import Any

from nnx.backend import backend_of, device_of, innermost, lasts, namespace
from nnx.backend.windows import Windows
from nnx.functional.conv_arguments import Size, batched, per_axis, unbatched
from nnx.functional.pool_core import max_pool, sum_pool, winning_places
from nnx.typing import Array, Shape

__all__ = ["avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool2d", "max_pool3d"]


def max_pool1d(
    x: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """max_pool2d, along one axis.   x: (n, c, l) or (c, l)"""
    return _max_pool(1, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    x: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum over windows of kernel_size, `stride` apart (kernel_size if None).

    x: (n, c, h, w) or (c, h, w)   returns (n, c, h′, w′), h′ = (h + 2 padding - dilation (kernel - 1) - 1)/stride + 1,
    rounded down, or up with ceil_mode (windows that would start beyond the image and its first padding do not count)
    padding: -inf, at most half of the kernel   return_indices: also the places, counted flat in their plane, that won
    Of equal numbers the first wins, and alone has the gradient; nan wins over numbers. Raises ValueError for sizes that
    do not fit.

    >>> import numpy as np
    >>> max_pool2d(np.asarray([[[1.0, 2.0], [4.0, 3.0]]]), 2)
    array([[[4.]]])
    """
    return _max_pool(2, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    x: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """max_pool2d, along three axes.   x: (n, c, d, h, w) or (c, d, h, w)"""
    return _max_pool(3, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _max_pool(
    dims: int,
    x: Array,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    what = f"max_pool{dims}d"
    x, single = batched(x, dims, what)
    at = pool_windows(dims, tuple(x.shape[2:]), kernel_size, stride, padding, dilation, ceil_mode, what)
    y = unbatched(max_pool(x, at), single)
    if not return_indices:
        return y
    return y, unbatched(winning_places(innermost(x), at), single)


def avg_pool1d(
    x: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """avg_pool2d, along one axis.   x: (n, c, l) or (c, l)"""
    return _avg_pool(1, x, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    x: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The mean over windows of kernel_size, `stride` apart (kernel_size if None); sizes as max_pool2d's.

    padding: zeros, at most half of the kernel   count_include_pad: whether they count among what is averaged
    divisor_override: what the sum is divided by, in place of the count

    >>> import numpy as np
    >>> avg_pool2d(np.asarray([[[1.0, 2.0], [4.0, 3.0]]]), 2)
    array([[[2.5]]])
    """
    return _avg_pool(2, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    x: Array,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """avg_pool2d, along three axes.   x: (n, c, d, h, w) or (c, d, h, w)"""
    return _avg_pool(3, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _avg_pool(
    dims: int,
    x: Array,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    what = f"avg_pool{dims}d"
    x, single = batched(x, dims, what)
    size = tuple(x.shape[2:])
    at = pool_windows(dims, size, kernel_size, stride, padding, 1, ceil_mode, what)
    y = sum_pool(x, at)
    if divisor_override is not None:
        if divisor_override == 0:
            raise ValueError(f"{what}: divisor_override must not be 0")
        y = y * (1.0 / divisor_override)
    else:
        pads = per_axis(padding, dims, "padding", 0) if count_include_pad else (0,) * dims
        y = y * _one_by_count(y, at, size, pads)
    return unbatched(y, single)


def pool_windows(
    dims: int,
    size: Shape,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    ceil_mode: bool,
    what: str,
) -> Windows:
    """The windows of a pool. Raises ValueError for too much padding, or an input in which no window fits."""
    kernel = per_axis(kernel_size, dims, f"{what}: kernel_size")
    steps = kernel if stride is None else per_axis(stride, dims, f"{what}: stride")
    pads = per_axis(padding, dims, f"{what}: padding", 0)
    at = Windows(kernel, steps, per_axis(dilation, dims, f"{what}: dilation"), tuple((p, p) for p in pads))
    if any(p > span // 2 for p, span in zip(pads, at.spans(), strict=True)):
        raise ValueError(f"{what}: padding {pads} must be at most half of what a window reaches over, {at.spans()}")
    if ceil_mode:
        at = _rounded_up(at, size)
    if min(at.outputs(size)) < 1:
        raise ValueError(
            f"{what}: a window of {kernel} reaches over {at.spans()}, the padded input is {at.padded(size)}: it must "
            "not be smaller"
        )
    return at


def _rounded_up(at: Windows, size: Shape) -> Windows:
    """As many windows as start in the image or in the padding before it: what the last ones lack is padding, too."""
    pads = []
    for n, (before, after), span, s in zip(size, at.padding, at.spans(), at.stride, strict=True):
        windows = -((n + before + after - span) // -s) + 1
        if (windows - 1) * s >= n + before:
            windows -= 1
        pads.append((before, max(after, (windows - 1) * s + span - n - before)))
    exact = at._replace(padding=tuple(pads))
    return exact


def _one_by_count(y: Array, at: Windows, size: Shape, pads: Shape) -> Any:
    """1 / how many places each window has in the image with `pads` counted: a number if it is the same for all."""
    key = backend_of(y), str(device_of(y)), y.dtype, at, size, pads
    found = _COUNTS.get(key)
    if found is not None:
        return found
    lines = [_counts(at, axis, n, pads[axis]) for axis, n in enumerate(size)]
    if all(len(set(line)) == 1 for line in lines):
        return 1.0 / math.prod(line[0] for line in lines)
    xp = namespace(innermost(y))
    for axis, line in enumerate(lines):
        part = xp.asarray([1.0 / n for n in line], dtype=y.dtype, device=device_of(y))
        part = xp.reshape(part, (-1,) + (1,) * (len(size) - 1 - axis))
        found = part if found is None else found * part
    if lasts(found):  # else it belongs to a compiler's trace
        if len(_COUNTS) >= MOST_COUNTS:
            _COUNTS.pop(next(iter(_COUNTS)), None)
        _COUNTS[key] = found
    return found


_COUNTS: dict[Any, Array] = {}
MOST_COUNTS = 128


def _counts(at: Windows, axis: int, n: int, pad: int) -> list[int]:
    """How many places from -pad to n + pad each window of that axis covers."""
    before, span, step = at.padding[axis][0], at.kernel[axis], at.stride[axis]
    starts = [
        o * step - before for o in range(at.outputs((0,) * axis + (n,) + (0,) * (len(at.kernel) - axis - 1))[axis])
    ]
    return [min(start + span, n + pad) - max(start, -pad) for start in starts]
