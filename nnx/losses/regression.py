"""Losses between numbers: how far the output is from the target."""

import math
from typing import Any

from nnx.autodiff import op
from nnx.autodiff.casting import in_full
from nnx.backend import namespace
from nnx.losses.common import Reduction, check_weight, reduced, same_form, weighted
from nnx.typing import Array

__all__ = ["huber_loss", "l1_loss", "mse_loss", "quadratic_cost", "smooth_l1_loss"]


@in_full
def quadratic_cost(a: Array, y: Array) -> Array:
    """C = 1/2n Σ ‖y - a‖², over the n samples (Nielsen, chapter 1, eq. 6).

    a, y: (n, ...), the output and the target   returns ()

    >>> import numpy as np
    >>> float(quadratic_cost(np.asarray([[1.0, 0.0]]), np.asarray([[0.0, 2.0]])))
    2.5
    """
    same_form("quadratic_cost", a, y)
    n = a.shape[0] if a.ndim else 1
    return _squares(a, y, 0.5 / n if n else math.nan)


@in_full
def mse_loss(input: Array, target: Array, reduction: Reduction = "mean", weight: Array | None = None) -> Array:
    """w (input - target)², its mean over all entries.

    input, target: any shape, the same   weight: w, a factor for each entry, in the same shape; the mean is then
    Σ w d² / Σ w   returns (), or their shape with reduction="none"

    >>> import numpy as np
    >>> float(mse_loss(np.asarray([1.0, 0.0]), np.asarray([0.0, 2.0])))
    2.5
    """
    same_form("mse_loss", input, target)
    if reduction == "mean" and weight is None:
        n = math.prod(input.shape)
        return _squares(input, target, 1.0 / n if n else math.nan)
    d = input - target
    return weighted(d * d, weight, reduction, "mse_loss")


@op
def _squares(a: Array, y: Array, factor: float) -> Any:
    """factor · Σ (a - y)²."""
    xp = namespace(a, y)
    d = a - y

    def pullback(dc: Array) -> tuple[Any, ...]:
        da = d * (dc * (2.0 * factor))  # BP1: ∇ₐC; for the quadratic cost it is (a - y)/n
        return da, lambda: -da, None

    return xp.sum(d * d) * factor, pullback


@in_full
def l1_loss(input: Array, target: Array, reduction: Reduction = "mean", weight: Array | None = None) -> Array:
    """w |input - target|, its mean over all entries; the slope where they are equal is 0.

    input, target: any shape, the same   weight: as mse_loss's   returns (), or their shape with reduction="none"

    >>> import numpy as np
    >>> float(l1_loss(np.asarray([1.0, 0.0]), np.asarray([0.0, 2.0])))
    1.5
    """
    same_form("l1_loss", input, target)
    return weighted(namespace(input, target).abs(input - target), weight, reduction, "l1_loss")


@in_full
def smooth_l1_loss(input: Array, target: Array, reduction: Reduction = "mean", beta: float = 1.0) -> Array:
    """d²/2β where |d| < β, else |d| - β/2, of d = input - target (Girshick 2015).

    beta: >= 0; 0 makes it l1_loss   returns (), or the inputs' shape with reduction="none"

    >>> import numpy as np
    >>> smooth_l1_loss(np.asarray([0.5, 3.0]), np.zeros(2), "none")
    array([0.125, 2.5  ])
    """
    if beta < 0.0:
        raise ValueError(f"smooth_l1_loss: beta must be >= 0, got {beta}")
    if beta == 0.0:
        return l1_loss(input, target, reduction)
    same_form("smooth_l1_loss", input, target)
    return reduced(_huber(input - target, float(beta)) * (1.0 / beta), reduction)


@in_full
def huber_loss(
    input: Array, target: Array, reduction: Reduction = "mean", delta: float = 1.0, weight: Array | None = None
) -> Array:
    """d²/2 where |d| <= δ, else δ (|d| - δ/2), of d = input - target (Huber 1964).

    delta: > 0   weight: a factor for each entry, in the inputs' shape; the mean divides by the number of entries all
    the same, as PyTorch's does   returns (), or the inputs' shape with reduction="none"

    >>> import numpy as np
    >>> huber_loss(np.asarray([0.5, 3.0]), np.zeros(2), "none", delta=2.0)
    array([0.125, 4.   ])
    """
    if not delta > 0.0:
        raise ValueError(f"huber_loss: delta must be > 0, got {delta}")
    same_form("huber_loss", input, target)
    losses = _huber(input - target, float(delta))
    if weight is None:
        return reduced(losses, reduction)
    check_weight("huber_loss", weight, losses)
    return reduced(losses * weight, reduction)


@op
def _huber(d: Array, delta: float) -> Any:
    """m (|d| - m/2) with m = min(|d|, δ): both branches in one, and no square of a large d."""
    xp = namespace(d)
    size = xp.abs(d)
    m = xp.minimum(size, delta)
    return m * (size - m * 0.5), lambda dy: (dy * xp.minimum(xp.maximum(d, -delta), delta),)
