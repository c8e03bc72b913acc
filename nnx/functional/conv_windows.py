"""Windows over an image as columns, and columns added up to an image: each is the other's pullback.

Both are one `take` along the flattened spatial axes. Where to take from is an array of places, the sum of a small table
an axis; a place outside of the image is the one behind the last, where the padding is. So there is no loop over pixels,
samples or offsets, and forward and backward run the same line with another table. Convolution, pooling, resizing and
padding are all made of it.
"""

import math
from typing import Any, NamedTuple

from nnx.autodiff import op
from nnx.autodiff.var import Var
from nnx.backend import backend_of, device_of, lasts, namespace
from nnx.backend.windows import Table, Windows
from nnx.typing import Array, Shape


class Lookup(NamedTuple):
    """Windows that lie anywhere: a table an axis, whatever the size (adaptive pools, resizing, padding)."""

    rows: tuple[Table, ...]

    @property
    def kernel(self) -> Shape:
        """How many places a window reads along each axis."""
        return tuple(map(len, self.rows))

    def outputs(self, size: Shape) -> Shape:
        """How many windows there are along each axis."""
        return tuple(len(table[0]) for table in self.rows)

    def tables(self, size: Shape) -> tuple[Table, ...]:
        """See Windows.tables."""
        return self.rows


@op
def gather(x: Array, at: Windows | Lookup, size: Shape, fill: float = 0.0) -> Any:
    """The windows over x, with `fill` where they reach over the edge.

    x: (a, p, b), p the places of an image of that size   returns (a, k, l, b): offset k of window l
    """

    def pullback(dy: Array) -> tuple[Any, ...]:
        return scatter(dy, at, size), None, None, None

    if type(x) is Var:
        return gather(x, at, size, fill), pullback
    columns = _taken(x, places(x, "gather", at, size), fill)
    return _shaped(columns, (math.prod(at.kernel), math.prod(at.outputs(size))), x), pullback


@op
def scatter(columns: Array, at: Windows | Lookup, size: Shape) -> Any:
    """Columns added up where gather would have read them.

    columns: (a, k, l, b)   returns (a, p, b), p the places of an image of that size
    """

    def pullback(d: Array) -> tuple[Any, ...]:
        return gather(d, at, size), None, None

    if type(columns) is Var:
        return scatter(columns, at, size), pullback
    flat = _shaped(columns, (columns.shape[1] * columns.shape[2],), columns)
    return _times_summed(_taken(flat, places(columns, "scatter", at, size), 0.0), size), pullback


@op
def gather_sum(x: Array, at: Windows | Lookup, size: Shape) -> Any:
    """The sum over each window.   x: (a, p, b)   returns (a, l, b)"""

    def pullback(dy: Array) -> tuple[Any, ...]:
        return scatter_same(dy, at, size), None, None

    if type(x) is Var:
        return gather_sum(x, at, size), pullback
    return namespace(x).sum(gather(x, at, size), axis=1), pullback


@op
def scatter_same(y: Array, at: Windows | Lookup, size: Shape) -> Any:
    """y added to every place of its window: gather_sum's pullback, without columns of it.

    y: (a, l, b)   returns (a, p, b)
    """

    def pullback(d: Array) -> tuple[Any, ...]:
        return gather_sum(d, at, size), None, None

    if type(y) is Var:
        return scatter_same(y, at, size), pullback
    return _times_summed(_taken(y, places(y, "same", at, size), 0.0), size), pullback


def _taken(x: Array, where: tuple[Array, bool], fill: float) -> Array:
    """x: (a, p, b) at places along the second axis, `fill` at the place p."""
    xp, (index, outside) = namespace(x), where
    if outside:
        x = xp.concat([x, xp.full_like(x[:, :1, :], fill)], axis=1)
    return xp.take(x, index, axis=1)


def _times_summed(found: Array, size: Shape) -> Array:
    """(a, p, b) of (a, times · p, b): a place is in so many windows, at the most."""
    n = math.prod(size)
    times = found.shape[1] // n
    return namespace(found).sum(_shaped(found, (times, n), found), axis=1) if times > 1 else found


def _shaped(x: Array, inner: Shape, like: Array) -> Array:
    """x as (a, *inner, b), a and b those of `like`; a trace may not know one of them."""
    first, last = like.shape[0], like.shape[-1]
    return namespace(x).reshape(x, (-1 if first is None else first, *inner, -1 if last is None else last))


# ---- places ----------------------------------------------------------------------------------------------------------


def places(x: Array, kind: str, at: Windows | Lookup, size: Shape) -> tuple[Array, bool]:
    """Places beside x (the device's), flat, and whether one is outside; made once for each geometry and device."""
    key = backend_of(x), str(device_of(x)), kind, at, size
    found = _PLACES.get(key)
    if found is None:
        tables, limit = _read(at, size) if kind == "gather" else _written(at, size, kind == "same")
        found = _combined(x, tables, limit), any(p is None for table in tables for row in table for p in row)
        if lasts(found[0]):  # else it belongs to a compiler's trace
            if len(_PLACES) >= MOST_PLACES:
                _PLACES.pop(next(iter(_PLACES)), None)
            _PLACES[key] = found
    return found


_PLACES: dict[Any, tuple[Array, bool]] = {}
MOST_PLACES = 128

Rows = list[list[int | None]]


def _read(at: Windows | Lookup, size: Shape) -> tuple[list[Rows], int]:
    """For each offset k and window l its place in the flat image."""
    steps = [math.prod(size[axis + 1 :]) for axis in range(len(size))]
    tables = zip(at.tables(size), steps, strict=True)
    return [[[None if p is None else p * step for p in row] for row in table] for table, step in tables], math.prod(
        size
    )


def _written(at: Windows | Lookup, size: Shape, same: bool) -> tuple[list[Rows], int]:
    """For each place of the image those of the flat columns (k, l) that read it; of the windows l if `same`."""
    outputs, found = at.outputs(size), []
    windows = math.prod(outputs)
    for axis, table in enumerate(at.tables(size)):
        offset = 0 if same else math.prod(at.kernel[axis + 1 :]) * windows
        step = math.prod(outputs[axis + 1 :])
        readers: Rows = [[] for _ in range(size[axis])]
        for k, row in enumerate(table):
            for o, p in enumerate(row):
                if p is not None:
                    readers[p].append(k * offset + o * step)
        most = max(1, *map(len, readers))
        found.append([[r[i] if i < len(r) else None for r in readers] for i in range(most)])
    return found, windows if same else math.prod(at.kernel) * windows


def _combined(x: Array, tables: list[Rows], limit: int) -> Array:
    """The sum of all axes' places, one table's rows and columns against each other's; `limit` where one is outside."""
    xp, n = namespace(x), len(tables)
    total: Any = None
    for axis, table in enumerate(tables):
        numbers = xp.asarray([[limit if p is None else p for p in row] for row in table], device=device_of(x))
        shape = [1] * (2 * n)
        shape[axis], shape[n + axis] = len(table), len(table[0])
        line = xp.reshape(numbers, tuple(shape))
        total = line if total is None else total + line
    return xp.reshape(xp.where(total > limit, xp.full_like(total, limit), total), (-1,))
