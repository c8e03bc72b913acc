"""Rows of a table, their sums, means and maxima, against PyTorch: repeated indices add up, padding has no gradient."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnx
from nnx import functional as F
from tests.oracle import check_against_torch, check_second_order, torch
from tests.support import assert_close

TABLE = np.random.default_rng(0).standard_normal((5, 3))
INDICES = [[1, 2, 1], [[0, 4, 4], [1, 1, 0]], 3, np.zeros((0,), int), np.zeros((2, 0), int)]


def both(index):
    index = np.asarray(index)
    return nnx.asarray(index), torch.from_numpy(index)


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("padding_idx", [None, 1, -1])
def test_embedding(backend, index, padding_idx):
    ours, theirs = both(index)
    check_against_torch(
        lambda w: F.embedding(ours, w, padding_idx),
        lambda w: torch.nn.functional.embedding(theirs, w, padding_idx),
        TABLE,
    )


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_kinds_of_indices(backend, dtype):
    x = np.asarray([4, 0, 4], dtype)
    assert_close(F.embedding(nnx.asarray(x), nnx.asarray(TABLE)), TABLE[x], 0.0)
    g = nnx.grad(lambda w: nnx.namespace(w).sum(F.embedding(nnx.asarray(x), w)))(nnx.asarray(TABLE))
    assert_close(g, np.asarray([1.0, 0, 0, 0, 2])[:, None] * np.ones(3))


def test_scale_grad_by_freq(backend):
    ours, theirs = both([1, 2, 1, 1])
    check_against_torch(
        lambda w: F.embedding(ours, w, 2, scale_grad_by_freq=True),
        lambda w: torch.nn.functional.embedding(theirs, w, 2, scale_grad_by_freq=True),
        TABLE,
    )


def test_second_order(backend):
    ours, theirs = both([[1, 2], [1, 4]])
    check_second_order(
        lambda w: F.embedding(ours, w, 2) ** 3, lambda w: torch.nn.functional.embedding(theirs, w, 2) ** 3, TABLE
    )


@pytest.mark.parametrize("bad", [-1, 5])
def test_an_index_out_of_range_is_never_a_row_in_silence(backend, bad):
    index, table = nnx.asarray([0, bad]), nnx.asarray(TABLE)
    if backend.host:
        with pytest.raises(ValueError, match=rf"index {bad} is out of range for a table of 5 rows"):
            F.embedding(index, table)
        return
    found = nnx.to_numpy(F.embedding(index, table))
    np.testing.assert_array_equal(found[0], TABLE[0])
    assert np.isnan(found[1]).all()


def test_what_is_no_index_is_named(backend):
    table = nnx.asarray(TABLE)
    with pytest.raises(TypeError, match="array of integers, got dtype"):
        F.embedding(nnx.asarray([0.0]), table)
    with pytest.raises(TypeError, match="array of integers, got list"):
        F.embedding([0], table)
    with pytest.raises(ValueError, match=r"\(rows, features\), got \(5,\)"):
        F.embedding(nnx.asarray([0]), table[:, 0])
    with pytest.raises(ValueError, match="padding_idx 5 is out of range"):
        F.embedding(nnx.asarray([0]), table, 5)


# ---- bags ------------------------------------------------------------------------------------------------------------

BAGS = {
    "rows": ([[1, 2, 1], [0, 4, 4]], None, {}),
    "offsets": ([1, 2, 1, 0, 4], [0, 2, 2, 4], {}),  # the second bag is empty
    "one bag": ([3, 3], [0], {}),
    "last offset": ([1, 2, 1, 0, 4], [0, 2, 5], {"include_last_offset": True}),
    "padding": ([1, 2, 1, 0, 1, 1], [0, 3, 4], {"padding_idx": 1}),
    "rows, padding": ([[1, 2, 1], [1, 1, 1]], None, {"padding_idx": -4}),
}


@pytest.mark.parametrize("name", BAGS)
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_embedding_bag(backend, name, mode):
    index, offsets, options = BAGS[name]
    (ours, theirs), (start, begin) = both(index), (None, None) if offsets is None else both(offsets)
    check_against_torch(
        lambda w: F.embedding_bag(ours, w, start, mode=mode, **options),
        lambda w: torch.nn.functional.embedding_bag(theirs, w, begin, mode=mode, **options),
        TABLE,
    )


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 4), min_size=1, max_size=5).filter(sum),
    mode=st.sampled_from(["sum", "mean", "max"]),
    seed=st.integers(0, 99),
)
def test_bags_of_any_sizes(sizes, mode, seed):
    index = np.random.default_rng(seed).integers(0, 5, sum(sizes))
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    (ours, theirs), (start, begin) = both(index), both(offsets)
    check_against_torch(
        lambda w: F.embedding_bag(ours, w, start, mode=mode),
        lambda w: torch.nn.functional.embedding_bag(theirs, w, begin, mode=mode),
        TABLE,
    )


@pytest.mark.parametrize(("index", "offsets"), [([[1, 2], [0, 4]], None), ([1, 2, 0, 4], [0, 3])])
def test_weighted_samples(backend, index, offsets):
    (ours, theirs), (start, begin) = both(index), (None, None) if offsets is None else both(offsets)
    weights = np.random.default_rng(1).standard_normal(np.shape(index))
    check_against_torch(
        lambda w, s: F.embedding_bag(ours, w, start, mode="sum", per_sample_weights=s),
        lambda w, s: torch.nn.functional.embedding_bag(theirs, w, begin, mode="sum", per_sample_weights=s),
        TABLE,
        weights,
    )


WRONG = [
    ([[1, 2]], [0], {}, "takes no offsets"),
    ([1, 2], None, {}, "or input \\(n,\\) with offsets"),
    ([1, 2], [[0]], {}, "offsets \\(1, 1\\)"),
    ([[1, 2]], None, {"mode": "median"}, "must be 'sum', 'mean' or 'max'"),
]


@pytest.mark.parametrize(("index", "offsets", "options", "message"), WRONG)
def test_bags_that_do_not_fit_are_named(backend, index, offsets, options, message):
    with pytest.raises(ValueError, match=message):
        F.embedding_bag(
            nnx.asarray(index), nnx.asarray(TABLE), None if offsets is None else nnx.asarray(offsets), **options
        )


def test_weights_of_samples_are_for_sums(backend):
    index, weights = nnx.asarray([[1, 2]]), nnx.asarray([[1.0, 2.0]])
    with pytest.raises(ValueError, match="need mode 'sum', got 'mean'"):
        F.embedding_bag(index, nnx.asarray(TABLE), per_sample_weights=weights)
    if backend.host:
        with pytest.raises(ValueError, match="must start with 0, got 1"):
            F.embedding_bag(nnx.asarray([1, 2]), nnx.asarray(TABLE), nnx.asarray([1]))
