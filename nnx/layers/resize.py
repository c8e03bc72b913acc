"""Layers that change the grid of an image, or exchange places and channels, under PyTorch's names."""

from nnx import functional as F
from nnx.functional.conv_arguments import Size
from nnx.functional.resize import Scale
from nnx.layers.module import Module
from nnx.typing import Array

__all__ = [
    "ChannelShuffle",
    "Fold",
    "PixelShuffle",
    "PixelUnshuffle",
    "Unfold",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]


class Upsample(Module):
    """x on a finer (or coarser) grid; see nnx.functional.interpolate.   x: (n, c, l), (n, c, h, w) or (n, c, d, h, w)

    >>> import nnx
    >>> Upsample(scale_factor=2, mode="bilinear")(nnx.init.ones((1, 3, 8, 8))).shape
    (1, 3, 16, 16)
    """

    def __init__(
        self,
        size: Size | None = None,
        scale_factor: Scale | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.interpolate."""
        how = (self.mode, self.align_corners, self.recompute_scale_factor)
        return F.interpolate(x, self.size, self.scale_factor, *how)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        size = f"scale_factor={self.scale_factor}" if self.size is None else f"size={self.size}"
        return f"{size}, mode='{self.mode}'"


class UpsamplingNearest2d(Upsample):
    """Upsample with mode nearest.   x: (n, c, h, w)"""

    def __init__(self, size: Size | None = None, scale_factor: Scale | None = None) -> None:
        super().__init__(size, scale_factor)


class UpsamplingBilinear2d(Upsample):
    """Upsample with mode bilinear, the corners aligned.   x: (n, c, h, w)"""

    def __init__(self, size: Size | None = None, scale_factor: Scale | None = None) -> None:
        super().__init__(size, scale_factor, "bilinear", True)


class PixelShuffle(Module):
    """(..., c r², h, w) to (..., c, h r, w r); see nnx.functional.pixel_shuffle."""

    def __init__(self, upscale_factor: int) -> None:
        self.upscale_factor = upscale_factor

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.pixel_shuffle."""
        return F.pixel_shuffle(x, self.upscale_factor)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """(..., c, h r, w r) to (..., c r², h, w); see nnx.functional.pixel_unshuffle."""

    def __init__(self, downscale_factor: int) -> None:
        self.downscale_factor = downscale_factor

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.pixel_unshuffle."""
        return F.pixel_unshuffle(x, self.downscale_factor)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """The channels of all groups dealt out to all groups; see nnx.functional.channel_shuffle.   x: (n, c, ...)"""

    def __init__(self, groups: int) -> None:
        self.groups = groups

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.channel_shuffle."""
        return F.channel_shuffle(x, self.groups)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"groups={self.groups}"


class Unfold(Module):
    """The windows over an image as columns; see nnx.functional.unfold.   (n, c, h, w) to (n, c·kh·kw, l)"""

    def __init__(self, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1) -> None:
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.unfold."""
        return F.unfold(x, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        shown = f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}"
        return f"{shown}, stride={self.stride}"


class Fold(Unfold):
    """Columns added up to an image; see nnx.functional.fold.   (n, c·kh·kw, l) to (n, c, *output_size)"""

    def __init__(
        self, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
    ) -> None:
        super().__init__(kernel_size, dilation, padding, stride)
        self.output_size = output_size

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.fold."""
        return F.fold(x, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"output_size={self.output_size}, {super().extra_repr()}"
