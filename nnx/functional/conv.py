"""Convolutions by PyTorch's names: arguments are checked here, the math is in conv_core.

What machine learning calls a convolution is a correlation: the kernel is not turned around
(https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv2d.html).
"""

from nnx.autodiff.casting import in_half
from nnx.backend import namespace
from nnx.backend.windows import Windows
from nnx.functional.conv_arguments import Padding, Size, batched, convolution_windows, per_axis, unbatched
from nnx.functional.conv_core import convolve, spread
from nnx.functional.padding import pad
from nnx.typing import Array, Shape

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def conv1d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Array:
    """conv2d, along one axis.   x: (n, c, l) or (c, l)   weight: (o, c/groups, k)   bias: (o,)"""
    return _conv(1, x, weight, bias, stride, padding, dilation, groups)


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Array:
    """y[n, o, i, j] = b[o] + Σ over c, k, m of w[o, c, k, m] x[n, c, i·stride - padding + k·dilation, j·… + m·…].

    x: (n, c, h, w) or (c, h, w)   weight: (o, c/groups, kh, kw)   bias: (o,)   returns (n, o, h′, w′)
    h′ = ⌊(h + 2 padding - dilation (kh - 1) - 1) / stride⌋ + 1, w′ alike
    padding: zeros at both ends; "valid" is 0, "same" keeps h and w (stride 1)   groups: c and o in that many parts,
    each output part seeing one input part alone. stride, padding, dilation: a number, or one an axis.
    Raises ValueError for shapes that do not fit each other.

    >>> import numpy as np
    >>> conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)))
    array([[[[4., 4.],
             [4., 4.]]]])
    """
    return _conv(2, x, weight, bias, stride, padding, dilation, groups)


def conv3d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Array:
    """conv2d, along three axes.   x: (n, c, d, h, w) or (c, d, h, w)   weight: (o, c/groups, kd, kh, kw)"""
    return _conv(3, x, weight, bias, stride, padding, dilation, groups)


@in_half
def _conv(
    dims: int,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Size,
    padding: Padding,
    dilation: Size,
    groups: int,
) -> Array:
    what = f"conv{dims}d"
    x, single = batched(x, dims, what)
    channels = x.shape[1]
    _check_weight(weight, dims, f"(o, c/{groups}, {_kernel_form(dims)})", what)
    _check_groups(groups, what)
    if channels != weight.shape[1] * groups:
        raise ValueError(
            f"{what}: x has {channels} channels, weight of shape {tuple(weight.shape)} with groups={groups} takes "
            f"{weight.shape[1] * groups}: channels are axis 1 (n, c, ...)"
        )
    if weight.shape[0] % groups:
        raise ValueError(f"{what}: {weight.shape[0]} output channels do not divide into groups={groups}")
    _check_bias(bias, weight.shape[0], what)
    at = convolution_windows(tuple(weight.shape[2:]), tuple(x.shape[2:]), stride, padding, dilation, what)
    return unbatched(convolve(x, weight, bias, at, groups), single)


def conv_transpose1d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Array:
    """conv_transpose2d, along one axis.   x: (n, c, l) or (c, l)   weight: (c, o/groups, k)   bias: (o,)"""
    return _conv_transpose(1, x, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Array:
    """The gradient of conv2d with respect to its input, as a function: each number of x paints a kernel.

    x: (n, c, h, w) or (c, h, w)   weight: (c, o/groups, kh, kw)   bias: (o,)   returns (n, o, h′, w′)
    h′ = (h - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1, w′ alike
    output_padding: which of the sizes that conv2d would take to h is meant; less than stride or dilation
    Raises ValueError for shapes that do not fit each other.

    >>> import numpy as np
    >>> conv_transpose2d(np.ones((1, 1, 1, 2)), np.ones((1, 1, 2, 2)))
    array([[[[1., 2., 1.],
             [1., 2., 1.]]]])
    """
    return _conv_transpose(2, x, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Array:
    """conv_transpose2d, along three axes.   x: (n, c, d, h, w) or (c, d, h, w)   weight: (c, o/groups, kd, kh, kw)"""
    return _conv_transpose(3, x, weight, bias, stride, padding, output_padding, groups, dilation)


@in_half
def _conv_transpose(
    dims: int,
    x: Array,
    weight: Array,
    bias: Array | None,
    stride: Size,
    padding: Size,
    output_padding: Size,
    groups: int,
    dilation: Size,
) -> Array:
    what = f"conv_transpose{dims}d"
    x, single = batched(x, dims, what)
    _check_weight(weight, dims, f"(c, o/{groups}, {_kernel_form(dims)})", what)
    _check_groups(groups, what)
    if x.shape[1] != weight.shape[0]:
        raise ValueError(
            f"{what}: x has {x.shape[1]} channels, weight of shape {tuple(weight.shape)} takes {weight.shape[0]}: "
            "channels are axis 1 (n, c, ...)"
        )
    if weight.shape[0] % groups:
        raise ValueError(f"{what}: {weight.shape[0]} input channels do not divide into groups={groups}")
    _check_bias(bias, weight.shape[1] * groups, what)
    steps, pads = per_axis(stride, dims, f"{what}: stride"), per_axis(padding, dims, f"{what}: padding", 0)
    extra = per_axis(output_padding, dims, f"{what}: output_padding", 0)
    at = Windows(
        tuple(weight.shape[2:]), steps, per_axis(dilation, dims, f"{what}: dilation"), tuple((p, p) for p in pads)
    )
    size = _transposed_size(tuple(x.shape[2:]), at, extra, what)
    at, rest = _without_rest(at, extra)
    y = spread(x, weight, at, groups, tuple(n - r for n, r in zip(size, rest, strict=True)))
    if any(rest):
        y = pad(y, tuple(n for r in reversed(rest) for n in (0, r)))
    if bias is not None:
        y = y + namespace(bias).reshape(bias, (-1,) + (1,) * dims)
    return unbatched(y, single)


def _transposed_size(inputs: Shape, at: Windows, extra: Shape, what: str) -> Shape:
    axes = zip(inputs, at.stride, at.padding, at.spans(), extra, strict=True)
    size = tuple((n - 1) * s - before - after + span + e for n, s, (before, after), span, e in axes)
    if any(e >= max(s, d) for e, s, d in zip(extra, at.stride, at.dilation, strict=True)):
        raise ValueError(
            f"{what}: output_padding {extra} must be smaller than stride {at.stride} or dilation {at.dilation}"
        )
    if min(size) < 1:
        raise ValueError(f"{what}: an input of {inputs} would give an output of {size}: take less padding")
    return size


def _without_rest(at: Windows, extra: Shape) -> tuple[Windows, Shape]:
    """Where more is added than a stride (dilation allows it): windows that do not reach there, and what none paints."""
    pads, rest = [], []
    for (before, after), s, e in zip(at.padding, at.stride, extra, strict=True):
        pads.append((before, max(after - e, 0) if e >= s else after))
        rest.append(max(e - after, 0) if e >= s else 0)
    return at._replace(padding=tuple(pads)), tuple(rest)


def _kernel_form(dims: int) -> str:
    return ", ".join(("k",) if dims == 1 else ("kd", "kh", "kw")[3 - dims :])


def _check_weight(weight: Array, dims: int, form: str, what: str) -> None:
    if weight.ndim != dims + 2 or 0 in tuple(weight.shape):
        raise ValueError(f"{what}: expected weight of shape {form}, none of it 0, got {tuple(weight.shape)}")


def _check_groups(groups: int, what: str) -> None:
    if groups < 1:
        raise ValueError(f"{what}: groups must be at least 1, got {groups}")


def _check_bias(bias: Array | None, channels: int, what: str) -> None:
    if bias is not None and tuple(bias.shape) != (channels,):
        raise ValueError(f"{what}: expected bias of shape ({channels},), got {tuple(bias.shape)}")
