"""The functions in which NumPy's own differ from the standard's: the keyword `descending`, the dtype of a clip, the
cut-off of a pseudo-inverse, eigenvalues that are complex whatever they are of.
"""

from types import ModuleType
from typing import Any

from nnx.typing import Array, Device, DType, Namespace

Axis = int | tuple[int, ...] | None


def conforming(np: Namespace) -> dict[str, Any]:
    """The standard's functions by name, where NumPy's are not quite."""
    return {**_main(np), "linalg": _extended(np.linalg, _linalg(np)), "fft": _extended(np.fft, _fft(np))}


def _main(np: Namespace) -> dict[str, Any]:
    def argsort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
        if not descending:
            return np.argsort(x, axis=axis, stable=stable)
        # equal ones keep their order: sorted from the other end, twice turned around
        order = np.flip(np.argsort(np.flip(x, axis=axis), axis=axis, stable=stable), axis=axis)
        return x.shape[axis] - 1 - order

    def sort(x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
        y = np.sort(x, axis=axis, stable=stable)
        return np.flip(y, axis=axis) if descending else y

    def count_nonzero(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
        return np.asarray(np.count_nonzero(x, axis=axis, keepdims=keepdims))

    def clip(x: Array, /, min: Array | None = None, max: Array | None = None) -> Array:
        return np.clip(x, _bound(np, x.dtype, min, 0), _bound(np, x.dtype, max, 1))

    def unique_values(x: Array, /) -> Array:
        return np.unique(x, equal_nan=False)  # in order: NumPy's own unique_values is not

    return {
        "argsort": argsort,
        "sort": sort,
        "count_nonzero": count_nonzero,
        "clip": clip,
        "unique_values": unique_values,
    }


def _bound(np: Namespace, dtype: DType, bound: Array | None, side: int) -> Array | None:
    """A bound of clip in the dtype of what is clipped, which it would widen; None where nothing is beyond it."""
    if type(bound) is int and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if bound <= limits.min if side == 0 else bound >= limits.max:
            return None
    return bound if bound is None or (type(bound) is float and dtype.kind == "f") else np.asarray(bound, dtype)


def _linalg(np: Namespace) -> dict[str, Any]:
    def pinv(x: Array, /, *, rtol: float | Array | None = None) -> Array:
        return np.linalg.pinv(x, rtol=rtol)  # None is max(m, n) * eps, but not NumPy's default

    def matrix_rank(x: Array, /, *, rtol: float | Array | None = None) -> Array:
        if x.ndim < 2:
            raise np.linalg.LinAlgError(f"the rank of {x.ndim} dimensions: a matrix has two or more")
        return np.linalg.matrix_rank(x, rtol=rtol)

    def eigvals(x: Array, /) -> Array:
        return _complex(np, np.linalg.eigvals(x))

    def eig(x: Array, /) -> Any:
        found = np.linalg.eig(x)
        return type(found)(_complex(np, found.eigenvalues), _complex(np, found.eigenvectors))

    return {"pinv": pinv, "matrix_rank": matrix_rank, "eig": eig, "eigvals": eigvals}


def _complex(np: Namespace, x: Array) -> Array:
    return x.astype(np.result_type(x.dtype, np.complex64), copy=False)


def _fft(np: Namespace) -> dict[str, Any]:
    def fftfreq(n: int, /, *, d: float = 1.0, dtype: DType | None = None, device: Device | None = None) -> Array:
        return np.fft.fftfreq(n, d, device=device).astype(dtype or np.float64, copy=False)

    def rfftfreq(n: int, /, *, d: float = 1.0, dtype: DType | None = None, device: Device | None = None) -> Array:
        return np.fft.rfftfreq(n, d, device=device).astype(dtype or np.float64, copy=False)

    return {"fftfreq": fftfreq, "rfftfreq": rfftfreq}


def _extended(module: Namespace, functions: dict[str, Any]) -> Namespace:
    """A module with functions of ours in the place of some of its own."""
    found = ModuleType(module.__name__, module.__doc__)
    found.__dict__.update(module.__dict__)
    found.__dict__.update(functions)
    return found
