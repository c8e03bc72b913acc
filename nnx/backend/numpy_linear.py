"""The fully connected layer of large arrays on NumPy: the bias is added in place, not into a second array."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.typing import Array


def affine(x: Array, weight: Array, bias: Array | None) -> Array:
    """x weightᵀ + b of rows (n, i) and weight (o, i)."""
    y = np.matmul(x, weight.T)
    if bias is None:
        return y
    return np.add(y, bias, out=y) if np.result_type(y, bias) == y.dtype else y + bias


KERNELS: dict[str, Callable[..., Any]] = {"affine": affine}
