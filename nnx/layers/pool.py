"""Pools as layers, under PyTorch's names; what is alike in one, two and three dimensions is written once."""

from collections.abc import Callable
from typing import Any, ClassVar

from nnx import functional as F
from nnx.functional.conv_arguments import Size
from nnx.functional.pool_adaptive import OutputSize
from nnx.layers.module import Module
from nnx.typing import Array

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
]

Function = Callable[..., Any]


class _MaxPool(Module):
    function: ClassVar[Function]

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def __call__(self, x: Array) -> Any:
        """See nnx.functional.max_pool2d."""
        sizes = (self.kernel_size, self.stride, self.padding, self.dilation)
        return type(self).function(x, *sizes, self.ceil_mode, self.return_indices)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The maximum over windows of one axis; see nnx.functional.max_pool1d.   x: (n, c, l) or (c, l)"""

    function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """The maximum over windows of an image; see nnx.functional.max_pool2d.   x: (n, c, h, w) or (c, h, w)

    >>> import nnx
    >>> MaxPool2d(2)(nnx.init.ones((4, 6, 28, 28))).shape
    (4, 6, 14, 14)
    """

    function = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """The maximum over windows of a volume; see nnx.functional.max_pool3d.   x: (n, c, d, h, w) or (c, d, h, w)"""

    function = staticmethod(F.max_pool3d)


class AvgPool1d(Module):
    """The mean over windows of one axis; see nnx.functional.avg_pool1d.   x: (n, c, l) or (c, l)"""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode, self.count_include_pad = padding, ceil_mode, count_include_pad

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.avg_pool1d."""
        return F.avg_pool1d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(AvgPool1d):
    function: ClassVar[Function]

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.avg_pool2d."""
        how = (self.ceil_mode, self.count_include_pad, self.divisor_override)
        y: Array = type(self).function(x, self.kernel_size, self.stride, self.padding, *how)
        return y


class AvgPool2d(_AvgPool):
    """The mean over windows of an image; see nnx.functional.avg_pool2d.   x: (n, c, h, w) or (c, h, w)"""

    function = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """The mean over windows of a volume; see nnx.functional.avg_pool3d.   x: (n, c, d, h, w) or (c, d, h, w)"""

    function = staticmethod(F.avg_pool3d)


class _AdaptiveAvgPool(Module):
    function: ClassVar[Function]

    def __init__(self, output_size: OutputSize) -> None:
        self.output_size = output_size

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.adaptive_avg_pool2d."""
        y: Array = type(self).function(x, self.output_size)
        return y

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means of one axis, output_size of them; see nnx.functional.adaptive_avg_pool1d.   x: (n, c, l) or (c, l)"""

    function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means over an image, output_size of them; see nnx.functional.adaptive_avg_pool2d."""

    function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means over a volume, output_size of them; see nnx.functional.adaptive_avg_pool3d."""

    function = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMaxPool(Module):
    function: ClassVar[Function]

    def __init__(self, output_size: OutputSize, return_indices: bool = False) -> None:
        self.output_size, self.return_indices = output_size, return_indices

    def __call__(self, x: Array) -> Any:
        """See nnx.functional.adaptive_max_pool2d."""
        return type(self).function(x, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima of one axis, output_size of them; see nnx.functional.adaptive_max_pool1d.   x: (n, c, l) or (c, l)"""

    function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima over an image, output_size of them; see nnx.functional.adaptive_max_pool2d."""

    function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Maxima over a volume, output_size of them; see nnx.functional.adaptive_max_pool3d."""

    function = staticmethod(F.adaptive_max_pool3d)


class _LPPool(Module):
    function: ClassVar[Function]

    def __init__(
        self, norm_type: float, kernel_size: Size, stride: Size | None = None, ceil_mode: bool = False
    ) -> None:
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.lp_pool2d."""
        y: Array = type(self).function(x, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)
        return y

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}"


class LPPool1d(_LPPool):
    """(Σ xᵖ)^(1/p) over windows of one axis; see nnx.functional.lp_pool2d.   x: (n, c, l) or (c, l)"""

    function = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    """(Σ xᵖ)^(1/p) over windows of an image; see nnx.functional.lp_pool2d.   x: (n, c, h, w) or (c, h, w)"""

    function = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPool):
    """(Σ xᵖ)^(1/p) over windows of a volume; see nnx.functional.lp_pool2d.   x: (n, c, d, h, w) or (c, d, h, w)"""

    function = staticmethod(F.lp_pool3d)
