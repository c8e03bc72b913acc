"""The set-up failures of a real machine, provoked: no driver, an old one, no device, no memory left."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import sys
from collections.abc import Iterator

from .errors import EmulatorError
from .runtime import library


@dataclasses.dataclass(frozen=True)
class Failure:
    """status: the cudaError that each call raises, 0 for none. driver: the version reported, 0 for no driver."""

    status: int = 0
    driver: int | None = None
    memory: int | None = None


MIB = 1 << 20
FAILURES = {
    "no_driver": Failure(status=35, driver=0),
    "old_driver": Failure(status=35, driver=11040),
    "no_device": Failure(status=100),
    "oom": Failure(memory=MIB),
}


def provoke(failure: str | int, memory: int | None = None) -> None:
    """From now on each call to CUDA fails.

    failure: a key of FAILURES, or any status of cudaError_t
    memory: bytes that the device has, with "oom" 1 MiB by default; more raises cudaErrorMemoryAllocation, which CuPy
            turns into OutOfMemoryError
    """
    if isinstance(failure, str) and failure not in FAILURES:
        raise EmulatorError(f"unknown failure {failure!r}: expected a status or one of {', '.join(FAILURES)}")
    wanted = FAILURES[failure] if isinstance(failure, str) else Failure(status=failure)
    _forget_answer()
    _status().value = wanted.status
    if wanted.driver is not None:
        _driver().value = wanted.driver
    limit = memory if memory is not None else wanted.memory
    if limit is not None:
        _memory().value = limit


@contextlib.contextmanager
def fail_with(failure: str | int, memory: int | None = None) -> Iterator[None]:
    """provoke() for a block. Memory that CuPy's pool holds counts, but may be used again: free_all_blocks() first."""
    kept = [(cell, cell.value) for cell in (_status(), _driver(), _memory())]
    try:
        provoke(failure, memory)
        yield
    finally:
        for cell, value in kept:
            cell.value = value
        _forget_answer()


def provoke_from_environment() -> None:
    """`CUPY_EMU_FAIL` names a failure of the whole process, `CUPY_EMU_MEMORY` the device's memory in bytes."""
    if memory := os.environ.get("CUPY_EMU_MEMORY"):
        _memory().value = int(memory)
    if failure := os.environ.get("CUPY_EMU_FAIL"):
        provoke(failure, int(memory) if memory else None)


def _forget_answer() -> None:
    """cupy.cuda.is_available() asks the device once in a process, and remembers."""
    if "cupy.cuda" in sys.modules:
        vars(sys.modules["cupy.cuda"])["_available"] = None


def _status() -> ctypes.c_int:
    return ctypes.c_int.in_dll(library(), "emu_fail_status")


def _driver() -> ctypes.c_int:
    return ctypes.c_int.in_dll(library(), "emu_driver_version")


def _memory() -> ctypes.c_longlong:
    return ctypes.c_longlong.in_dll(library(), "emu_memory_limit")
