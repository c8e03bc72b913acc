"""Fourier transforms: linear, so that each one's pullback is its adjoint, the transform back without (or with) its 1/n.

Padding to n and cutting to n are functions of their own; a rule sees arrays that fit.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from nnx.autodiff.rules.common import F, along, cast, composed, conj, placed
from nnx.autodiff.tape import op
from nnx.backend import device_of, namespace
from nnx.typing import Array

Norm = Literal["backward", "ortho", "forward"]
ADJOINT: dict[str, Norm] = {"backward": "forward", "ortho": "ortho", "forward": "backward"}
"""The scale goes from one direction to the other: the adjoint of Σ is Σ, not a mean."""


def _fitted(x: Array, n: int | None, axis: int) -> Array:
    """x cut, or filled up with zeros, to n elements along an axis."""
    xp, at = namespace(x), axis % x.ndim
    if n is None or n == x.shape[at]:
        return x
    if n < x.shape[at]:
        return x[along(at, slice(0, n))]
    shape = (*x.shape[:at], n - x.shape[at], *x.shape[at + 1 :])
    return xp.concat([x, xp.zeros(shape, dtype=x.dtype, device=device_of(x))], axis=at)


@op
def _complex(x: Array, name: str, axes: tuple[int, ...], norm: Norm) -> Any:
    """fftn or ifftn of axes that fit."""
    own = x.dtype
    back = {"fftn": "ifftn", "ifftn": "fftn"}[name]
    y = getattr(namespace(x).fft, name)(x, axes=axes, norm=norm)
    return y, lambda dy: (
        cast(getattr(namespace(dy).fft, back)(dy, axes=axes, norm=ADJOINT[norm]), own),
        None,
        None,
        None,
    )


@op
def _rfft(x: Array, axis: int, norm: Norm) -> Any:
    n, own = x.shape[axis], x.dtype

    def pullback(dy: Array) -> tuple[Any, ...]:
        # the frequencies that were not returned have no gradient
        full = namespace(dy).fft.ifft(_fitted(dy, n, axis), axis=axis, norm=ADJOINT[norm])
        return cast(full, own), None, None

    return namespace(x).fft.rfft(x, axis=axis, norm=norm), pullback


@op
def _irfft(x: Array, n: int, axis: int, norm: Norm) -> Any:
    shape = [1] * x.ndim
    m = shape[axis] = x.shape[axis]
    own = x.dtype

    def pullback(dy: Array) -> tuple[Any, ...]:
        xp = namespace(dy)
        # every frequency stands for two, but for 0 and, if n is even, the highest
        k = xp.arange(m, device=device_of(dy))
        once = xp.reshape((k == 0) | (2 * k == n), tuple(shape))
        weight = 2.0 - xp.astype(once, dy.dtype)
        return cast(xp.fft.rfft(dy, axis=axis, norm=ADJOINT[norm]) * weight, own), None, None, None

    return namespace(x).fft.irfft(x, n=n, axis=axis, norm=norm), pullback


def _registered(function: F) -> F:
    return composed(function, f"fft.{function.__name__}")


@_registered
def fft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    """Σⱼ xⱼ e^(-2πi jk/n)."""
    return _complex(_fitted(x, n, axis), "fftn", (axis,), norm)


@_registered
def ifft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    """Σₖ xₖ e^(2πi jk/n) / n."""
    return _complex(_fitted(x, n, axis), "ifftn", (axis,), norm)


@_registered
def rfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    """The first half of the fft of a real x."""
    return _rfft(_fitted(x, n, axis), axis, norm)


@_registered
def irfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    """The real array of n elements whose rfft is x; n is 2(m - 1) if it is not given."""
    n = 2 * (x.shape[axis] - 1) if n is None else n
    return _irfft(_fitted(x, n // 2 + 1, axis), n, axis, norm)


@_registered
def hfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    """The fft of a signal of which x is the first half and the rest its mirror image, conjugated."""
    return irfft(conj(x), n=n, axis=axis, norm=ADJOINT[norm])


@_registered
def ihfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: Norm = "backward") -> Array:
    """The first half of the ifft of a real x."""
    return conj(rfft(x, n=n, axis=axis, norm=ADJOINT[norm]))


def _axes(
    x: Array, s: Sequence[int | None] | None, axes: Sequence[int] | None
) -> tuple[tuple[int, ...], Sequence[int | None]]:
    """The axes, and the length that each is to have."""
    if axes is None:
        axes = range(x.ndim) if s is None else range(x.ndim - len(s), x.ndim)
    found = placed(tuple(axes), x.ndim)
    return found, [None] * len(found) if s is None else s


@_registered
def fftn(
    x: Array, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> Array:
    """fft along several axes."""
    return _several("fftn", x, s, axes, norm)


@_registered
def ifftn(
    x: Array, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> Array:
    """ifft along several axes."""
    return _several("ifftn", x, s, axes, norm)


def _several(name: str, x: Array, s: Sequence[int | None] | None, axes: Sequence[int] | None, norm: Norm) -> Array:
    found, sizes = _axes(x, s, axes)
    for n, axis in zip(sizes, found, strict=True):
        x = _fitted(x, n, axis)
    return _complex(x, name, found, norm) if found else x


@_registered
def rfftn(
    x: Array, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> Array:
    """rfft along the last of the axes, then fft along the others."""
    found, sizes = _axes(x, s, axes)
    y = rfft(x, n=sizes[-1], axis=found[-1], norm=norm)
    return _several("fftn", y, sizes[:-1], found[:-1], norm)


@_registered
def irfftn(
    x: Array, /, *, s: Sequence[int] | None = None, axes: Sequence[int] | None = None, norm: Norm = "backward"
) -> Array:
    """ifft along all axes but the last, then irfft along that."""
    found, sizes = _axes(x, s, axes)
    y = _several("ifftn", x, sizes[:-1], found[:-1], norm)
    return irfft(y, n=sizes[-1], axis=found[-1], norm=norm)


@_registered
def fftshift(x: Array, /, *, axes: int | Sequence[int] | None = None) -> Array:
    """The frequency 0 moved to the middle."""
    return _rolled(x, axes, lambda n: n // 2)


@_registered
def ifftshift(x: Array, /, *, axes: int | Sequence[int] | None = None) -> Array:
    """What fftshift did, undone."""
    return _rolled(x, axes, lambda n: -(n // 2))


def _rolled(x: Array, axes: int | Sequence[int] | None, by: Callable[[int], int]) -> Array:
    found = placed(axes, x.ndim)
    return namespace(x).roll(x, tuple(by(x.shape[k]) for k in found), axis=found)
