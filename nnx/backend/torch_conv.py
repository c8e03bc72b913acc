"""Convolution and pools on torch: its own functions, in any number of dimensions."""

from typing import Any

from nnx.backend.windows import Windows
from nnx.typing import Array, Shape


def convolve(x: Array, weight: Array, bias: Array | None, at: Windows, groups: int) -> Array:
    """See nnx.functional.conv_core.convolve."""
    import torch

    x, pads = _symmetric(x, at)
    return torch.convolution(
        x,
        weight,
        bias,
        at.stride,
        pads,
        at.dilation,
        False,
        (0,) * len(pads),
        groups,  # not transposed
    )


def spread(dy: Array, weight: Array, at: Windows, groups: int, size: Shape) -> Array:
    """See nnx.functional.conv_core.spread."""
    pads = at.symmetric()
    whole = size if pads is not None else at.padded(size)
    shape = (dy.shape[0], weight.shape[1] * groups, *whole)
    dx = _backward(dy, _nothing(dy, shape), weight, at, pads, groups)[0]
    return dx if pads is not None else _inside(dx, at, size)


def correlate(x: Array, dy: Array, at: Windows, groups: int) -> Array:
    """See nnx.functional.conv_core.correlate."""
    x, pads = _symmetric(x, at)
    shape = (dy.shape[1], x.shape[1] // groups, *at.kernel)
    return _backward(dy, x, _nothing(dy, shape), at, pads, groups)[1]


def _backward(dy: Array, x: Array, weight: Array, at: Windows, pads: Shape | None, groups: int) -> tuple[Array, ...]:
    """dx and dw; of the one of x and weight that is wanted only the shape is read."""
    import torch

    none = (0,) * len(at.kernel)
    mask = (not any(x.stride()), not any(weight.stride()), False)
    found: tuple[Array, ...] = torch.ops.aten.convolution_backward(
        dy, x, weight, None, at.stride, none if pads is None else pads, at.dilation, False, none, groups, mask
    )
    return found


def _nothing(like: Array, shape: Shape) -> Array:
    """An array of that shape without memory of its own: all strides are 0."""
    return like.new_zeros(()).expand(shape)


def _symmetric(x: Array, at: Windows) -> tuple[Array, Shape]:
    """x, padded if its two ends need different padding, and the padding that is left to do."""
    import torch

    pads = at.symmetric()
    if pads is not None:
        return x, pads
    edges = [n for pair in reversed(at.padding) for n in pair]
    return torch.nn.functional.pad(x, edges), (0,) * len(at.padding)


def _inside(dx: Array, at: Windows, size: Shape) -> Array:
    return dx[(..., *(slice(before, before + s) for (before, _), s in zip(at.padding, size, strict=True)))]


# ---- pools -----------------------------------------------------------------------------------------------------------


def max_pool(x: Array, at: Windows) -> tuple[Array, Any]:
    """See nnx.functional.pool_core.max_pool; and the places that won."""
    y, index = _function("max_pool{}_with_indices", at)(_flat(x, at), *_arguments(at), _ones(at.dilation), _up(at))
    return _again(y, at), index


def unpool(dy: Array, x: Array, y: Array, saved: Any, at: Windows) -> Array:
    """See nnx.functional.pool_core.unpool."""
    index = max_pool(x, at)[1] if saved is None else saved
    backward = _function("max_pool{}_with_indices_backward", at)
    dx = backward(_flat(dy, at), _flat(x, at), *_arguments(at), _ones(at.dilation), _up(at), index)
    return _again(dx, at)


def sum_pool(x: Array, at: Windows) -> Array:
    """See nnx.functional.pool_core.sum_pool: means of which all are divided by 1."""
    return _again(_function("avg_pool{}", at)(_flat(x, at), *_arguments(at), _up(at), True, 1), at)


def spread_pool(dy: Array, at: Windows, size: Shape) -> Array:
    """See nnx.functional.pool_core.spread_pool."""
    x = dy.new_empty((*dy.shape[:2], *size))  # of which only the shape is read
    backward = _function("avg_pool{}_backward", at)
    return _again(backward(_flat(dy, at), _flat(x, at), *_arguments(at), _up(at), True, 1), at)


# torch has no gradient for the pool of one axis by itself: it is made two, the first of length one


def _flat(x: Array, at: Windows) -> Array:
    return x.unsqueeze(2) if len(at.kernel) == 1 else x


def _again(y: Array, at: Windows) -> Array:
    return y.squeeze(2) if len(at.kernel) == 1 else y


def _ones(sizes: Shape, one: int = 1) -> Shape:
    return (one, *sizes) if len(sizes) == 1 else sizes


def _function(name: str, at: Windows) -> Any:
    import torch

    return getattr(torch.ops.aten, name.format(f"{max(len(at.kernel), 2)}d"))


def _arguments(at: Windows) -> tuple[Shape, Shape, Shape]:
    return _ones(at.kernel), _ones(at.stride), _ones(tuple(before for before, _ in at.padding), 0)


def _up(at: Windows) -> bool:
    """Windows that want more padding after than before come of rounding up alone."""
    return at.symmetric() is None


KERNELS = {
    "convolve": convolve,
    "correlate": correlate,
    "spread": spread,
    "max_pool": max_pool,
    "unpool": unpool,
    "sum_pool": sum_pool,
    "spread_pool": spread_pool,
}
