"""Losses that are the surprise of a count, or of a number whose spread the network says, too: -log p of a density."""

import math
from typing import Any

from nnx.autodiff import op
from nnx.autodiff.casting import in_full
from nnx.backend import backend_of, innermost, namespace
from nnx.losses.common import Reduction, reduced, same_form
from nnx.typing import Array

__all__ = ["gaussian_nll_loss", "poisson_nll_loss"]


@in_full
def poisson_nll_loss(
    input: Array,
    target: Array,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: Reduction = "mean",
) -> Array:
    """λ - t log λ: the surprise of a count t where λ are expected, but for log t!.

    input: log λ, or λ with log_input=False, any shape   target: t, the same shape
    full: add Stirling's t log t - t + log(2πt)/2 for log t! where t > 1   eps: added to λ before its logarithm
    returns (), or the inputs' shape with reduction="none"

    >>> import numpy as np
    >>> float(poisson_nll_loss(np.asarray([0.0]), np.asarray([3.0])))
    1.0
    """
    same_form("poisson_nll_loss", input, target)
    xp = namespace(input, target)
    losses = xp.exp(input) - input * target if log_input else input - xp.log(input + eps) * target
    if full:
        small = target <= 1
        t = xp.where(small, xp.ones_like(target), target)
        stirling = t * xp.log(t) - t + 0.5 * xp.log(t * (2.0 * math.pi))
        losses = losses + xp.where(small, xp.zeros_like(t), stirling)
    return reduced(losses, reduction)


@in_full
def gaussian_nll_loss(
    input: Array,
    target: Array,
    var: Array | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: Reduction = "mean",
) -> Array:
    """(log v + (input - target)² / v) / 2, v = max(var, eps): the surprise of a number from N(input, v) (Nix and
    Weigend 1994).

    input, target: (..., d), the same   var: >= 0, a number, (..., d), or (...) or with one axis of length 1: one spread
    for all of it. The gradient goes through the bound at eps as if it were not there.
    full: add log(2π)/2   eps: > 0   returns (), or the inputs' shape with reduction="none"
    Raises ValueError for a variance below 0, where values can be looked at without waiting for a device.

    >>> import numpy as np
    >>> float(gaussian_nll_loss(np.asarray([2.0]), np.asarray([0.0]), 1.0))
    2.0
    """
    same_form("gaussian_nll_loss", input, target)
    if not eps > 0.0:
        raise ValueError(f"gaussian_nll_loss: eps must be > 0, got {eps}")
    xp = namespace(input, target)
    spread = _bounded(_variance(input, var), float(eps))
    d = input - target
    losses = (xp.log(spread) + d * d / spread) * 0.5
    return reduced(losses + 0.5 * math.log(2.0 * math.pi) if full else losses, reduction)


def _variance(input: Array, var: Array | float) -> Array:
    """The variance, in a shape that meets the input's."""
    if isinstance(var, int | float):
        if var < 0:
            raise ValueError(f"gaussian_nll_loss: var must be >= 0, got {var}")
        return namespace(input).full_like(input, float(var))
    v = innermost(var)
    if backend_of(v).host and bool(namespace(v).any(v < 0)):
        raise ValueError("gaussian_nll_loss: var has an entry below 0: e.g. exp or softplus of the network's output")
    own, other = tuple(input.shape), tuple(var.shape)
    if own == other:
        return var
    if own[:-1] == other:
        return namespace(var).expand_dims(var, axis=-1)
    if len(own) == len(other) and [b for a, b in zip(own, other, strict=True) if a != b] == [1]:
        return var
    raise ValueError(
        f"gaussian_nll_loss: var has shape {other}, the output {own}: expected {own}, {own[:-1]}, or one axis of 1"
    )


@op
def _bounded(var: Array, eps: float) -> Any:
    return namespace(var).maximum(var, eps), lambda dy: (dy, None)
