"""Random choices, one a sample, made where the batch lives; whole numbers all of them, so that no rounding can differ.

What is chosen from (sizes of boxes, quantiles of a distribution) is a table that is made once for each device.
"""

from collections.abc import Callable
from typing import Any

from nnx.backend import backend_of, device_of, innermost, lasts
from nnx.random import bits, keep_mask
from nnx.typing import Array

__all__ = ["chances", "held", "index_like", "integers", "per_sample"]

MOST = 1 << 17


def chances(n: int, p: float, like: Array) -> Array:
    """(n,) bool, True with probability p."""
    return keep_mask((n,), p, like)


def integers(n: int, high: Any, like: Array) -> Array:
    """(n,) integers, uniform in [0, high).

    high: an int or (n,) integers, 0 < high < 2**17. floor(m high / 2**24) for m of 24 random bits, in two steps, as a
    product of 24 bits and more has no place in 32.
    """
    if isinstance(high, int) and not 0 < high < MOST:
        raise ValueError(f"expected a range from 1 to {MOST - 1}, got {high}")
    xp = backend_of(like).namespace()
    m = index_like(like, (bits(n, innermost(like)) >> 8) & 0xFFFFFF)
    found = ((m >> 12) * high + (((m & 0xFFF) * high) >> 12)) >> 12
    return xp.astype(found, m.dtype)


def index_like(like: Array, numbers: Array) -> Array:
    """Whole numbers in the dtype that the library counts in (64 bits, where it has them)."""
    xp = backend_of(like).namespace()
    return xp.astype(numbers, xp.arange(0, device=device_of(like)).dtype)


def per_sample(numbers: Array, ndim: int) -> Array:
    """(n,) as (n, 1, ..., 1)."""
    return backend_of(numbers).namespace().reshape(numbers, (-1, *(1,) * (ndim - 1)))


def held(key: Any, make: Callable[[], Any], like: Array, dtype: Any = None) -> Array:
    """An array of constants beside `like`: what make() gives (nested lists of numbers), made once for each device."""
    device = device_of(like)
    place = backend_of(like), str(device), str(dtype), key
    found = _HELD.get(place)
    if found is None:
        found = backend_of(like).namespace().asarray(make(), dtype=dtype, device=device)
        if lasts(found):  # else it belongs to a compiler's trace
            if len(_HELD) >= 64:
                _HELD.pop(next(iter(_HELD)), None)
            _HELD[place] = found
    return found


_HELD: dict[Any, Array] = {}
