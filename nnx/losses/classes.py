"""Losses of one class among several: the surprise, -log p, at the right one."""

import math
from typing import Any

from nnx.autodiff import op
from nnx.autodiff.casting import in_full
from nnx.backend import backend_of, innermost, is_array, kernel, namespace
from nnx.functional import log_softmax
from nnx.losses.common import Reduction, reduced, same_form
from nnx.losses.labels import check_form, check_labels, check_rows, is_labels, minus_one_hot, one_hot_mask, pick
from nnx.typing import Array

__all__ = ["cross_entropy", "nll_loss"]


@in_full
def cross_entropy(
    input: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """-log softmax(input)[target]: the surprise at the right class.

    input: (n, c) or (n, c, d1, ...) logits, not probabilities; (c,) for one sample
    target: (n,) or (n, d1, ...) integers in [0, c); or probabilities of the classes, in input's shape and dtype
    weight: (c,), a factor for each class; the mean is weighted by it   ignore_index: a label that does not count
    label_smoothing: ε in [0, 1], the share of each target that is spread evenly over all classes
    returns (), or target's shape (without its classes) with reduction="none"
    Raises ValueError for labels out of range, where values can be looked at without waiting for a device (NumPy,
    array-api-strict); elsewhere the loss of such a sample is infinite. PyTorch's ignore_index is -100 unless you say
    otherwise; here no label is ignored unless you do.

    >>> import numpy as np
    >>> round(float(cross_entropy(np.zeros((2, 10)), np.asarray([3, 7]))), 4)
    2.3026
    """
    if weight is None and ignore_index is None and not label_smoothing and input.ndim == 2 and is_labels(target):
        check_rows("cross_entropy", input, target)  # the case of every day, on the shortest way
        return _plain_cross_entropy(input, target, reduction)
    if isinstance(weight, str):
        raise TypeError(f"cross_entropy's third argument is weight, as PyTorch has it: reduction='{weight}'")
    if is_array(target) and backend_of(target).is_inexact(target.dtype) and target.shape == input.shape:
        return _soft_cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)
    if input.ndim == 1:
        return _of_one(cross_entropy, input, target, weight, ignore_index, reduction, label_smoothing)
    check_form("cross_entropy", input, target)
    logp = log_softmax(input, 1)
    losses, sizes = _picked("cross_entropy", logp, target, weight, ignore_index)
    if label_smoothing:
        _check_smoothing(label_smoothing)
        spread = label_smoothing / input.shape[1]
        even = _total(logp, weight) * spread
        if ignore_index is not None:
            even = namespace(even).where(innermost(target) == ignore_index, namespace(even).zeros_like(even), even)
        losses = losses * (1.0 - label_smoothing) + even
    return _averaged(losses, sizes, reduction)


@in_full
def nll_loss(
    input: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Array:
    """-input[target]: cross_entropy of what is log-probabilities already; its arguments mean the same.

    >>> import numpy as np
    >>> float(nll_loss(np.asarray([[-1.0, -2.0]]), np.asarray([1])))
    2.0
    """
    if isinstance(weight, str):
        raise TypeError(f"nll_loss's third argument is weight, as PyTorch has it: reduction='{weight}'")
    if input.ndim == 1:
        return _of_one(nll_loss, input, target, weight, ignore_index, reduction)
    check_form("nll_loss", input, target)
    return _averaged(*_picked("nll_loss", input, target, weight, ignore_index), reduction)


def _plain_cross_entropy(input: Array, target: Array, reduction: Reduction) -> Array:
    """The case of every day: (n, c) logits, (n,) labels, nothing else; one record on the tape."""
    if reduction not in ("mean", "sum"):
        if backend_of(input).host:
            check_labels(target, input.shape[1])
        return reduced(_cross_entropy(input, target, None), reduction)
    n = input.shape[0]
    loss = _cross_entropy(input, target, 1.0 if reduction == "sum" else 1.0 / n if n else math.nan)
    value = innermost(loss)
    if backend_of(value).host and not math.isfinite(value):
        check_labels(target, input.shape[1])
    return loss


@op
def _cross_entropy(x: Array, target: Array, factor: float | None) -> Any:
    """The losses of the samples, or factor · their sum."""
    xp = namespace(x, target)
    own = kernel("cross_entropy", x)
    if own is not None and (found := own(x, target, factor)) is not None:
        return found
    z = x - xp.max(x, axis=1, keepdims=True)
    e = xp.exp(z)
    s = xp.sum(e, axis=1, keepdims=True)
    losses = xp.log(s[:, 0]) - pick(z, target)

    def pullback(dy: Array) -> tuple[Any, None, None]:
        # softmax - one-hot: δ at the logits, BP1 with σ′ already in it
        scale = xp.reshape(dy, (-1, 1)) if factor is None else dy * factor
        return minus_one_hot(e / s, target) * scale, None, None

    return losses if factor is None else xp.sum(losses) * factor, pullback


def _picked(
    name: str, logp: Array, target: Array, weight: Array | None, ignore_index: int | None
) -> tuple[Array, Array | None]:
    """The loss of each sample, 0 for an ignored one, and the weight of each; None if all are 1."""
    classes, y = logp.shape[1], innermost(target)
    if weight is not None and tuple(weight.shape) != (classes,):
        raise ValueError(f"{name}: weight has shape {tuple(weight.shape)} for {classes} classes: expected ({classes},)")
    if backend_of(y).host:
        check_labels(y, classes, ignore_index)
    xp, plain = namespace(logp), namespace(y)
    hit = one_hot_mask(y, classes)
    losses = -xp.sum(xp.where(hit, logp, 0.0), axis=1)
    sizes = None
    if weight is not None:
        sizes = xp.sum(xp.where(hit, _beside(weight, logp), 0.0), axis=1)
        losses = losses * sizes
    # a label that no class matches has an infinite loss: never a wrong number in silence
    losses = xp.where(plain.any(hit, axis=1), losses, math.inf)
    if ignore_index is not None:
        counts = y != ignore_index
        losses = xp.where(counts, losses, 0.0)
        sizes = xp.where(counts, xp.ones_like(losses) if sizes is None else sizes, 0.0)
    return losses, sizes


def _soft_cross_entropy(
    input: Array,
    target: Array,
    weight: Array | None,
    ignore_index: int | None,
    reduction: Reduction,
    label_smoothing: float,
) -> Array:
    """-Σ t log softmax(x) over the classes."""
    same_form("cross_entropy", input, target)
    if ignore_index is not None:
        raise ValueError("cross_entropy: ignore_index is for labels; give targets of probabilities a row of zeros")
    _check_smoothing(label_smoothing)
    axis = 1 if input.ndim > 1 else 0
    if label_smoothing:
        target = target * (1.0 - label_smoothing) + label_smoothing / input.shape[axis]
    losses = _total(log_softmax(input, axis) * target, weight)
    return reduced(losses, reduction)


def _total(logp: Array, weight: Array | None) -> Array:
    """-Σ w x over the classes."""
    if weight is not None:
        logp = logp * _beside(weight, logp)
    return -namespace(logp).sum(logp, axis=1 if logp.ndim > 1 else 0)


def _beside(weight: Array, x: Array) -> Array:
    """(c,) weights, shaped to meet x (n, c, ...)."""
    return namespace(weight).reshape(weight, (-1,) + (1,) * (x.ndim - 2)) if x.ndim > 2 else weight


def _averaged(losses: Array, sizes: Array | None, reduction: Reduction) -> Array:
    """The mean in which each sample counts with its weight; the other reductions know nothing of it."""
    if sizes is None or reduction != "mean":
        return reduced(losses, reduction)
    xp = namespace(losses)
    total = xp.sum(sizes)
    # nothing counts: the mean of nothing is nan, without a division by 0
    return xp.sum(losses) / xp.where(total == 0, math.nan, total)


def _check_smoothing(label_smoothing: float) -> None:
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"cross_entropy: label_smoothing must be in [0, 1], got {label_smoothing}")


def _of_one(loss: Any, input: Array, target: Array, *options: Any) -> Array:
    """The loss of one sample without a batch: (c,) and ()."""
    if target.ndim:
        raise ValueError(f"one sample (c,) has one label (), got {tuple(input.shape)} and {tuple(target.shape)}")
    xp = namespace(input)
    found = loss(xp.reshape(input, (1, -1)), namespace(target).reshape(target, (1,)), *options)
    return found[0] if found.ndim else found
