"""The standard's functions whose results are constants, under the standard's signatures.

Creation, and what is constant almost everywhere: comparisons, steps, searches. The library's own functions serve them,
whatever names those give to their arguments.
"""

import inspect
from collections.abc import Callable

_BY_SIGNATURE: dict[str, Callable[..., object]] = {
    """bitwise_invert ceil floor isfinite isinf isnan logical_not nonzero round signbit trunc""": lambda x, /: x,
    """bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor equal floor_divide greater
    greater_equal less less_equal logical_and logical_or logical_xor not_equal""": lambda x1, x2, /: x1,
    "isin": lambda x1, x2, /, *, invert=False: x1,
    "all any count_nonzero": lambda x, /, *, axis=None, keepdims=False: x,
    "argmax argmin": lambda x, /, *, axis=None, keepdims=False: x,
    "argsort": lambda x, /, *, axis=-1, descending=False, stable=True: x,
    "searchsorted": lambda x1, x2, /, *, side="left", sorter=None: x1,
    "linalg.matrix_rank": lambda x, /, *, rtol=None: x,
    "empty ones zeros": lambda shape, *, dtype=None, device=None: shape,
    "empty_like ones_like zeros_like": lambda x, /, *, dtype=None, device=None: x,
    "eye": lambda n_rows, n_cols=None, /, *, k=0, dtype=None, device=None: n_rows,
    "arange": lambda start, /, stop=None, step=1, *, dtype=None, device=None: start,
    "linspace": lambda start, stop, /, num, *, dtype=None, device=None, endpoint=True: start,
    "fft.fftfreq fft.rfftfreq": lambda n, /, *, d=1.0, dtype=None, device=None: n,
    "__array_namespace_info__": lambda: None,
    "can_cast": lambda from_, to, /: from_,
    "isdtype": lambda dtype, kind: dtype,
    "result_type": lambda *arrays_and_dtypes: arrays_and_dtypes,
    "broadcast_shapes": lambda *shapes: shapes,
    "finfo iinfo": lambda dtype, /: dtype,
}

SIGNATURES: dict[str, inspect.Signature] = {
    name: inspect.signature(of) for names, of in _BY_SIGNATURE.items() for name in names.split()
}

ABOUT_TYPES = frozenset("__array_namespace_info__ can_cast isdtype result_type broadcast_shapes".split())  # noqa: SIM905
"""Their results are no arrays."""

INSTEAD = {
    "arange": "compute with xp.arange of numbers, e.g. start + step * xp.arange(n)",
    "linspace": "compute with numbers, e.g. start + (stop - start) * xp.linspace(0.0, 1.0, n)",
}
"""What to do in place of a function that has no rule."""

CONSTANT = frozenset(SIGNATURES) - ABOUT_TYPES - set(INSTEAD) - {"finfo", "iinfo"}
