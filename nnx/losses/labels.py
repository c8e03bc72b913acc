"""Labels: integers that say which class is right. What picks by them, and what checks them."""

import math

from nnx.backend import Backend, backend_of, innermost, is_array, kernel, namespace
from nnx.typing import Array, DType


def is_labels(target: Array) -> bool:
    """Whether target is an array of integers."""
    y = innermost(target)
    if not is_array(y):
        return False
    key = backend_of(y), y.dtype
    found = _INTEGRAL.get(key)
    if found is None:
        found = _INTEGRAL[key] = bool(key[0].namespace().isdtype(y.dtype, "integral"))
    return found


_INTEGRAL: dict[tuple[type[Backend], DType], bool] = {}


def check_form(name: str, input: Array, target: Array) -> None:
    """Raises unless target holds one integer for each sample of input, whose axis 1 is the classes."""
    if not is_array(target):
        raise TypeError(f"{name}'s target must be an array of integers, got {type(target).__name__}: nnx.asarray(y)")
    if not is_labels(target):
        raise TypeError(f"{name}'s target has dtype {target.dtype}: labels are integers, e.g. nnx.asarray(y, 'int64')")
    check_rows(name, input, target)


def check_rows(name: str, input: Array, target: Array) -> None:
    """Raises unless there is one label for each sample of input, whose axis 1 is the classes."""
    shape = input.shape
    if len(shape) < 2 or tuple(target.shape) != (shape[0], *shape[2:]):
        raise ValueError(
            f"{name} expects scores (n, c, ...) and labels (n, ...), got {tuple(input.shape)} and "
            f"{tuple(target.shape)}: one label a row, e.g. y.reshape(-1)"
        )


def check_labels(target: Array, classes: int, ignore_index: int | None = None) -> None:
    """Raises ValueError if a label is not in [0, classes); waits for the device."""
    y = innermost(target)
    if 0 in y.shape:
        return
    xp = namespace(y)
    if ignore_index is not None:
        y = xp.where(y == ignore_index, xp.zeros_like(y), y)
    low, high = int(xp.min(y)), int(xp.max(y))
    if low < 0 or high >= classes:
        bad = low if low < 0 else high
        raise ValueError(
            f"label {bad} is out of range for {classes} classes: labels are integers in [0, {classes}); to leave "
            f"samples out of the loss: ignore_index={bad}"
        )


def pick(z: Array, target: Array) -> Array:
    """z[k, target[k]] for every row k; -inf, and so an infinite loss, for a label that is no column of z."""
    own = kernel("pick", z)
    found = None if own is None else own(z, target)
    if found is not None:
        return found
    return namespace(z).max(namespace(z).where(one_hot_mask(target, z.shape[1]), z, -math.inf), axis=1)


def minus_one_hot(p: Array, target: Array) -> Array:
    """p with 1 taken from column target[k] of every row k; p must be nobody else's."""
    own = kernel("minus_one_hot", p)
    if own is not None:
        return own(p, target)
    return p - namespace(p).astype(one_hot_mask(target, p.shape[1]), p.dtype)


def one_hot_mask(target: Array, classes: int) -> Array:
    """(n, ...) labels as (n, classes, ...) booleans, plain ones."""
    y = innermost(target)
    xp = namespace(y)
    if classes > xp.iinfo(y.dtype).max:  # labels of 8 bits and a thousand classes
        y = xp.astype(y, xp.int32)
    columns = xp.arange(classes, dtype=y.dtype, device=getattr(y, "device", None))  # a tracer of JAX has none
    return xp.expand_dims(y, axis=1) == xp.reshape(columns, (-1,) + (1,) * (y.ndim - 1))
