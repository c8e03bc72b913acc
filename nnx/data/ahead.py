"""A function's results in order, computed ahead of whoever asks for them, in threads.

Nothing is shared but the results: each is a new object, handed over once. What takes time in gathering (copying rows,
reading files, decompressing) lets go of the interpreter's lock, so that threads are enough.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextvars import copy_context
from itertools import islice
from typing import TypeVar

__all__ = ["ahead_of"]

T = TypeVar("T")
R = TypeVar("R")


def ahead_of(function: Callable[[T], R], items: Iterable[T], workers: int, depth: int) -> Generator[R]:
    """function(item) for each item, in order; up to workers · depth of them are under way or wait to be taken.

    workers: threads; 0 computes each when it is asked for. They see the context (active backend, random state) of the
    caller. An exception is raised where its result would have come, with the traceback of the thread. The threads end
    when the iterator is exhausted or closed, each after the call that it is in.

    >>> list(ahead_of(abs, [-1, 2, -3], workers=2, depth=2))
    [1, 2, 3]
    """
    if not workers:
        yield from map(function, items)
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    left = iter(items)
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="nnx-loader")

    def submit(n: int) -> None:
        waiting.extend(pool.submit(copy_context().run, function, item) for item in islice(left, n))

    try:
        submit(workers * depth)
        while waiting:
            found = waiting.popleft().result()
            submit(1)
            yield found
    finally:
        # not waited for: the garbage collector may close an iterator from within one of these very threads
        pool.shutdown(wait=False, cancel_futures=True)
