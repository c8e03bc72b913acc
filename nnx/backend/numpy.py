"""NumPy: the reference. From 2.1 on its own namespace is the standard's, so almost nothing is wrapped.

Its reductions go through two Python functions before they reach C (np.sum of a small array: 3.7 µs, np.add.reduce: 1.8),
which a small network feels: the namespace calls the ufuncs' own methods.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from types import ModuleType
from typing import Any

from nnx.backend.base import Backend
from nnx.typing import Array, Device, DType, Namespace

Axis = int | tuple[int, ...] | None


class NumpyBackend(Backend):
    """NumPy in host memory."""

    name = "numpy"
    package = "numpy"
    install = "pip install 'numpy>=2.1'"
    host = True

    @classmethod
    @cache
    def namespace(cls) -> Namespace:
        """NumPy's module, with shorter ways to some of its functions."""
        import numpy

        short = ModuleType("numpy", numpy.__doc__)
        short.__dict__.update(numpy.__dict__)
        short.__dict__.update(_shortcuts(numpy))
        return short

    @classmethod
    def devices(cls) -> dict[str, Device]:
        """The one there is."""
        return {"cpu": "cpu"}

    @classmethod
    def kernels(cls) -> dict[str, Callable[..., Any]]:
        """See Backend.kernels."""
        return {"pick": _pick, "minus_one_hot": _minus_one_hot}

    @classmethod
    def index_add(cls, rows: int, index: Array, x: Array) -> Array:
        """See Backend.index_add."""
        xp = cls.namespace()
        y = xp.zeros((rows, *x.shape[1:]), dtype=x.dtype)
        xp.add.at(y, index, x)
        return y


def _shortcuts(np: Namespace) -> dict[str, Any]:
    """The standard's functions, with the standard's signatures, straight to the ufuncs."""
    add, largest, smallest = np.add.reduce, np.maximum.reduce, np.minimum.reduce
    exact = (np.dtype("float32"), np.dtype("float64"))

    def sum(x: Array, /, *, axis: Axis = None, dtype: DType | None = None, keepdims: bool = False) -> Array:
        return add(x, axis, dtype, None, keepdims)

    def max(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
        return largest(x, axis, None, None, keepdims)

    def min(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
        return smallest(x, axis, None, None, keepdims)

    def mean(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
        if x.dtype not in exact or not x.size:
            return np.mean(x, axis=axis, keepdims=keepdims)
        total = add(x, axis, None, None, keepdims)
        return total * (1.0 / (x.size // total.size)) if total.size else total

    def astype(x: Array, dtype: DType, /, *, copy: bool = True, device: Device | None = None) -> Array:
        return np.astype(x, dtype, copy=copy, device=device) if device is not None else x.astype(dtype, copy=copy)

    return {"sum": sum, "max": max, "min": min, "mean": mean, "astype": astype}


@lru_cache(maxsize=8)
def _rows(n: int) -> Array:
    return NumpyBackend.namespace().arange(n)


def _pick(z: Array, columns: Array) -> Array | None:
    """z[k, columns[k]] for every row k; None if a column is out of range (an index below 0 would wrap)."""
    try:
        found = z[_rows(len(z)), columns]
        NumpyBackend.namespace().bincount(columns)  # the quickest way to hear of a negative one
    except (IndexError, ValueError):
        return None
    return found


def _minus_one_hot(p: Array, columns: Array) -> Array:
    """p, which is nobody else's, with 1 taken from column columns[k] of every row k."""
    p[_rows(len(p)), columns] -= 1
    return p
