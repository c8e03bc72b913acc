"""Metrics: how good the network is, in numbers for people. metric(output, target) -> array, the batch's mean.

`Mean` adds batches up where they were computed: the device is waited for when the result is read, not at each step.
"""

from collections.abc import Callable
from typing import Any

from nnx.backend import innermost, is_array, namespace
from nnx.losses.common import same_form
from nnx.losses.labels import check_form, one_hot_mask
from nnx.typing import Array

Metric = Callable[[Array, Array], Array]


def accuracy(output: Array, target: Array, k: int = 1) -> Array:
    """The share of samples whose class is among the k largest outputs; of equal outputs the first is the larger.

    output: (n, c, ...) scores   target: (n, ...) integers, or (n, c, ...) one-hot (or any scores)   returns ()

    >>> import numpy as np
    >>> scores = np.asarray([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]])
    >>> float(accuracy(scores, np.asarray([1, 2]))), float(accuracy(scores, np.asarray([1, 2]), k=2))
    (0.5, 1.0)
    """
    output, target = innermost(output), innermost(target)
    xp = namespace(output, target)
    if is_array(target) and target.shape == output.shape and output.ndim > 1:
        target = xp.argmax(target, axis=1)
    check_form("accuracy", output, target)
    classes = output.shape[1]
    if not 1 <= k <= classes:
        raise ValueError(f"accuracy: k must be in [1, {classes}], got {k}")
    if k == 1:
        hits = xp.argmax(output, axis=1) == target
    else:
        hits = _rank(output, target) < k
    hits = xp.astype(hits, output.dtype)
    return xp.mean(hits) if 0 not in hits.shape else xp.sum(hits) * float("nan")


def _rank(output: Array, target: Array) -> Array:
    """How many outputs stand before the right one: the larger ones, and equal ones to the left of it."""
    xp = namespace(output)
    hit = one_hot_mask(target, output.shape[1])
    right = xp.max(xp.where(hit, output, -float("inf")), axis=1, keepdims=True)
    earlier = ~xp.astype(xp.cumulative_sum(xp.astype(hit, xp.int32), axis=1), xp.bool)
    # not `output > right`: nan stands before everything, so that a network of nan is never right
    before = ~(output <= right) | (earlier & (output == right))
    return xp.sum(xp.astype(before, xp.int32), axis=1)


def mean_squared_error(output: Array, target: Array) -> Array:
    """(output - target)², its mean over all entries. output, target: one shape   returns ()."""
    same_form("mean_squared_error", output, target)
    d = innermost(output) - innermost(target)
    return namespace(d).mean(d * d)


def mean_absolute_error(output: Array, target: Array) -> Array:
    """|output - target|, its mean over all entries. output, target: one shape   returns ()."""
    same_form("mean_absolute_error", output, target)
    d = innermost(output) - innermost(target)
    return namespace(d).mean(namespace(d).abs(d))


class Mean:
    """The mean of a metric over all samples of many batches, or of numbers that are given to it.

    metric: function (output, target) -> the batch's mean, for update(output, target); None for update(value, weight)

    >>> import numpy as np
    >>> mean = Mean(mean_absolute_error)
    >>> mean.update(np.asarray([1.0, 1.0]), np.zeros(2)).update(np.asarray([4.0]), np.zeros(1)).compute()
    2.0
    """

    def __init__(self, metric: Metric | None = None) -> None:
        self.metric = metric
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self.total: Any = 0.0
        self.weight: float = 0.0

    def update(self, *values: Any, weight: float | None = None) -> "Mean":
        """Add a batch, (output, target), which counts as many times as it has samples; or a value, which counts once.

        weight: how many times it counts instead. Returns itself. Nothing waits for the device.
        """
        if self.metric is None:
            (value,) = values
            weight = 1.0 if weight is None else weight
        else:
            output, target = values
            value = self.metric(output, target)
            weight = float(output.shape[0] if output.ndim else 1) if weight is None else weight
        if weight:
            self.total = innermost(value) * weight + self.total
            self.weight += weight
        return self

    def compute(self) -> float:
        """The mean so far, nan if there was nothing; waits for the device."""
        return float(self.total) / self.weight if self.weight else float("nan")
