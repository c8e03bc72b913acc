"""Metrics by hand and by NumPy, and their means over batches."""

import numpy as np
import pytest

import nnx
from nnx import metrics
from nnx.metrics import classes
from tests.support import assert_close

rng = np.random.default_rng(9)
SCORES, LABELS = rng.standard_normal((50, 6)), rng.integers(0, 6, 50)


def share_in_top(k):
    order = np.argsort(-SCORES, axis=1, kind="stable")[:, :k]
    return np.mean([label in row for label, row in zip(LABELS, order, strict=True)])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("k", [1, 2, 5, 6])
def test_accuracy(backend, k, dtype):
    found = metrics.accuracy(nnx.asarray(SCORES.astype(dtype)), nnx.asarray(LABELS), k)
    assert_close(found, np.asarray(share_in_top(k), dtype), 1e-6)


@pytest.mark.parametrize("k", [1, 2])
def test_of_equal_outputs_the_first_is_the_larger(backend, k):
    output = nnx.asarray(np.zeros((6, 6)))
    # a dead network, which says the same of every class, is right about the first k
    assert_close(metrics.accuracy(output, nnx.asarray(np.arange(6)), k), np.asarray(k / 6), 1e-12)


def test_top_1_by_rank_is_the_largest(backend):
    coarse = nnx.asarray(np.round(SCORES))  # with many equal outputs
    expected = nnx.to_numpy(metrics.accuracy(coarse, nnx.asarray(LABELS)))
    rank = nnx.to_numpy(classes._rank(coarse, nnx.asarray(LABELS)))
    np.testing.assert_allclose((rank == 0).mean(), expected)


@pytest.mark.parametrize("k", [2, 5])
def test_a_network_of_nan_is_never_right(backend, k):
    labels = nnx.asarray(np.full(50, 5))
    assert float(metrics.accuracy(nnx.asarray(np.full((50, 6), np.nan)), labels, k)) == 0.0


def test_accuracy_of_one_hot_targets_and_of_images(backend):
    output = nnx.asarray(SCORES)
    expected = np.asarray(share_in_top(1))
    assert_close(metrics.accuracy(output, nnx.asarray(np.eye(6)[LABELS])), expected, 1e-12)
    image = nnx.asarray(SCORES.reshape(2, 25, 6).transpose(0, 2, 1).copy())
    for k in (1, 2):
        found = metrics.accuracy(image, nnx.asarray(LABELS.reshape(2, 25)), k)
        assert_close(found, np.asarray(share_in_top(k)), 1e-12)


def test_accuracy_refuses_what_does_not_fit(backend):
    output, labels = nnx.asarray(SCORES), nnx.asarray(LABELS)
    with pytest.raises(ValueError, match=r"k must be in \[1, 6\], got 7"):
        metrics.accuracy(output, labels, 7)
    with pytest.raises(ValueError, match="one label a row"):
        metrics.accuracy(output, labels[:10])
    with pytest.raises(TypeError, match="labels are integers"):
        metrics.accuracy(output, nnx.asarray(LABELS.astype("float32")))


def test_errors_of_numbers(backend):
    a, b = rng.standard_normal((2, 4, 6))
    assert_close(metrics.mean_squared_error(nnx.asarray(a), nnx.asarray(b)), np.asarray(((a - b) ** 2).mean()), 1e-12)
    assert_close(metrics.mean_absolute_error(nnx.asarray(a), nnx.asarray(b)), np.asarray(abs(a - b).mean()), 1e-12)
    with pytest.raises(ValueError, match="they must be equal"):
        metrics.mean_squared_error(nnx.asarray(a), nnx.asarray(b[0]))


def test_mean_over_batches_of_two_sizes(backend):
    mean = metrics.Mean(metrics.accuracy)
    for part in (slice(0, 20), slice(20, 40), slice(40, 50)):
        mean.update(nnx.asarray(SCORES[part]), nnx.asarray(LABELS[part]))
    assert mean.compute() == pytest.approx(share_in_top(1))
    mean.reset()
    assert np.isnan(mean.compute())


def test_mean_of_values(backend):
    mean = metrics.Mean()
    for value, weight in [(1.0, 1.0), (4.0, 2.0)]:
        mean.update(nnx.asarray(np.asarray(value, "float32")), weight=weight)
    assert mean.update(3.0).compute() == pytest.approx(3.0)


def test_an_empty_batch_counts_for_nothing(backend):
    mean = metrics.Mean(metrics.accuracy).update(nnx.asarray(SCORES), nnx.asarray(LABELS))
    mean.update(nnx.asarray(SCORES[:0]), nnx.asarray(LABELS[:0]))
    assert mean.compute() == pytest.approx(share_in_top(1))


class Unreadable:
    """A number that nobody may read before compute."""

    def __init__(self, value):
        self.value = value

    def __mul__(self, other):
        return Unreadable(self.value * other)

    def __add__(self, other):
        return Unreadable(self.value + getattr(other, "value", other))

    def __float__(self):
        raise AssertionError("update waited for the device")


def test_update_does_not_read_the_value():
    mean = metrics.Mean()
    for value in (1.0, 2.0):
        mean.update(Unreadable(value))
    assert mean.total.value == 3.0


def test_a_metric_beside_the_loss(backend):
    model, x, y = nnx.Linear(6, 6), nnx.asarray(SCORES.astype("float32")), nnx.asarray(LABELS)

    def loss(model, x, y):
        output = model(x)
        return nnx.losses.cross_entropy(output, y), metrics.accuracy(output, y)

    (_, found), _ = nnx.value_and_grad(loss, has_aux=True)(model, x, y)
    assert_close(found, nnx.to_numpy(metrics.accuracy(model(x), y)))
