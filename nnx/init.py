"""Initialisers: how large the first weights are, by PyTorch's names (without the underscore, as they return an array).

A weight has the shape (out, in, *kernel). Its fan in is in × kernel, its fan out is out × kernel. All numbers are drawn
and computed on the host (nnx.random): the same seed gives the same bits on every backend.
"""

import math
from typing import Any, Literal

import numpy as np

from nnx import random
from nnx.backend import get_backend
from nnx.typing import Array, Shape

__all__ = [
    "calculate_gain",
    "constant",
    "dirac",
    "eye",
    "fans",
    "kaiming_normal",
    "kaiming_uniform",
    "normal",
    "ones",
    "orthogonal",
    "sparse",
    "trunc_normal",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]

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


def trunc_normal(
    shape: Shape, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, dtype: str = "float32"
) -> Array:
    """N(mean, std²) inside of [a, b]: what is drawn outside of it is drawn anew. a, b: not in units of std."""
    if not std > 0.0 or not a < b:
        raise ValueError(f"trunc_normal: std must be > 0 and a < b, got std {std}, a {a}, b {b}")
    host, n = random.host(), math.prod(shape)
    inside = _below((b - mean) / std) - _below((a - mean) / std)
    draw = _from_normal(mean, std, a, b) if inside > 0.3 else _from_uniform(mean, std, a, b)
    found = np.empty(n)
    missing = np.arange(n)
    while len(missing):
        x, accepted = draw(host, len(missing))
        found[missing[accepted]] = x[accepted]
        missing = missing[~accepted]
    return random.born(found.reshape(shape), dtype)


def _below(z: float) -> float:
    """The normal distribution's share below z."""
    return 0.5 * (1.0 + math.erf(z / math.sqrt(2.0)))


def _from_normal(mean: float, std: float, a: float, b: float) -> Any:
    def draw(host: "np.random.Generator", n: int) -> tuple[Any, Any]:
        x = host.normal(mean, std, n)
        return x, (x >= a) & (x <= b)

    return draw


def _from_uniform(mean: float, std: float, a: float, b: float) -> Any:
    """For an interval that holds little of the distribution: evenly, accepted with the density over its peak."""
    peak = ((min(max(mean, a), b) - mean) / std) ** 2
    reach = std * math.sqrt(peak + 80.0)  # beyond it is less than e⁻⁴⁰ of the peak, which no uniform number is below
    low, high = max(a, mean - reach), min(b, mean + reach)

    def draw(host: "np.random.Generator", n: int) -> tuple[Any, Any]:
        x = host.uniform(low, high, n)
        return x, host.uniform(0.0, 1.0, n) < np.exp((peak - ((x - mean) / std) ** 2) / 2.0)

    return draw


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


def eye(shape: Shape, dtype: str = "float32") -> Array:
    """The identity, (out, in): as many inputs as there is room for are passed on."""
    if len(shape) != 2:
        raise ValueError(f"eye needs a shape of two dimensions (out, in), got {shape}")
    return random.born(np.eye(*shape), dtype)


def dirac(shape: Shape, groups: int = 1, dtype: str = "float32") -> Array:
    """The identity of a convolution, (out, in, *kernel): 1 in the middle of channel d's kernel for channel d.

    groups: of the output's channels, each of which passes the inputs on anew
    """
    if len(shape) not in (3, 4, 5):
        raise ValueError(f"dirac needs a shape (out, in, *kernel) of 3, 4 or 5 dimensions, got {shape}")
    if groups < 1 or shape[0] % groups:
        raise ValueError(f"dirac: {shape[0]} output channels cannot be divided into {groups} groups")
    own, kernel = shape[0] // groups, shape[2:]
    x = np.zeros((groups, own, shape[1], math.prod(kernel)))
    d = np.arange(min(own, shape[1]))
    x[:, d, d, np.ravel_multi_index([k // 2 for k in kernel], kernel)] = 1.0
    return random.born(x.reshape(shape), dtype)


def orthogonal(shape: Shape, gain: float = 1.0, dtype: str = "float32") -> Array:
    """gain Q, of the shape (out, in × kernel) as a matrix: Q Qᵀ = 1 or, if it has more rows than columns, Qᵀ Q = 1.

    Evenly from all such matrices: QR of normal numbers, R's diagonal made positive (Saxe et al. 2014; Mezzadri 2007).
    """
    if len(shape) < 2:
        raise ValueError(f"orthogonal needs a shape of at least two dimensions, got {shape}")
    rows, columns = shape[0], math.prod(shape[1:])
    x = random.host().normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(x)
    q = q * np.sign(np.diagonal(r))
    return random.born((gain * (q.T if rows < columns else q)).reshape(shape), dtype)


def sparse(shape: Shape, sparsity: float, std: float = 0.01, dtype: str = "float32") -> Array:
    """N(0, std²), and 0 at ⌈sparsity · out⌉ places of every column (Martens 2010). shape: (out, in)"""
    if len(shape) != 2:
        raise ValueError(f"sparse needs a shape of two dimensions (out, in), got {shape}")
    if not 0.0 <= sparsity <= 1.0:
        raise ValueError(f"sparse: sparsity must be in [0, 1], got {sparsity}")
    host = random.host()
    x = host.normal(0.0, std, shape)
    order = np.argsort(host.uniform(size=shape), axis=0)
    np.put_along_axis(x, order[: math.ceil(sparsity * shape[0])], 0.0, axis=0)
    return random.born(x, dtype)
