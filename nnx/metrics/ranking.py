"""Metrics of order: whether what is of a class has a higher score than what is not, wherever one would draw the line.

The scores are sorted once. `below` and `upto` say, for every sample, how many scores are smaller and how many are at
most as large: equal scores are one step of the curve, as in scikit-learn.
"""

from collections.abc import Callable
from typing import Any, Literal

from nnx.backend import backend_of, namespace
from nnx.losses.labels import check_labels, is_labels, one_hot_mask
from nnx.metrics.base import Metric, State, ratio, whole, widest
from nnx.typing import Array

Average = Literal["macro", "weighted", "micro", "none"]
AVERAGES = ("macro", "weighted", "micro", "none", None)


class _Ranking(Metric):
    """A metric of one column of scores and its hits, over all samples; the columns' mean, where there are several.

    Every score is kept until reset, in a list of the batches' own arrays: they are joined once, in compute().
    """

    name = "ranking"

    def __init__(self, average: Average | None = "macro") -> None:
        if average not in AVERAGES:
            raise ValueError(f"{self.name}: average must be one of {', '.join(map(str, AVERAGES))}, got '{average}'")
        super().__init__()
        self.average = average

    def _of_batch(self, output: Array, target: Array) -> State:
        namespace(output, target)
        if output.ndim not in (1, 2) or output.shape[:1] != target.shape[:1] or target.ndim > output.ndim:
            raise ValueError(
                f"{self.name} expects scores (n,) or (n, c) and targets (n,) or (n, c), got {tuple(output.shape)} and "
                f"{tuple(target.shape)}"
            )
        if target.ndim < output.ndim:
            if not is_labels(target):
                raise TypeError(f"{self.name}'s target has dtype {target.dtype}: labels are integers")
            if backend_of(target).host:
                check_labels(target, output.shape[1])
        return [output], [target]

    def _result(self, state: State) -> Array:
        scores, targets = (namespace(parts[0]).concat(parts) if len(parts) > 1 else parts[0] for parts in state)
        xp = namespace(scores)
        hits = one_hot_mask(targets, scores.shape[1]) if targets.ndim < scores.ndim else _yes(targets)
        if scores.ndim == 1 or self.average == "micro":
            return self._of_column(xp.reshape(scores, (-1,)), xp.reshape(hits, (-1,)))
        columns = range(scores.shape[1])
        each = xp.stack([self._of_column(scores[:, k], hits[:, k]) for k in columns])
        if self.average in ("none", None):
            return each
        if self.average == "macro":
            return xp.mean(each)
        sizes = xp.sum(xp.astype(hits, each.dtype), axis=0)
        each = xp.where(sizes == 0, xp.zeros_like(each), each)  # what is nowhere has no weight, nan or not
        return ratio(xp, xp.sum(each * sizes), xp.sum(sizes), 0.0 if scores.shape[0] else float("nan"))

    def _of_column(self, scores: Array, hits: Array) -> Array:
        raise NotImplementedError

    def _packed(self) -> State | None:
        """One array in place of many."""
        if self._state is None:
            return None
        return tuple(namespace(parts[0]).concat(parts) for parts in self._state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Metric.load_state_dict."""
        super().load_state_dict(state)
        if self._state is not None:
            self._state = tuple([x] for x in self._state)


def _yes(targets: Array) -> Array:
    """Which targets say yes: True, or 1."""
    return targets if "bool" in str(targets.dtype) else targets == 1


def _counts(scores: Array, hits: Array) -> tuple[Array, Callable[[Array], Array], Array, Array]:
    """Sorted by score: hits (n,) as numbers, how many hits are among the first k, and `below` and `upto` of each."""
    xp = namespace(scores)
    dtype = whole(xp, scores)
    order = xp.argsort(scores)
    scores, hits = xp.take(scores, order, axis=0), xp.take(xp.astype(hits, dtype), order, axis=0)
    sums = xp.concat([xp.zeros_like(hits[:1]), xp.cumulative_sum(hits)])
    below, upto = (xp.astype(xp.searchsorted(scores, scores, side=side), dtype) for side in ("left", "right"))
    return hits, lambda k: xp.take(sums, k, axis=0), below, upto


def _unless_nan(scores: Array, found: Array) -> Array:
    xp = namespace(scores)
    return xp.where(xp.any(xp.isnan(scores)), xp.full_like(found, float("nan")), found)


class AUROC(_Ranking):
    """The area under the receiver operating characteristic: see nnx.metrics.auroc.

    Exact over batches: every score is kept, on the device, until reset.

    >>> import numpy as np
    >>> AUROC().update(np.asarray([0.1, 0.4]), np.asarray([0, 0])).update(np.asarray([0.3, 0.8]), np.ones(2)).compute()
    0.75
    """

    name = "auroc"

    def _of_column(self, scores: Array, hits: Array) -> Array:
        xp, n, dtype = namespace(scores), scores.shape[0], widest(scores)
        if not n:
            return xp.sum(xp.astype(hits, dtype)) * float("nan")
        hit, among, below, upto = _counts(scores, hits)
        # twice the misses below each hit: those that are equal count half; whole numbers, and so exact below 2**53
        misses = xp.astype(below - among(below) + upto - among(upto), dtype) * xp.astype(hit, dtype)
        yes = xp.sum(xp.astype(hit, dtype))
        pairs = yes * (n - yes)
        found = xp.sum(misses) / xp.where(pairs == 0, xp.full_like(pairs, float("nan")), pairs * 2.0)
        return _unless_nan(scores, found)


class AveragePrecision(_Ranking):
    """Σ (Rₖ - Rₖ₋₁) Pₖ over the steps of the precision-recall curve: see nnx.metrics.average_precision.

    Exact over batches: every score is kept, on the device, until reset.
    """

    name = "average_precision"

    def _of_column(self, scores: Array, hits: Array) -> Array:
        xp, n, dtype = namespace(scores), scores.shape[0], widest(scores)
        if not n:
            return xp.sum(xp.astype(hits, dtype)) * float("nan")
        hit, among, below, _ = _counts(scores, hits)
        yes = xp.sum(hit)
        precision = xp.astype(yes - among(below), dtype) / xp.astype(n - below, dtype)
        yes = xp.astype(yes, dtype)
        found = xp.sum(precision * xp.astype(hit, dtype)) / xp.where(yes == 0, xp.ones_like(yes), yes)
        return _unless_nan(scores, found)


def auroc(output: Array, target: Array, average: Average | None = "macro") -> Array:
    """The probability that a sample of a class has a higher score than one that is not of it; equal scores count half.

    output: (n,) scores of yes or no with a target (n,) of 1 or 0; or (n, c) scores of classes with labels (n,), each
    class against the rest, or with (n, c) of 1 or 0, several labels a sample
    average: over classes: "macro", "weighted" (as often as each is true), "micro" (all decisions at once), "none": (c,)
    returns (); nan where a class is nowhere or everywhere, and so is then the plain mean, as in scikit-learn

    >>> import numpy as np
    >>> float(auroc(np.asarray([0.1, 0.4, 0.35, 0.8]), np.asarray([0, 0, 1, 1])))
    0.75
    """
    return AUROC(average)(output, target)


def average_precision(output: Array, target: Array, average: Average | None = "macro") -> Array:
    """Σ (Rₖ - Rₖ₋₁) Pₖ over the scores in falling order, P precision and R recall above each; equal ones at once.

    Arguments and shapes: as auroc's. 0 for a class that is nowhere, as in scikit-learn.

    >>> import numpy as np
    >>> round(float(average_precision(np.asarray([0.1, 0.4, 0.35, 0.8]), np.asarray([0, 0, 1, 1]))), 4)
    0.8333
    """
    return AveragePrecision(average)(output, target)
