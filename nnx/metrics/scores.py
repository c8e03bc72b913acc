"""Precision, recall and F: of each class, what share of the alarms was right, and what share of the cases was found."""

import math
from typing import Literal

from nnx.backend import namespace
from nnx.losses.labels import one_hot_mask
from nnx.metrics.base import Metric, State, ratio, whole, widest
from nnx.metrics.classes import known, labels
from nnx.typing import Array, Namespace

Average = Literal["binary", "micro", "macro", "weighted", "none"]
AVERAGES = ("binary", "micro", "macro", "weighted", "none", None)


class FBetaScore(Metric):
    """(1 + β²) · precision · recall / (β² · precision + recall), as (1 + β²) tp / (predicted + β² true).

    beta: >= 0; how many times recall counts as much as precision
    average: "binary": of class 1 of two; "none": of each class, (c,); "micro": of all decisions together; "macro": the
    mean over classes; "weighted": over classes, each as often as it is true
    num_classes: needed where the output is labels of more than two classes; a class that is absent counts in "macro"
    zero_division: what 0 / 0 is; nan leaves such a class out of the mean   threshold: of probabilities (n, ...)
    Equal to scikit-learn's with labels=range(c). Counts are summed as integers: the result over batches is exact.

    >>> import numpy as np
    >>> f1 = FBetaScore()
    >>> f1.update(np.asarray([1, 1]), np.asarray([1, 0])).update(np.asarray([0]), np.asarray([1])).compute()
    0.5
    """

    name = "fbeta_score"

    def __init__(
        self,
        beta: float = 1.0,
        average: Average | None = "binary",
        num_classes: int | None = None,
        zero_division: float = 0.0,
        threshold: float = 0.5,
    ) -> None:
        if average not in AVERAGES:
            raise ValueError(f"{self.name}: average must be one of {', '.join(map(str, AVERAGES))}, got '{average}'")
        if not beta >= 0.0:
            raise ValueError(f"{self.name}: beta must be >= 0, got {beta}")
        super().__init__()
        self.average, self.threshold, self.zero_division = average, threshold, float(zero_division)
        self.num_classes = 2 if num_classes is None and average == "binary" else num_classes
        self.weights = _weights(beta)

    def _of_batch(self, output: Array, target: Array) -> State:
        given = None if tuple(output.shape) != tuple(target.shape) else self.num_classes
        found, classes = labels(self.name, output, target, given, self.threshold)
        c = known(self.name, classes)
        if self.average == "binary" and c != 2:
            raise ValueError(f"{self.name} of {c} classes needs another average than 'binary': e.g. 'macro'")
        said, true = one_hot_mask(found, c), one_hot_mask(target, c)
        xp, axes = namespace(said), tuple(k for k in range(said.ndim) if k != 1)
        dtype = whole(xp, said)
        return tuple(xp.sum(xp.astype(x, dtype), axis=axes) for x in (said & true, said, true))

    def _result(self, state: State) -> Array:
        xp = namespace(state[0])
        hit, said, true = (xp.astype(x, widest(x)) for x in state)
        if self.average == "micro":
            hit, said, true = (xp.sum(x, keepdims=True) for x in (hit, said, true))
        a, b, c = self.weights
        scores = ratio(xp, hit * a, said * b + true * c, self.zero_division)
        if self.average in ("binary", "micro"):
            return scores[-1]
        if self.average in ("none", None):
            return scores
        return _mean(xp, scores, true if self.average == "weighted" else xp.ones_like(true))


def _weights(beta: float) -> tuple[float, float, float]:
    """What is a hit's share above the line, a predicted sample's and a true one's below it."""
    if math.isinf(beta):
        return 1.0, 0.0, 1.0
    return 1.0 + beta * beta, 1.0, beta * beta


def _mean(xp: Namespace, scores: Array, weights: Array) -> Array:
    """The weighted mean without what is nan; of equal weights if all are 0."""
    there = ~xp.isnan(scores)
    weights = xp.where(there, weights, xp.zeros_like(weights))
    weights = xp.where(xp.sum(weights) == 0, xp.astype(there, weights.dtype), weights)
    total = xp.sum(xp.where(there, scores, xp.zeros_like(scores)) * weights)
    return ratio(xp, total, xp.sum(weights), math.nan)


class F1Score(FBetaScore):
    """2 · precision · recall / (precision + recall): see FBetaScore."""

    name = "f1_score"

    def __init__(
        self,
        average: Average | None = "binary",
        num_classes: int | None = None,
        zero_division: float = 0.0,
        threshold: float = 0.5,
    ) -> None:
        super().__init__(1.0, average, num_classes, zero_division, threshold)


class Precision(F1Score):
    """What share of the samples that were taken for a class are of it: see FBetaScore for the arguments."""

    name = "precision"

    def __init__(
        self,
        average: Average | None = "binary",
        num_classes: int | None = None,
        zero_division: float = 0.0,
        threshold: float = 0.5,
    ) -> None:
        super().__init__(average, num_classes, zero_division, threshold)
        self.weights = _weights(0.0)


class Recall(F1Score):
    """What share of the samples of a class were taken for it: see FBetaScore for the arguments."""

    name = "recall"

    def __init__(
        self,
        average: Average | None = "binary",
        num_classes: int | None = None,
        zero_division: float = 0.0,
        threshold: float = 0.5,
    ) -> None:
        super().__init__(average, num_classes, zero_division, threshold)
        self.weights = _weights(math.inf)


def precision(
    output: Array,
    target: Array,
    average: Average | None = "binary",
    num_classes: int | None = None,
    zero_division: float = 0.0,
    threshold: float = 0.5,
) -> Array:
    """What share of the samples that were taken for a class are of it. See FBetaScore for the arguments.

    output: scores (n, c, ...), labels (n, ...), or probabilities (n, ...) of yes or no   target: (n, ...) integers
    returns (), or (c,) with average="none"

    >>> import numpy as np
    >>> float(precision(np.asarray([0.9, 0.8, 0.1]), np.asarray([1, 0, 1])))
    0.5
    """
    return Precision(average, num_classes, zero_division, threshold)(output, target)


def recall(
    output: Array,
    target: Array,
    average: Average | None = "binary",
    num_classes: int | None = None,
    zero_division: float = 0.0,
    threshold: float = 0.5,
) -> Array:
    """What share of the samples of a class were taken for it. Arguments and shapes: as precision's."""
    return Recall(average, num_classes, zero_division, threshold)(output, target)


def f1_score(
    output: Array,
    target: Array,
    average: Average | None = "binary",
    num_classes: int | None = None,
    zero_division: float = 0.0,
    threshold: float = 0.5,
) -> Array:
    """2 · precision · recall / (precision + recall). Arguments and shapes: as precision's."""
    return F1Score(average, num_classes, zero_division, threshold)(output, target)


def fbeta_score(
    output: Array,
    target: Array,
    beta: float = 1.0,
    average: Average | None = "binary",
    num_classes: int | None = None,
    zero_division: float = 0.0,
    threshold: float = 0.5,
) -> Array:
    """(1 + β²) · precision · recall / (β² · precision + recall). Arguments and shapes: as precision's."""
    return FBetaScore(beta, average, num_classes, zero_division, threshold)(output, target)
