"""Arrays in, arrays out: where an estimator computes, how its samples get there, and what comes back.

NumPy arrays, lists, data frames and sparse matrices are checked by scikit-learn; arrays of another library are checked
where they live and never leave it.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array, check_consistent_length, column_or_1d, compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, validate_data

from nnx.backend import Backend, backend_of, get_backend, is_array, namespace, to_numpy
from nnx.typing import Array

Host = NDArray[Any]
CHUNK = 1 << 25
"""Bytes of samples for which outputs are computed at once."""


def is_foreign(x: Any) -> bool:
    """Whether x is an array of another library than NumPy."""
    return is_array(x) and backend_of(x).name != "numpy"


def on_host(x: Any) -> Any:
    """Another library's array as NumPy's, anything else as it is."""
    return to_numpy(x) if is_foreign(x) else x


def home_of(x: Any, backend: str | None, device: Any) -> Backend:
    """Where to compute: as the estimator says, else where x lives, else the active backend."""
    if is_foreign(x):
        library = backend_of(x)
        return library.home(x) if backend is None and device is None else get_backend(backend or library.name, device)
    return get_backend(backend, device)


def checked(estimator: Any, x: Any, reset: bool, **options: Any) -> Any:
    """x, or an error in scikit-learn's words; n_features_in_ and feature_names_in_ are set, or compared."""
    if not is_foreign(x):
        return validate_data(estimator, X=x, reset=reset, **options)
    check_foreign(estimator, x, options.get("allow_nd", False))
    return validate_data(estimator, X=x, reset=reset, skip_check_array=True)


def checked_pair(estimator: Any, x: Any, y: Any, reset: bool, numeric: bool = False, **options: Any) -> tuple[Any, Any]:
    """x as `checked` has it, and y in host memory, as long as x; y of one column is made a vector, with a warning."""
    if is_foreign(x):
        x = checked(estimator, x, reset, **options)
        y = check_array(on_host(y), ensure_2d=False, dtype="numeric" if numeric else None, input_name="y")
        check_consistent_length(np.empty(x.shape[0]), y)
    else:
        pair = {"multi_output": True, "y_numeric": numeric}
        x, y = validate_data(estimator, X=x, y=on_host(y), reset=reset, **pair, **options)
    if y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    return x, y


def check_foreign(estimator: Any, x: Array, allow_nd: bool) -> None:
    """Raises ValueError unless x has samples and features, all of them finite (which waits for the device, once)."""
    name = type(estimator).__name__
    if x.ndim != 2 and not (allow_nd and x.ndim > 2):
        raise ValueError(f"{name}: expected 2D array, got {x.ndim}D array: reshape your data with x.reshape(-1, 1)")
    if 0 in x.shape:
        raise ValueError(f"{name}: found array with shape {tuple(x.shape)}, at least 1 sample and 1 feature are needed")
    xp = namespace(x)
    if backend_of(x).is_inexact(x.dtype) and not bool(xp.all(xp.isfinite(x))):
        raise ValueError(f"Input X contains NaN or infinity: {name} does not accept them")


def weighed(
    x: Any, y: Host, weight: Any, class_weight: Any = None, classes: Any = None
) -> tuple[Any, Host, Host | None]:
    """Samples with their weights, (n,) or None: a sample of weight 0 is as if it were not there.

    Raises ValueError if no sample counts, or if class_weight holds what is not among the classes.
    """
    found: Host | None = None if weight is None else _check_sample_weight(on_host(weight), np.empty((len(y), 1)))
    if class_weight is not None:
        factors = _by_class(y, class_weight, classes)
        found = factors if found is None else factors * found
    if found is None or np.all(found):
        return x, y, found
    kept = np.flatnonzero(found)
    if not len(kept):
        raise ValueError("all samples have weight 0: there is nothing to fit")
    if not is_foreign(x):
        return x[kept], y[kept], found[kept]
    at = backend_of(x).home(x).asarray(kept)
    return namespace(x).take(x, at, axis=0), y[kept], found[kept]


def class_weights(estimator: Any) -> tuple[Any, Any]:
    """Its class_weight and its classes_, None for a regressor."""
    return getattr(estimator, "class_weight", None), getattr(estimator, "classes_", None)


def _by_class(y: Host, class_weight: Any, classes: Any) -> Host:
    """The weight of each sample's class. These samples, a batch or a fold, need not hold every class of a dict."""
    if not isinstance(class_weight, Mapping) or y.ndim != 1:
        balanced: Host = compute_sample_weight(class_weight, y)
        return balanced
    known = classes.tolist()
    if unknown := [name for name in class_weight if name not in known]:
        raise ValueError(f"class_weight holds {unknown}, which are not among the classes, {known}")
    present, at = np.unique(y, return_inverse=True)
    return np.asarray([class_weight.get(name, 1.0) for name in present.tolist()], float)[at]


def float_dtype(home: Backend, x: Any, asked: str | None) -> str:
    """The name of the dtype to compute in: as asked, else x's if it is float32 or float64 and the device has it.

    Half a float's bits are too few to train in: float32 for them, as for integers.
    """
    known = home.xp.__array_namespace_info__().dtypes(device=home.device, kind="real floating")
    if asked is not None:
        if asked not in known:
            raise ValueError(f"backend '{home.name}' has no floating dtype '{asked}' here: {', '.join(known)}")
        return asked
    if is_foreign(x):
        library = backend_of(x)
        xp = library.namespace()
        found = next((n for n in known if x.dtype == getattr(xp, n)), "float32")
    else:
        found = str(x.dtype)
    return found if found in known else "float32"


def born(home: Backend, x: Any, dtype: str | None) -> Array:
    """x on the backend, rounded to the dtype before it travels; None keeps what it has."""
    if not is_foreign(x):
        x = np.asarray(x)
        if dtype is not None and dtype in ("float16", "float32", "float64"):
            return home.asarray(x.astype(dtype, copy=False))
    return home.asarray(x, dtype)


def chunks(x: Any, home: Backend, dtype: str | None) -> Iterator[Array]:
    """x on the backend, as many samples at a time as CHUNK holds; a sparse matrix is made dense a chunk at a time."""
    rows = max(1, CHUNK // (8 * max(1, math.prod(x.shape[1:]))))
    for start in range(0, x.shape[0], rows):
        yield born(home, dense(x, slice(start, start + rows)), dtype)


def dense(x: Any, rows: Any) -> Any:
    """These rows (a slice, or indices if x is in host memory) of an array, or of a sparse matrix, as an array."""
    if hasattr(x, "toarray"):
        return np.ascontiguousarray(x[rows].toarray())
    if isinstance(rows, slice):
        return x if rows.start == 0 and rows.stop >= x.shape[0] else x[rows, ...]
    return x[rows]


def returned(found: Host | Array, like: Any) -> Array:
    """A result as an array of the library, and on the device, of `like`: NumPy's for lists, data frames and NumPy's.

    Class names, which only NumPy can hold, stay there.
    """
    if not is_foreign(like):
        return on_host(found)
    host = on_host(found) if not is_array(found) else found
    if not is_foreign(host) and host.dtype.kind not in "biuf":
        return host
    return backend_of(like).home(like).asarray(host)
