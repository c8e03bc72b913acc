"""torch's own attention and recurrent layers, for nnx's rules: torch records one call of its own, and takes it back."""

from collections.abc import Callable
from typing import Any

from nnx.typing import Array

Found = tuple[Any, Callable[[Any], tuple[Any, ...]]] | None


def _attention(q: Array, k: Array, v: Array, mask: Array | None, is_causal: bool, scale: float) -> Found:
    """See nnx.functional.attention.plain; None for axes that broadcast, and inside of torch.compile."""
    import torch

    if q.ndim != 4 or not q.shape[:2] == k.shape[:2] == v.shape[:2] or 0 in (q.shape[2], k.shape[2]):
        return None

    def attention(q: Array, k: Array, v: Array, mask: Array | None) -> tuple[Array]:
        return (torch.nn.functional.scaled_dot_product_attention(q, k, v, mask, 0.0, is_causal, scale=scale),)

    found = _recorded(attention, [q, k, v, mask])
    if found is None:
        return None
    (y,), pullback = found
    return y, lambda dy: (*pullback((dy,)), None, None, None)


def _recurrent(
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
) -> Found:
    """See nnx.functional.recurrent; None inside of torch.compile."""
    import torch

    def run(x: Array, h: Array, c: Array | None, *weights: Array | None) -> tuple[Array, ...]:
        given = [w for w in weights if w is not None]
        options = (
            weights[2] is not None,
            1,
            0.0,
            True,  # or a graph of torch's operations would keep nothing for the way back
            False,
            False,
        )  # biases, layers, dropout, train, both ways, n first
        start: Any = h[None] if c is None else (h[None], c[None])
        y, *last = getattr(torch, mode)(x.flip(0) if reverse else x, start, given, *options)
        return (y.flip(0) if reverse else y, *(s[0] for s in last))

    found = _recorded(run, [x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr])
    if found is None:
        return None
    y, pullback = found
    return y, lambda dys: (*pullback(dys), None, None, None)


def _recorded(function: Callable[..., tuple[Array, ...]], arguments: list[Array | None]) -> Found:
    """function(*arguments), and a pullback that asks torch's autograd."""
    import torch

    if torch.compiler.is_compiling():
        return None
    with torch.enable_grad():
        leaves = [_leaf(x) for x in arguments]
        ys = function(*leaves)
    wanted = [x for x in leaves if x is not None and x.requires_grad]

    def pullback(dys: tuple[Array, ...]) -> tuple[Any, ...]:
        found = iter(torch.autograd.grad(ys, wanted, dys, retain_graph=True, materialize_grads=True))
        return tuple(next(found) if x is not None and x.requires_grad else None for x in leaves)

    return tuple(y.detach() for y in ys), pullback


def _leaf(x: Array | None) -> Array | None:
    if x is None or not x.is_floating_point():
        return x
    return x.detach().requires_grad_()


KERNELS: dict[str, Callable[..., Any]] = {"attention": _attention, "recurrent": _recurrent}
