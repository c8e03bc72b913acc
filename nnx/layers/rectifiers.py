"""ReLU and its relatives as layers."""

from nnx import functional as F
from nnx.init import constant
from nnx.layers.activations import Activation
from nnx.typing import Array

__all__ = [
    "CELU",
    "ELU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "Softshrink",
    "Threshold",
]


class ReLU(Activation):
    """max(x, 0)."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.relu."""
        return F.relu(x)


class LeakyReLU(Activation):
    """x for x > 0, else negative_slope · x."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        self.negative_slope = negative_slope

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.leaky_relu."""
        return F.leaky_relu(x, self.negative_slope)


class PReLU(Activation):
    """x for x > 0, else weight · x, the slope being learnt.

    num_parameters: one slope for all, or one a channel (axis 1)   weight: (num_parameters,), init at the start
    """

    weight: Array

    def __init__(self, num_parameters: int = 1, init: float = 0.25, dtype: str = "float32") -> None:
        self.weight = constant((num_parameters,), init, dtype)

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.prelu."""
        return F.prelu(x, self.weight)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"num_parameters={self.weight.shape[0]}"


class RReLU(Activation):
    """x for x > 0, else r · x, r drawn from U(lower, upper) in training; their mean in evaluation."""

    def __init__(self, lower: float = 1.0 / 8.0, upper: float = 1.0 / 3.0, inplace: bool = False) -> None:
        self.lower, self.upper = lower, upper

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.rrelu."""
        return F.rrelu(x, self.lower, self.upper, self.training)


class ReLU6(Activation):
    """min(max(x, 0), 6)."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.relu6."""
        return F.relu6(x)


class ELU(Activation):
    """x for x > 0, else α (eˣ - 1)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.elu."""
        return F.elu(x, self.alpha)


class CELU(Activation):
    """x for x > 0, else α (e^(x/α) - 1)."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.celu."""
        return F.celu(x, self.alpha)


class SELU(Activation):
    """λ x for x > 0, else λ α (eˣ - 1)."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.selu."""
        return F.selu(x)


class Threshold(Activation):
    """x for x > threshold, else value."""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self.threshold, self.value = threshold, value

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.threshold."""
        return F.threshold(x, self.threshold, self.value)


class Hardtanh(Activation):
    """x, held between min_val and max_val."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        self.min_val, self.max_val = min_val, max_val

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.hardtanh."""
        return F.hardtanh(x, self.min_val, self.max_val)


class Hardsigmoid(Activation):
    """min(max(x + 3, 0), 6) / 6."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.hardsigmoid."""
        return F.hardsigmoid(x)


class Hardswish(Activation):
    """x · hardsigmoid(x)."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.hardswish."""
        return F.hardswish(x)


class Hardshrink(Activation):
    """x outside of [-λ, λ], else 0."""

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.hardshrink."""
        return F.hardshrink(x, self.lambd)


class Softshrink(Activation):
    """x moved towards 0 by λ, and 0 inside of [-λ, λ]."""

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.softshrink."""
        return F.softshrink(x, self.lambd)
