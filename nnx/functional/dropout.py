"""Dropout: some activations are set to zero, so that no unit can rely on any other (Srivastava et al. 2014)."""

import math

from nnx.backend import innermost, namespace
from nnx.fusion import Fused
from nnx.random import bits, keep_mask
from nnx.typing import Array, Shape

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]

# of selu: where a unit that is very much off ends up, -λ α
OFF = -1.7580993408473766


def dropout(x: Array, p: float = 0.5, training: bool = True) -> Array:
    """x · mask / (1 - p): each entry is dropped with probability p, the others grow so that the mean stays.

    p: in [0, 1]   training: if false, x is returned as it is
    """
    return _dropped("dropout", x, tuple(x.shape), p, training)


def dropout1d(x: Array, p: float = 0.5, training: bool = True) -> Array:
    """Dropout of whole channels: neighbours along a line tell of each other (Tompson et al. 2015).

    x: (n, c, l) or (c, l)   returns x's shape
    """
    return _dropped("dropout1d", x, _channels("dropout1d", x, {2: 1, 3: 2}), p, training)


def dropout2d(x: Array, p: float = 0.5, training: bool = True) -> Array:
    """Dropout of whole channels of images.

    x: (n, c, h, w), or (n, c, l) as in PyTorch, whose images without a batch are not told from lines
    """
    return _dropped("dropout2d", x, _channels("dropout2d", x, {3: 2, 4: 2}), p, training)


def dropout3d(x: Array, p: float = 0.5, training: bool = True) -> Array:
    """Dropout of whole channels of volumes.

    x: (n, c, d, h, w) or (c, d, h, w)   returns x's shape
    """
    return _dropped("dropout3d", x, _channels("dropout3d", x, {4: 1, 5: 2}), p, training)


def alpha_dropout(x: Array, p: float = 0.5, training: bool = False) -> Array:
    """Dropout for selu: an entry is set to its limit on the left, and mean and variance stay (Klambauer et al. 2017).

    a (x mask + α′ (1 - mask)) + b with α′ = -1.758, a = 1 / √((1 - p) (1 + p α′²)) and b = -a p α′
    """
    return _alpha_dropped("alpha_dropout", x, tuple(x.shape), p, training)


def feature_alpha_dropout(x: Array, p: float = 0.5, training: bool = False) -> Array:
    """alpha_dropout of whole channels.

    x: (n, c, ...)   returns x's shape
    """
    known = dict.fromkeys(range(2, x.ndim + 1), 2)
    return _alpha_dropped("feature_alpha_dropout", x, _channels("feature_alpha_dropout", x, known), p, training)


def _dropped(name: str, x: Array, places: Shape, p: float, training: bool) -> Array:
    """x times a mask of the shape `places`, and 1 / (1 - p)."""
    _check_probability(name, p)
    if not training or p == 0.0:
        return x
    words = namespace(innermost(x)).reshape(bits(math.prod(places), like=x), places)
    return _masked(x, words, round((1.0 - p) * 2**24), 1.0 / (1.0 - p) if p < 1.0 else 0.0)


def _mask_of_words(x: Array, words: Array, bound: int, scale: float) -> Array:
    """x, scaled, where the upper 24 bits of a random word are below the bound (see nnx.random.keep_mask)."""
    keep = ((words >> 8) & 0xFFFFFF) < bound
    return x * (namespace(x).astype(keep, x.dtype) * scale)


_masked = Fused(_mask_of_words, one_record=True)


def _alpha_dropped(name: str, x: Array, places: Shape, p: float, training: bool) -> Array:
    _check_probability(name, p)
    if not training or p == 0.0:
        return x
    if p == 1.0:
        return x * 0.0
    a = 1.0 / math.sqrt((1.0 - p) * (1.0 + p * OFF * OFF))
    mask = namespace(x).astype(keep_mask(places, 1.0 - p, like=x), x.dtype)
    return x * (mask * a) + ((1.0 - mask) * (OFF * a) - OFF * a * p)


def _check_probability(name: str, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name}'s p is a probability in [0, 1], got {p}")


def _channels(name: str, x: Array, known: dict[int, int]) -> Shape:
    """The shape of one number a channel. known: by the axes that x may have, how many of them come before the rest"""
    if x.ndim not in known:
        raise ValueError(
            f"{name} expected x of {' or '.join(map(str, known)) or '2 or more'} axes, got {tuple(x.shape)}"
        )
    kept = known[x.ndim]
    return (*x.shape[:kept], *(1,) * (x.ndim - kept))
