"""Random numbers that are the same on every backend.

Parameters and shuffles are drawn on the host by NumPy's Philox. Dropout masks are drawn where the array lives, by a
counter-based generator: Threefry-2x32 of 20 rounds (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
1, 2, 3", SC 2011) written on the standard's 32-bit integers. Nothing is transferred, and the state is two numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnx.backend import backend_of, get_backend, innermost
from nnx.typing import Array, Namespace, Shape

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
WORD = 0xFFFFFFFF


@dataclass
class State:
    """Where the random numbers of a context stand: the key, how many masks were drawn, and the host's generator."""

    seed: int
    counter: int = 0
    host: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.host = np.random.Generator(np.random.Philox(self.seed))


_state: ContextVar[State | None] = ContextVar("nnx_random", default=None)
_process = State(int(np.random.SeedSequence().generate_state(1)[0]))


def _current() -> State:
    return _state.get() or _process


def seed(value: int) -> None:
    """Start the random numbers of this context anew. value: 0 ≤ value < 2**64; the same one gives the same numbers."""
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


# ---- on the host -----------------------------------------------------------------------------------------------------


def uniform(shape: Shape, low: float = 0.0, high: float = 1.0, dtype: str = "float32") -> Array:
    """Independent draws from U(low, high), on the active backend. The same bits on every backend."""
    return get_backend().asarray(_current().host.uniform(low, high, shape).astype(dtype))


def normal(shape: Shape, mean: float = 0.0, std: float = 1.0, dtype: str = "float32") -> Array:
    """Independent draws from N(mean, std²), on the active backend. The same bits on every backend."""
    return get_backend().asarray(_current().host.normal(mean, std, shape).astype(dtype))


def permutation(n: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The numbers 0 to n - 1 in random order, in host memory."""
    return _current().host.permutation(n)


# ---- where the array lives -------------------------------------------------------------------------------------------


def threefry2x32(xp: Namespace, key: tuple[int, int], x0: Array, x1: Array, signed: bool = False) -> tuple[Array, Array]:
    """Two 32-bit words of random bits for each counter (x0, x1).

    x0, x1: integers of 32 bits and at least one dimension; with `signed` they are int32 that count as bit patterns
    """
    keys = (*key, key[0] ^ key[1] ^ PARITY)
    x0, x1 = x0 + _word(keys[0], signed), x1 + _word(keys[1], signed)
    for block in range(5):
        for r in ROTATIONS[block % 2]:
            x0 = x0 + x1
            # an arithmetic shift of a signed word drags its sign along: mask it off
            x1 = (x1 << r) | ((x1 >> (32 - r)) & ((1 << r) - 1))
            x1 = x0 ^ x1
        x0 = x0 + _word(keys[(block + 1) % 3], signed)
        x1 = x1 + _word(keys[(block + 2) % 3] + block + 1, signed)
    return x0, x1


def _word(k: int, signed: bool) -> int:
    """k modulo 2³², as the Python number that the array's dtype can hold."""
    k &= WORD
    return k - (1 << 32) if signed and k >> 31 else k


def bits(n: int, like: Array) -> Array:
    """n words of 32 random bits, on the device of `like`; the next call gives others."""
    like = innermost(like)
    library = backend_of(like)
    xp, dtype = library.namespace(), library.counter
    signed = dtype == "int32"
    state = _current()
    words = getattr(xp, dtype)
    counters = xp.arange((n + 1) // 2, dtype=words, device=like.device)
    draws = xp.full(counters.shape, _word(state.counter, signed), dtype=words, device=like.device)
    state.counter += 1
    key = (state.seed & WORD, state.seed >> 32)
    return xp.concat(threefry2x32(xp, key, counters, draws, signed))[:n]


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
