"""Metrics of classes: how many samples are right, and of which class the wrong ones are."""

from typing import Literal

from nnx.backend import backend_of, innermost, is_array, namespace
from nnx.losses.labels import check_form, check_labels, is_labels, one_hot_mask
from nnx.metrics.base import Metric, State, ratio, whole, widest
from nnx.typing import Array

Normalize = Literal["true", "pred", "all"]


def accuracy(output: Array, target: Array, k: int = 1, threshold: float = 0.5) -> Array:
    """The share of samples whose class is among the k largest outputs; of equal outputs the first is the larger.

    output: (n, c, ...) scores; or what `labels` takes: labels (n, ...), or probabilities (n, ...) of yes or no
    target: (n, ...) integers, or (n, c, ...) one-hot (or any scores)   returns ()

    >>> import numpy as np
    >>> scores = np.asarray([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]])
    >>> float(accuracy(scores, np.asarray([1, 2]))), float(accuracy(scores, np.asarray([1, 2]), k=2))
    (0.5, 1.0)
    """
    hits = _hits(innermost(output), innermost(target), k, threshold)
    xp = namespace(hits)
    inexact = backend_of(hits).is_inexact(innermost(output).dtype)
    hits = xp.astype(hits, innermost(output).dtype if inexact else widest(hits))
    return xp.mean(hits) if 0 not in hits.shape else xp.sum(hits) * float("nan")


def _hits(output: Array, target: Array, k: int, threshold: float) -> Array:
    """Which samples are right: (n, ...) booleans."""
    xp = namespace(output, target)
    if is_array(target) and tuple(target.shape) == tuple(output.shape):
        if is_labels(output) or (is_labels(target) and output.ndim == 1):
            return labels("accuracy", output, target, None, threshold)[0] == target
        if output.ndim > 1:
            target = xp.argmax(target, axis=1)
    check_form("accuracy", output, target)
    classes = output.shape[1]
    if not 1 <= k <= classes:
        raise ValueError(f"accuracy: k must be in [1, {classes}], got {k}")
    if k == 1:
        return xp.argmax(output, axis=1) == target
    return _rank(output, target) < k


def _rank(output: Array, target: Array) -> Array:
    """How many outputs stand before the right one: the larger ones, and equal ones to the left of it."""
    xp = namespace(output)
    hit = one_hot_mask(target, output.shape[1])
    right = xp.max(xp.where(hit, output, -float("inf")), axis=1, keepdims=True)
    earlier = ~xp.astype(xp.cumulative_sum(xp.astype(hit, xp.int32), axis=1), xp.bool)
    # not `output > right`: nan stands before everything, so that a network of nan is never right
    before = ~(output <= right) | (earlier & (output == right))
    return xp.sum(xp.astype(before, xp.int32), axis=1)


def labels(
    name: str, output: Array, target: Array, num_classes: int | None, threshold: float
) -> tuple[Array, int | None]:
    """The classes that the output says, (n, ...), and how many there are.

    output: scores (n, c, ...), of which the largest counts; labels (n, ...); or, as floating numbers (n, ...),
    probabilities of class 1, which counts above the threshold (0.0 for logits)
    """
    if not is_array(target) or not is_labels(target):
        raise TypeError(f"{name}'s target must be an array of labels: integers, e.g. nnx.asarray(y, 'int64')")
    xp = namespace(output, target)
    if tuple(output.shape) != tuple(target.shape):
        check_form(name, output, target)
        if num_classes not in (None, output.shape[1]):
            raise ValueError(
                f"{name}: the output has scores of {output.shape[1]} classes, num_classes is {num_classes}"
            )
        found, classes = xp.astype(xp.argmax(output, axis=1), target.dtype), output.shape[1]
    elif is_labels(output):
        found, classes = output, num_classes
    else:
        found, classes = xp.astype(output > threshold, target.dtype), 2
    if classes is not None and backend_of(target).host:
        check_labels(target, classes)
        check_labels(found, classes)
    return found, classes


def known(name: str, classes: int | None) -> int:
    """The number of classes; raises ValueError if nothing says it."""
    if classes is None:
        raise ValueError(f"{name} of labels needs num_classes: reading it off them would wait for the device")
    return classes


class Accuracy(Metric):
    """The share of samples whose class is among the k largest outputs: see nnx.metrics.accuracy.

    >>> import numpy as np
    >>> Accuracy().update(np.eye(2), np.asarray([0, 1])).update(np.eye(2), np.asarray([1, 1])).compute()
    0.75
    """

    def __init__(self, k: int = 1, threshold: float = 0.5) -> None:
        super().__init__()
        self.k, self.threshold = k, threshold

    def _of_batch(self, output: Array, target: Array) -> State:
        hits = _hits(output, target, self.k, self.threshold)
        xp, n = namespace(hits), 1
        for size in hits.shape:
            n *= size
        return xp.sum(xp.astype(hits, whole(xp, hits))), n

    def _result(self, state: State) -> Array:
        right, n = state
        xp = namespace(right)
        return xp.astype(right, widest(right)) * (1.0 / n if n else float("nan"))


def confusion_matrix(
    output: Array,
    target: Array,
    num_classes: int | None = None,
    normalize: Normalize | None = None,
    threshold: float = 0.5,
) -> Array:
    """How many samples of class i (row) the output takes for class j (column): scikit-learn's, with labels=range(c).

    output: scores (n, c, ...), labels (n, ...) with num_classes, or probabilities (n, ...) of yes or no
    target: (n, ...) integers   normalize: the shares of a row ("true"), of a column ("pred"), or of all
    returns (c, c) integers, or floating numbers if normalized; 0 where there is nothing to share.
    Labels out of range raise ValueError where values can be looked at without waiting for a device; elsewhere such
    samples do not count.

    >>> import numpy as np
    >>> confusion_matrix(np.asarray([0, 1, 1, 0]), np.asarray([0, 0, 1, 1]), num_classes=2)
    array([[1, 1],
           [1, 1]])
    """
    return ConfusionMatrix(num_classes, normalize, threshold)(output, target)


class ConfusionMatrix(Metric):
    """How many samples of class i are taken for class j: see nnx.metrics.confusion_matrix. compute() is an array."""

    def __init__(
        self, num_classes: int | None = None, normalize: Normalize | None = None, threshold: float = 0.5
    ) -> None:
        if normalize not in (None, "true", "pred", "all"):
            raise ValueError(f"normalize must be 'true', 'pred', 'all' or None, got '{normalize}'")
        super().__init__()
        self.num_classes, self.normalize, self.threshold = num_classes, normalize, threshold

    def __call__(self, output: Array, target: Array) -> Array:
        """The matrix of one batch alone."""
        return self._result(self._of_batch(innermost(output), innermost(target)))

    def _of_batch(self, output: Array, target: Array) -> State:
        found, classes = labels("confusion_matrix", output, target, self.num_classes, self.threshold)
        c, xp = known("confusion_matrix", classes), namespace(found)
        dtype = whole(xp, found)
        row, column = (xp.astype(xp.reshape(x, (-1,)), dtype) for x in (target, found))
        inside = (row >= 0) & (row < c) & (column >= 0) & (column < c)
        # the last place takes what is out of range, and is cut off; 32 bits are what every library adds with
        place = xp.where(inside, row * c + column, xp.full_like(row, c * c))
        ones = xp.ones_like(xp.astype(place, xp.int32))
        counts = backend_of(place).index_add(c * c + 1, place, ones)
        return (xp.reshape(xp.astype(counts[: c * c], dtype), (c, c)),)

    def _result(self, state: State) -> Array:
        (counts,) = state
        if self.normalize is None:
            return counts
        xp = namespace(counts)
        found = xp.astype(counts, widest(counts))
        axis = {"true": 1, "pred": 0, "all": None}[self.normalize]
        return ratio(xp, found, xp.sum(found, axis=axis, keepdims=True), 0.0)
