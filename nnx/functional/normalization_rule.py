"""Normalisation: over some axes to mean 0 and variance 1, then scaled and shifted. One rule for all of its kinds.

With ĥ = (x - μ) / √(σ² + ε) and y = ĥ w + b, the gradient is what is left of dy w when its mean and its part along ĥ
are taken away: dx = (dy w - mean(dy w) - ĥ mean(dy w ĥ)) / √(σ² + ε). The kinds differ in the axes of the mean alone.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from nnx.autodiff import op
from nnx.autodiff.rules.common import cast, product, unbroadcast
from nnx.backend import kernel, namespace
from nnx.typing import Array, DType, Namespace, Shape

__all__ = ["Form", "normalized", "times"]


class Form(NamedTuple):
    """How a kind of normalisation sees its input.

    axes: those that μ and σ² are taken over   scale: the shape in which weight and bias fit
    inner: those of the axes along which the weight is the same   view: the shape to work in, None for x's own
    """

    axes: tuple[int, ...]
    scale: Shape
    inner: tuple[int, ...] = ()
    view: Shape | None = None


@op
def normalized(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    form: Form,
    eps: float,
    centred: bool = True,
    seen: list[Array] | None = None,
) -> Any:
    """See the module. centred: if false, μ counts as 0   seen: a list that μ and σ² are put into."""
    if (own := kernel("normalized", x)) and (found := own(x, weight, bias, form, eps, centred)) is not None:
        (y, mean, var), back = found
        if seen is not None:
            seen.extend((mean, var))

        def generic(dy: Array) -> tuple[Any, ...]:  # for a gradient that is watched itself
            return _of_standard(x, weight, bias, form, eps, centred, None)[1](dy)

        return y, lambda dy: (generic if kernel("normalized", dy) is None else back)(dy)
    return _of_standard(x, weight, bias, form, eps, centred, seen)


def _of_standard(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    form: Form,
    eps: float,
    centred: bool,
    seen: list[Array] | None,
) -> tuple[Array, Callable[[Array], tuple[Any, ...]]]:
    """See normalized."""
    xp, shape, own = namespace(x), x.shape, x.dtype
    axes, inner = form.axes, form.inner
    x = _wide(_viewed(x, form.view))
    per = 1.0 / max(product(x.shape[k] for k in axes), 1)
    mean = xp.sum(x, axis=axes, keepdims=True) * per if centred else 0.0
    h = x - mean if centred else x
    var = xp.sum(h * h, axis=axes, keepdims=True) * per
    r = 1.0 / xp.sqrt(var + eps)
    if seen is not None:
        seen.extend((mean, var))
    w = None if weight is None else xp.reshape(weight, form.scale)
    if inner:  # the weight is one number a row: ĥ = h r is never made, which saves a pass here and another below
        y = h * times(r, w)
    else:
        h = h * r
        y = times(h, w)
    if bias is not None:
        y = y + xp.reshape(bias, form.scale)

    def pullback(dy: Array) -> tuple[Any, ...]:
        dy = _wide(_viewed(dy, form.view))
        shifts, scales = dy, dy * h  # ∂C/∂b and ∂C/∂w, but for sums
        if inner:
            shifts, scales = xp.sum(dy, axis=inner, keepdims=True), xp.sum(scales, axis=inner, keepdims=True) * r
        return (
            lambda: cast(_viewed(_input_gradient(dy, h, r, w, (shifts, scales), form, per, centred), shape), own),
            lambda: _like_weight(scales, weight, form.scale),
            lambda: _like_weight(shifts, bias, form.scale),
        )

    return cast(_viewed(y, shape), own), pullback


def _input_gradient(
    dy: Array, h: Array, r: Array, w: Array | None, sums: tuple[Array, Array], form: Form, per: float, centred: bool
) -> Array:
    """(dy w - mean(dy w) - ĥ mean(dy w ĥ)) r. sums: dy and dy ĥ, summed over the inner axes; h: ĥ, or ĥ / r if any."""
    xp = namespace(dy, h)
    dyw, dywh = (times(s, w) for s in sums)
    m1, m2 = (
        s * per if form.inner == form.axes else xp.sum(s, axis=form.axes, keepdims=True) * per for s in (dyw, dywh)
    )
    if form.inner:
        dx = dy * times(r, w) - h * (m2 * r * r)
        return dx - m1 * r if centred else dx
    dx = dyw - h * m2
    return (dx - m1) * r if centred else dx * r


def _like_weight(d: Array, weight: Array | None, scale: Shape) -> Array | None:
    """d, summed to the weight's shape."""
    if weight is None:
        return None
    found = unbroadcast(d, (scale, weight.dtype))
    return namespace(d).reshape(found, weight.shape)


def times(x: Array, w: Array | None) -> Array:
    """x w; x, where there is no w."""
    return x if w is None else x * w


def _viewed(x: Array, view: Shape | None) -> Array:
    return x if view is None or x.shape == view else namespace(x).reshape(x, view)


def _wide(x: Array) -> Array:
    """Numbers of 16 bits as float32: their sums of squares would overflow or be lost."""
    xp = namespace(x)
    return xp.astype(x, xp.float32) if _is_narrow(xp, x.dtype) else x


_NARROW: dict[tuple[str, DType], bool] = {}


def _is_narrow(xp: Namespace, dtype: DType) -> bool:
    key = xp.__name__, dtype  # dtypes of two libraries may not be comparable
    found = _NARROW.get(key)
    if found is None:
        found = _NARROW[key] = xp.finfo(dtype).bits < 32
    return found
