"""Residual networks: each block adds what it computes to what it was given, so that a gradient has a way around it."""

from collections.abc import Sequence
from typing import ClassVar

from nnx import functional as F
from nnx import init
from nnx.layers import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Identity, Linear, MaxPool2d, Module, Sequential
from nnx.typing import Array

__all__ = ["BasicBlock", "Bottleneck", "ResNet", "resnet18", "resnet34", "resnet50"]


def _conv(inputs: int, outputs: int, kernel: int, stride: int, dtype: str) -> Conv2d:
    """A convolution that keeps the size (but for the stride), without a bias, for normalisation takes it away again."""
    found = Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False, dtype=dtype)
    found.weight = init.kaiming_normal(found.weight.shape, mode="fan_out", nonlinearity="relu", dtype=dtype)
    return found


class BasicBlock(Module):
    """relu(x + norm(conv(relu(norm(conv(x)))))), both convolutions 3 × 3."""

    expansion: ClassVar[int] = 1

    def __init__(self, inplanes: int, planes: int, stride: int = 1, dtype: str = "float32") -> None:
        self.conv1, self.bn1 = _conv(inplanes, planes, 3, stride, dtype), BatchNorm2d(planes, dtype=dtype)
        self.conv2, self.bn2 = _conv(planes, planes, 3, 1, dtype), BatchNorm2d(planes, dtype=dtype)
        self.downsample = _shortcut(inplanes, planes, stride, dtype)

    def __call__(self, x: Array) -> Array:
        """See the class."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(Module):
    """As BasicBlock, with a 3 × 3 convolution between two of 1 × 1 that take the channels down and up again."""

    expansion: ClassVar[int] = 4

    def __init__(self, inplanes: int, planes: int, stride: int = 1, dtype: str = "float32") -> None:
        wide = planes * self.expansion
        self.conv1, self.bn1 = _conv(inplanes, planes, 1, 1, dtype), BatchNorm2d(planes, dtype=dtype)
        self.conv2, self.bn2 = _conv(planes, planes, 3, stride, dtype), BatchNorm2d(planes, dtype=dtype)
        self.conv3, self.bn3 = _conv(planes, wide, 1, 1, dtype), BatchNorm2d(wide, dtype=dtype)
        self.downsample = _shortcut(inplanes, wide, stride, dtype)

    def __call__(self, x: Array) -> Array:
        """See the class."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def _shortcut(inputs: int, outputs: int, stride: int, dtype: str) -> Module:
    """x itself, or a projection of it where the shapes differ."""
    if stride == 1 and inputs == outputs:
        return Identity()
    return Sequential(_conv(inputs, outputs, 1, stride, dtype), BatchNorm2d(outputs, dtype=dtype))


class ResNet(Module):
    """He, Zhang, Ren, Sun 2015, Deep residual learning for image recognition; names and shapes are torchvision's.

    layers: how many blocks each stage has; stage k has width · 2ᵏ planes, and halves the image but for the first
    small: for images of 28 to 64 pixels a 3 × 3 stem that keeps the size, in place of 7 × 7 and pooling (section 4.2)
    x: (n, in_channels, h, w)   returns logits (n, num_classes)
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        in_channels: int = 3,
        width: int = 64,
        small: bool = False,
        dtype: str = "float32",
    ) -> None:
        self.conv1 = _conv(in_channels, width, 3 if small else 7, 1 if small else 2, dtype)
        self.bn1 = BatchNorm2d(width, dtype=dtype)
        self.maxpool: Module = Identity() if small else MaxPool2d(3, stride=2, padding=1)
        inplanes, self.stages = width, len(layers)
        for k, blocks in enumerate(layers):
            planes = width * 2**k
            stage = [block(inplanes, planes, 1 if k == 0 else 2, dtype)]
            inplanes = planes * block.expansion
            stage += [block(inplanes, planes, 1, dtype) for _ in range(blocks - 1)]
            setattr(self, f"layer{k + 1}", Sequential(*stage))
        self.avgpool = AdaptiveAvgPool2d(1)
        self.fc = Linear(inplanes, num_classes, dtype=dtype)

    def __call__(self, x: Array) -> Array:
        """The stem, the stages, the mean over each map, and the classes."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        for k in range(self.stages):
            x = getattr(self, f"layer{k + 1}")(x)
        return self.fc(F.flatten(self.avgpool(x), 1))


def resnet18(num_classes: int = 1000, in_channels: int = 3, small: bool = False, dtype: str = "float32") -> ResNet:
    """ResNet-18: 11.7 million parameters for 1000 classes."""
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes, in_channels, small=small, dtype=dtype)


def resnet34(num_classes: int = 1000, in_channels: int = 3, small: bool = False, dtype: str = "float32") -> ResNet:
    """ResNet-34: 21.8 million parameters for 1000 classes."""
    return ResNet(BasicBlock, (3, 4, 6, 3), num_classes, in_channels, small=small, dtype=dtype)


def resnet50(num_classes: int = 1000, in_channels: int = 3, small: bool = False, dtype: str = "float32") -> ResNet:
    """ResNet-50, of bottlenecks: 25.6 million parameters for 1000 classes."""
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes, in_channels, small=small, dtype=dtype)
