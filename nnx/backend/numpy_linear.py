"""Products of large arrays in NumPy's memory that is used again, with the bias added in place."""

from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.backend import numpy_memory
from nnx.typing import Array


def affine(x: Array, weight: Array, bias: Array | None) -> Array | None:
    """x weightᵀ + b of rows (n, i) and weight (o, i); None for mixed dtypes."""
    if x.dtype != weight.dtype or (bias is not None and bias.dtype != x.dtype):
        return None
    y = np.matmul(x, weight.T, out=numpy_memory.empty((len(x), len(weight)), x.dtype))
    if bias is not None:
        y += bias
    return y


KERNELS: dict[str, Callable[..., Any]] = {"affine": affine}
