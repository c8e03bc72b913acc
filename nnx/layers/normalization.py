"""Normalisation of each sample by itself, alike in training and evaluation."""

from collections.abc import Sequence

from nnx import functional as F
from nnx import init
from nnx.layers.module import Module
from nnx.typing import Array

__all__ = ["GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]


class LayerNorm(Module):
    """(x - μ) / √(σ² + ε) · w + b over the last axes of each sample (Ba et al. 2016).

    x: (..., *normalized_shape)   returns x's shape   weight, bias: normalized_shape, ones and zeros at first
    """

    weight: Array | None
    bias: Array | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: str = "float32",
    ) -> None:
        self.normalized_shape, self.eps, self.elementwise_affine = _shape(normalized_shape), eps, elementwise_affine
        self.weight = init.ones(self.normalized_shape, dtype) if elementwise_affine else None
        self.bias = init.zeros(self.normalized_shape, dtype) if elementwise_affine and bias else None

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.layer_norm."""
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class RMSNorm(Module):
    """x / √(mean(x²) + ε) · w over the last axes of each sample (Zhang and Sennrich 2019).

    x: (..., *normalized_shape)   returns x's shape   weight: normalized_shape, ones at first
    eps: None for the spacing of x's numbers at 1
    """

    weight: Array | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        dtype: str = "float32",
    ) -> None:
        self.normalized_shape, self.eps, self.elementwise_affine = _shape(normalized_shape), eps, elementwise_affine
        self.weight = init.ones(self.normalized_shape, dtype) if elementwise_affine else None

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.rms_norm."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


def _shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    return (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)


class GroupNorm(Module):
    """(x - μ) / √(σ² + ε) · w + b over each of num_groups groups of a sample's channels (Wu and He 2018).

    x: (n, num_channels, ...)   returns x's shape   weight, bias: (num_channels,), ones and zeros at first
    """

    weight: Array | None
    bias: Array | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        dtype: str = "float32",
        *,
        bias: bool = True,
    ) -> None:
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.weight = init.ones((num_channels,), dtype) if affine else None
        self.bias = init.zeros((num_channels,), dtype) if affine and bias else None

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.group_norm."""
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class LocalResponseNorm(Module):
    """x / (k + α/size Σ x²)^β, the sum over `size` neighbouring channels (Krizhevsky et al. 2012, section 3.3).

    x: (n, c, ...), at least three axes   returns x's shape
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.local_response_norm."""
        return F.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
