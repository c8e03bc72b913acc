"""Fully connected layers."""

import math
from collections.abc import Sequence

from nnx import functional as F
from nnx import init
from nnx.layers.module import Module
from nnx.typing import Array

__all__ = ["Flatten", "Linear", "Unflatten"]


class Linear(Module):
    """z = x Wᵀ + b.

    weight: (out_features, in_features) and bias: (out_features,), both from U(-k, k) with k = 1/√in_features
    x: (..., in_features)   returns (..., out_features)

    >>> import nnx
    >>> Linear(3, 2)(nnx.asarray([[1.0, 2.0, 3.0]], "float32")).shape
    (1, 2)
    """

    weight: Array
    bias: Array | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: str = "float32") -> None:
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Linear({in_features}, {out_features}): both sizes must be at least 1")
        self.in_features, self.out_features = in_features, out_features
        self.weight = init.kaiming_uniform((out_features, in_features), a=math.sqrt(5.0), dtype=dtype)
        bound = 1.0 / math.sqrt(in_features)
        self.bias = init.uniform((out_features,), -bound, bound, dtype) if bias else None

    def __call__(self, x: Array) -> Array:
        """x Wᵀ + b."""
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


class Flatten(Module):
    """Axes start_dim to end_dim made one: (n, c, h, w) becomes (n, c·h·w)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def __call__(self, x: Array) -> Array:
        """See the class."""
        return F.flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """The axis dim made several: (n, c·h·w) becomes (n, c, h, w). One of the sizes may be -1."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.unflatten."""
        return F.unflatten(x, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
