"""Normalisation in NumPy's memory, in blocks that stay in cache: nnx/functional/normalization_rule.py is its oracle.

What is normalised lies in rows: the samples of a layer norm, whose weight has a number for each place, or the channels
of a batch norm, whose weight has one for each row. What is kept is x itself with the mean and the variance of each
row: to subtract the mean again costs less than to bring x - μ from memory.
"""

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from nnx.backend import numpy_memory
from nnx.typing import Array, DType

BLOCK = 1 << 15
"""Numbers of a block."""


class _Rows(NamedTuple):
    """An array as (rows, a, b), and its mean and variance (rows, 1, 1); weight: (rows, 1, 1), (1, a, b), or None."""

    x: Array
    weight: Array | None
    bias: Array | None
    by_row: bool
    centred: bool
    mean: Array
    var: Array
    eps: float

    def blocks(self) -> Iterator[slice]:
        """Some rows at a time."""
        length = max(1, BLOCK // max(1, math.prod(self.x.shape[1:])))
        return (slice(start, start + length) for start in range(0, self.x.shape[0], length))


def normalized(
    x: Array, weight: Array | None, bias: Array | None, form: Any, eps: float, centred: bool
) -> tuple[tuple[Array, Array, Array], Callable[[Array], tuple[Array, Array | None, Array | None]]] | None:
    """(y, μ, σ²) and the pullback; None for other axes, other dtypes, or an order in memory that it does not know.

    form: see nnx.functional.normalization_rule
    """
    if x.dtype not in (np.float32, np.float64) or not x.size or form.view is not None:
        return None
    if any(w is not None and w.dtype != x.dtype for w in (weight, bias)):
        return None
    by_row = form.inner == form.axes == (0, *range(2, x.ndim)) and x.ndim > 2
    if not by_row and (form.inner or form.axes != tuple(range(x.ndim - len(form.axes), x.ndim))):
        return None
    seen = _channels if by_row else _samples(len(form.axes))
    flat = seen(x)
    if flat is None:
        return None
    y = np.empty_like(x)
    w, b = (None if w is None else w.reshape((-1, 1, 1) if by_row else (1, 1, -1)) for w in (weight, bias))
    mean, var = np.zeros((2, len(flat), 1, 1), x.dtype)
    rows = _Rows(flat, w, b, by_row, centred, mean, var, eps)
    _forward(rows, seen(y))
    shape = tuple(1 if k in form.axes else n for k, n in enumerate(x.shape))

    def pullback(dy: Array) -> tuple[Array, Array | None, Array | None]:
        if dy.strides != x.strides:  # in the order in which x lies
            other, dy = dy, np.empty_like(x)
            dy[...] = other
        dx = np.empty_like(x)
        dw, db = _backward(rows, seen(dy), seen(dx))
        return (
            dx,
            None if weight is None else dw.reshape(weight.shape),
            None if bias is None else db.reshape(bias.shape),
        )

    return (y, mean.reshape(shape), var.reshape(shape)), pullback


def _channels(x: Array) -> Array | None:
    """(c, n, l) of (n, c, *size), or (c, 1, l · n) of one whose samples come last in memory."""
    turned = np.moveaxis(x, 0, -1)
    if turned.flags.c_contiguous:
        return turned.reshape(x.shape[1], 1, -1)
    return x.reshape(*x.shape[:2], -1).transpose(1, 0, 2) if x.flags.c_contiguous else None


def _samples(axes: int) -> Callable[[Array], Array | None]:
    def seen(x: Array) -> Array | None:
        return x.reshape(-1, 1, math.prod(x.shape[x.ndim - axes :])) if x.flags.c_contiguous else None

    return seen


def _sums(x: Array, y: Array | None = None) -> Array:
    """Σ x, or Σ x y, of each row: (rows, 1, 1)."""
    return np.add.reduce(np.vecdot(x, _ones(x.shape[-1], x.dtype) if y is None else y), axis=1).reshape(-1, 1, 1)


@lru_cache(4)
def _ones(n: int, dtype: DType) -> Array:
    return np.ones(n, dtype)


def scaled(x: Array, gain: Array, shift: Array) -> Array | None:
    """x gain + shift, with a number for each channel; None for an order in memory that it does not know."""
    at = _channels(x) if x.ndim > 2 and x.size and x.dtype == gain.dtype == shift.dtype else None
    if at is None:
        return None
    y = numpy_memory.like(x)
    for here, to, a, b in zip(at, _channels(y), gain, shift, strict=True):  # type: ignore[arg-type] # as x lies
        np.multiply(here, a, out=to)
        to += b
    return y


def _forward(rows: _Rows, y: Any) -> None:
    per = 1.0 / math.prod(rows.x.shape[1:])
    for at in rows.blocks():
        x, to = rows.x[at], y[at]
        h = x
        if rows.centred:
            np.multiply(_sums(x), per, out=rows.mean[at])
            h = np.subtract(x, rows.mean[at], out=to)
        np.multiply(_sums(h, h), per, out=rows.var[at])
        r = 1.0 / np.sqrt(rows.var[at] + rows.eps)
        if rows.weight is not None and rows.by_row:
            r = r * rows.weight[at]
        np.multiply(h, r, out=to)
        if rows.weight is not None and not rows.by_row:
            to *= rows.weight
        if rows.bias is not None:
            to += rows.bias[at] if rows.by_row else rows.bias


def _backward(rows: _Rows, dy: Any, dx: Any) -> tuple[Array, Array]:
    """Writes dx; returns ∂C/∂w and ∂C/∂b, flat."""
    size = len(rows.x) if rows.by_row else rows.x.shape[-1]
    dw, db = np.zeros((2, size), rows.x.dtype)
    scratch = np.empty((2, *rows.x[next(rows.blocks())].shape), rows.x.dtype)
    for at in rows.blocks():
        h, part = scratch[:, : len(dx[at])]
        np.subtract(rows.x[at], rows.mean[at], out=h)
        r = 1.0 / np.sqrt(rows.var[at] + rows.eps)
        if rows.by_row:
            db[at], dw[at] = _of_channels(rows, at, dy[at], h, r, part, dx[at])
        else:
            of_w, of_b = _of_samples(rows, dy[at], h, r, part, dx[at])
            dw += of_w
            db += of_b
    return dw, db


def _of_channels(rows: _Rows, at: slice, dy: Array, h: Array, r: Array, part: Array, dx: Array) -> tuple[Array, Array]:
    """Writes dx = (dy - mean(dy) - ĥ mean(dy ĥ)) w r, ĥ = h r; returns Σ dy and Σ dy ĥ of each row."""
    per = 1.0 / math.prod(dx.shape[1:])
    shifts, scales = _sums(dy), _sums(dy, h) * r
    gain = r if rows.weight is None else r * rows.weight[at]
    np.multiply(dy, gain, out=dx)
    dx -= np.multiply(h, scales * gain * r * per, out=part)
    if rows.centred:
        dx -= shifts * gain * per
    return shifts.reshape(-1), scales.reshape(-1)


def _of_samples(rows: _Rows, dy: Array, h: Array, r: Array, part: Array, dx: Array) -> tuple[Array, Array]:
    """Writes dx = (dy w - mean(dy w) - ĥ mean(dy w ĥ)) r; returns Σ dy ĥ and Σ dy over the rows."""
    per = 1.0 / dx.shape[-1]
    h *= r
    sums = np.add.reduce(np.multiply(dy, h, out=part), axis=(0, 1)), np.add.reduce(dy, axis=(0, 1))
    dyw = dy if rows.weight is None else np.multiply(dy, rows.weight, out=part)
    h *= _sums(dyw, h) * per
    np.subtract(dyw, h, out=dx)
    if rows.centred:
        dx -= _sums(dyw) * per
    dx *= r
    return sums


KERNELS: dict[str, Callable[..., Any]] = {"normalized": normalized, "scaled": scaled}
