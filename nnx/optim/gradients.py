"""What may happen to gradients between the backward pass and the update: a dict of arrays in, another one out."""

import math

from nnx.backend import namespace
from nnx.typing import Array

__all__ = ["clip_grad_norm", "clip_grad_value"]


def clip_grad_norm(
    grads: dict[str, Array], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> tuple[dict[str, Array], Array]:
    """The gradients, all scaled by one factor so that their common norm is at most max_norm; and the norm they had.

    norm_type: p of the p-norm, > 0, or math.inf   returns (grads, total_norm: ()). Nothing waits for the device, but
    with error_if_nonfinite, which raises RuntimeError for a norm that is not finite.

    >>> import numpy as np
    >>> grads, norm = clip_grad_norm({"w": np.asarray([3.0, 4.0])}, max_norm=1.0)
    >>> grads["w"].round(3), float(norm)
    (array([0.6, 0.8]), 5.0)
    """
    if not max_norm >= 0.0 or not norm_type > 0.0:
        raise ValueError(f"clip_grad_norm: max_norm must be >= 0 and norm_type > 0, got {max_norm} and {norm_type}")
    if not grads:
        raise ValueError("clip_grad_norm needs at least one gradient")
    total = _total_norm(list(grads.values()), norm_type)
    if error_if_nonfinite and not math.isfinite(float(total)):
        raise RuntimeError(f"the gradients' norm is {float(total)}: a loss or its gradient has overflowed")
    xp = namespace(total)
    factor = xp.minimum(max_norm / (total + 1e-6), 1.0)
    return {path: g * _cast(factor, g) for path, g in grads.items()}, total


def _total_norm(grads: list[Array], p: float) -> Array:
    """(Σ |g|^p)^(1/p) over all entries of all gradients."""
    parts = [_cast(_part(g, p), grads[0]) for g in grads]
    xp = namespace(parts[0])
    total = xp.max(xp.stack(parts)) if p == math.inf else xp.sum(xp.stack(parts))
    if p == math.inf or p == 1.0:
        return total
    return xp.sqrt(total) if p == 2.0 else total ** (1.0 / p)


def _part(g: Array, p: float) -> Array:
    xp = namespace(g)
    if p == math.inf:
        return xp.max(xp.abs(g)) if 0 not in g.shape else xp.sum(g)
    if p == 2.0:
        flat = xp.reshape(g, (-1,))
        return xp.matmul(flat, flat)  # the library's dot: one pass and no copy
    return xp.sum(xp.abs(g) if p == 1.0 else xp.abs(g) ** p)


def _cast(x: Array, like: Array) -> Array:
    return x if x.dtype == like.dtype else namespace(x).astype(x, like.dtype)


def clip_grad_value(grads: dict[str, Array], clip_value: float) -> dict[str, Array]:
    """The gradients, every entry held in [-clip_value, clip_value].

    >>> import numpy as np
    >>> clip_grad_value({"w": np.asarray([3.0, -0.5])}, 1.0)
    {'w': array([ 1. , -0.5])}
    """
    if not clip_value >= 0.0:
        raise ValueError(f"clip_grad_value: clip_value must be >= 0, got {clip_value}")
    bound = float(clip_value)
    return {path: namespace(g).minimum(namespace(g).maximum(g, -bound), bound) for path, g in grads.items()}
