"""Functions that only change the shape."""

import math

from nnx.backend import namespace
from nnx.typing import Array

__all__ = ["flatten"]


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
