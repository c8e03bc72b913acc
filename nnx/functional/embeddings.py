"""Tables of vectors: an index picks a row, and the row's gradient is added up once for each time that it was picked."""

import math
from typing import Any, Literal

from nnx.autodiff import op
from nnx.autodiff.tape import resolve
from nnx.autodiff.var import Var
from nnx.backend import backend_of, device_of, innermost, is_array, namespace
from nnx.typing import Array

__all__ = ["embedding", "embedding_bag"]

BagMode = Literal["sum", "mean", "max"]


def embedding(
    input: Array, weight: Array, padding_idx: int | None = None, *, scale_grad_by_freq: bool = False
) -> Array:
    """weight[input]: a row of the table for each index.

    input: (...) integers in [0, v)   weight: (v, d)   returns (..., d)
    padding_idx: a row that gets no gradient   scale_grad_by_freq: a row's gradient is the mean over its uses
    Raises TypeError unless input holds integers; ValueError for an index out of range, where values can be looked at
    without waiting for a device (NumPy, array-api-strict): elsewhere its row is nan.

    >>> import numpy as np
    >>> embedding(np.asarray([2, 0]), np.asarray([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]))
    array([[4., 5.],
           [0., 1.]])
    """
    index = checked(input, weight)
    rows = weight.shape[0]
    flat = namespace(index).reshape(index, (-1,))
    y = pick_rows(weight, flat, _row(padding_idx, rows), scale_grad_by_freq)
    return namespace(y).reshape(y, (*index.shape, weight.shape[1]))


def checked(input: Array, weight: Array) -> Array:
    """The indices as a plain array. Raises for a wrong dtype or shape, and for one out of range where that is free."""
    if not is_array(input) or not is_integral(input):
        kind = f"dtype {input.dtype}" if is_array(input) else type(input).__name__
        raise TypeError(f"embedding's input must be an array of integers, got {kind}: nnx.asarray(tokens, 'int64')")
    if weight.ndim != 2:
        raise ValueError(f"embedding's weight must be (rows, features), got {tuple(weight.shape)}")
    index, rows = innermost(input), weight.shape[0]
    if backend_of(index).host and 0 not in index.shape:
        xp = namespace(index)
        low, high = int(xp.min(index)), int(xp.max(index))
        if low < 0 or high >= rows:
            bad = low if low < 0 else high
            raise ValueError(f"index {bad} is out of range for a table of {rows} rows: indices are in [0, {rows})")
    return _wide(index)


def _wide(index: Array) -> Array:
    """Indices of 8 or 16 bits, which libraries take for masks or cannot compare with many rows, as ones of 32."""
    xp = namespace(index)
    return xp.astype(index, xp.int32) if xp.iinfo(index.dtype).bits < 32 else index


def is_integral(x: Array) -> bool:
    """Whether x is an array of integers."""
    x = innermost(x)
    return bool(backend_of(x).namespace().isdtype(x.dtype, "integral"))


def _row(padding_idx: int | None, rows: int) -> int | None:
    """padding_idx counted from the start."""
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise ValueError(f"padding_idx {padding_idx} is out of range for a table of {rows} rows: use [-{rows}, {rows})")
    return padding_idx % rows


@op
def pick_rows(weight: Array, index: Array, padding: int | None = None, by_frequency: bool = False) -> Any:
    """weight[index], (n, d), for n indices; padding: the row without a gradient."""
    xp, index = namespace(weight), resolve(index)
    rows = weight.shape[0]
    if backend_of(weight).host:
        y = xp.take(weight, index, axis=0)
    else:  # never a wrong number in silence: some libraries wrap an index that is out of range
        outside = (index < 0) | (index >= rows)
        index = xp.where(outside, xp.zeros_like(index), index)
        y = xp.where(xp.expand_dims(outside, axis=1), math.nan, xp.take(weight, index, axis=0))

    def pullback(dy: Array) -> tuple[Any, None, None, None]:
        if padding is not None:
            dy = dy * _column(index != padding, dy)
        if by_frequency:
            counts = add_rows(xp.ones_like(dy[:, :1]), index, rows)
            dy = dy / xp.take(counts, index, axis=0)
        return add_rows(dy, index, rows), None, None, None

    return y, pullback


def _column(mask: Array, like: Array) -> Array:
    """A mask (n,) as numbers (n, 1)."""
    return namespace(mask).astype(namespace(mask).expand_dims(mask, axis=1), like.dtype)


@op
def add_rows(x: Array, index: Array, rows: int) -> Any:
    """Zeros with `rows` rows, to whose row index[k] x[k] is added: the pullback of picking, which is this one's."""
    index = resolve(index)
    if type(x) is Var:
        y = add_rows(x, index, rows)
    else:
        y = backend_of(x).index_add(rows, innermost(index), x)
    return y, lambda dy: (namespace(dy).take(dy, index, axis=0), None, None)


def embedding_bag(
    input: Array,
    weight: Array,
    offsets: Array | None = None,
    *,
    mode: BagMode = "mean",
    per_sample_weights: Array | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
    scale_grad_by_freq: bool = False,
) -> Array:
    """The sum, mean or maximum of the rows of each bag of indices; an empty bag gives zeros.

    input: (b, n), a bag a row; or (n,) with offsets (b,), where each bag starts, the first at 0
    weight: (v, d)   per_sample_weights: input's shape, a factor for each row, for mode "sum"   returns (b, d)
    include_last_offset: offsets (b + 1,) end with n   padding_idx: an index that counts as absent
    Raises as embedding does, and ValueError for shapes or a mode that do not fit.
    """
    index = checked(input, weight)
    bag, bags = _bags(index, offsets, include_last_offset)
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"embedding_bag's mode must be 'sum', 'mean' or 'max', got {mode!r}")
    if per_sample_weights is not None and (mode != "sum" or tuple(per_sample_weights.shape) != tuple(index.shape)):
        raise ValueError(
            f"per_sample_weights need mode 'sum', got {mode!r}, and input's shape {tuple(index.shape)}, got "
            f"{tuple(per_sample_weights.shape)}"
        )
    flat = namespace(index).reshape(index, (-1,))
    padding = _row(padding_idx, weight.shape[0])
    rows = pick_rows(weight, flat, padding, scale_grad_by_freq)
    present = namespace(flat).ones_like(flat) > 0 if padding is None else flat != padding
    if mode == "max":
        return _largest(rows, bag, bags, present)
    factor = _column(present, innermost(rows))
    if per_sample_weights is not None:
        factor = namespace(per_sample_weights).reshape(per_sample_weights, (-1, 1)) * factor
    total = add_rows(rows * factor, bag, bags)
    if mode == "sum":
        return total
    count = add_rows(factor, bag, bags)
    return total / namespace(count).maximum(count, 1.0)


def _bags(index: Array, offsets: Array | None, include_last_offset: bool) -> tuple[Array, int]:
    """The bag of each index, in order, and how many bags there are."""
    xp = namespace(index)
    if index.ndim == 2:
        if offsets is not None:
            raise ValueError("embedding_bag: input (b, n) holds a bag a row and takes no offsets")
        bags, size = index.shape
        bag = xp.broadcast_to(xp.reshape(xp.arange(bags, device=device_of(index)), (-1, 1)), (bags, size))
        return xp.reshape(bag, (-1,)), bags
    if index.ndim != 1 or offsets is None or offsets.ndim != 1:
        raise ValueError(
            f"embedding_bag takes input (b, n), or input (n,) with offsets (b,); got input {tuple(index.shape)} and "
            f"offsets {None if offsets is None else tuple(offsets.shape)}"
        )
    starts = innermost(offsets)
    if backend_of(starts).host and starts.shape[0] and int(starts[0]):
        raise ValueError(f"embedding_bag: offsets must start with 0, got {int(starts[0])}")
    starts = starts[:-1] if include_last_offset else starts
    places = xp.arange(index.shape[0], dtype=starts.dtype, device=device_of(index))
    return xp.searchsorted(starts, places, side="right") - 1, starts.shape[0]


def _largest(rows: Array, bag: Array, bags: int, present: Array) -> Array:
    """The maximum of each bag, place by place; it picks from `rows`, which is where its gradient goes."""
    n, d = rows.shape
    plain = innermost(rows)
    xp = namespace(plain)
    if not n:
        return xp.zeros((bags, d), dtype=plain.dtype, device=device_of(plain))
    best = xp.where(xp.expand_dims(present, axis=1), plain, -math.inf)
    at = xp.broadcast_to(xp.reshape(xp.arange(n, device=device_of(plain)), (-1, 1)), (n, d))
    # the running maximum within each bag, over twice as many rows each time: no loop over bags of unknown sizes
    step = 1
    while step < n:
        wins = xp.expand_dims(bag[step:] == bag[:-step], axis=1) & (best[:-step, :] >= best[step:, :])
        at = xp.concat([at[:step, :], xp.where(wins, at[:-step, :], at[step:, :])])
        best = xp.concat([best[:step, :], xp.where(wins, best[:-step, :], best[step:, :])])
        step *= 2
    every = xp.arange(bags, dtype=bag.dtype, device=device_of(bag))
    counted = xp.searchsorted(bag, every, side="right")
    last = xp.maximum(counted - 1, xp.zeros_like(counted))
    found = xp.expand_dims(xp.take(bag, last, axis=0) == every, axis=1) & (xp.take(best, last, axis=0) > -math.inf)
    at = xp.take(at, last, axis=0) * d + xp.arange(d, device=device_of(plain))
    numbers = namespace(rows).reshape(rows, (-1,))
    y = namespace(rows).take(numbers, xp.reshape(at, (-1,)), axis=0)
    return namespace(y).reshape(y, (bags, d)) * xp.astype(found, plain.dtype)
