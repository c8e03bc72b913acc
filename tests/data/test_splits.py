"""Splits are disjoint and complete, of the sizes asked for, and the same for the same seed."""

import numpy as np
import pytest

from nnx.data import ArrayDataset, random_split, train_val_test_split


@pytest.mark.parametrize(("n", "lengths", "sizes"), [
    (10, [7, 3], [7, 3]),
    (10, [0.7, 0.3], [7, 3]),
    (10, [0.75, 0.25], [8, 2]),
    (11, [1 / 3, 1 / 3, 1 / 3], [4, 4, 3]),
    (1797, [0.8, 0.1, 0.1], [1438, 180, 179]),
    (3, [3], [3]),
])  # fmt: skip
def test_random_split(n, lengths, sizes):
    parts = random_split(ArrayDataset(np.arange(n)), lengths, seed=5)
    assert [len(part) for part in parts] == sizes
    rows = np.concatenate([part.indices for part in parts])
    assert sorted(rows.tolist()) == list(range(n))
    again = random_split(ArrayDataset(np.arange(n)), lengths, seed=5)
    assert rows.tolist() == np.concatenate([part.indices for part in again]).tolist()
    if n > 10:
        other = random_split(ArrayDataset(np.arange(n)), lengths, seed=6)
        assert rows.tolist() != np.concatenate([part.indices for part in other]).tolist()


@pytest.mark.parametrize(("n", "lengths", "words"), [
    (10, [7, 2], r"10 samples, got \[7, 2\], sum 9"),
    (10, [0.5, 0.4], "add up to 1"),
    (10, [10, 0], "above zero"),
    (10, [1.5, -0.5], "above zero"),
    (2, [0.4, 0.3, 0.3], r"got 2, which makes parts of \[1, 1, 0\]"),
    (2, [float("nan"), 1.0], "above zero"),
])  # fmt: skip
def test_random_split_errors(n, lengths, words):
    with pytest.raises(ValueError, match=words):
        random_split(ArrayDataset(np.arange(n)), lengths)


@pytest.mark.parametrize("stratify", [False, True])
def test_three_parts_are_disjoint_and_complete(backend, stratify):
    x = np.arange(200)
    y = np.repeat([0, 1, 2], [140, 40, 20])
    parts = train_val_test_split(backend.asarray(x), backend.asarray(y), (0.6, 0.2, 0.2), seed=3, stratify=stratify)
    assert [len(rows) for rows, _ in parts] == [120, 40, 40]
    assert sorted(np.concatenate([rows for rows, _ in parts]).tolist()) == x.tolist()
    assert all((labels == y[rows]).all() for rows, labels in parts)
    assert not any((np.diff(rows) > 0).all() for rows, _ in parts)
    again = train_val_test_split(x, y, (0.6, 0.2, 0.2), seed=3, stratify=stratify)
    assert all((rows == more).all() for (rows, _), (more, _) in zip(parts, again, strict=True))


def test_each_class_is_shuffled():
    train, _, _ = train_val_test_split(np.arange(100), np.zeros(100, dtype=int), (0.5, 0.25, 0.25), stratify=True)
    assert train[0].max() > 75


def test_stratify_keeps_the_shares():
    y = np.random.default_rng(0).choice([0, 5, 9], size=997, p=[0.7, 0.25, 0.05])
    fractions = (0.8, 0.1, 0.1)
    parts = train_val_test_split(np.arange(997), y, fractions, stratify=True)
    for label in (0, 5, 9):
        for (_, labels), fraction in zip(parts, fractions, strict=True):
            assert abs((labels == label).sum() - fraction * (y == label).sum()) <= 1


@pytest.mark.parametrize(("x", "y", "options", "words"), [
    (10, 9, {}, "got 9 labels and 10 rows"),
    (10, 10, {"fractions": (0.5, 0.5)}, "three fractions"),
    (10, 10, {"fractions": (0.5, 0.5, 0.5)}, "add up to 1"),
    (10, 10, {"stratify": True}, r"class 0 for \(0.8, 0.1, 0.1\), got 1, which makes parts of \[1, 0, 0\]"),
    (2, 2, {}, "got 2, which makes parts"),
])  # fmt: skip
def test_three_parts_errors(x, y, options, words):
    with pytest.raises(ValueError, match=words):
        train_val_test_split(np.arange(x), np.arange(y), **options)
