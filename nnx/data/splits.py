"""Splits are disjoint and complete, and a pure function of the seed."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.data.checks import Array, to_host
from nnx.data.dataset import Dataset, Subset
from nnx.data.order import SPLIT, permutation

__all__ = ["random_split", "train_val_test_split"]

Pair = tuple[Array, Array]


def random_split(dataset: Dataset, lengths: Sequence[float], seed: int = 0) -> list[Subset]:
    """Random, disjoint subsets of the given sizes (torch's `random_split`).

    lengths: sample counts that add up to len(dataset), or fractions that add up to 1: a part then gets
    floor(n * fraction) samples, and what is left over goes one by one to the parts from the first.
    Raises ValueError if they do not add up, or if a part would be empty.

    >>> from nnx.data import ArrayDataset
    >>> [len(part) for part in random_split(ArrayDataset([0.0] * 10), [0.75, 0.25])]
    [8, 2]
    """
    sizes = _sizes(len(dataset), lengths)
    order = permutation(len(dataset), seed, SPLIT)
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(sizes)[:-1])]


def train_val_test_split(
    x: Any, y: Any, fractions: Sequence[float] = (0.8, 0.1, 0.1), seed: int = 0, stratify: bool = False
) -> tuple[Pair, Pair, Pair]:
    """(x_train, y_train), (x_val, y_val), (x_test, y_test), shuffled; with `stratify` each class is split alike.

    x: (n, ...)   y: (n, ...), with stratify (n,) class labels   fractions: three that add up to 1; with stratify a
    class's parts are within one sample of its share. Raises ValueError if x and y differ in length, if a part would be
    empty, or if, with stratify, a part would have none of a class.

    >>> train, val, test = train_val_test_split([[0.0]] * 10, [0] * 10)
    >>> len(train[1]), len(val[1]), len(test[1])
    (8, 1, 1)
    """
    features, labels = to_host(x), to_host(y)
    if len(features) != len(labels):
        raise ValueError(f"expected as many labels as rows of x, got {len(labels)} labels and {len(features)} rows")
    if len(fractions) != 3:
        raise ValueError(f"expected three fractions (train, val, test), got {len(fractions)}: e.g. (0.8, 0.1, 0.1)")
    order = permutation(len(features), seed, SPLIT)
    sizes = _sizes(len(features), [float(f) for f in fractions])
    parts = _stratified(order, labels, fractions) if stratify else np.split(order, np.cumsum(sizes)[:-1])
    train, val, test = ((features[part], labels[part]) for part in parts)
    return train, val, test


def _sizes(n: int, lengths: Sequence[float]) -> list[int]:
    """Sample counts from counts or fractions; they add up to n and none is zero."""
    if any(not length > 0 for length in lengths):
        raise ValueError(f"expected lengths above zero, got {list(lengths)}: random_split takes any number of parts")
    if all(isinstance(length, int | np.integer) for length in lengths):
        sizes = [int(length) for length in lengths]
        if sum(sizes) != n:
            raise ValueError(
                f"expected lengths that add up to the dataset's {n} samples, got {sizes}, sum {sum(sizes)}"
            )
        return sizes
    if not math.isclose(sum(lengths), 1.0, abs_tol=1e-9):
        raise ValueError(f"expected fractions that add up to 1, got {list(lengths)}, sum {sum(lengths)}")
    sizes = [math.floor(n * fraction) for fraction in lengths]
    for position in range(n - sum(sizes)):
        sizes[position % len(sizes)] += 1
    if 0 in sizes:
        raise ValueError(f"expected enough samples for {list(lengths)}, got {n}, which makes parts of {sizes}: too few")
    return sizes


def _stratified(order: NDArray[np.int64], labels: Array, fractions: Sequence[float]) -> list[NDArray[np.int64]]:
    """The shuffled rows in parts, each class cut at the same fractions of its own size."""
    if labels.ndim != 1:
        raise ValueError(f"expected labels of shape (n,) to stratify by, got {labels.shape}: one class a row")
    part = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        cuts = np.rint(np.cumsum(fractions)[:-1] * len(members)).astype(np.int64)
        counts = np.diff(cuts, prepend=0, append=len(members))
        if (counts == 0).any():
            raise ValueError(
                f"expected enough samples of class {label} for {tuple(fractions)}, got {len(members)}, which makes "
                f"parts of {counts.tolist()}: merge rare classes, or use stratify=False"
            )
        part[members] = np.repeat(np.arange(len(counts)), counts)
    return [order[part[order] == k] for k in range(len(fractions))]
