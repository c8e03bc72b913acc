"""Where in a sequence something stands: attention does not know, so it is added to the features, or turns them."""

import math

from nnx import functional as F
from nnx import init
from nnx.backend import get_backend
from nnx.layers.module import Module
from nnx.typing import Array

__all__ = ["LearnedPositions", "RotaryPositions", "SinusoidalPositions"]


def _angles(positions: int, pairs: int, base: float, dtype: str) -> tuple[Array, Array]:
    """cos and sin of t / base^(k / pairs), each (positions, pairs)."""
    backend = get_backend()
    xp = backend.xp
    t = xp.arange(positions, dtype=getattr(xp, dtype), device=backend.device)
    k = xp.arange(pairs, dtype=getattr(xp, dtype), device=backend.device)
    angles = xp.reshape(t, (-1, 1)) * xp.exp(k * (-math.log(base) / pairs))
    return xp.cos(angles), xp.sin(angles)


class _Positions(Module):
    """What they share: how many positions there are, and which of them x stands at."""

    max_len: int
    features: int

    def _span(self, x: Array, start: int) -> slice:
        name = type(self).__name__
        if x.ndim < 2 or x.shape[-1] != self.features:
            raise ValueError(f"{name} expects x of shape (..., t, {self.features}), got {tuple(x.shape)}")
        stop = start + x.shape[-2]
        if start < 0 or stop > self.max_len:
            raise ValueError(
                f"{name} knows positions [0, {self.max_len}), got [{start}, {stop}): give it a larger max_len"
            )
        return slice(start, stop)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"{self.features}, max_len={self.max_len}"


class SinusoidalPositions(_Positions):
    """x + p,  p[t, 2k] = sin(t / 10000^(2k/d)),  p[t, 2k+1] = cos(...) (Vaswani et al. 2017, section 3.5).

    x: (..., t, d_model), at positions start, start + 1, ...   returns x's shape. Nothing of it is trained.
    """

    def __init__(self, d_model: int, max_len: int = 5000, dtype: str = "float32") -> None:
        if d_model < 2 or d_model % 2:
            raise ValueError(f"SinusoidalPositions: d_model must be even, got {d_model}")
        self.features, self.max_len = d_model, max_len
        cos, sin = _angles(max_len, d_model // 2, 10000.0, dtype)
        xp = get_backend().xp
        self._table = xp.reshape(xp.stack([sin, cos], axis=-1), (max_len, d_model))

    def __call__(self, x: Array, start: int = 0) -> Array:
        """See the class."""
        return x + self._table[self._span(x, start), :]


class LearnedPositions(_Positions):
    """x + weight[t].   weight: (max_len, d_model) from N(0, 0.02²)   x: (..., t, d_model)   returns x's shape"""

    weight: Array

    def __init__(self, d_model: int, max_len: int, dtype: str = "float32") -> None:
        self.features, self.max_len = d_model, max_len
        self.weight = init.normal((max_len, d_model), std=0.02, dtype=dtype)

    def __call__(self, x: Array, start: int = 0) -> Array:
        """See the class."""
        return x + self.weight[self._span(x, start), :]


class RotaryPositions(_Positions):
    """Queries or keys, each pair (2k, 2k+1) of their features turned by t / base^(2k/d) (Su et al. 2021).

    x: (..., t, dim), one head's features last   returns x's shape   start: the position of the first

    >>> import nnx
    >>> RotaryPositions(4)(nnx.init.ones((2, 3, 4))).shape
    (2, 3, 4)
    """

    def __init__(self, dim: int, max_len: int = 4096, base: float = 10000.0, dtype: str = "float32") -> None:
        if dim < 2 or dim % 2:
            raise ValueError(f"RotaryPositions: dim must be even, got {dim}")
        self.features, self.max_len, self.base = dim, max_len, base
        self._cos, self._sin = _angles(max_len, dim // 2, base, dtype)

    def __call__(self, x: Array, start: int = 0) -> Array:
        """See the class."""
        span = self._span(x, start)
        return F.rotary(x, self._cos[span, :], self._sin[span, :])
