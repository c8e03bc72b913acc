"""Layers of two inputs: the bilinear form, and measures of how far two vectors are apart."""

import math

from nnx import functional as F
from nnx import init
from nnx.layers.module import Module
from nnx.typing import Array

__all__ = ["Bilinear", "CosineSimilarity", "PairwiseDistance"]


class Bilinear(Module):
    """y_o = x₁ᵀ W_o x₂ + b_o.

    weight: (out_features, in1_features, in2_features) and bias: (out_features,), from U(-k, k) with k = 1/√in1_features
    x1: (..., in1_features)   x2: (..., in2_features)   returns (..., out_features)
    """

    weight: Array
    bias: Array | None

    def __init__(
        self, in1_features: int, in2_features: int, out_features: int, bias: bool = True, dtype: str = "float32"
    ) -> None:
        if min(in1_features, in2_features, out_features) < 1:
            raise ValueError(
                f"Bilinear({in1_features}, {in2_features}, {out_features}): all three sizes must be at least 1"
            )
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        bound = 1.0 / math.sqrt(in1_features)
        self.weight = init.uniform((out_features, in1_features, in2_features), -bound, bound, dtype)
        self.bias = init.uniform((out_features,), -bound, bound, dtype) if bias else None

    def __call__(self, x1: Array, x2: Array) -> Array:
        """See nnx.functional.bilinear."""
        return F.bilinear(x1, x2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"{self.in1_features}, {self.in2_features}, {self.out_features}, bias={self.bias is not None}"


class CosineSimilarity(Module):
    """x₁ · x₂ / (max(‖x₁‖, ε) max(‖x₂‖, ε)) along the axis dim.

    x1, x2: shapes that broadcast   returns theirs without the axis dim
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        self.dim, self.eps = dim, eps

    def __call__(self, x1: Array, x2: Array) -> Array:
        """See nnx.functional.cosine_similarity."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"dim={self.dim}, eps={self.eps}"


class PairwiseDistance(Module):
    """‖x₁ - x₂ + ε‖ₚ along the last axis.

    x1, x2: (..., d), shapes that broadcast   returns (...), or (..., 1) if keepdim
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        self.p, self.eps, self.keepdim = p, eps, keepdim

    def __call__(self, x1: Array, x2: Array) -> Array:
        """See nnx.functional.pairwise_distance."""
        return F.pairwise_distance(x1, x2, self.p, self.eps, self.keepdim)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"p={self.p}, eps={self.eps}, keepdim={self.keepdim}"
