"""Images made larger or smaller, and places exchanged for channels.

Interpolation is linear in x, one axis after the other: a small matrix an axis (where two, or four, of the inputs make
an output), so that its gradient is the transposed product. What only moves numbers is a gather or a permutation.
"""

import math
import struct
from typing import Any

from nnx.backend import backend_of, device_of, innermost, lasts, namespace
from nnx.backend.windows import Windows
from nnx.functional.conv_arguments import Size, batched, per_axis
from nnx.functional.conv_windows import Lookup, gather, scatter
from nnx.functional.pool_adaptive import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from nnx.functional.pool_core import images, planes
from nnx.typing import Array, Shape

__all__ = ["channel_shuffle", "fold", "interpolate", "pixel_shuffle", "pixel_unshuffle", "unfold"]

LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}
MODES = ("nearest", "nearest-exact", *LINEAR, "bicubic", "area")
Scale = float | tuple[float, ...]


def interpolate(
    x: Array,
    size: Size | None = None,
    scale_factor: Scale | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Array:
    """x on a finer or coarser grid.

    x: (n, c, l), (n, c, h, w) or (n, c, d, h, w)   size: the new l, (h, w) or (d, h, w)   scale_factor: or how many
    times as large, rounded down; recompute_scale_factor: whether the rounded size says where points lie, not the factor
    mode: nearest, nearest-exact, linear (1 axis), bilinear, bicubic (2), trilinear (3), area (means of windows)
    align_corners: for linear and cubic modes, whether the centres of the corners stay where they are (else their edges)
    Raises ValueError unless exactly one of size and scale_factor is given, and for a mode that x's axes do not fit.

    >>> import numpy as np
    >>> interpolate(np.asarray([[[1.0, 3.0]]]), scale_factor=2, mode="linear")
    array([[[1. , 1.5, 2.5, 3. ]]])
    """
    dims = x.ndim - 2
    if dims not in (1, 2, 3):
        raise ValueError(f"interpolate: expected x of shape (n, c, ...) with 1 to 3 more axes, got {tuple(x.shape)}")
    batched(x, dims, "interpolate")
    if mode not in MODES:
        raise ValueError(f"interpolate: mode must be one of {', '.join(MODES)}, got {mode!r}")
    wants = LINEAR.get(mode, 2 if mode == "bicubic" else dims)
    if wants != dims:
        raise ValueError(f"interpolate: mode '{mode}' is for {wants} axes behind (n, c), x has {dims}")
    if align_corners is not None and mode not in (*LINEAR, "bicubic"):
        raise ValueError(f"interpolate: align_corners is for linear and cubic modes, not for '{mode}'")
    old = tuple(x.shape[2:])
    new, steps = _target(old, size, scale_factor, bool(recompute_scale_factor))
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[dims - 1](x, new)
    if mode.startswith("nearest"):
        shift = 0.5 if mode == "nearest-exact" else 0.0
        at = Lookup(tuple((_nearest(*axis, shift),) for axis in zip(old, new, steps, strict=True)))
        return images(gather(planes(x, dims), at, old), x, new)
    for axis in range(dims):
        x = _along(x, axis + 2, new[axis], steps[axis], mode == "bicubic", bool(align_corners))
    return x


def _target(old: Shape, size: Size | None, factor: Scale | None, recompute: bool) -> tuple[Shape, tuple[float, ...]]:
    """The new size, and how far apart its points lie in the old one."""
    if (size is None) == (factor is None):
        raise ValueError(f"interpolate: give one of size and scale_factor, got {size} and {factor}")
    if factor is None:
        new = per_axis(size, len(old), "interpolate: size")
        return new, tuple(n / m for n, m in zip(old, new, strict=True))
    factors = tuple(factor) if isinstance(factor, tuple | list) else (factor,) * len(old)
    if len(factors) != len(old) or min(factors) <= 0:
        raise ValueError(f"interpolate: scale_factor must be > 0, one or {len(old)} of them, got {factor}")
    new = tuple(math.floor(n * f) for n, f in zip(old, factors, strict=True))
    if min(new) < 1:
        raise ValueError(f"interpolate: scale_factor {factor} makes {new} of {old}: nothing is left")
    steps = (n / m if recompute else 1.0 / f for n, m, f in zip(old, new, factors, strict=True))
    return new, tuple(steps)


def _nearest(n: int, m: int, step: float, shift: float) -> tuple[int, ...]:
    """The place of the old axis that each of the new one shows; in float32, as PyTorch counts, or ties would differ."""
    single = _single(step)
    return tuple(min(math.floor(_single((o + shift) * single)), n - 1) for o in range(m))


def _single(number: float) -> float:
    rounded: float = struct.unpack("f", struct.pack("f", number))[0]
    return rounded


def _along(x: Array, axis: int, m: int, step: float, cubic: bool, align_corners: bool) -> Array:
    """x, with m points along an axis: the product with a matrix (m, n)."""
    n = x.shape[axis]
    if m == n and (step == 1.0 or align_corners or not cubic):  # as PyTorch: what a factor was rounded to is not asked
        return x
    xp, matrix = namespace(x), _matrix(x, n, m, step, cubic, align_corners)
    if axis == x.ndim - 1:
        rows = xp.reshape(x, (-1 if 0 not in tuple(x.shape) else 0, n))
        return xp.reshape(xp.matmul(rows, namespace(matrix).matrix_transpose(matrix)), (*x.shape[:-1], m))
    before, after = tuple(x.shape[:axis]), tuple(x.shape[axis + 1 :])
    stack = xp.reshape(x, (math.prod(before), n, math.prod(after)))
    return xp.reshape(xp.matmul(matrix, stack), (*before, m, *after))


def _matrix(x: Array, n: int, m: int, step: float, cubic: bool, align_corners: bool) -> Array:
    """(m, n): row o has the share of each old place in the new place o. Made once for each device."""
    key = backend_of(x), str(device_of(x)), x.dtype, n, m, step, cubic, align_corners
    found = _MATRICES.get(key)
    if found is None:
        rows = []
        for o in range(m):
            row = [0.0] * n
            for place, share in _taps(o, n, m, step, cubic, align_corners):
                row[min(max(place, 0), n - 1)] += share
            rows.append(row)
        found = namespace(innermost(x)).asarray(rows, dtype=x.dtype, device=device_of(x))
        if lasts(found):  # else it belongs to a compiler's trace
            if len(_MATRICES) >= MOST_MATRICES:
                _MATRICES.pop(next(iter(_MATRICES)), None)
            _MATRICES[key] = found
    return found


_MATRICES: dict[Any, Array] = {}
MOST_MATRICES = 32
A = -0.75
"""Keys's cubic convolution (1981), with PyTorch's parameter."""


def _taps(o: int, n: int, m: int, step: float, cubic: bool, align_corners: bool) -> list[tuple[int, float]]:
    """The old places that make the new place o, and their shares."""
    if align_corners:
        at = o * (n - 1) / (m - 1) if m > 1 else 0.0
    else:
        at = step * (o + 0.5) - 0.5
    if not cubic:
        at = min(max(at, 0.0), n - 1.0)
        place = math.floor(at)
        return [(place, 1.0 - (at - place)), (place + 1, at - place)]
    place = math.floor(at)
    t = at - place
    far, near, near2, far2 = t + 1.0, t, 1.0 - t, 2.0 - t
    return [(place - 1, _outer(far)), (place, _inner(near)), (place + 1, _inner(near2)), (place + 2, _outer(far2))]


def _inner(t: float) -> float:
    return ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0


def _outer(t: float) -> float:
    return ((A * t - 5.0 * A) * t + 8.0 * A) * t - 4.0 * A


# ---- places and channels ---------------------------------------------------------------------------------------------


def pixel_shuffle(x: Array, upscale_factor: int) -> Array:
    """Channels become places: (..., c r², h, w) to (..., c, h r, w r) (Shi et al. 2016).

    Raises ValueError unless the channels divide by r², r = upscale_factor.
    """
    r = upscale_factor
    if x.ndim < 3 or r < 1 or x.shape[-3] % (r * r):
        raise ValueError(
            f"pixel_shuffle: expected x of shape (..., c·{r}², h, w), got {tuple(x.shape)}: the channels must divide"
        )
    *lead, c, h, w = x.shape
    return _moved(x, (*lead, c // (r * r), r, r, h, w), (0, 3, 1, 4, 2), (*lead, c // (r * r), h * r, w * r))


def pixel_unshuffle(x: Array, downscale_factor: int) -> Array:
    """Places become channels: (..., c, h r, w r) to (..., c r², h, w); undoes pixel_shuffle.

    Raises ValueError unless both sizes divide by r = downscale_factor.
    """
    r = downscale_factor
    if x.ndim < 3 or r < 1 or x.shape[-1] % r or x.shape[-2] % r:
        raise ValueError(f"pixel_unshuffle: expected x of shape (..., c, h·{r}, w·{r}), got {tuple(x.shape)}")
    *lead, c, h, w = x.shape
    return _moved(x, (*lead, c, h // r, r, w // r, r), (0, 2, 4, 1, 3), (*lead, c * r * r, h // r, w // r))


def channel_shuffle(x: Array, groups: int) -> Array:
    """Channel i of group g becomes channel g of group i: so that groups see each other (Zhang et al. 2018).

    x: (n, c, ...)   Raises ValueError unless c divides by groups.
    """
    if x.ndim < 3 or groups < 1 or x.shape[1] % groups:
        raise ValueError(
            f"channel_shuffle: expected x of shape (n, c, ...), c divisible by groups={groups}, got {tuple(x.shape)}"
        )
    n, c, *size = x.shape
    xp = namespace(x)
    turned = xp.permute_dims(xp.reshape(x, (n, groups, c // groups, *size)), (0, 2, 1, *range(3, x.ndim + 1)))
    return xp.reshape(turned, (n, c, *size))


def _moved(x: Array, split: Shape, order: tuple[int, ...], joined: Shape) -> Array:
    """The last five axes of x, split, in another order, joined."""
    xp, lead = namespace(x), len(split) - len(order)
    axes = (*range(lead), *(lead + k for k in order))
    return xp.reshape(xp.permute_dims(xp.reshape(x, split), axes), joined)


def unfold(x: Array, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> Array:
    """The windows over an image as columns.

    x: (n, c, h, w) or (c, h, w)   returns (n, c·kh·kw, l), l windows
    """
    x, single = batched(x, 2, "unfold")
    at = _windows(kernel_size, dilation, padding, stride, "unfold")
    size = tuple(x.shape[2:])
    if min(at.outputs(size)) < 1:
        raise ValueError(f"unfold: a window reaches over {at.spans()}, the padded input is {at.padded(size)}")
    shape = (x.shape[0], x.shape[1] * math.prod(at.kernel), math.prod(at.outputs(size)))
    y = namespace(x).reshape(gather(planes(x, 2), at, size), shape)
    return y[0, :, :] if single else y


def fold(
    x: Array, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> Array:
    """Columns added up to an image: where windows overlap, they sum. The pullback of unfold.

    x: (n, c·kh·kw, l) or (c·kh·kw, l)   output_size: (h, w)   returns (n, c, h, w)
    Raises ValueError unless l is the number of windows that such an image has.
    """
    size, at = per_axis(output_size, 2, "fold: output_size"), _windows(kernel_size, dilation, padding, stride, "fold")
    kernel, windows = math.prod(at.kernel), math.prod(max(n, 0) for n in at.outputs(size))
    if x.ndim not in (2, 3) or x.shape[-2] % kernel or x.shape[-1] != windows:
        raise ValueError(
            f"fold: an image of {size} has {windows} windows of {at.kernel}: expected x of shape (n, c·{kernel}, "
            f"{windows}), got {tuple(x.shape)}"
        )
    *lead, channels, _ = x.shape
    rows = math.prod(lead) * (channels // kernel)
    y = scatter(namespace(x).reshape(x, (rows, kernel, windows, 1)), at, size)
    return namespace(y).reshape(y, (*lead, channels // kernel, *size))


def _windows(kernel_size: Size, dilation: Size, padding: Size, stride: Size, what: str) -> Windows:
    pads = per_axis(padding, 2, f"{what}: padding", 0)
    kernel, steps = per_axis(kernel_size, 2, f"{what}: kernel_size"), per_axis(stride, 2, f"{what}: stride")
    return Windows(kernel, steps, per_axis(dilation, 2, f"{what}: dilation"), tuple((p, p) for p in pads))
