"""Dropout: what is kept, by how much it grows, and that every backend drops the same."""

import numpy as np
import pytest

import nnx
from nnx import functional as F
from tests.support import assert_same

SHAPE = (100, 41)


def ones(dtype="float32"):
    return nnx.asarray(np.ones(SHAPE, dtype))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
def test_share_and_scale(backend, p):
    y = nnx.to_numpy(F.dropout(ones(), p))
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1.0 / (1.0 - p), rtol=1e-6)
    np.testing.assert_allclose(kept.mean(), 1.0 - p, atol=4 * np.sqrt(p * (1 - p) / y.size))
    np.testing.assert_allclose(y.mean(), 1.0, atol=0.1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradient_goes_through_what_was_kept(backend, dtype):
    x = nnx.asarray(np.full(SHAPE, 2.0, dtype))
    y, pullback = nnx.vjp(lambda x: F.dropout(x, 0.3), x)
    assert_same(pullback(ones(dtype))[0], nnx.to_numpy(y) / np.asarray(2.0, dtype))
    assert_same(x, np.full(SHAPE, 2.0, dtype))


def test_the_same_mask_on_every_backend(backend):
    found = nnx.to_numpy(F.dropout(ones(), 0.4))
    nnx.seed(0)
    with nnx.use_backend("numpy"):
        np.testing.assert_array_equal(found, F.dropout(ones(), 0.4))


def test_another_mask_each_call_and_the_same_for_a_seed(backend):
    first, second = nnx.to_numpy(F.dropout(ones(), 0.5)), nnx.to_numpy(F.dropout(ones(), 0.5))
    assert 0.4 < (first != second).mean() < 0.6
    nnx.seed(0)
    assert_same(F.dropout(ones(), 0.5), first)


def test_neighbours_are_dropped_independently():
    kept = F.dropout(ones(), 0.5) != 0
    for a, b in [(kept[:, 1:], kept[:, :-1]), (kept[1:], kept[:-1])]:
        np.testing.assert_allclose((a == b).mean(), 0.5, atol=0.04)


def test_p_0_and_p_1_and_evaluation(backend):
    x = ones()
    assert F.dropout(x, 0.0) is x
    assert F.dropout(x, 0.9, training=False) is x
    y, pullback = nnx.vjp(lambda x: F.dropout(x, 1.0), x)
    assert_same(y, np.zeros(SHAPE, "float32"))
    assert_same(pullback(x)[0], np.zeros(SHAPE, "float32"))


def test_layer_follows_train_and_eval(backend):
    layer, x = nnx.Sequential(nnx.Dropout(0.5)), ones()
    assert 0.4 < (nnx.to_numpy(layer(x)) == 0).mean() < 0.6
    assert layer.eval()(x) is x
    assert repr(layer[0]) == "Dropout(p=0.5)"


def test_empty_batch(backend):
    assert F.dropout(nnx.asarray(np.ones((0, 41))), 0.5).shape == (0, 41)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_p_is_a_probability(p):
    with pytest.raises(ValueError, match=r"probability in \[0, 1\]"):
        F.dropout(np.ones(SHAPE), p)
    with pytest.raises(ValueError, match=r"probability in \[0, 1\]"):
        nnx.Dropout(p)
