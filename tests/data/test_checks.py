"""Bad inputs are named by row and column; standardisation knows the training part alone."""

import numpy as np
import pytest

from nnx.data import Standardize, check_finite, check_labels

NAN = float("nan")


@pytest.mark.parametrize(("x", "words"), [
    ([[1.0, 2.0], [NAN, NAN]], r"nan at row 1, column 0 \(2 of its 4 values are not finite\)"),
    ([[1.0, 2.0], [3.0, -np.inf]], r"-inf at row 1, column 1 \(1 of its 4 values is not finite\)"),
    ([0.0, NAN], "nan at row 1 "),
    (np.where(np.arange(8).reshape(2, 2, 2) == 5, NAN, 0), r"nan at row 1, index \(0, 1\)"),
    (NAN, "nan at its only value"),
])  # fmt: skip
def test_check_finite_names_the_first(x, words):
    with pytest.raises(ValueError, match="^x_train holds " + words):
        check_finite(x, "x_train")


def test_check_finite_passes(backend):
    check_finite(backend.asarray([[1.0, 2.0]]))
    check_finite(backend.asarray([1, 2]))
    check_finite(np.empty((0, 3)))
    with pytest.raises(ValueError, match="row 0, column 1"):
        check_finite(backend.asarray([[1.0, NAN]]))


@pytest.mark.parametrize(("labels", "error", "words"), [
    ([0, 1, 3, -1], ValueError, r"from 0 to 2 \(num_classes=3\), got 3 at row 2 \(labels span -1 to 3\)"),
    ([0, -1], ValueError, "got -1 at row 1"),
    ([[0, 5]], ValueError, "got 5 at row 0, column 1"),
    ([0.0, 1.0], TypeError, "integer labels, got float64"),
])  # fmt: skip
def test_check_labels(labels, error, words):
    with pytest.raises(error, match=words):
        check_labels(labels, 3)


def test_check_labels_passes(backend):
    check_labels(backend.asarray([0, 1, 2]), 3)
    check_labels(np.array([255], dtype=np.uint8), 256)


def test_standardize_has_mean_zero_and_std_one():
    x = np.random.default_rng(0).normal(3.0, 5.0, (500, 4)).astype(np.float32)
    z = Standardize().fit(x)(x)
    assert z.dtype == np.float32
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=1e-6)


def test_standardize_uses_the_training_part_alone():
    train, test = np.array([[0.0], [2.0]]), np.array([[101.0]])
    assert Standardize().fit(train)(test).tolist() == [[100.0]]


def test_standardize_by_channel_and_back():
    x = np.random.default_rng(1).normal(2.0, 3.0, (6, 3, 4, 5))
    scale = Standardize(axis=(0, 2, 3)).fit(x)
    assert scale.state_dict()["mean"].shape == (1, 3, 1, 1)
    np.testing.assert_allclose(scale(x).std(axis=(0, 2, 3)), 1, atol=1e-6)
    np.testing.assert_allclose(scale.inverse(scale(x)), x, rtol=1e-4, atol=1e-5)
    copy = Standardize(axis=(0, 2, 3))
    copy.load_state_dict(scale.state_dict())
    np.testing.assert_array_equal(copy(x), scale(x))


def test_a_constant_feature_becomes_zero():
    x = np.full((1000, 3), 0.1)
    x[0, 1], x[:, 2] = 0.3, 0.0
    z = Standardize().fit(x)(x)
    assert (z[:, [0, 2]] == 0).all()
    assert np.isfinite(z).all()


def test_standardize_survives_a_large_offset():
    x = (np.arange(1000.0) % 7 + 1e6)[:, None].astype(np.float32)
    z = Standardize().fit(x)(x)
    np.testing.assert_allclose([z.mean(), z.std()], [0, 1], atol=1e-5)


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda: Standardize()([[1.0]]), RuntimeError, "call fit"),
    (lambda: Standardize().inverse([[1.0]]), RuntimeError, "call fit"),
    (lambda: Standardize().state_dict(), RuntimeError, "call fit"),
    (lambda: Standardize().fit(np.empty((0, 2))), ValueError, r"empty array of shape \(0, 2\)"),
    (lambda: Standardize().fit([[1.0, NAN]]), ValueError, "nan at row 0, column 1"),
    (lambda: Standardize().fit([[1.0]])([[1.0, 2.0]]), ValueError, r"shape \(n, 1\), as it was fitted, got \(1, 2\)"),
    (lambda: Standardize().fit([[1.0, 2.0]])([1.0, 2.0]), ValueError, r"shape \(n, 2\), as it was fitted, got \(2,\)"),
])  # fmt: skip
def test_standardize_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
