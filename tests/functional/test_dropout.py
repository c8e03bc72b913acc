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


# ---- whole channels, and for selu ------------------------------------------------------------------------------------

# function, layer, shape, how many axes have a draw for each of their places
CHANNELS = [
    ("dropout1d", nnx.Dropout1d, (50, 41, 3), 2),
    ("dropout1d", nnx.Dropout1d, (2050, 3), 1),
    ("dropout2d", nnx.Dropout2d, (50, 41, 2, 3), 2),
    ("dropout2d", nnx.Dropout2d, (50, 41, 3), 2),
    ("dropout3d", nnx.Dropout3d, (50, 41, 1, 2, 3), 2),
    ("dropout3d", nnx.Dropout3d, (2050, 1, 2, 3), 1),
]


@pytest.mark.parametrize(("name", "layer", "shape", "drawn"), CHANNELS)
def test_whole_channels(backend, name, layer, shape, drawn):
    x = nnx.asarray(np.full(shape, 2.0, "float32"))
    y, pullback = nnx.vjp(lambda x: getattr(F, name)(x, 0.3), x)
    found = nnx.to_numpy(y)
    channels = found.reshape(*shape[:drawn], -1)
    np.testing.assert_array_equal(channels, np.broadcast_to(channels[..., :1], channels.shape))
    np.testing.assert_allclose(np.unique(found), [0.0, 2.0 / 0.7], rtol=1e-6)
    assert abs((channels[..., 0] == 0).mean() - 0.3) < 0.05
    np.testing.assert_allclose(nnx.to_numpy(pullback(x)[0]), found, rtol=1e-6)
    assert layer(0.3).eval()(x) is x
    nnx.seed(0)
    assert_same(layer(0.3)(x), found)
    assert repr(layer(0.3)) == f"{layer.__name__}(p=0.3)"


@pytest.mark.float64("its numbers are found again by their last digits")
@pytest.mark.parametrize(
    ("name", "layer"), [("alpha_dropout", nnx.AlphaDropout), ("feature_alpha_dropout", nnx.FeatureAlphaDropout)]
)
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(backend, name, layer, p):
    shape = (200, 301, 1) if name == "feature_alpha_dropout" else (200, 301)
    x = np.random.default_rng(0).normal(size=shape)
    y, pullback = nnx.vjp(lambda x: getattr(F, name)(x, p, training=True), nnx.asarray(x))
    found = nnx.to_numpy(y)
    assert abs(found.mean()) < 0.02
    assert abs(found.std() - 1.0) < 0.02
    a = 1.0 / np.sqrt((1 - p) * (1 + p * 1.7580993408473766**2))
    limit = -1.7580993408473766 * a * (1.0 - p)
    dropped = np.isclose(found, limit, rtol=0, atol=1e-9)
    assert abs(dropped.mean() - p) < 0.01
    np.testing.assert_allclose(found[~dropped], (a * x + a * p * 1.7580993408473766)[~dropped], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        nnx.to_numpy(pullback(nnx.asarray(np.ones(shape)))[0]), np.where(dropped, 0.0, a), atol=1e-12
    )
    own = nnx.asarray(x)
    assert getattr(F, name)(own, p) is own
    assert layer(p).eval()(own) is own
    nnx.seed(0)
    assert_same(layer(p)(own), found)
    assert_same(getattr(F, name)(own, 1.0, True), np.zeros(shape) * x)


def test_feature_alpha_dropout_draws_once_a_channel(backend):
    y = nnx.to_numpy(F.feature_alpha_dropout(nnx.asarray(np.zeros((40, 50, 3))), 0.5, True))
    np.testing.assert_array_equal(y, np.broadcast_to(y[..., :1], y.shape))
    assert len(np.unique(y)) == 2


@pytest.mark.parametrize(
    ("name", "shape"),
    [("dropout1d", (2,)), ("dropout2d", (2, 3)), ("dropout3d", (2, 3, 4)), ("feature_alpha_dropout", (2,))],
)
def test_channels_need_axes(name, shape):
    with pytest.raises(ValueError, match=rf"{name} expected x of .* axes, got \({shape[0]},"):
        getattr(F, name)(np.ones(shape), 0.5, True)


@pytest.mark.parametrize(
    "layer", [nnx.Dropout1d, nnx.Dropout2d, nnx.Dropout3d, nnx.AlphaDropout, nnx.FeatureAlphaDropout]
)
def test_p_of_every_layer_is_a_probability(layer):
    with pytest.raises(ValueError, match=rf"{layer.__name__}'s p is a probability in \[0, 1\], got 1.1"):
        layer(1.1)
    layer = layer(0.5)
    layer.p = 1.1
    with pytest.raises(ValueError, match=r"probability in \[0, 1\], got 1.1"):
        layer(np.ones((2, 3, 4, 5)) if "3" in type(layer).__name__ else np.ones((2, 3, 4)))


# ---- samples of categories -------------------------------------------------------------------------------------------


def test_gumbel_softmax(backend):
    p = np.asarray([0.1, 0.2, 0.7])
    logits = nnx.asarray(np.broadcast_to(np.log(p), (5000, 3)).astype("float32"))
    soft = nnx.to_numpy(F.gumbel_softmax(logits, 0.5))
    np.testing.assert_allclose(soft.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.bincount(soft.argmax(axis=1)) / 5000, p, atol=0.03)
    nnx.seed(0)
    y, pullback = nnx.vjp(lambda x: F.gumbel_softmax(x, 0.5, hard=True), logits)
    np.testing.assert_allclose(nnx.to_numpy(y), np.eye(3)[soft.argmax(axis=1)], atol=1e-6)
    nnx.seed(0)
    _, soft_pullback = nnx.vjp(lambda x: F.gumbel_softmax(x, 0.5), logits)
    r = nnx.asarray(np.random.default_rng(0).normal(size=(5000, 3)).astype("float32"))
    assert_same(pullback(r)[0], nnx.to_numpy(soft_pullback(r)[0]))
    turned = nnx.to_numpy(F.gumbel_softmax(backend.xp.matrix_transpose(logits), hard=True, dim=0))
    np.testing.assert_allclose(turned.sum(axis=0), 1.0, atol=1e-6)
    with pytest.raises(ValueError, match="tau must be above 0, got 0"):
        F.gumbel_softmax(logits, 0)
