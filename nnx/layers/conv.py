"""Convolutions as layers, under PyTorch's names; what is alike in one, two and three dimensions is written once."""

import math
from typing import ClassVar

from nnx import functional as F
from nnx import init
from nnx.functional.conv_arguments import Padding, Size, convolution_windows, per_axis
from nnx.layers.module import Module
from nnx.typing import Array, Shape

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """What all of them have: sizes, a weight and a bias from U(-k, k), k = 1/√fan in."""

    dims: ClassVar[int]
    weight: Array
    bias: Array | None

    def _build(
        self, in_channels: int, out_channels: int, kernel_size: Size, groups: int, shape: Shape, bias: bool, dtype: str
    ) -> None:
        name = type(self).__name__
        if in_channels < 1 or out_channels < 1 or groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: in_channels {in_channels} and out_channels {out_channels} must be at least 1 and divide into "
                f"groups={groups}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_axis(kernel_size, self.dims, f"{name}: kernel_size")
        full = (*shape, *self.kernel_size)
        self.weight = init.kaiming_uniform(full, a=math.sqrt(5.0), dtype=dtype)
        bound = 1.0 / math.sqrt(init.fans(full)[0])
        self.bias = init.uniform((out_channels,), -bound, bound, dtype) if bias else None

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        shown = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"]
        defaults = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "groups": 1, "padding_mode": "zeros"}
        for name, default in defaults.items():
            value = getattr(self, name, default)
            if value not in (default, (default,) * self.dims):
                shown.append(f"{name}={value!r}")
        return ", ".join([*shown, *(["bias=False"] if self.bias is None else [])])


class _Conv(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        dtype: str = "float32",
    ) -> None:
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {', '.join(PADDING_MODES)}, got {padding_mode!r}")
        shape = (out_channels, in_channels // max(groups, 1))
        self._build(in_channels, out_channels, kernel_size, groups, shape, bias, dtype)
        name = type(self).__name__
        at = convolution_windows(self.kernel_size, (1 << 31,) * self.dims, stride, padding, dilation, name)
        self.stride, self.dilation, self.padding_mode = at.stride, at.dilation, padding_mode
        self.padding = padding if isinstance(padding, str) else per_axis(padding, self.dims, "padding", 0)
        # F.pad counts from the last axis
        self.edges = tuple(n for pair in reversed(at.padding) for n in pair)

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.conv2d; with another padding_mode, of x that was padded before."""
        padding = self.padding
        if self.padding_mode != "zeros":
            x, padding = F.pad(x, self.edges, self.padding_mode), "valid"
        function = (F.conv1d, F.conv2d, F.conv3d)[self.dims - 1]
        return function(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_Conv):
    """Kernels that slide along one axis; see Conv2d and nnx.functional.conv1d.   x: (n, c, l) or (c, l)"""

    dims = 1


class Conv2d(_Conv):
    """Kernels that slide over an image; see nnx.functional.conv2d.

    weight: (out_channels, in_channels/groups, *kernel_size) and bias: (out_channels,), both from U(-k, k) with
    k = 1/√(in_channels/groups · Π kernel_size)
    padding_mode: zeros, reflect, replicate or circular: what stands in the padding
    x: (n, in_channels, h, w) or (in_channels, h, w)   returns (n, out_channels, h′, w′)

    >>> import nnx
    >>> Conv2d(1, 6, 5, padding=2)(nnx.init.ones((4, 1, 28, 28))).shape
    (4, 6, 28, 28)
    """

    dims = 2


class Conv3d(_Conv):
    """Kernels that slide through a volume; see nnx.functional.conv3d.   x: (n, c, d, h, w) or (c, d, h, w)"""

    dims = 3


class _ConvTranspose(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        dtype: str = "float32",
    ) -> None:
        name = type(self).__name__
        if padding_mode != "zeros":
            raise ValueError(f"{name}: padding_mode must be 'zeros', got {padding_mode!r}")
        shape = (in_channels, out_channels // max(groups, 1))
        self._build(in_channels, out_channels, kernel_size, groups, shape, bias, dtype)
        self.stride = per_axis(stride, self.dims, f"{name}: stride")
        self.padding = per_axis(padding, self.dims, f"{name}: padding", 0)
        self.output_padding = per_axis(output_padding, self.dims, f"{name}: output_padding", 0)
        self.dilation = per_axis(dilation, self.dims, f"{name}: dilation")

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.conv_transpose2d."""
        function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.dims - 1]
        sizes = (self.stride, self.padding, self.output_padding, self.groups, self.dilation)
        return function(x, self.weight, self.bias, *sizes)


class ConvTranspose1d(_ConvTranspose):
    """See ConvTranspose2d and nnx.functional.conv_transpose1d.   x: (n, c, l) or (c, l)"""

    dims = 1


class ConvTranspose2d(_ConvTranspose):
    """Kernels that are painted, each times a number of the input; see nnx.functional.conv_transpose2d.

    weight: (in_channels, out_channels/groups, *kernel_size) and bias: (out_channels,), both from U(-k, k) with
    k = 1/√(out_channels/groups · Π kernel_size)
    x: (n, in_channels, h, w) or (in_channels, h, w)   returns (n, out_channels, h′, w′)

    >>> import nnx
    >>> ConvTranspose2d(8, 3, 2, stride=2)(nnx.init.ones((4, 8, 7, 7))).shape
    (4, 3, 14, 14)
    """

    dims = 2


class ConvTranspose3d(_ConvTranspose):
    """See ConvTranspose2d and nnx.functional.conv_transpose3d.   x: (n, c, d, h, w) or (c, d, h, w)"""

    dims = 3
