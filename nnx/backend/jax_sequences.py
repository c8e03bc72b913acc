"""A recurrent layer over a sequence on JAX: one loop of XLA forward and one back, in place of a program a step.

The loops hold what depends on the step before: h W_hhᵀ and the gates. What does not, the inputs' share of the gates and
the weights' gradients, is one product each, outside. How a step's gates go back is JAX's own derivative of them.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from nnx.typing import Array


def recurrent(
    mode: str,
    x: Array,
    h: Array,
    c: Array | None,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    w_hr: Array | None,
    reverse: bool,
) -> tuple[tuple[Array, ...], Callable[[tuple[Array, ...]], tuple[Any, ...]]] | None:
    """See nnx.functional.recurrent; None for mixed dtypes, which a loop cannot carry."""
    arrays = (x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr)
    if any(a is not None and a.dtype != x.dtype for a in arrays):
        return None
    forward, backward = _compiled(mode, reverse)
    ys, kept = forward(*arrays)
    return ys, lambda dys: (*backward(dys, *arrays, *kept), None, None, None)


@cache
def _compiled(mode: str, reverse: bool) -> tuple[Any, Any]:
    """Both ways for one unit, compiled once for each form of the arrays."""
    import jax
    from jax import lax

    cell, apart, memory = CELLS[mode]

    def forward(x: Array, h: Array, c: Any, w_ih: Array, w_hh: Array, b_ih: Any, b_hh: Any, w_hr: Any) -> Any:
        zx = x @ w_ih.T
        for b in (b_ih, None if apart else b_hh):
            zx = zx if b is None else zx + b

        def step(carry: Any, zx: Array) -> Any:
            h, c = carry
            zh = h @ w_hh.T
            if apart:
                zh = zh if b_hh is None else zh + b_hh
                (raw, new), back = jax.vjp(cell, zx, zh, h)
            else:
                (raw, new), back = jax.vjp(cell, zx + zh, c)
            y = raw if w_hr is None else raw @ w_hr.T
            return (y, new), (y, None if w_hr is None else raw, back)

        (last, memory_last), (y, raw, back) = lax.scan(step, (h, c), zx, reverse=reverse)
        return (y, last, memory_last) if memory else (y, last), (y, raw, back)

    def backward(
        dys: tuple[Array, ...],
        x: Array,
        h: Array,
        c: Any,
        w_ih: Array,
        w_hh: Array,
        b_ih: Any,
        b_hh: Any,
        w_hr: Any,
        y: Array,
        raw: Any,
        back: Any,
    ) -> Any:
        def step(carry: Any, given: Any) -> Any:
            dh, dc = carry
            dy, back = given
            dh = dh + dy
            d = dh if w_hr is None else dh @ w_hr
            dzx, *rest = back((d, dc))
            dzh, straight, dc = (*rest, None) if apart else (dzx, 0.0, *rest)
            out = dzx, dzh if apart else None, None if w_hr is None else dh
            return (dzh @ w_hh + straight, dc), out

        (dh, dc), (dzx, dzh, projected) = lax.scan(
            step, (dys[1], dys[2] if memory else None), (dys[0], back), reverse=not reverse
        )
        dzh = dzh if apart else dzx
        before = jax.numpy.concatenate([y[1:], h[None]] if reverse else [h[None], y[:-1]])
        bias = dzx.sum((0, 1))
        return (
            dzx @ w_ih,
            dh,
            dc,
            _summed(dzx, x),
            _summed(dzh, before),
            None if b_ih is None else bias,
            None if b_hh is None else dzh.sum((0, 1)) if apart else bias,
            None if w_hr is None else _summed(projected, raw),
        )

    return jax.jit(forward), jax.jit(backward)


def _summed(d: Array, x: Array) -> Array:
    """Σ over steps and samples of d xᵀ."""
    import jax

    return jax.lax.dot_general(d, x, (((0, 1), (0, 1)), ((), ())))


def _tanh(z: Array, c: None) -> tuple[Array, None]:
    import jax

    return jax.numpy.tanh(z), None


def _relu(z: Array, c: None) -> tuple[Array, None]:
    import jax

    return jax.nn.relu(z), None


def _lstm(z: Array, c: Array) -> tuple[Array, Array]:
    import jax

    i, f, g, o = jax.numpy.split(z, 4, axis=-1)
    new = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jax.numpy.tanh(g)
    return jax.nn.sigmoid(o) * jax.numpy.tanh(new), new


def _gru(zx: Array, zh: Array, h: Array) -> tuple[Array, None]:
    import jax

    k = h.shape[-1]
    gates = jax.nn.sigmoid(zx[:, : 2 * k] + zh[:, : 2 * k])
    n = jax.numpy.tanh(zx[:, 2 * k :] + gates[:, :k] * zh[:, 2 * k :])
    return n + gates[:, k:] * (h - n), None


CELLS: dict[str, tuple[Callable[..., Any], bool, bool]] = {
    "rnn_tanh": (_tanh, False, False),
    "rnn_relu": (_relu, False, False),
    "lstm": (_lstm, False, True),
    "gru": (_gru, True, False),
}
"""Each unit's step, whether zx and zh enter apart, and whether there is a c beside h."""

KERNELS: dict[str, Callable[..., Any]] = {"recurrent": recurrent}
