"""LeNet-5: two convolutions, each followed by pooling, and three fully connected layers."""

from nnx import functional as F
from nnx.layers import Conv2d, Linear, Module
from nnx.typing import Array

__all__ = ["LeNet5"]


class LeNet5(Module):
    """LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition, fig. 2.

    As it is taught today: ReLU and max pooling in place of scaled tanh and trained averages, full connections.
    x: (n, in_channels, 28, 28)   returns logits (n, num_classes)
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1, dtype: str = "float32") -> None:
        self.conv1 = Conv2d(in_channels, 6, 5, padding=2, dtype=dtype)
        self.conv2 = Conv2d(6, 16, 5, dtype=dtype)
        self.fc1 = Linear(16 * 5 * 5, 120, dtype=dtype)
        self.fc2 = Linear(120, 84, dtype=dtype)
        self.fc3 = Linear(84, num_classes, dtype=dtype)

    def __call__(self, x: Array) -> Array:
        """28 × 28 → 6 maps of 14 × 14 → 16 maps of 5 × 5 → 120 → 84 → the classes."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(F.flatten(x, 1)))
        return self.fc3(F.relu(self.fc2(x)))
