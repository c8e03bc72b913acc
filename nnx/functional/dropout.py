"""Dropout: some activations are set to zero, so that no unit can rely on any other (Srivastava et al. 2014)."""

from nnx.backend import namespace
from nnx.random import keep_mask
from nnx.typing import Array

__all__ = ["dropout"]


def dropout(x: Array, p: float = 0.5, training: bool = True) -> Array:
    """x · mask / (1 - p): each entry is dropped with probability p, the others grow so that the mean stays.

    p: in [0, 1]   training: if false, x is returned as it is
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout's p is a probability in [0, 1], got {p}")
    if not training or p == 0.0:
        return x
    xp = namespace(x)
    mask = keep_mask(tuple(x.shape), 1.0 - p, like=x)
    return x * (xp.astype(mask, x.dtype) * (1.0 / (1.0 - p) if p < 1.0 else 0.0))
