"""NumPy: the reference. From 2.1 on its own namespace is the standard's, so almost nothing is wrapped.

Its reductions go through two Python functions before they reach C (np.sum of a small array: 3.7 µs, np.add.reduce:
1.8), which a small network feels: the namespace calls the ufuncs' own methods.
"""

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from types import ModuleType
from typing import Any

from nnx.backend import numpy_attention, numpy_conv, numpy_gelu, numpy_linear, numpy_lstm, numpy_norm, threefry
from nnx.backend.base import Backend
from nnx.backend.compiler import Compiler
from nnx.backend.expressions import Fuser
from nnx.backend.numpy_standard import conforming
from nnx.typing import Array, Device, DType, Namespace, Shape

Axis = int | tuple[int, ...] | None
VIEW = ["multi_index", "refs_ok", "zerosize_ok"]


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
    def overflowing(cls) -> AbstractContextManager[Any]:
        """See Backend.overflowing."""
        import numpy

        return numpy.errstate(over="ignore", invalid="ignore")

    @classmethod
    @contextmanager
    def one_thread(cls) -> Iterator[None]:
        """See Backend.one_thread. OpenBLAS's threads wait for each other: milliseconds, where others have the cores."""
        found = _openblas()
        if found is None:
            yield
            return
        get_threads, set_threads = found
        threads = get_threads()
        set_threads(1)
        try:
            yield
        finally:
            set_threads(threads)

    @classmethod
    def kernels(cls) -> dict[str, Callable[..., Any]]:
        """See Backend.kernels."""
        own: dict[str, Callable[..., Any]] = {"pick": _pick, "minus_one_hot": _minus_one_hot, "words": _words}
        parts = (numpy_attention, numpy_conv, numpy_gelu, numpy_linear, numpy_lstm, numpy_norm)
        return own | {name: kernel for part in parts for name, kernel in part.KERNELS.items()}

    @classmethod
    def fuser(cls) -> Fuser:
        """See Backend.fuser."""
        from nnx.backend.numpy_fusion import fuser

        return fuser()

    @classmethod
    def compiler(cls) -> Compiler:
        """See Backend.compiler: the step's calls, replayed."""
        from nnx.backend.replay import compiler_of

        return compiler_of(cls)

    @classmethod
    def pack(cls, arrays: list[Array]) -> Array:
        """See Backend.pack."""
        return cls.namespace().concatenate(arrays, axis=None)

    @classmethod
    def unpack(cls, vector: Array, places: list[tuple[int, int, Shape]]) -> list[Array]:
        """See Backend.unpack."""
        return [vector[start:stop].reshape(shape) for start, stop, shape in places]

    @classmethod
    def index_add(cls, rows: int, index: Array, x: Array) -> Array:
        """See Backend.index_add."""
        xp = cls.namespace()
        y = xp.zeros((rows, *x.shape[1:]), dtype=x.dtype)
        if x.ndim < 2 or not x.size:
            xp.add.at(y, index, x)
            return y
        # sorted, each row's own lie side by side: a seventh of add.at's time for 2,000 rows of 128
        order = xp.argsort(index, stable=True)
        index = index[order]
        starts = xp.append(0, xp.flatnonzero(index[1:] != index[:-1]) + 1)
        y[index[starts]] = xp.add.reduceat(x[order], starts, axis=0)
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
        if x.dtype not in exact or not x.size or not x.shape:
            return np.mean(x, axis=axis, keepdims=keepdims)
        total = add(x, axis, None, None, keepdims)
        return total * (1.0 / (x.size // total.size)) if total.size else total

    def astype(x: Array, dtype: DType, /, *, copy: bool = True, device: Device | None = None) -> Array:
        return np.astype(x, dtype, copy=copy, device=device) if device is not None else x.astype(dtype, copy=copy)

    def ones_like(x: Array, /, *, dtype: DType | None = None, device: Device | None = None) -> Array:
        # the seed of a backward pass is the 1 of a scalar loss
        return np.ones_like(x, dtype=dtype, device=device) if dtype is not None or x.shape else x.dtype.type(1)

    short = {"ones_like": ones_like, "sum": sum, "max": max, "min": min, "mean": mean, "astype": astype}
    return {**short, **_shapes(np), **conforming(np)}


def _shapes(np: Namespace) -> dict[str, Any]:
    """Views under another shape, without the wrappers."""

    def reshape(x: Array, /, shape: Shape, *, copy: bool | None = None) -> Array:
        return x.reshape(shape) if copy is None else np.reshape(x, shape, copy=copy)

    def broadcast_to(x: Array, /, shape: Shape) -> Array:
        # what a sum sends back, a view that cannot be written to: NumPy's own function takes three times as long
        if type(shape) is not tuple or min(shape, default=0) < 0:
            return np.broadcast_to(x, shape)
        if x.shape:
            return np.nditer((x,), VIEW, [["readonly"]], itershape=shape, order="C").itviews[0]
        y = np.ndarray(shape, x.dtype, x, 0, (0,) * len(shape))
        y.flags.writeable = False
        return y

    def matrix_transpose(x: Array, /) -> Array:
        return x.mT if x.ndim > 1 else np.matrix_transpose(x)  # which says what is wrong

    return {"reshape": reshape, "broadcast_to": broadcast_to, "matrix_transpose": matrix_transpose}


@cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """How many threads OpenBLAS, if NumPy was built with it, uses; and the function that sets it."""
    import ctypes

    extension = importlib.import_module("numpy._core._multiarray_umath")
    try:
        library = ctypes.CDLL(str(extension.__file__))  # finds the functions of what it is linked to
    except OSError:
        return None
    for name in ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads", "openblas_{}_num_threads"):
        if hasattr(library, name.format("set")) and hasattr(library, name.format("get")):
            return library[name.format("get")], library[name.format("set")]
    return None


def _words(n: int, key: threefry.Key, draw: int, like: Array) -> Array:
    """threefry.words, three times as fast."""
    return threefry.words_in_blocks(n, key, draw)


_ROWS: dict[int, Array] = {}
"""The last arange that picking by rows asked for, by its length."""


def _rows(n: int) -> Array:
    rows = _ROWS.get(n)
    if rows is None:
        _ROWS.clear()
        rows = _ROWS[n] = NumpyBackend.namespace().arange(n)
    return rows


def _pick(z: Array, columns: Array) -> Array | None:
    """z[k, columns[k]] for every row k; None if a column is out of range (an index below 0 would wrap)."""
    try:
        found = z[_rows(len(z)), columns]
        _bincount(columns)  # the quickest way to hear of a negative one
    except (IndexError, ValueError):
        return None
    return found


def _bincount(x: Array) -> Array:
    return NumpyBackend.namespace().bincount(x)


def _minus_one_hot(p: Array, columns: Array) -> Array:
    """p, which is nobody else's, with 1 taken from column columns[k] of every row k."""
    p[_rows(len(p)), columns] -= 1
    return p
