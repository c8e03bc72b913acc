"""Activations as layers: they hold options, the functions of `nnx.functional` hold the math."""

from nnx import functional as F
from nnx.layers.module import Module
from nnx.typing import Array


class ReLU(Module):
    """max(x, 0)."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.relu."""
        return F.relu(x)


class Sigmoid(Module):
    """1 / (1 + e⁻ˣ)."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.sigmoid."""
        return F.sigmoid(x)


class Tanh(Module):
    """tanh x."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.tanh."""
        return F.tanh(x)


class GELU(Module):
    """x Φ(x). approximate: "none" or "tanh"."""

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.gelu."""
        return F.gelu(x, self.approximate)


class Softmax(Module):
    """eˣ / Σ eˣ along the axis dim."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.softmax."""
        return F.softmax(x, self.dim)


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
