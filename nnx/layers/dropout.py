"""Dropout as layers: of single entries, of whole channels, and for selu."""

from nnx import functional as F
from nnx.layers.module import Module
from nnx.typing import Array

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class Dropout(Module):
    """In training each entry is set to zero with probability p and the others divided by 1 - p.

    inplace: taken for PyTorch's sake, and without effect: no array is changed in place
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"{type(self).__name__}'s p is a probability in [0, 1], got {p}")
        self.p = p

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.dropout."""
        return F.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"p={self.p}"


class Dropout1d(Dropout):
    """In training each channel of (n, c, l) or (c, l) is set to zero with probability p; the others grow."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.dropout1d."""
        return F.dropout1d(x, self.p, self.training)


class Dropout2d(Dropout):
    """In training each channel of (n, c, h, w) or (n, c, l) is set to zero with probability p; the others grow."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.dropout2d."""
        return F.dropout2d(x, self.p, self.training)


class Dropout3d(Dropout):
    """In training each channel of (n, c, d, h, w) or (c, ...) is set to zero with probability p; the others grow."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.dropout3d."""
        return F.dropout3d(x, self.p, self.training)


class AlphaDropout(Dropout):
    """Dropout for selu: in training an entry is set to selu's limit on the left, and mean and variance stay."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.alpha_dropout."""
        return F.alpha_dropout(x, self.p, self.training)


class FeatureAlphaDropout(Dropout):
    """AlphaDropout of whole channels of (n, c, ...)."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.feature_alpha_dropout."""
        return F.feature_alpha_dropout(x, self.p, self.training)
