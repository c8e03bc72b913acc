"""Dropout as a layer."""

from nnx import functional as F
from nnx.layers.module import Module
from nnx.typing import Array

__all__ = ["Dropout"]


class Dropout(Module):
    """In training each entry is set to zero with probability p and the others divided by 1 - p."""

    def __init__(self, p: float = 0.5) -> None:
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"Dropout's p is a probability in [0, 1], got {p}")
        self.p = p

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.dropout."""
        return F.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"p={self.p}"
