"""The standard's elementwise functions as NumPy's ufuncs, whose rules of promotion NumPy and CuPy share."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from nnx.backend.expressions import Kind
from nnx.typing import DType

RENAMED = {
    "abs": "absolute",
    "acos": "arccos",
    "acosh": "arccosh",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atan2": "arctan2",
    "atanh": "arctanh",
    "bitwise_invert": "invert",
    "bitwise_left_shift": "left_shift",
    "bitwise_right_shift": "right_shift",
    "pow": "power",
    "round": "rint",
}
SAME = """add bitwise_and bitwise_or bitwise_xor ceil copysign cos cosh divide equal exp expm1 floor floor_divide
greater greater_equal hypot isfinite isinf isnan less less_equal log log10 log1p log2 logaddexp logical_and logical_not
logical_or logical_xor maximum minimum multiply negative nextafter not_equal positive reciprocal remainder sign signbit
sin sinh sqrt square subtract tan tanh trunc"""
UFUNCS: dict[str, Any] = {
    **{name: getattr(np, name) for name in SAME.split()},
    **{name: getattr(np, theirs) for name, theirs in RENAMED.items()},
}


@cache
def resolved(name: str, kinds: tuple[Kind, ...]) -> tuple[DType, ...] | None:
    """In which dtypes the function takes arguments of these kinds, and (last) gives its result; None if it does not.

    >>> resolved("multiply", (np.dtype("float32"), float))
    (dtype('float32'), dtype('float32'), dtype('float32'))
    """
    if name == "where":
        return _where(kinds)
    given = [np.dtype(bool) if kind is bool else kind for kind in kinds]
    try:
        found: tuple[DType, ...] = UFUNCS[name].resolve_dtypes((*given, None))
    except TypeError:
        return None
    return found if all(dtype.kind in "fiub" for dtype in found) else None


def _where(kinds: Sequence[Kind]) -> tuple[DType, ...] | None:
    chosen = [np.dtype(bool) if kind is bool else kind(0) if isinstance(kind, type) else kind for kind in kinds[1:]]
    if all(isinstance(kind, type) for kind in kinds[1:]):
        return None  # of two numbers: which dtype is meant, nobody has said
    dtype = np.result_type(*chosen)
    return np.dtype(bool), dtype, dtype, dtype


def result(name: str, kinds: Sequence[Kind]) -> DType | None:
    """See Fuser.result."""
    found = resolved(name, tuple(kinds))
    return None if found is None else found[-1]
