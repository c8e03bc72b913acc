"""U-Net: down to a coarse image that knows what is there, up again, and across to the fine one that knows where."""

from nnx import functional as F
from nnx.backend import namespace
from nnx.layers import BatchNorm2d, Conv2d, ConvTranspose2d, Module, ReLU, Sequential
from nnx.typing import Array

__all__ = ["UNet"]


def _twice(inputs: int, outputs: int, dtype: str) -> Sequential:
    """Convolution, normalisation, ReLU; and once more."""
    layers: list[Module] = []
    for channels in (inputs, outputs):
        layers += [Conv2d(channels, outputs, 3, padding=1, bias=False, dtype=dtype), BatchNorm2d(outputs, dtype=dtype)]
        layers.append(ReLU())
    return Sequential(*layers)


class UNet(Module):
    """Ronneberger, Fischer, Brox 2015, U-Net: convolutional networks for biomedical image segmentation.

    Padded, so that the output has the size of the input, and with batch normalisation, as it is used today.
    width: channels of the finest level, doubled at each of the `depth` coarser ones
    x: (n, in_channels, h, w), h and w multiples of 2**depth   returns (n, out_channels, h, w)
    """

    def __init__(
        self, in_channels: int = 1, out_channels: int = 2, width: int = 64, depth: int = 4, dtype: str = "float32"
    ) -> None:
        sizes = [width * 2**k for k in range(depth + 1)]
        self.depth = depth
        self.down = [_twice(n, m, dtype) for n, m in zip([in_channels, *sizes], sizes, strict=False)]
        self.up = [ConvTranspose2d(2 * n, n, 2, stride=2, dtype=dtype) for n in reversed(sizes[:-1])]
        self.merge = [_twice(2 * n, n, dtype) for n in reversed(sizes[:-1])]
        self.head = Conv2d(width, out_channels, 1, dtype=dtype)

    def __call__(self, x: Array) -> Array:
        """Each level's image is kept on the way down, and joined to what comes up from below."""
        if any(n % 2**self.depth for n in x.shape[2:]):
            raise ValueError(
                f"UNet of depth {self.depth}: height and width must be multiples of {2**self.depth}, got "
                f"{tuple(x.shape[2:])}: pad the images, or take a smaller depth"
            )
        xp, fine = namespace(x), []
        for level, convolutions in enumerate(self.down):
            x = convolutions(x if level == 0 else F.max_pool2d(x, 2))
            fine.append(x)
        x = fine.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(xp.concat([fine.pop(), up(x)], axis=1))
        return self.head(x)
