"""What must hold before training starts: numbers that are finite, labels that name a class.

A NaN in one row makes every parameter NaN one step later, far from its cause; these checks name the row.
"""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.backend import is_array, to_numpy

__all__ = ["check_finite", "check_labels", "is_count", "to_host"]

Array = NDArray[Any]


def is_count(n: Any) -> bool:
    """Whether n is a whole number of at least 1."""
    return isinstance(n, Integral) and int(n) >= 1


def to_host(x: Any) -> Array:
    """x as a NumPy array: itself if it is one, a list's values, or a copy of another backend's array."""
    if isinstance(x, np.ndarray):
        return x
    return np.asarray(to_numpy(x) if is_array(x) else x)


def check_finite(x: Any, name: str = "x") -> None:
    """Raise ValueError, naming the first bad row and column, if x holds a NaN or an infinity.

    x: (n, ...) of any dtype (integers always pass)

    >>> check_finite([[1.0, 2.0], [3.0, float("nan")]], "x_train")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: x_train holds nan at row 1, column 1 (1 of its 4 values is not finite): drop such rows, ...
    """
    values = to_host(x)
    if values.dtype.kind in "biu":
        return
    finite = np.isfinite(values)
    if finite.all():
        return
    first = tuple(int(i) for i in np.argwhere(~finite)[0])
    count = int(values.size - np.count_nonzero(finite))
    raise ValueError(
        f"{name} holds {values[first]} at {_place(first)} ({count} of its {values.size} values "
        f"{'is' if count == 1 else 'are'} not finite): drop such rows, or fill them, "
        f"e.g. numpy.nan_to_num(x, nan=column_mean)"
    )


def _place(index: tuple[int, ...]) -> str:
    """An index in words: 'row 3, column 5' up to two dimensions, 'row 3, index (0, 5, 1)' beyond."""
    if len(index) > 2:
        return f"row {index[0]}, index {index[1:]}"
    return ", ".join(f"{axis} {i}" for axis, i in zip(("row", "column"), index, strict=False)) or "its only value"


def check_labels(labels: Any, num_classes: int) -> None:
    """Raise unless every label is an integer from 0 to num_classes - 1.

    labels: (n, ...) integers. Raises TypeError for another dtype, ValueError naming the first label out of range:
    CuPy's and torch's gathers would wrap around or abort on it.

    >>> check_labels([0, 1, 3], num_classes=3)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: expected labels from 0 to 2 (num_classes=3), got 3 at row 2 (labels span 0 to 3): ...
    """
    values = to_host(labels)
    if values.dtype.kind not in "iu":
        raise TypeError(f"expected integer labels, got {values.dtype}: use labels.astype('int64'), or map class names")
    bad = (values < 0) | (values >= num_classes)
    if not bad.any():
        return
    first = tuple(int(i) for i in np.argwhere(bad)[0])
    raise ValueError(
        f"expected labels from 0 to {num_classes - 1} (num_classes={num_classes}), got {values[first]} at "
        f"{_place(first)} (labels span {values.min()} to {values.max()}): raise num_classes, "
        f"or renumber with numpy.unique(labels, return_inverse=True)"
    )
