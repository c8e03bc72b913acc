"""Losses between distributions."""

import math
from typing import Literal

from nnx.autodiff.casting import in_full
from nnx.backend import namespace
from nnx.losses.common import Reduction, reduced, same_form
from nnx.typing import Array

__all__ = ["kl_div"]


@in_full
def kl_div(
    input: Array, target: Array, reduction: Reduction | Literal["batchmean"] = "mean", log_target: bool = False
) -> Array:
    """t (log t - x): the Kullback-Leibler divergence of the output from the target, entry by entry.

    input: x, log-probabilities of any shape   target: t, probabilities (or log t, with log_target), the same shape
    reduction: "batchmean" divides the sum by x.shape[0], and is the divergence; "mean" divides by the number of entries
    returns (), or the inputs' shape with reduction="none"

    >>> import numpy as np
    >>> p = np.asarray([[0.25, 0.75]])
    >>> float(kl_div(np.log(p), p, "batchmean"))
    0.0
    """
    same_form("kl_div", input, target)
    xp = namespace(input, target)
    # 0 log 0 is 0
    log = target if log_target else xp.log(xp.where(target == 0, xp.ones_like(target), target))
    losses = -(input - log) * (xp.exp(target) if log_target else target)
    if reduction != "batchmean":
        return reduced(losses, reduction)
    if not input.ndim:
        raise ValueError("kl_div: reduction 'batchmean' needs an input of shape (n, ...), got a scalar")
    return xp.sum(losses) * (1.0 / input.shape[0] if input.shape[0] else math.nan)
