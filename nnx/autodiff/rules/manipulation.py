"""Functions that move numbers about: the gradient takes the same way back."""

from typing import Any, Literal

from nnx.autodiff.rules.common import (
    RULES,
    along,
    cast,
    composed,
    like,
    named,
    normalized,
    placed,
    product,
    standard,
    unbroadcast,
)
from nnx.autodiff.tape import op
from nnx.autodiff.var import Var
from nnx.backend import backend_of, device_of, innermost, namespace
from nnx.typing import Array, Device, DType, Shape


@standard
def reshape(x: Array, /, shape: Shape, *, copy: bool | None = None) -> Any:
    """The same numbers in the same order under another shape."""
    xp = namespace(x)
    old = x.shape
    return xp.reshape(x, shape, copy=copy), lambda dy: (xp.reshape(dy, old),)


@standard
def permute_dims(x: Array, /, axes: tuple[int, ...]) -> Any:
    """Axis k of the result is axis axes[k] of x."""
    xp = namespace(x)
    axes = normalized(axes, len(axes))
    back = tuple(sorted(range(len(axes)), key=axes.__getitem__))
    return xp.permute_dims(x, axes), lambda dy: (xp.permute_dims(dy, back),)


@standard
def moveaxis(x: Array, source: int | tuple[int, ...], destination: int | tuple[int, ...], /) -> Any:
    """Axes moved to other places."""
    xp = namespace(x)
    return xp.moveaxis(x, source, destination), lambda dy: (xp.moveaxis(dy, destination, source),)


@standard
def matrix_transpose(x: Array, /) -> Any:
    """The last two axes exchanged."""
    xp = namespace(x)
    return xp.matrix_transpose(x), lambda dy: (xp.matrix_transpose(dy),)


@standard
def broadcast_to(x: Array, /, shape: Shape) -> Any:
    """x stretched to a shape."""
    xp = namespace(x)
    to = like(x)
    return xp.broadcast_to(x, shape), lambda dy: (unbroadcast(dy, to),)


@composed
def broadcast_arrays(*arrays: Array) -> tuple[Array, ...]:
    """All arrays stretched to the shape they have in common."""
    xp = namespace(*arrays)
    shape = arrays[0].shape
    for x in arrays[1:]:
        shape = _common_shape(shape, x.shape)
    return tuple(xp.broadcast_to(x, shape) for x in arrays)


def _common_shape(a: Shape, b: Shape) -> Shape:
    n = max(len(a), len(b))
    pairs = zip((1,) * (n - len(a)) + tuple(a), (1,) * (n - len(b)) + tuple(b), strict=True)
    shape = []
    for i, j in pairs:
        if i != j and 1 not in (i, j):
            raise ValueError(f"shapes {tuple(a)} and {tuple(b)} do not broadcast: {i} meets {j}")
        shape.append(j if i == 1 else i)
    return tuple(shape)


@composed
def squeeze(x: Array, /, axis: int | tuple[int, ...]) -> Array:
    """Axes of length one taken away."""
    axes = placed(axis, x.ndim)
    if any(x.shape[k] != 1 for k in axes):
        raise ValueError(f"cannot squeeze axis {axis} of shape {tuple(x.shape)}: its length is not 1")
    return reshape(x, tuple(n for k, n in enumerate(x.shape) if k not in axes))


@composed
def expand_dims(x: Array, /, axis: int | tuple[int, ...] = 0) -> Array:
    """New axes of length one, which have these places in the result."""
    new = (axis,) if isinstance(axis, int) else axis
    ndim = x.ndim + len(new)
    axes, old = placed(new, ndim), iter(x.shape)
    return reshape(x, tuple(1 if k in axes else next(old) for k in range(ndim)))


@standard
def flip(x: Array, /, *, axis: int | tuple[int, ...] | None = None) -> Any:
    """The order reversed along axes."""
    xp = namespace(x)
    return xp.flip(x, axis=axis), lambda dy: (xp.flip(dy, axis=axis),)


@standard
def roll(x: Array, /, shift: int | tuple[int, ...], *, axis: int | tuple[int, ...] | None = None) -> Any:
    """Moved around in a circle."""
    xp = namespace(x)
    back = -shift if isinstance(shift, int) else tuple(-s for s in shift)
    return xp.roll(x, shift, axis=axis), lambda dy: (xp.roll(dy, back, axis=axis),)


@op
def _concat(*arrays: Array, axis: int | None) -> Any:
    xp = namespace(*arrays)
    y = xp.concat(list(arrays), axis=axis)
    at = 0 if axis is None else axis % y.ndim
    likes = [like(x) for x in arrays]
    sizes = [product(x.shape) if axis is None else x.shape[at] for x in arrays]

    def pullback(dy: Array) -> tuple[Array, ...]:
        parts, start = [], 0
        for to, n in zip(likes, sizes, strict=True):
            assert to is not None
            part = dy[along(at, slice(start, start + n))]
            parts.append(cast(xp.reshape(part, to[0]), to[1]))
            start += n
        return tuple(parts)

    return y, pullback


@composed
def concat(arrays: tuple[Array, ...] | list[Array], /, *, axis: int | None = 0) -> Array:
    """Arrays one behind the other along an axis."""
    return _concat(*arrays, axis=axis)


@composed
def stack(arrays: tuple[Array, ...] | list[Array], /, *, axis: int = 0) -> Array:
    """Arrays side by side along a new axis."""
    return _concat(*[expand_dims(x, axis=axis) for x in arrays], axis=axis)


@composed
def unstack(x: Array, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The slices along an axis."""
    (at,) = placed(axis, x.ndim)
    return tuple(x[along(at, k)] for k in range(x.shape[at]))


@composed
def tile(x: Array, repetitions: tuple[int, ...], /) -> Array:
    """x laid out several times along each axis."""
    n = max(x.ndim, len(repetitions))
    shape = (1,) * (n - x.ndim) + tuple(x.shape)
    times = (1,) * (n - len(repetitions)) + tuple(repetitions)
    doubled = tuple(k for pair in zip((1,) * n, shape, strict=True) for k in pair)
    spread = tuple(k for pair in zip(times, shape, strict=True) for k in pair)
    y = broadcast_to(reshape(x, doubled), spread)
    return reshape(y, tuple(r * k for r, k in zip(times, shape, strict=True)))


@composed
def repeat(x: Array, repeats: int | Array, /, *, axis: int | None = None) -> Array:
    """Each element several times in a row."""
    plain = namespace(innermost(x))
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    (axis,) = placed(axis, x.ndim)
    index = plain.repeat(plain.arange(x.shape[axis], device=device_of(x)), innermost(repeats))
    return RULES["take"](x, index, axis=axis)


def _triangle(name: str) -> None:
    def rule(x: Array, /, *, k: int = 0) -> Any:
        function = getattr(namespace(x), name)
        return function(x, k=k), lambda dy: (function(dy, k=k),)

    standard(named(name, rule, f"The {'lower' if name == 'tril' else 'upper'} triangle of the last two axes."))


_triangle("tril")
_triangle("triu")


@composed
def meshgrid(*arrays: Array, indexing: Literal["xy", "ij"] = "xy") -> tuple[Array, ...]:
    """The coordinates of the points of a grid, an array for each axis; "xy" exchanges the first two axes."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"indexing must be 'xy' or 'ij', got {indexing!r}")
    order = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        order[:2] = 1, 0
    lines = [reshape(x, tuple(-1 if k == order[i] else 1 for k in range(len(arrays)))) for i, x in enumerate(arrays)]
    return broadcast_arrays(*lines)


@composed
def diff(
    x: Array, /, *, axis: int = -1, n: int = 1, prepend: Array | None = None, append: Array | None = None
) -> Array:
    """xₖ₊₁ - xₖ along an axis, n times."""
    (at,) = placed(axis, x.ndim)
    if prepend is not None or append is not None:
        x = concat([part for part in (prepend, x, append) if part is not None], axis=at)
    for _ in range(n):
        last = max(x.shape[at] - 1, 0)  # a slice beyond the end is not the standard's
        x = x[along(at, slice(x.shape[at] - last, None))] - x[along(at, slice(0, last))]
    return x


@op
def _astype(x: Array, dtype: DType, copy: bool) -> Any:
    own = x.dtype
    return namespace(x).astype(x, dtype, copy=copy), lambda dy: (cast(dy, own), None, None)


@composed
def astype(x: Array, dtype: DType, /, *, copy: bool = True, device: Device | None = None) -> Array:
    """x in another dtype; to one that is not floating, the result is a constant."""
    if device is not None:
        x = to_device(x, device)
    if type(x) is Var and not backend_of(x).is_inexact(dtype):
        from nnx.autodiff.tape import stop_gradient

        x = stop_gradient(x)
    return _astype(x, dtype, copy)


@op
def to_device(x: Array, device: Device, /, *, stream: Any = None) -> Any:
    """x on another device of its library; the gradient comes back to where x was. A stream is for the library alone."""
    home = x.device
    return backend_of(x).to_device(x, device), lambda dy: (backend_of(dy).to_device(dy, home), None)
