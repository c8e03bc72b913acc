"""Positions, sinusoidal, learned and rotary, against their formulas; tables of vectors against PyTorch's layers."""

import numpy as np
import pytest

import nnx
from nnx import functional as F
from nnx.autodiff import gradcheck
from tests.layers.sequences import check, numbers, twins
from tests.oracle import torch
from tests.support import assert_close


def angles(steps, dim, base=10000.0):
    return np.arange(steps)[:, None] / base ** (np.arange(0, dim, 2) / dim)


def test_sinusoidal(backend):
    layer = nnx.SinusoidalPositions(6, 20, "float64")
    x, a = numbers(2, 4, 6), angles(20, 6)
    table = np.stack([np.sin(a), np.cos(a)], -1).reshape(20, 6)
    assert_close(layer(nnx.asarray(x)), x + table[:4], 1e-12)
    assert_close(layer(nnx.asarray(x), 16), x + table[16:], 1e-12)
    assert not layer.state_dict()
    assert not list(layer.parameters())


def test_learned(backend):
    layer = nnx.LearnedPositions(6, 20, "float64")
    x = numbers(2, 4, 6)
    assert list(layer.state_dict()) == ["weight"]
    assert_close(layer(nnx.asarray(x), 3), x + nnx.to_numpy(layer.weight)[3:7], 1e-12)
    grads = nnx.grad(lambda m, x: nnx.namespace(x).sum(m(x, 3)))(layer, nnx.asarray(x))
    expected = np.zeros((20, 6))
    expected[3:7] = 2.0
    assert_close(grads["weight"], expected)
    assert 0.015 < nnx.to_numpy(nnx.LearnedPositions(64, 64).weight).std() < 0.025


def test_rotary_turns_pairs(backend):
    layer = nnx.RotaryPositions(6, 20, dtype="float64")
    x = numbers(2, 3, 4, 6)
    turned = (x[..., ::2] + 1j * x[..., 1::2]) * np.exp(1j * angles(20, 6)[5:9])
    expected = np.stack([turned.real, turned.imag], -1).reshape(x.shape)
    assert_close(layer(nnx.asarray(x), 5), expected, 1e-12, 1e-12)


def test_what_rotary_queries_and_keys_see_is_their_distance(backend):
    layer = nnx.RotaryPositions(8, 64, dtype="float64")
    q, k = (nnx.asarray(numbers(1, 8, seed=s)) for s in (0, 1))
    products = [float(backend.xp.sum(layer(q, at + 7) * layer(k, at))) for at in (0, 20, 50)]
    np.testing.assert_allclose(products, products[0], 1e-10)


def test_gradient_of_rotary():
    cos, sin = np.cos(angles(3, 4)), np.sin(angles(3, 4))
    gradcheck(lambda x: F.rotary(x, cos, sin) ** 2, numbers(2, 3, 4), order=2)


WRONG = [
    (lambda: nnx.SinusoidalPositions(5), "must be even, got 5"),
    (lambda: nnx.RotaryPositions(5), "must be even, got 5"),
    (lambda: nnx.LearnedPositions(4, 8)(nnx.init.ones((9, 4))), r"positions \[0, 8\), got \[0, 9\)"),
    (lambda: nnx.RotaryPositions(4, 8)(nnx.init.ones((2, 4)), 7), r"got \[7, 9\)"),
    (lambda: nnx.SinusoidalPositions(4)(nnx.init.ones((2, 3))), r"\(..., t, 4\), got \(2, 3\)"),
    (lambda: F.rotary(*(nnx.init.ones(s) for s in [(2, 4), (3, 2), (3, 2)])), r"cos and sin \(t, d / 2\)"),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"padding_idx": -2}, {"padding_idx": 1, "scale_grad_by_freq": True}])
def test_embedding_layer(backend, options):
    ours, theirs = nnx.Embedding(5, 3, dtype="float64", **options), torch.nn.Embedding(5, 3, **options)
    if options:
        assert not nnx.to_numpy(ours.weight)[ours.padding_idx].any()
    assert ours.padding_idx == theirs.padding_idx
    index = np.asarray([[1, 2, 1], [3, 4, 0]])
    own, other = nnx.asarray(index), torch.from_numpy(index)
    check(*twins(ours, theirs), lambda m: m(own), their_call=lambda m: m(other))


def test_embedding_bag_layer(backend):
    options = {"mode": "sum", "padding_idx": 2, "include_last_offset": True}
    ours, theirs = twins(nnx.EmbeddingBag(5, 3, dtype="float64", **options), torch.nn.EmbeddingBag(5, 3, **options))
    index, offsets = np.asarray([1, 2, 1, 4]), np.asarray([0, 3, 4])
    own, other = map(nnx.asarray, (index, offsets)), map(torch.from_numpy, (index, offsets))
    own, other = list(own), list(other)
    check(
        ours, theirs, lambda m, w: m(*own, w), numbers(4), their_call=lambda m, w: m(*other, per_sample_weights=w)
    )  # fmt: skip
    assert repr(ours) == "EmbeddingBag(5, 3, padding_idx=2, mode='sum')"


@pytest.mark.parametrize(
    ("sizes", "message"), [((0, 3), "at least 1"), ((5, 3, 5), r"padding_idx must be in \[-5, 5\)")]
)
def test_tables_that_cannot_be(sizes, message):
    with pytest.raises(ValueError, match=message):
        nnx.Embedding(*sizes)
