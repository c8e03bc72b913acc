"""Initialisers: how large the first weights are, by PyTorch's names (without the underscore, as they return an array).

A weight has the shape (out, in, *kernel). Its fan in is in × kernel, its fan out is out × kernel.
"""

import math
from typing import Literal

from nnx import random
from nnx.backend import get_backend
from nnx.typing import Array, Shape

FanMode = Literal["fan_in", "fan_out"]

GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4.0,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance of a signal through this nonlinearity.

    param: the negative slope of leaky_relu (0.01)

    >>> calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1.0 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in GAINS:
        raise ValueError(f"unknown nonlinearity '{nonlinearity}': one of {', '.join([*GAINS, 'leaky_relu'])}")
    return GAINS[nonlinearity]


def fans(shape: Shape) -> tuple[int, int]:
    """Fan in and fan out of a weight of that shape.

    >>> fans((6, 3, 5, 5))
    (75, 150)
    """
    if len(shape) < 2:
        raise ValueError(f"a weight of shape {shape} has no fan in and fan out: it needs at least two dimensions")
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def _fan(shape: Shape, mode: FanMode) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', got '{mode}'")
    return fans(shape)[mode == "fan_out"]


def uniform(shape: Shape, a: float = 0.0, b: float = 1.0, dtype: str = "float32") -> Array:
    """U(a, b)."""
    return random.uniform(shape, a, b, dtype)


def normal(shape: Shape, mean: float = 0.0, std: float = 1.0, dtype: str = "float32") -> Array:
    """N(mean, std²)."""
    return random.normal(shape, mean, std, dtype)


def constant(shape: Shape, val: float, dtype: str = "float32") -> Array:
    """val everywhere."""
    backend = get_backend()
    return backend.xp.full(shape, val, dtype=getattr(backend.xp, dtype), device=backend.device)


def zeros(shape: Shape, dtype: str = "float32") -> Array:
    """0 everywhere."""
    return constant(shape, 0.0, dtype)


def ones(shape: Shape, dtype: str = "float32") -> Array:
    """1 everywhere."""
    return constant(shape, 1.0, dtype)


def xavier_uniform(shape: Shape, gain: float = 1.0, dtype: str = "float32") -> Array:
    """U(-b, b), b = gain √(6 / (fan in + fan out)) (Glorot and Bengio 2010)."""
    bound = gain * math.sqrt(6.0 / sum(fans(shape)))
    return random.uniform(shape, -bound, bound, dtype)


def xavier_normal(shape: Shape, gain: float = 1.0, dtype: str = "float32") -> Array:
    """N(0, s²), s = gain √(2 / (fan in + fan out)) (Glorot and Bengio 2010)."""
    return random.normal(shape, 0.0, gain * math.sqrt(2.0 / sum(fans(shape))), dtype)


def kaiming_uniform(
    shape: Shape, a: float = 0.0, mode: FanMode = "fan_in", nonlinearity: str = "leaky_relu", dtype: str = "float32"
) -> Array:
    """U(-b, b), b = gain √(3 / fan) (He et al. 2015). a: the negative slope, if the nonlinearity is leaky_relu."""
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / _fan(shape, mode))
    return random.uniform(shape, -bound, bound, dtype)


def kaiming_normal(
    shape: Shape, a: float = 0.0, mode: FanMode = "fan_in", nonlinearity: str = "leaky_relu", dtype: str = "float32"
) -> Array:
    """N(0, s²), s = gain / √fan (He et al. 2015). a: the negative slope, if the nonlinearity is leaky_relu."""
    return random.normal(shape, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(shape, mode)), dtype)
