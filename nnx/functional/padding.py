"""Numbers put around an array: one value, or the array's own, mirrored, repeated or from the other end."""

from typing import Any

from nnx.autodiff import op
from nnx.autodiff.var import Var
from nnx.backend import backend_of, device_of, namespace
from nnx.backend.windows import Table
from nnx.functional.conv_windows import Lookup, gather
from nnx.functional.pool_core import images, planes
from nnx.typing import Array, Shape

__all__ = ["pad"]

MODES = ("constant", "reflect", "replicate", "circular")


def pad(x: Array, pad: tuple[int, ...], mode: str = "constant", value: float | None = None) -> Array:
    """x with more places at the ends of its last axes; fewer, where a number is negative.

    pad: (before, after) of the last axis, then of the one before it, ...: as PyTorch counts
    mode: constant: `value` (0)   reflect: mirrored, without the edge itself   replicate: the edge again
    circular: what stands at the other end.   The last three want 1 to 3 axes, and one more before them.
    Raises ValueError for more axes than x has, and for more padding than a mode can fill.

    >>> import numpy as np
    >>> pad(np.asarray([[1.0, 2.0, 3.0]]), (2, 1), "reflect")
    array([[3., 2., 1., 2., 3., 2.]])
    """
    pads = tuple(pad)
    if len(pads) % 2 or len(pads) > 2 * x.ndim or not all(isinstance(n, int) for n in pads):
        raise ValueError(
            f"pad takes two integers an axis, of {x.ndim} axes at the most, got {pad} for shape {tuple(x.shape)}"
        )
    if mode not in MODES:
        raise ValueError(f"pad: mode must be one of {', '.join(MODES)}, got {mode!r}")
    dims = len(pads) // 2
    edges = tuple((pads[2 * k], pads[2 * k + 1]) for k in reversed(range(dims)))  # in the order of the axes
    if mode == "constant":
        return _constant(x, ((0, 0),) * (x.ndim - dims) + edges, 0.0 if value is None else float(value))
    if value is not None:
        raise ValueError(f"pad: mode '{mode}' takes its numbers from x, and no value, got {value}")
    if not 1 <= dims <= 3 or x.ndim not in (dims + 1, dims + 2):
        raise ValueError(
            f"pad: mode '{mode}' pads 1 to 3 axes behind (n, c) or (c), got {pad} for shape {tuple(x.shape)}"
        )
    return _from_itself(x, edges, mode)


def _constant(x: Array, edges: tuple[tuple[int, int], ...], value: float) -> Array:
    size = tuple(x.shape)
    wanted = tuple(n + before + after for n, (before, after) in zip(size, edges, strict=True))
    if min(wanted, default=1) < 0:
        raise ValueError(f"pad: edges {edges} would leave shape {wanted} of {size}: take less away")
    kept = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(size, edges, strict=True))
    if any(min(pair) < 0 for pair in edges):
        x = x[kept]
    places = tuple(
        slice(max(before, 0), max(before, 0) + n) for (before, _), n in zip(edges, tuple(x.shape), strict=True)
    )
    return x if tuple(x.shape) == wanted else _placed(x, places, wanted, value)


@op
def _placed(x: Array, places: tuple[slice, ...], shape: Shape, value: float) -> Any:
    """An array of that shape, x at those places of it, `value` elsewhere."""

    def pullback(dy: Array) -> tuple[Any, ...]:
        return dy[places], None, None, None

    if type(x) is Var:
        return _placed(x, places, shape, value), pullback
    full = namespace(x).full(shape, value, dtype=x.dtype, device=device_of(x))
    return backend_of(x).set_item(full, places, x), pullback


def _from_itself(x: Array, edges: tuple[tuple[int, int], ...], mode: str) -> Array:
    size = tuple(x.shape[x.ndim - len(edges) :])
    at = Lookup(tuple(_line(n, *pair, mode) for n, pair in zip(size, edges, strict=True)))
    return images(gather(planes(x, len(size)), at, size), x, at.outputs(size))


def _line(n: int, before: int, after: int, mode: str) -> Table:
    """The place that each place of the padded axis shows."""
    most = {"reflect": n - 1, "circular": n}.get(mode)
    if most is not None and max(before, after) > most:
        raise ValueError(
            f"pad: mode '{mode}' can put at most {most} places before and after an axis of {n}, got {before}, {after}"
        )
    if n < 1 or n + before + after < 1:
        raise ValueError(f"pad: {before} and {after} leave nothing of an axis of {n}: there must be a number to show")
    line = range(-before, n + after)
    if mode == "circular":
        return (tuple(p % n for p in line),)
    if mode == "replicate":
        return (tuple(min(max(p, 0), n - 1) for p in line),)
    return (tuple(n - 1 - abs(n - 1 - abs(p)) for p in line),)
