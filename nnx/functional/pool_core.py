"""Pools in any number of dimensions: a maximum or a sum over windows, over the columns that conv_windows gathers.

A backend's kernel may stand in for each; what is here is its oracle. In a maximum the first of several equal places
wins, as in PyTorch, and nan wins over all numbers.
"""

import math
from typing import Any

from nnx.autodiff import op
from nnx.autodiff.var import Var
from nnx.backend import device_of, innermost, kernel, namespace
from nnx.backend.windows import Windows
from nnx.functional.conv_windows import Lookup, gather, gather_sum, places, scatter, scatter_same
from nnx.typing import Array, Shape

At = Windows | Lookup


def planes(x: Array, dims: int) -> Array:
    """(n · c, p, 1) of (n, c, *size), as conv_windows wants it."""
    xp = namespace(x)
    size = math.prod(x.shape[x.ndim - dims :])
    rows = -1 if None in x.shape else math.prod(x.shape[: x.ndim - dims])
    return xp.reshape(x, (rows, size, 1))


def images(y: Array, like: Array, size: Shape) -> Array:
    """(n, c, *size) of (n · c, p, 1), n and c those of `like`."""
    lead = tuple(-1 if n is None else n for n in like.shape[: like.ndim - len(size)])
    return namespace(y).reshape(y, (*lead, *size))


# ---- sums ------------------------------------------------------------------------------------------------------------


@op
def sum_pool(x: Array, at: At) -> Any:
    """The sum over each window.   x: (n, c, *size)   returns (n, c, *outputs)"""
    size = tuple(x.shape[2:])

    def pullback(dy: Array) -> tuple[Any, ...]:
        return spread_pool(dy, at, size), None

    if type(x) is Var:
        return sum_pool(x, at), pullback
    own = kernel("sum_pool", x) if type(at) is Windows else None
    return (own or sum_pool_of_standard)(x, at), pullback


@op
def spread_pool(dy: Array, at: At, size: Shape) -> Any:
    """dy added to each place of its window.   dy: (n, c, *outputs)   returns (n, c, *size)"""

    def pullback(d: Array) -> tuple[Any, ...]:
        return sum_pool(d, at), None, None

    if type(dy) is Var:
        return spread_pool(dy, at, size), pullback
    own = kernel("spread_pool", dy) if type(at) is Windows else None
    return (own or spread_pool_of_standard)(dy, at, size), pullback


def sum_pool_of_standard(x: Array, at: At) -> Array:
    """See sum_pool."""
    size = tuple(x.shape[2:])
    return images(gather_sum(planes(x, len(size)), at, size), x, at.outputs(size))


def spread_pool_of_standard(dy: Array, at: At, size: Shape) -> Array:
    """See spread_pool."""
    return images(scatter_same(planes(dy, len(size)), at, size), dy, size)


# ---- maxima ----------------------------------------------------------------------------------------------------------


@op
def max_pool(x: Array, at: At) -> Any:
    """The maximum over each window.   x: (n, c, *size)   returns (n, c, *outputs)"""
    if type(x) is Var:
        y, plain = max_pool(x, at), innermost(x)
        saved = None
    else:
        own = kernel("max_pool", x) if type(at) is Windows else None
        y, saved = (own or max_pool_of_standard)(x, at)
        plain = x
    found = innermost(y)
    return y, lambda dy: (unpool(dy, plain, found, saved, at), None)


@op
def unpool(dy: Array, x: Array, y: Array, saved: Any, at: At) -> Any:
    """dy at the place of x that won its window, 0 elsewhere; x, y and what max_pool saved are constants.

    dy: (n, c, *outputs)   returns (n, c, *size)
    """

    def pullback(d: Array) -> tuple[Any, ...]:
        return repool(d, innermost(x), innermost(y), saved, at), None, None, None, None

    if type(dy) is Var:
        return unpool(dy, innermost(x), innermost(y), saved, at), pullback
    own = kernel("unpool", dy) if type(at) is Windows else None
    return (own or unpool_of_standard)(dy, x, y, saved, at), pullback


@op
def repool(d: Array, x: Array, y: Array, saved: Any, at: At) -> Any:
    """d at the place of x that won, for each window: unpool's pullback.   d: (n, c, *size) to (n, c, *outputs)"""

    def pullback(dy: Array) -> tuple[Any, ...]:
        return unpool(dy, innermost(x), innermost(y), saved, at), None, None, None, None

    if type(d) is Var:
        return repool(d, innermost(x), innermost(y), saved, at), pullback
    xp, size = namespace(d), tuple(d.shape[2:])
    columns = gather(planes(d, len(size)), at, size)
    won = xp.take_along_axis(columns, winners(x, at), axis=1)
    return images(won, d, at.outputs(size)), pullback


def max_pool_of_standard(x: Array, at: At) -> tuple[Array, Any]:
    """See max_pool; and which offset won."""
    xp, size = namespace(x), tuple(x.shape[2:])
    columns = gather(planes(x, len(size)), at, size, -math.inf)
    return images(xp.max(columns, axis=1), x, at.outputs(size)), xp.argmax(columns, axis=1, keepdims=True)


def unpool_of_standard(dy: Array, x: Array, y: Array, saved: Any, at: At) -> Array:
    """See unpool."""
    xp, size = namespace(dy), tuple(x.shape[2:])
    won = winners(x, at) if saved is None else saved
    offsets = xp.reshape(xp.arange(math.prod(at.kernel), dtype=won.dtype, device=device_of(dy)), (1, -1, 1, 1))
    flat = xp.reshape(dy, (-1 if dy.size else math.prod(dy.shape[:2]), 1, math.prod(dy.shape[2:]), 1))
    columns = xp.where(won == offsets, flat, xp.zeros_like(flat))
    return images(scatter(columns, at, size), x, size)


def winners(x: Array, at: At) -> Array:
    """(n · c, 1, l, 1): the offset that wins each window."""
    size = tuple(x.shape[2:])
    columns = gather(planes(x, len(size)), at, size, -math.inf)
    return namespace(x).argmax(columns, axis=1, keepdims=True)


def winning_places(x: Array, at: At) -> Array:
    """The place in its plane, counted flat, that wins each window, as PyTorch's return_indices: (n, c, *outputs)."""
    xp, size = namespace(x), tuple(x.shape[2:])
    index, _ = places(x, "gather", at, size)
    windows = math.prod(at.outputs(size))
    won = xp.reshape(winners(x, at), (-1 if x.size else 0, windows))
    line = xp.arange(windows, dtype=won.dtype, device=device_of(x))
    found = xp.take(index, xp.reshape(won * windows + line[None, :], (-1,)), axis=0)
    return images(found, x, at.outputs(size))
