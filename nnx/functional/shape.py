"""Functions that only change the shape."""

import math
from collections.abc import Sequence

from nnx.backend import namespace
from nnx.typing import Array

__all__ = ["flatten", "unflatten"]


def flatten(x: Array, start_dim: int = 0, end_dim: int = -1) -> Array:
    """Axes start_dim to end_dim made one.

    >>> import numpy as np
    >>> flatten(np.ones((2, 3, 4)), 1).shape
    (2, 12)
    """
    ndim = x.ndim
    first, last = start_dim + ndim * (start_dim < 0), end_dim + ndim * (end_dim < 0)
    if not 0 <= first <= last < ndim:
        raise ValueError(
            f"flatten({start_dim}, {end_dim}) of shape {tuple(x.shape)}: the axes must be in order and exist"
        )
    shape = tuple(x.shape)
    # -1 for the first axis: a trace may not know how many samples there are
    merged = math.prod(shape[first : last + 1]) if first else -1
    if first == last:
        return x
    lead = (-1, *shape[1:first]) if first and math.prod(shape[first:]) else shape[:first]
    return namespace(x).reshape(x, (*lead, merged, *shape[last + 1 :]))


def unflatten(x: Array, dim: int, sizes: Sequence[int]) -> Array:
    """One axis made several: (n, c·h·w) becomes (n, c, h, w). One of the sizes may be -1.

    Raises ValueError unless the sizes make up the axis.

    >>> import numpy as np
    >>> unflatten(np.ones((2, 12)), 1, (3, -1)).shape
    (2, 3, 4)
    """
    sizes, ndim = tuple(sizes), x.ndim
    if not -ndim <= dim < ndim:
        raise ValueError(f"unflatten: x of shape {tuple(x.shape)} has no axis {dim}")
    at = dim % ndim
    length, rest = x.shape[at], math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) == 1 and rest and length % rest == 0:
        sizes = tuple(length // rest if size == -1 else size for size in sizes)
    if not sizes or any(size < 0 for size in sizes) or math.prod(sizes) != length:
        raise ValueError(f"unflatten: sizes {sizes} do not make up axis {dim} of x {tuple(x.shape)}, {length} long")
    return namespace(x).reshape(x, (*x.shape[:at], *sizes, *x.shape[at + 1 :]))
