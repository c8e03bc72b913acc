"""VGG: many small convolutions one after the other, pooling in between, and three wide layers on top."""

from nnx import functional as F
from nnx import init
from nnx.layers import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d, Module, ReLU, Sequential
from nnx.typing import Array

__all__ = ["VGG", "vgg11", "vgg13", "vgg16", "vgg19"]

POOL = 0
DEPTHS = {  # channels of each convolution, table 1 of the paper; POOL halves the image
    11: (64, POOL, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512, POOL),
    13: (64, 64, POOL, 128, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512, POOL),
    16: (64, 64, POOL, 128, 128, POOL, *(256,) * 3, POOL, *(512,) * 3, POOL, *(512,) * 3, POOL),
    19: (64, 64, POOL, 128, 128, POOL, *(256,) * 4, POOL, *(512,) * 4, POOL, *(512,) * 4, POOL),
}


class VGG(Module):
    """Simonyan, Zisserman 2014, Very deep convolutional networks; names and shapes are torchvision's.

    depth: 11, 13, 16 or 19   batch_norm: after each convolution   hidden: of the two wide layers
    x: (n, in_channels, h, w) with h, w of 32 at least   returns logits (n, num_classes)
    """

    def __init__(
        self,
        depth: int = 16,
        num_classes: int = 1000,
        in_channels: int = 3,
        batch_norm: bool = False,
        dropout: float = 0.5,
        hidden: int = 4096,
        dtype: str = "float32",
    ) -> None:
        if depth not in DEPTHS:
            raise ValueError(f"VGG's depth must be one of {', '.join(map(str, DEPTHS))}, got {depth}")
        self.features = _features(DEPTHS[depth], in_channels, batch_norm, dtype)
        self.avgpool = AdaptiveAvgPool2d(7)
        self.classifier = Sequential(
            Linear(512 * 7 * 7, hidden, dtype=dtype),
            ReLU(),
            Dropout(dropout),
            Linear(hidden, hidden, dtype=dtype),
            ReLU(),
            Dropout(dropout),
            Linear(hidden, num_classes, dtype=dtype),
        )
        for layer in self.classifier:
            if isinstance(layer, Linear):
                layer.weight = init.normal(layer.weight.shape, 0.0, 0.01, dtype)
                layer.bias = init.zeros((layer.out_features,), dtype)

    def __call__(self, x: Array) -> Array:
        """The convolutions, the mean over a grid of 7 × 7, and the classes."""
        return self.classifier(F.flatten(self.avgpool(self.features(x)), 1))


def _features(channels: tuple[int, ...], inputs: int, batch_norm: bool, dtype: str) -> Sequential:
    layers: list[Module] = []
    for outputs in channels:
        if outputs == POOL:
            layers.append(MaxPool2d(2, 2))
            continue
        conv = Conv2d(inputs, outputs, 3, padding=1, dtype=dtype)
        conv.weight = init.kaiming_normal(conv.weight.shape, mode="fan_out", nonlinearity="relu", dtype=dtype)
        conv.bias = init.zeros((outputs,), dtype)
        layers += [conv, BatchNorm2d(outputs, dtype=dtype), ReLU()] if batch_norm else [conv, ReLU()]
        inputs = outputs
    return Sequential(*layers)


def vgg11(num_classes: int = 1000, in_channels: int = 3, batch_norm: bool = False, dtype: str = "float32") -> VGG:
    """VGG-11: configuration A."""
    return VGG(11, num_classes, in_channels, batch_norm, dtype=dtype)


def vgg13(num_classes: int = 1000, in_channels: int = 3, batch_norm: bool = False, dtype: str = "float32") -> VGG:
    """VGG-13: configuration B."""
    return VGG(13, num_classes, in_channels, batch_norm, dtype=dtype)


def vgg16(num_classes: int = 1000, in_channels: int = 3, batch_norm: bool = False, dtype: str = "float32") -> VGG:
    """VGG-16: configuration D."""
    return VGG(16, num_classes, in_channels, batch_norm, dtype=dtype)


def vgg19(num_classes: int = 1000, in_channels: int = 3, batch_norm: bool = False, dtype: str = "float32") -> VGG:
    """VGG-19: configuration E."""
    return VGG(19, num_classes, in_channels, batch_norm, dtype=dtype)
