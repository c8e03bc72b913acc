"""Losses of yes or no: each output is the probability, or the logit, of one event."""

from typing import Any

from nnx.autodiff import op
from nnx.autodiff.casting import in_full
from nnx.backend import backend_of, innermost, namespace
from nnx.functional import logsigmoid, sigmoid
from nnx.losses.common import Reduction, reduced, same_form
from nnx.typing import Array, Namespace

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits"]


@in_full
def binary_cross_entropy(
    input: Array, target: Array, weight: Array | None = None, reduction: Reduction = "mean"
) -> Array:
    """-(t log p + (1 - t) log(1 - p)); a logarithm below -100 counts as -100 (PyTorch's).

    input: p, probabilities of any shape   target: t in [0, 1], the same shape   weight: a factor for each entry
    returns (), or the inputs' shape with reduction="none". Raises ValueError for p outside of [0, 1], where values can
    be looked at without waiting for a device. binary_cross_entropy_with_logits is exact where this one saturates.

    >>> import numpy as np
    >>> round(float(binary_cross_entropy(np.asarray([0.5]), np.asarray([1.0]))), 4)
    0.6931
    """
    same_form("binary_cross_entropy", input, target)
    _check_probabilities(input)
    losses = _binary(input, target)
    return reduced(losses if weight is None else losses * weight, reduction)


def _check_probabilities(input: Array) -> None:
    p = innermost(input)
    xp = namespace(p)
    if backend_of(p).host and not bool(xp.all((p >= 0) & (p <= 1))):
        raise ValueError(
            "binary_cross_entropy expects probabilities in [0, 1]: take the sigmoid of logits first, or "
            "binary_cross_entropy_with_logits"
        )


@op
def _binary(p: Array, t: Array) -> Any:
    xp = namespace(p, t)
    q = 1.0 - p
    yes, no = _log(xp, p), _log(xp, q)

    def pullback(dy: Array) -> tuple[Any, ...]:
        return lambda: dy * (p - t) / xp.maximum(p * q, 1e-12), lambda: dy * (no - yes)

    return -(t * yes + (1.0 - t) * no), pullback


def _log(xp: Namespace, p: Array) -> Array:
    """max(log p, -100), without the logarithm of 0."""
    zero = p == 0
    return xp.where(zero, xp.full_like(p, -100.0), xp.maximum(xp.log(xp.where(zero, xp.ones_like(p), p)), -100.0))


@in_full
def binary_cross_entropy_with_logits(
    input: Array,
    target: Array,
    weight: Array | None = None,
    reduction: Reduction = "mean",
    pos_weight: Array | None = None,
) -> Array:
    """-(w t log σ(x) + (1 - t) log(1 - σ(x))), exact for every x.

    input: x, logits of any shape   target: t in [0, 1], the same shape   weight: a factor for each entry
    pos_weight: w, broadcast against the target; above 1 it counts a missed yes for more than a false one
    returns (), or the inputs' shape with reduction="none"

    >>> import numpy as np
    >>> float(binary_cross_entropy_with_logits(np.asarray([-1e4]), np.asarray([1.0])))
    10000.0
    """
    same_form("binary_cross_entropy_with_logits", input, target)
    if pos_weight is None:
        losses = _binary_logits(input, target)
    else:
        losses = input * (1.0 - target) - logsigmoid(input) * (target * (pos_weight - 1.0) + 1.0)
    return reduced(losses if weight is None else losses * weight, reduction)


@op
def _binary_logits(x: Array, t: Array) -> Any:
    xp = namespace(x, t)
    y = xp.maximum(x, 0.0) - x * t + xp.log1p(xp.exp(-xp.abs(x)))
    return y, lambda dy: (lambda: dy * (sigmoid(x) - t), lambda: -(dy * x))
