"""One process at a time: a file that whoever works on a place keeps locked.

The lock is the operating system's and goes with the process, also one that was killed: no stale lock is ever found.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["exclusive"]

WAIT = 0.05  # seconds between two looks


@contextmanager
def exclusive(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """A block that one thread of one process is in at a time, for each `path`, which is made, and removed behind it.

    waiting: called once if another is in it, before this one waits. Raises OSError where the folder cannot be
    written to.
    """
    handle = _locked(path, waiting)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no file that somebody else holds open
            path.unlink()
        os.close(handle)  # which lets go of the lock


def _locked(path: Path, waiting: Callable[[], None]) -> int:
    told = False
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            got = _try(handle) and _is(handle, path)  # whoever was before may have removed it since it was opened
        except BaseException:
            os.close(handle)
            raise
        if got:
            return handle
        os.close(handle)
        if not told:
            told = True
            waiting()
        time.sleep(WAIT)


def _is(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _try(handle: int) -> bool:
    """Lock an open file if nobody else has; whether it is locked now."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
