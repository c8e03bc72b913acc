"""Losses that are satisfied: beyond a margin on the right side there is nothing left to learn."""

import math

from nnx.autodiff.casting import in_full
from nnx.backend import backend_of, is_array, namespace
from nnx.functional import logsigmoid, relu
from nnx.losses.common import Reduction, as_numbers, hinge, reduced, same_form, same_shape
from nnx.losses.labels import check_labels, check_rows, is_labels, one_hot_mask
from nnx.typing import Array

__all__ = [
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "soft_margin_loss",
]


@in_full
def hinge_embedding_loss(input: Array, target: Array, margin: float = 1.0, reduction: Reduction = "mean") -> Array:
    """x where the target is 1, max(0, margin - x) where it is -1: of distances x, small for what is alike.

    input: x, any shape   target: 1 or -1, the same shape   returns (), or the inputs' shape with reduction="none"

    >>> import numpy as np
    >>> hinge_embedding_loss(np.asarray([0.25, 0.25]), np.asarray([1, -1]), reduction="none")
    array([0.25, 0.75])
    """
    same_shape("hinge_embedding_loss", input=input, target=target)
    xp = namespace(input, target)
    zero = xp.zeros_like(input)
    return reduced(xp.where(target != 1, hinge(margin - input), zero) + xp.where(target != -1, input, zero), reduction)


@in_full
def margin_ranking_loss(
    input1: Array, input2: Array, target: Array, margin: float = 0.0, reduction: Reduction = "mean"
) -> Array:
    """max(0, -t (x1 - x2) + margin): t = 1 says that x1 is to be the larger, t = -1 that x2 is.

    input1, input2: any shape, the same   target: 1 or -1, the same shape
    returns (), or the inputs' shape with reduction="none"

    >>> import numpy as np
    >>> float(margin_ranking_loss(np.asarray([1.0]), np.asarray([3.0]), np.asarray([1.0])))
    2.0
    """
    same_shape("margin_ranking_loss", input1=input1, input2=input2, target=target)
    return reduced(hinge(-((input1 - input2) * as_numbers(target, input1)) + margin), reduction)


@in_full
def soft_margin_loss(input: Array, target: Array, reduction: Reduction = "mean") -> Array:
    """log(1 + e^(-t x)), exact for every x: cross-entropy of yes or no, with t = 1 and t = -1.

    input: x, any shape   target: t, the same shape   returns (), or the inputs' shape with reduction="none"

    >>> import numpy as np
    >>> float(soft_margin_loss(np.asarray([-1e4]), np.asarray([1.0])))
    10000.0
    """
    same_shape("soft_margin_loss", input=input, target=target)
    return reduced(-logsigmoid(input * as_numbers(target, input)), reduction)


@in_full
def multi_margin_loss(
    input: Array,
    target: Array,
    p: int = 1,
    margin: float = 1.0,
    weight: Array | None = None,
    reduction: Reduction = "mean",
) -> Array:
    """Σ_j max(0, margin - x_y + x_j)ᵖ / c over the wrong classes j: a support vector machine's, for c classes.

    input: x (n, c), or (c,) for one sample   target: y (n,) or (), integers in [0, c)   p: 1 or 2
    weight: (c,), a factor for each class y; the mean is over samples all the same
    returns (), or target's shape with reduction="none". Raises ValueError for labels out of range, where values can be
    looked at without waiting for a device; elsewhere the loss of such a sample is infinite.

    >>> import numpy as np
    >>> float(multi_margin_loss(np.asarray([[0.0, 0.5]]), np.asarray([1])))
    0.25
    """
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: p must be 1 or 2, got {p}")
    one = input.ndim == 1
    if one:
        input, target = namespace(input).reshape(input, (1, -1)), namespace(target).reshape(target, (1,))
    _check_scores("multi_margin_loss", input, target)
    classes = input.shape[1]
    if weight is not None and tuple(weight.shape) != (classes,):
        raise ValueError(f"multi_margin_loss: weight has shape {tuple(weight.shape)}: expected ({classes},)")
    xp = namespace(input)
    hit = one_hot_mask(target, classes)
    right = xp.sum(xp.where(hit, input, 0.0), axis=1, keepdims=True)
    terms = relu(xp.where(hit, 0.0, input - right + margin))
    losses = xp.sum(terms if p == 1 else terms * terms, axis=1) * (1.0 / classes)
    if weight is not None:
        losses = losses * xp.sum(xp.where(hit, xp.reshape(weight, (1, -1)), 0.0), axis=1)
    # a label that no class matches has an infinite loss: never a wrong number in silence
    losses = xp.where(namespace(hit).any(hit, axis=1), losses, math.inf)
    return reduced(losses[0] if one else losses, reduction)


def _check_scores(name: str, input: Array, target: Array) -> None:
    if not is_array(target) or not is_labels(target):
        raise TypeError(f"{name}'s target must be an array of integers, e.g. nnx.asarray(y, 'int64')")
    check_rows(name, input, target)
    if input.ndim != 2:
        raise ValueError(f"{name} expects scores (n, c) or (c,), got {tuple(input.shape)}")
    if backend_of(target).host:
        check_labels(target, input.shape[1])


@in_full
def multilabel_margin_loss(input: Array, target: Array, reduction: Reduction = "mean") -> Array:
    """Σ_j Σ_i max(0, 1 - (x_j - x_i)) / c over the right classes j and the wrong ones i: each right one before each
    wrong one.

    input: x (n, c), or (c,) for one sample   target: the same shape, integers: the right classes, then -1 to the end
    returns (), or (n,) with reduction="none". Holds n c² numbers.

    >>> import numpy as np
    >>> x = np.asarray([[0.1, 0.2, 0.4, 0.8]])
    >>> round(float(multilabel_margin_loss(x, np.asarray([[3, 0, -1, 1]]))), 4)
    0.85
    """
    same_shape("multilabel_margin_loss", input=input, target=target)
    if not is_labels(target) or input.ndim not in (1, 2):
        raise ValueError(
            "multilabel_margin_loss expects scores (n, c) or (c,) and integers of that shape, got "
            f"{tuple(input.shape)} and {target.dtype}"
        )
    xp, one = namespace(input), input.ndim == 1
    x = xp.reshape(input, (1, -1)) if one else input
    classes = x.shape[1]
    hit = one_hot_mask(namespace(target).reshape(target, tuple(x.shape)), classes)  # (n, c, right classes)
    plain = namespace(hit)
    ended = plain.cumulative_sum(plain.astype(~plain.any(hit, axis=1), plain.int32), axis=1) > 0  # at the first -1
    hit = hit & ~plain.expand_dims(ended, axis=1)
    wrong = ~plain.any(hit, axis=2)
    pairs = plain.expand_dims(wrong, axis=2) & plain.expand_dims(plain.any(hit, axis=1), axis=1)
    right = xp.sum(xp.where(hit, xp.expand_dims(x, axis=2), 0.0), axis=1, keepdims=True)
    terms = relu(1.0 - right + xp.expand_dims(x, axis=2))
    losses = xp.sum(xp.where(pairs, terms, 0.0), axis=(1, 2)) * (1.0 / classes)
    return reduced(losses[0] if one else losses, reduction)


@in_full
def multilabel_soft_margin_loss(
    input: Array, target: Array, weight: Array | None = None, reduction: Reduction = "mean"
) -> Array:
    """-(t log σ(x) + (1 - t) log(1 - σ(x))), its mean over the classes: each class is a yes or no of its own.

    input: x (..., c)   target: t in [0, 1], the same shape   weight: a factor for each class, (c,)
    returns (), or (...) with reduction="none"

    >>> import numpy as np
    >>> round(float(multilabel_soft_margin_loss(np.zeros((1, 3)), np.ones((1, 3)))), 4)
    0.6931
    """
    same_form("multilabel_soft_margin_loss", input, target)
    losses = -(logsigmoid(input) * target + logsigmoid(-input) * (1.0 - target))
    if weight is not None:
        losses = losses * weight
    return reduced(namespace(losses).mean(losses, axis=-1), reduction)
