"""A call on the library alone and the same call on nnx's namespace over it: do they do the same?

The same is: dtype, shape and device, value (bit for bit, NaN equal to NaN, 0.0 unequal to -0.0), the type of the
result with each array in it a Var; or an exception that whoever caught the library's would catch.
"""

import warnings

import numpy as np

import nnx
from nnx import Tape, Var
from nnx.autodiff.tree import tree_map
from nnx.backend import backend_of, innermost, is_array


def outcome(call):
    """What a call returned, or the exception that it raised."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call()
        except Exception as error:
            return error


def kin(error):
    """The built-in exceptions that the library's own one is."""
    found = [e for e in type(error).__mro__ if e.__module__ == "builtins" and issubclass(e, Exception)]
    return (found[0],) if type(error) is found[0] else tuple(e for e in found if e is not Exception)


def plain(tree):
    """A tree of Vars as the library's arrays."""
    return tree_map(innermost, tree)


def watched(tree, tape):
    """A tree of Vars with every floating one watched."""
    watch = lambda x: tape.watch(x) if is_array(x) and backend_of(x).is_inexact(x.dtype) else x
    return tree_map(watch, tree)


def difference(theirs, ours, rounding=0.0):
    """What differs, in a line; None if nothing does. rounding: of the largest element, what values may differ by"""
    if isinstance(theirs, Exception):
        if isinstance(ours, Exception):
            return None if isinstance(ours, kin(theirs)) else f"raised {ours!r}, the library {theirs!r}"
        return f"gave {ours!r}, the library raised {theirs!r}"
    if isinstance(ours, Exception):
        return f"raised {ours!r}, the library gave {theirs!r}"
    if isinstance(theirs, tuple | list):
        return _of_sequences(theirs, ours, rounding)
    if is_array(theirs):
        return _of_arrays(theirs, ours, rounding)
    if hasattr(theirs, "bits"):  # finfo and iinfo
        names = [n for n in ("bits", "dtype", "eps", "max", "min", "smallest_normal") if hasattr(theirs, n)]
        wrong = [n for n in names if getattr(theirs, n) != getattr(ours, n, None)]
        return f"{wrong} differ" if wrong else None
    if type(theirs) is not type(ours) or not (theirs == ours or theirs != theirs):
        return f"gave {ours!r}, the library {theirs!r}"
    return None


def _of_sequences(theirs, ours, rounding):
    if not isinstance(ours, tuple | list):  # a list until 2024.12 is a tuple from 2025.12 on
        return f"gave a {type(ours).__name__}, the library a {type(theirs).__name__}"
    if getattr(theirs, "_fields", None) != getattr(ours, "_fields", None):
        return f"fields {getattr(ours, '_fields', None)}, the library's {getattr(theirs, '_fields', None)}"
    if len(theirs) != len(ours):
        return f"gave {len(ours)} parts, the library {len(theirs)}"
    return next(filter(None, (difference(a, b, rounding) for a, b in zip(theirs, ours, strict=True))), None)


def _of_arrays(theirs, ours, rounding):
    if type(ours) is not Var:
        return f"gave a {type(ours).__name__}, not a Var"
    for name in ("dtype", "shape", "ndim", "size", "device"):
        if getattr(theirs, name) != getattr(ours, name):
            return f"{name} {getattr(ours, name)!r}, the library's {getattr(theirs, name)!r}"
    a, b = nnx.to_numpy(theirs), nnx.to_numpy(nnx.stop_gradient(ours))
    same = same_bits(a, b) or (rounding and about_the_same(a, b, rounding))
    return None if same else f"gave {b!r}, the library {a!r}"


def same_bits(a, b):
    """Equal values, NaN to NaN and the sign of zeros counted."""
    if a.dtype.kind == "c":
        return same_bits(a.real, b.real) and same_bits(a.imag, b.imag)
    if a.dtype.kind != "f":
        return bool(np.all(a == b))
    return bool(np.array_equal(a, b, equal_nan=True) and np.all((np.signbit(a) == np.signbit(b)) | np.isnan(a)))


def about_the_same(a, b, rounding):
    """Infinite and NaN in the same places, the others apart by no more than `rounding` spacings of the largest one."""
    if a.dtype.kind not in "fc":
        return False
    finite = np.isfinite(a) & np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        size = np.max(np.abs(a[finite]), initial=np.finfo(a.dtype).tiny)
        apart = np.abs(a[finite] / size - b[finite] / size)
    return bool(np.all(apart <= rounding * np.finfo(a.dtype).eps)) or not np.isfinite(size)


def compared(call, args, kwargs, below, above):
    """The differences of call(below, ...) from call(above, ...) with constant and with watched arguments."""
    theirs = outcome(lambda: call(below, *plain(args), **plain(kwargs)))
    yield "constant", theirs, outcome(lambda: call(above, *args, **kwargs))
    with Tape() as tape:
        yield "watched", theirs, outcome(lambda: call(above, *watched(args, tape), **watched(kwargs, tape)))
