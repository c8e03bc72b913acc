"""Convolution in any number of dimensions as three products of two, which are each other's pullbacks.

    y = convolve(x, w)    dx = spread(dy, w)    dw = correlate(x, dy)

Each is linear in both of its arguments, so that the three are all that any derivative, of any order, is made of;
`spread` is also the forward pass of a transposed convolution. The generic forms are a gather and one matrix product; a
backend's kernel may stand in for each.
"""

import math
from typing import Any

from nnx.autodiff import op
from nnx.autodiff.var import Var
from nnx.backend import kernel, namespace
from nnx.backend.windows import Windows
from nnx.functional.conv_windows import gather, scatter
from nnx.typing import Array, Shape


@op
def convolve(x: Array, weight: Array, bias: Array | None, at: Windows, groups: int) -> Any:
    """y[n, o, l] = Σ over c, k of x[n, c, place(k, l)] w[o, c, k] + b[o].

    x: (n, c, *size)   weight: (o, c/groups, *kernel)   bias: (o,)   returns (n, o, *outputs)
    """
    size = tuple(x.shape[2:])

    def pullback(dy: Array) -> tuple[Any, ...]:
        axes = (0, *range(2, dy.ndim))
        return (
            lambda: spread(dy, weight, at, groups, size),  # BP2
            lambda: correlate(x, dy, at, groups),  # BP3
            lambda: namespace(dy).sum(dy, axis=axes),  # BP4
            None,
            None,
        )

    if type(x) is Var:  # on a tape inside of another: the same, one level further out
        return convolve(x, weight, bias, at, groups), pullback
    own = kernel("convolve", x) or convolve_of_standard
    return own(x, weight, bias, at, groups), pullback


@op
def spread(dy: Array, weight: Array, at: Windows, groups: int, size: Shape) -> Any:
    """dx[n, c, p] = Σ over o and the (k, l) with place(k, l) = p of dy[n, o, l] w[o, c, k].

    dy: (n, o, *outputs)   weight: (o, c/groups, *kernel)   returns (n, c, *size)
    """

    def pullback(d: Array) -> tuple[Any, ...]:
        return (
            lambda: convolve(d, weight, None, at, groups),
            lambda: correlate(d, dy, at, groups),
            None,
            None,
            None,
        )

    if type(dy) is Var:
        return spread(dy, weight, at, groups, size), pullback
    own = kernel("spread", dy) or spread_of_standard
    return own(dy, weight, at, groups, size), pullback


@op
def correlate(x: Array, dy: Array, at: Windows, groups: int) -> Any:
    """dw[o, c, k] = Σ over n, l of x[n, c, place(k, l)] dy[n, o, l].

    x: (n, c, *size)   dy: (n, o, *outputs)   returns (o, c/groups, *kernel)
    """
    size = tuple(x.shape[2:])

    def pullback(d: Array) -> tuple[Any, ...]:
        return (
            lambda: spread(dy, d, at, groups, size),
            lambda: convolve(x, d, None, at, groups),
            None,
            None,
        )

    if type(x) is Var:
        return correlate(x, dy, at, groups), pullback
    own = kernel("correlate", x) or correlate_of_standard
    return own(x, dy, at, groups), pullback


# ---- in the standard's functions alone: channels first, samples last, so that a product has two dimensions -----------


def convolve_of_standard(x: Array, weight: Array, bias: Array | None, at: Windows, groups: int) -> Array:
    """The rows of w times the windows as columns."""
    xp = namespace(x)
    size = tuple(x.shape[2:])
    y = xp.matmul(_rows(weight, groups), _columns(x, at, groups))
    y = xp.reshape(y, (weight.shape[0], *at.outputs(size), x.shape[0]))
    if bias is not None:
        y = y + xp.reshape(bias, (-1,) + (1,) * (x.ndim - 1))
    return _samples_first(y)


def spread_of_standard(dy: Array, weight: Array, at: Windows, groups: int, size: Shape) -> Array:
    """The columns of w times dy, each added where it was read."""
    xp = namespace(dy)
    n, c = dy.shape[0], weight.shape[1] * groups
    columns = xp.matmul(xp.matrix_transpose(_rows(weight, groups)), _grouped(_samples_last(dy), groups))
    columns = xp.reshape(columns, (c, math.prod(at.kernel), math.prod(dy.shape[2:]), n))
    return _samples_first(xp.reshape(scatter(columns, at, size), (c, *size, n)))


def correlate_of_standard(x: Array, dy: Array, at: Windows, groups: int) -> Array:
    """dy times the windows."""
    xp = namespace(x)
    columns = xp.matrix_transpose(_columns(x, at, groups))
    dw = xp.matmul(_grouped(_samples_last(dy), groups), columns)
    return xp.reshape(dw, (dy.shape[1], x.shape[1] // groups, *at.kernel))


def _columns(x: Array, at: Windows, groups: int) -> Array:
    """(c · k, l · n): the windows of all samples; with groups (g, c/g · k, l · n)."""
    return _grouped(gather(_samples_last(x), at, tuple(x.shape[2:])), groups, x.shape[1] * math.prod(at.kernel))


def _samples_last(x: Array) -> Array:
    """(c, p, n) of (n, c, *size)."""
    xp = namespace(x)
    turned = xp.permute_dims(x, (*range(1, x.ndim), 0))
    return xp.reshape(turned, (x.shape[1], math.prod(x.shape[2:]), x.shape[0]))


def _samples_first(y: Array) -> Array:
    """(n, o, *size) of (o, *size, n)."""
    return namespace(y).permute_dims(y, (y.ndim - 1, *range(y.ndim - 1)))


def _grouped(x: Array, groups: int, rows: int = 0) -> Array:
    """Two dimensions, with all that is behind the rows in the second; with groups a stack of such."""
    rows = rows or x.shape[0]
    columns = math.prod(x.shape) // rows
    shape = (rows, columns) if groups == 1 else (groups, rows // groups, columns)
    return namespace(x).reshape(x, shape)


def _rows(weight: Array, groups: int) -> Array:
    return _grouped(weight, groups)
