"""Connectionist temporal classification: the surprise of a sequence of labels, whichever frames they fall on.

A path names a label or a blank for every frame; repeats are merged, then blanks dropped. The probability of a sequence
is the sum over all paths that read as it. The forward variable α_t(s) is that sum up to frame t, at place s of the
labels with blanks around them; the backward variable β_t(s) is the rest of it. A loop runs over the frames, everything
else is over the batch and the labels at once (Graves et al. 2006, equations 6 to 16), in logarithms.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from nnx.autodiff import op, stop_gradient
from nnx.autodiff.casting import in_full
from nnx.backend import backend_of, device_of, innermost, is_array, namespace, to_numpy
from nnx.losses.common import Reduction, reduced
from nnx.typing import Array, Namespace

__all__ = ["ctc_loss"]

NEVER = -1e30
"""log 0, as a number that can be added to: -inf - -inf would be no number."""


@in_full
def ctc_loss(
    log_probs: Array,
    targets: Array,
    input_lengths: Array | Sequence[int],
    target_lengths: Array | Sequence[int],
    blank: int = 0,
    reduction: Reduction = "mean",
    zero_infinity: bool = False,
) -> Array:
    """-log Σ over all paths that read as the targets of Π_t p_t(path).

    log_probs: (t, n, c) or (t, c), logarithms of probabilities (log_softmax)
    targets: (n, s), integers but the blank, padded with anything; or one after another, (sum of target_lengths,)
    input_lengths, target_lengths: (n,), frames and labels of each sample: arrays, or Python numbers
    zero_infinity: 0 in place of the infinite loss of targets that do not fit into their frames
    returns (), or (n,) with reduction="none". "mean" divides each loss by its number of labels (at least 1) first.
    Raises ValueError for labels out of range, where values can be looked at without waiting for a device; elsewhere the
    loss of such a sample is infinite. Targets one after another wait for the device, unless target_lengths are numbers.
    The gradient is the derivative, -(the share of the paths that pass). PyTorch's, of log_probs themselves, has p added
    to it; before a log_softmax they are the same.

    >>> import numpy as np
    >>> even = np.log(np.full((2, 1, 2), 0.5))  # two frames, a blank and one label: of four paths three read as it
    >>> round(float(np.exp(-ctc_loss(even, np.asarray([[1]]), (2,), (1,)))), 4)
    0.75
    """
    one = log_probs.ndim == 2
    if one:
        log_probs = namespace(log_probs).expand_dims(log_probs, axis=1)
    labels, sizes = innermost(targets), target_lengths
    if log_probs.ndim != 3:
        raise ValueError(f"ctc_loss expects log_probs (t, n, c) or (t, c), got {tuple(log_probs.shape)}")
    n, classes = log_probs.shape[1:]
    if not 0 <= blank < classes:
        raise ValueError(f"ctc_loss: blank must be in [0, {classes}), got {blank}")
    frames, lengths = _lengths("input_lengths", input_lengths, n, labels), _lengths("target_lengths", sizes, n, labels)
    labels = _rows(labels, sizes, lengths, n, one)
    if not labels.shape[1]:  # nothing but blanks: one place that no path needs, so that no axis is empty
        labels = namespace(labels).zeros((n, 1), dtype=labels.dtype, device=device_of(labels))
    _check(labels, frames, lengths, log_probs.shape[0], classes)
    losses = _losses(log_probs, _extended(labels, lengths, blank, classes), frames, zero_infinity)
    xp = namespace(losses)
    if reduction == "mean":
        losses = losses / xp.astype(namespace(lengths).maximum(lengths, 1), losses.dtype)
    return reduced(losses[0] if one else losses, reduction)


# ---- what the arguments say ------------------------------------------------------------------------------------------


def _lengths(name: str, lengths: Any, n: int, labels: Array) -> Array:
    """(n,) lengths beside the labels, in their dtype (that of int32 at least)."""
    y = innermost(lengths)
    xp = namespace(labels)
    dtype = xp.result_type(labels.dtype, xp.int32)
    if is_array(y):
        y = xp.astype(xp.reshape(y, (-1,)), dtype)
    else:
        numbers = [int(k) for k in (y if isinstance(y, Sequence) else [y])]
        y = xp.asarray(numbers, dtype=dtype, device=device_of(labels))
    if tuple(y.shape) != (n,):
        raise ValueError(f"ctc_loss: {name} has shape {tuple(y.shape)} for {n} samples: expected ({n},)")
    return y


def _rows(labels: Array, sizes: Any, lengths: Array, n: int, one: bool) -> Array:
    """Labels as (n, s), of lengths' dtype."""
    xp = namespace(labels)
    labels = xp.astype(labels, lengths.dtype)
    if labels.ndim == 2 and labels.shape[0] == n:
        return labels
    if labels.ndim != 1:
        raise ValueError(f"ctc_loss expects targets ({n}, s) or (sum of lengths,), got {tuple(labels.shape)}")
    if one:
        return xp.reshape(labels, (1, -1))
    numbers = [int(k) for k in (to_numpy(lengths) if is_array(sizes) else sizes)]
    if sum(numbers) != labels.shape[0]:
        raise ValueError(
            f"ctc_loss: {labels.shape[0]} targets one after another, but target_lengths add up to {sum(numbers)}"
        )
    longest = max(numbers, default=0)
    starts = xp.cumulative_sum(lengths) - lengths
    steps = xp.arange(longest, dtype=lengths.dtype, device=device_of(labels))
    places = xp.minimum(xp.expand_dims(starts, axis=1) + steps, xp.full_like(steps, max(labels.shape[0] - 1, 0)))
    return xp.reshape(xp.take(labels, xp.reshape(places, (-1,)), axis=0), (n, longest))


def _check(labels: Array, frames: Array, lengths: Array, longest: int, classes: int) -> None:
    """Raises ValueError for lengths and labels that cannot be, where values can be looked at."""
    xp = namespace(labels)
    if not backend_of(labels).host:
        return
    for name, sizes, most in (("input", frames, longest), ("target", lengths, labels.shape[1])):
        if bool(xp.any((sizes < 0) | (sizes > most))):
            raise ValueError(f"ctc_loss: {name}_lengths must be in [0, {most}], got {sizes}")
    inside = xp.arange(labels.shape[1], dtype=labels.dtype, device=device_of(labels)) < xp.expand_dims(lengths, axis=1)
    if bool(xp.any(inside & ((labels < 0) | (labels >= classes)))):
        raise ValueError(f"ctc_loss: a label is out of range for {classes} classes: integers in [0, {classes})")


class Places(NamedTuple):
    """The labels with blanks around them, for each sample: (n, 2s + 1)."""

    label: Array
    """Which class stands there; the blank, where the label is no class."""
    possible: Array
    """False where the label is no class."""
    start: Array
    """Where a path may start, before the first frame."""
    skip: Array
    """Where a path may come from two places before: over a blank between two different labels."""
    final: Array
    """Where a path may end."""


def _extended(labels: Array, lengths: Array, blank: int, classes: int) -> Places:
    xp, (n, s), device = namespace(labels), labels.shape, device_of(labels)
    labels = xp.where((labels >= 0) & (labels < classes), labels, xp.full_like(labels, -1))
    column = xp.full((n, 1), blank, dtype=labels.dtype, device=device)
    pairs = xp.stack([xp.broadcast_to(column, (n, s)), labels], axis=2)
    places = xp.concat([xp.reshape(pairs, (n, 2 * s)), column], axis=1)
    possible = places >= 0
    steps = xp.arange(2 * s + 1, dtype=labels.dtype, device=device)
    end = xp.expand_dims(lengths, axis=1) * 2
    never = xp.zeros((n, 2), dtype=xp.bool, device=device)
    skip = xp.concat([never, (places[:, 2:] != places[:, :-2]) & (places[:, 2:] != blank)], axis=1)
    label = xp.where(possible, places, xp.full_like(places, blank))
    start = xp.broadcast_to(steps == 0, (n, 2 * s + 1))
    return Places(label, possible, start, skip, (steps == end) | (steps == end - 1))


# ---- the sum over all paths ------------------------------------------------------------------------------------------


def _losses(log_probs: Array, places: Places, frames: Array, zero_infinity: bool) -> Array:
    """The loss of each sample. log_probs: (t, n, c)"""
    xp, plain = namespace(log_probs), namespace(places.label)
    t, n, classes = log_probs.shape
    rows = plain.arange(n, dtype=places.label.dtype, device=device_of(places.label))
    index = plain.reshape(plain.expand_dims(rows * classes, axis=1) + places.label, (-1,))
    at = xp.reshape(xp.take(xp.reshape(log_probs, (t, n * classes)), index, axis=1), (t, *places.label.shape))
    at = xp.where(places.possible, xp.maximum(at, NEVER), NEVER)

    def logarithm(mask: Array) -> Array:
        """log 1 where the mask holds, log 0 elsewhere."""
        return (plain.astype(mask, innermost(log_probs).dtype) - 1.0) * -NEVER

    return _paths(
        at, logarithm(places.start), logarithm(places.skip), logarithm(places.final),
        plain.expand_dims(frames, axis=1), zero_infinity,
    )  # fmt: skip


@op
def _paths(at: Array, start: Array, skip: Array, final: Array, frames: Array, zero_infinity: bool) -> Any:
    """at: (t, n, l), log p of each place   start, skip, final: (n, l), 0 or NEVER   frames: (n, 1)   returns (n,)"""
    xp, t = namespace(at), at.shape[0]
    frame = xp.unstack(at)
    alphas, alpha, edge = [], start, xp.full_like(start[:, :2], NEVER)
    for k in range(t):
        wide = xp.concat([edge, alpha], axis=1)
        new = _log_sum(xp, alpha, wide[:, 1:-1], wide[:, :-2] + skip) + frame[k]
        alpha = xp.where(frames > k, new, alpha)
        alphas.append(alpha)
    ends = alpha + final
    top = stop_gradient(xp.max(ends, axis=1))
    loss = -(top + xp.log(xp.sum(xp.exp(ends - xp.expand_dims(top, axis=1)), axis=1)))
    none = loss > -0.1 * NEVER  # no path at all

    def pullback(dy: Array) -> tuple[Any, ...]:
        gone, scale = xp.expand_dims(none, axis=1), xp.where(none, 0.0 if zero_infinity else math.nan, -dy)
        shares = []
        beta, over = final, xp.concat([skip[:, 2:], edge], axis=1)
        for k in reversed(range(t)):
            share = xp.exp(xp.where(gone, NEVER, alphas[k] + beta + xp.expand_dims(loss, axis=1)))
            shares.append(xp.where(frames > k, share, 0.0))
            here = beta + frame[k]
            wide = xp.concat([here, edge], axis=1)
            beta = xp.where(frames > k, _log_sum(xp, here, wide[:, 1:-1], wide[:, 2:] + over), beta)
        return _stacked(xp, shares[::-1], at) * xp.expand_dims(scale, axis=1), None, None, None, None, None

    return xp.where(none, 0.0 if zero_infinity else math.inf, loss), pullback


def _log_sum(xp: Namespace, a: Array, b: Array, c: Array) -> Array:
    """log(eᵃ + eᵇ + eᶜ); the largest is taken out of the exponents, and does not change the value, nor its slope."""
    top = stop_gradient(xp.maximum(xp.maximum(a, b), c))
    return top + xp.log(xp.exp(a - top) + xp.exp(b - top) + xp.exp(c - top))


def _stacked(xp: Namespace, arrays: list[Array], like: Array) -> Array:
    """stack, eight at a time: more than that, and CuPy copies a table of pointers to the device."""
    if not arrays:
        return xp.zeros_like(like)
    arrays = [xp.expand_dims(x, axis=0) for x in arrays]
    while len(arrays) > 1:
        arrays = [xp.concat(arrays[k : k + 8], axis=0) for k in range(0, len(arrays), 8)]
    return arrays[0]
