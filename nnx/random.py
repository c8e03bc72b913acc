"""Random numbers that are the same on every backend.

Parameters and shuffles are drawn on the host by NumPy's Philox. Dropout masks are drawn where the array lives, by a
counter-based generator, Threefry-2x32, written on the standard's 32-bit integers (nnx/backend/threefry.py). Nothing is
transferred, and the state is two numbers.
"""

import math
import operator
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nnx.autodiff.checkpoint import scenes
from nnx.autodiff.tape import lift
from nnx.autodiff.var import Var
from nnx.backend import backend_of, get_backend, innermost, kernel, threefry
from nnx.backend.threefry import WORD, threefry2x32
from nnx.typing import Array, Shape

__all__ = [
    "bits",
    "born",
    "get_state",
    "host",
    "keep_mask",
    "normal",
    "permutation",
    "rand_like",
    "randn_like",
    "scope",
    "seed",
    "set_state",
    "threefry2x32",
    "uniform",
]


@dataclass
class State:
    """Where the random numbers of a context stand: the key, how many masks were drawn, and the host's generator."""

    seed: int
    counter: int = 0

    @cached_property
    def host(self) -> "np.random.Generator":
        """NumPy's generator; made at the first draw, as numpy.random takes a while to load."""
        return np.random.Generator(np.random.Philox(self.seed))


_state: ContextVar[State | None] = ContextVar("nnx_random", default=None)
_process = State(int.from_bytes(os.urandom(4)))


def _current() -> State:
    return _state.get() or _process


def seed(value: int) -> None:
    """Start the random numbers of this context anew. value: 0 ≤ value < 2**64; the same one gives the same numbers."""
    value = operator.index(value)
    if not 0 <= value < 2**64:
        raise ValueError(f"seed must be in [0, 2**64), got {value}")
    global _process
    if _state.get() is None:
        _process = State(value)
    else:
        _state.set(State(value))


@contextmanager
def scope(value: int) -> Iterator[None]:
    """Inside of the block random numbers come from a state of their own, seeded with `value`."""
    token = _state.set(State(value))
    try:
        yield
    finally:
        _state.reset(token)


def get_state() -> dict[str, Any]:
    """The state as numbers and lists, for a checkpoint."""
    state = _current()
    host: dict[str, Any] = dict(state.host.bit_generator.state)
    inner = host["state"]
    host["state"] = {key: [int(k) for k in inner[key]] for key in inner}
    host["buffer"] = [int(k) for k in host["buffer"]]
    return {"seed": state.seed, "counter": state.counter, "host": host}


def set_state(state: dict[str, Any]) -> None:
    """Continue where get_state was called."""
    seed(state["seed"])
    current = _current()
    current.counter = state["counter"]
    host = dict(state["host"])
    host["state"] = {key: np.asarray(value, dtype=np.uint64) for key, value in host["state"].items()}
    host["buffer"] = np.asarray(host["buffer"], dtype=np.uint64)
    current.host.bit_generator.state = host


def _noted() -> Callable[[], AbstractContextManager[None]]:
    """For nnx.checkpoint: a block in which the random numbers are drawn once more that come next now."""
    now = _current()
    host = now.host.bit_generator.state if "host" in vars(now) else None

    @contextmanager
    def again() -> Iterator[None]:
        state = State(now_seed, counter)
        if host is not None:
            state.host.bit_generator.state = host
        token = _state.set(state)
        try:
            yield
        finally:
            _state.reset(token)

    now_seed, counter = now.seed, now.counter
    return again


scenes.append(_noted)


# ---- on the host -----------------------------------------------------------------------------------------------------


def uniform(shape: Shape, low: float = 0.0, high: float = 1.0, dtype: str = "float32") -> Array:
    """Independent draws from U(low, high), on the active backend. The same bits on every backend."""
    return born(host().uniform(low, high, shape), dtype)


def normal(shape: Shape, mean: float = 0.0, std: float = 1.0, dtype: str = "float32") -> Array:
    """Independent draws from N(mean, std²), on the active backend. The same bits on every backend."""
    return born(host().normal(mean, std, shape), dtype)


def host() -> "np.random.Generator":
    """NumPy's generator of the context: whatever is drawn on the host comes from it."""
    state = _current()
    if type(state.counter) is not int:
        raise RuntimeError(
            "a draw on the host in a compiled step would be the same at every step: use nnx.random.rand_like or "
            "randn_like, which draw on the device, or draw outside of the step and pass the array"
        )
    return state.host


def born(draws: Any, dtype: str) -> Array:
    """What was drawn on the host, rounded to a dtype, as an array of the active backend."""
    # rounded here, and not where there may be no float64; what NumPy has no name for (bfloat16) comes from float32
    known = dtype if dtype in ("float16", "float32", "float64") else "float32"
    return get_backend().asarray(np.asarray(draws, known), dtype)


def permutation(n: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The numbers 0 to n - 1 in random order, in host memory."""
    return host().permutation(n)


# ---- where the array lives -------------------------------------------------------------------------------------------


def bits(n: int, like: Array) -> Array:
    """n words of 32 random bits, on the device of `like`; the next call gives others."""
    like = innermost(like)
    state = _current()
    key, draw = (state.seed & WORD, state.seed >> 32), getattr(state.counter, "array", state.counter)
    state.counter += 1
    own = kernel("words", like)
    if own is not None:
        return own(n, key, draw, like)
    library = backend_of(like)
    xp, dtype = library.namespace(), library.counter
    return threefry.words(xp, getattr(xp, dtype), n, key, draw, like.device, signed=dtype == "int32")


def keep_mask(shape: Shape, keep: float, like: Array) -> Array:
    """True with probability `keep`, independently; the same mask on every backend.

    The upper 24 bits of each word are compared as integers, so that no rounding can differ.
    """
    n = 1
    for k in shape:
        n *= k
    xp = backend_of(like).namespace()
    upper = (bits(n, like) >> 8) & 0xFFFFFF
    return xp.reshape(upper < round(keep * 2**24), shape)


def rand_like(x: Array) -> Array:
    """Independent draws from U[0, 1) of x's shape, dtype and device, a constant; the same bits on every backend."""
    return _shaped(_fractions(innermost(x)), x)


def randn_like(x: Array) -> Array:
    """Independent draws from N(0, 1) of x's shape, dtype and device, a constant (Box and Muller 1958)."""
    like = innermost(x)
    xp = backend_of(like).namespace()
    radius = xp.sqrt(-2.0 * xp.log(1.0 - _fractions(like)))
    return _shaped(radius * xp.cos(2.0 * math.pi * _fractions(like)), x)


def _fractions(like: Array) -> Array:
    """As many numbers in [0, 1) as the array has elements: the upper 24 bits of as many words."""
    upper = (bits(math.prod(like.shape), like) >> 8) & 0xFFFFFF
    return backend_of(like).namespace().astype(upper, like.dtype) * 2.0**-24


def _shaped(draws: Array, x: Array) -> Array:
    """In x's shape, and boxed as x is: a plain array and a watched one do not meet on every library."""
    draws = backend_of(draws).namespace().reshape(draws, tuple(x.shape))
    return lift(draws) if type(x) is Var else draws
