"""The suite on a device without float64 (`NNX_TEST_STRICT_DEVICE=no_float64`), which refuses whoever asks for it.

What a test brings in float64 is brought in float32 there, and held to float32's accuracy; what nnx itself asks for is
not touched. A test that asks for float64 in so many words cannot run there: it is skipped, and counted. If it is nnx
that asks, the test fails: somewhere a new array took its dtype from a default of Python or NumPy.
"""

import functools
import sys
from pathlib import Path

import numpy as np

import nnx

WIDE = {"float64": "float32", "complex128": "complex64"}
REFUSED = tuple(f"does not support dtype=array_api_strict.{name}" for name in WIDE)
TESTS, LIBRARY = Path(__file__).parent, Path(nnx.__file__).parent
HARNESS = {"conftest.py", "narrow.py"}
RTOL = 1e-3  # of the largest number: third derivatives, too. Other rungs hold the digits


def install():
    """From here on, what tests bring through asarray is brought in 32 bits a number."""
    nnx.asarray = _narrowing(nnx.asarray, 0)
    nnx.Backend.asarray = _narrowing(nnx.Backend.asarray, 1)


def _narrowing(asarray, position):
    """The function asarray, whose argument at `position` becomes an array, for what is called from tests."""

    @functools.wraps(asarray)
    def wrapper(*args, **kwargs):
        if not sys._getframe(1).f_globals.get("__name__", "").startswith("tests."):
            return asarray(*args, **kwargs)
        given, dtype = args[: position + 1], (*args[position + 1 :], kwargs.pop("dtype", None))[0]
        return asarray(*given, dtype=_narrowed(given[position], dtype), **kwargs)

    return wrapper


def _narrowed(x, dtype):
    """The dtype that a test gets for x: the one that it asked for, or else x's own, with 32 bits in the place of 64."""
    if dtype is None and isinstance(x, np.ndarray | np.generic | list | tuple | int | float | complex):
        return WIDE.get(_name(np.asarray(x).dtype))
    return WIDE.get(_name(dtype), dtype)


def _name(dtype):
    return str(dtype).rpartition(".")[2]


def expected(array, rtol, atol):
    """What a test expects, and how exactly, of a computation in 32 bits."""
    if array.dtype.kind not in "fc":
        return array, rtol, atol
    largest = float(np.max(np.abs(array), initial=0.01, where=np.isfinite(array)))
    name = _name(array.dtype)  # a narrow one may stem from what was narrowed
    return array.astype(WIDE.get(name, name)), max(rtol, RTOL), max(atol, RTOL * largest)


def subject(item):
    """Why a test is about float64, which nothing can stand in for; else None."""
    if marker := item.get_closest_marker("float64"):
        return marker.args[0]
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return next((f"{value} is its subject" for value in values if isinstance(value, str) and value in WIDE), None)


# ---- who asked -------------------------------------------------------------------------------------------------------


def excuse(error):
    """Why the test cannot run without float64, if it is the test that asked; None if nnx did, or for another error."""
    if not str(error).endswith(tuple(f"{text}." for text in REFUSED)):
        return None
    frames = [frame for frame in _frames(error) if _lies_in(frame, TESTS) or _lies_in(frame, LIBRARY)]
    last = max((k for k, frame in enumerate(frames) if _lies_in(frame, TESTS)), default=None)
    if last is None or (frames[last + 1 :] and not _was_handed_float64(frames[last + 1])):
        return None
    return f"{Path(frames[last].f_code.co_filename).name} asks for float64 itself"


def _frames(error):
    at = error.__traceback__
    while at is not None:
        yield at.tb_frame
        at = at.tb_next


def _lies_in(frame, folder):
    path = Path(frame.f_code.co_filename)
    return path.is_relative_to(folder) and path.name not in HARNESS


def _was_handed_float64(frame):
    """Whether this function of nnx was called with float64 among its arguments: a dtype, or an array of NumPy's."""
    code = frame.f_code
    rest = bool(code.co_flags & 4) + bool(code.co_flags & 8)  # *args, **kwargs
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + rest]
    return any(_is_wide(frame.f_locals.get(name)) for name in names)


def _is_wide(x):
    if isinstance(x, dict):
        return any(map(_is_wide, x.values()))
    if isinstance(x, list | tuple):
        return any(map(_is_wide, x))
    if isinstance(x, np.ndarray | np.generic):
        return _name(x.dtype) in WIDE
    return (isinstance(x, str | np.dtype) or type(x).__name__ == "DType") and _name(x) in WIDE
