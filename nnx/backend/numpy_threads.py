"""A second thread for large blocks: NumPy's functions let go of the interpreter while they run."""

import contextvars
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

BLOCK = 1 << 18
"""Elements of a thread's block at the most."""
WORTHWHILE = 1 << 18
"""Elements from which on threads pay: below about 131,072 a block they wait for each other's interpreter (measured)."""


def wanted(size: int) -> int:
    """How many threads for so many elements."""
    return allowed() if size >= WORTHWHILE else 1


@cache
def allowed() -> int:
    """NNX_FUSE_THREADS, or OMP_NUM_THREADS, or the cores that this process may use, four at the most."""
    for name in ("NNX_FUSE_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "")
        if value.isdigit() and int(value) > 0:
            return int(value)
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, allowed() - 1), "nnx-fuse")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child process has none of its parent's threads


def each(run: Callable[[Any], None], parts: Sequence[Any]) -> None:
    """run(part) for all parts, this thread helping; what is set for the context (np.errstate) holds in all of them."""
    shares = [parts[k :: allowed()] for k in range(allowed())]

    def do(share: Sequence[Any]) -> None:
        for part in share:
            run(part)

    others = [_pool().submit(contextvars.copy_context().run, do, share) for share in shares[1:] if share]
    try:
        do(shares[0])
    finally:
        for other in others:
            other.exception()  # wait, whatever has happened here: they write to the same arrays
    for other in others:
        other.result()
