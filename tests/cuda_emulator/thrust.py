"""Thrust's three sorts by NumPy: CuPy's own are compiled GPU binaries."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from .errors import EmulatorError
from .runtime import library
from .wheel import KNOWN, wheel_name


def replace_thrust(thrust: ModuleType) -> None:
    """Takes the place of the sorts in `cupy.cuda.thrust`."""
    for function in (sort, argsort, lexsort):
        if not hasattr(thrust, function.__name__):
            raise EmulatorError(f"{wheel_name()} has no thrust.{function.__name__}; the emulator knows {KNOWN}")
        setattr(thrust, function.__name__, function)


def sort(dtype: Any, data: int, keys: int, shape: Sequence[int]) -> None:
    """Sorts along the last axis, in place. keys: a workspace that is not needed here."""
    library().emu_count_library_call()
    view = _view(data, dtype, shape)
    view.sort(axis=-1, kind="stable")


def argsort(dtype: Any, indices: int, data: int, keys: int, shape: Sequence[int]) -> None:
    """Writes the order, and sorts the data."""
    library().emu_count_library_call()
    view = _view(data, dtype, shape)
    order = np.argsort(view, axis=-1, kind="stable")
    _view(indices, np.intp, shape)[...] = order
    view[...] = np.take_along_axis(view, order, -1)


def lexsort(dtype: Any, indices: int, keys: int, k: int, n: int) -> None:
    """keys: (k, n), the last row is the primary key."""
    library().emu_count_library_call()
    _view(indices, np.intp, (n,))[...] = np.lexsort(_view(keys, dtype, (k, n)))


def _view(address: int, dtype: Any, shape: Sequence[int]) -> np.ndarray[Any, Any]:
    shape, dtype = tuple(shape), np.dtype(dtype)
    count = int(np.prod(shape))
    buffer = (ctypes.c_char * (count * dtype.itemsize)).from_address(address)
    return np.frombuffer(buffer, dtype=dtype, count=count).reshape(shape)
