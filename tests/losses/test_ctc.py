"""ctc_loss against PyTorch: value and gradient before a log_softmax, lengths, blanks, repeats, what does not fit."""

import itertools

import numpy as np
import pytest

import nnx
from nnx import losses
from nnx.autodiff import gradcheck
from nnx.functional import log_softmax
from tests.oracle import check_against_torch, torch

TF = torch.nn.functional
T, N, C = 6, 4, 5
rng = np.random.default_rng(12)
X = rng.normal(size=(T, N, C))
LABELS = np.asarray([[1, 2, 3], [2, 2, 2], [4, 1, -7], [3, 99, 99]])  # of the last two fewer labels count
FRAMES, LENGTHS = (6, 6, 5, 2), (3, 3, 2, 1)


def both(labels=LABELS, frames=FRAMES, lengths=LENGTHS, **options):
    def theirs(x):
        clean = torch.from_numpy(np.where((labels < 0) | (labels >= C), 1, labels))
        sizes = [k if isinstance(k, tuple) else (k,) for k in (frames, lengths)]
        return TF.ctc_loss(torch.log_softmax(x, -1), clean, *sizes, **options)

    return (
        lambda x: losses.ctc_loss(log_softmax(x, -1), nnx.asarray(labels), frames, lengths, **options),
        theirs,
    )


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_value_and_gradient(backend, reduction):
    check_against_torch(*both(reduction=reduction), X, rtol=1e-9, atol=1e-11)


def test_float32(backend):
    check_against_torch(*both(), X.astype("float32"), rtol=1e-4)


def test_another_blank(backend):
    labels = np.asarray([[0, 1, 2], [1, 1, 4], [4, 1, 0], [0, 0, 0]])
    check_against_torch(*both(labels, blank=3), X, rtol=1e-9, atol=1e-11)


def test_lengths_as_arrays_and_targets_one_after_another(backend):
    flat = np.concatenate([row[:n] for row, n in zip(LABELS, LENGTHS, strict=True)])
    check_against_torch(*both(flat), X, rtol=1e-9, atol=1e-11)
    x = nnx.asarray(X)
    expected = float(losses.ctc_loss(x, nnx.asarray(LABELS), FRAMES, LENGTHS))
    for labels in (LABELS, flat):
        for dtype in ("int32", "int64"):
            sizes = [nnx.asarray(np.asarray(k), dtype) for k in (FRAMES, LENGTHS)]
            assert float(losses.ctc_loss(x, nnx.asarray(labels, dtype), *sizes)) == pytest.approx(expected, rel=1e-12)


def test_one_sample_without_a_batch(backend):
    x = X[:, 0, :].copy()
    check_against_torch(*both(LABELS[0], 6, 3), x, rtol=1e-9, atol=1e-11)
    check_against_torch(*both(LABELS[0], (6,), (3,), reduction="none"), x, rtol=1e-9, atol=1e-11)


@pytest.mark.float64("held to the last digits")
def test_targets_that_do_not_fit(backend):
    frames = (6, 4, 0, 0)  # 2 2 2 needs five frames; nothing fits into none but nothing
    lengths = (3, 3, 2, 0)
    ours, theirs = both(frames=frames, lengths=lengths, reduction="none")
    found = nnx.to_numpy(ours(nnx.asarray(X)))
    np.testing.assert_allclose(found, theirs(torch.from_numpy(X)).numpy(), rtol=1e-12)
    np.testing.assert_array_equal(np.isinf(found), [False, True, True, False])
    check_against_torch(
        *both(frames=frames, lengths=lengths, reduction="sum", zero_infinity=True), X, rtol=1e-9, atol=1e-11
    )
    x = nnx.asarray(X)
    slope = nnx.to_numpy(nnx.grad(lambda x: both(frames=frames, lengths=lengths, reduction="sum")[0](x))(x))
    if backend.name != "array_api_strict":  # which scatters by a matrix product: 0 times nan is nan
        assert np.all(np.isfinite(slope[:, 0]))
    assert np.all(np.isnan(slope[:4, 1])), "an infinite loss has no slope, and does not pretend to have one"


def test_no_labels_at_all(backend):
    empty = np.zeros((N, 0), int)
    check_against_torch(*both(empty, (6, 5, 1, 0), (0, 0, 0, 0), reduction="none"), X, rtol=1e-9, atol=1e-11)


def paths(log_probs, labels, blank=0):
    """-log of the sum over all paths, one by one."""
    t, c = log_probs.shape
    total = 0.0
    for path in itertools.product(range(c), repeat=t):
        merged = [k for i, k in enumerate(path) if i == 0 or k != path[i - 1]]
        if [k for k in merged if k != blank] == list(labels):
            total += np.exp(sum(log_probs[i, k] for i, k in enumerate(path)))
    return -np.log(total)


@pytest.mark.parametrize("labels", [[1], [1, 1], [1, 2], [2, 1, 2]])
def test_against_every_path_one_by_one(labels):
    x = rng.normal(size=(4, 3))
    x = x - np.log(np.exp(x).sum(1, keepdims=True))
    found = float(losses.ctc_loss(x, np.asarray(labels), (4,), (len(labels),), reduction="sum"))
    assert found == pytest.approx(paths(x, labels), rel=1e-12)


def test_gradient_equals_differences():
    """Of log_probs themselves: the derivative, where PyTorch's has the probabilities added to it."""
    x = X[:5, :2, :3].copy()
    labels, frames, lengths = np.asarray([[1, 2], [1, 1]]), (5, 4), (2, 2)
    gradcheck(lambda x: losses.ctc_loss(x, labels, frames, lengths, reduction="none"), x, order=2)
    p = log_softmax(x, -1)
    leaf = torch.from_numpy(p).requires_grad_()
    TF.ctc_loss(leaf, torch.from_numpy(labels), frames, lengths, reduction="sum").backward()
    ours = nnx.grad(lambda p: losses.ctc_loss(p, labels, frames, lengths, reduction="sum"))(p)
    counted = np.arange(5)[:, None, None] < np.asarray(frames)[None, :, None]
    np.testing.assert_allclose(ours + np.exp(p) * counted, leaf.grad.numpy(), atol=1e-12)


@pytest.mark.float64("held to the last digits")
def test_a_probability_of_zero(backend):
    x = X.copy()
    x[:, :, 4] = -np.inf
    ours, theirs = both(np.minimum(np.abs(LABELS), 3))
    assert float(ours(nnx.asarray(x))) == pytest.approx(float(theirs(torch.from_numpy(x))), rel=1e-12)
    assert np.all(
        np.isfinite(
            nnx.to_numpy(
                nnx.grad(lambda p: losses.ctc_loss(p, nnx.asarray(LABELS % 4), FRAMES, LENGTHS))(
                    nnx.asarray(np.where(np.isinf(x), -np.inf, -1.5))
                )
            )
        )
    )


def test_a_label_out_of_range_is_never_a_wrong_number(backend):
    labels = LABELS.copy()
    labels[0, 1] = C
    call = lambda: losses.ctc_loss(nnx.asarray(X), nnx.asarray(labels), FRAMES, LENGTHS, reduction="none")
    if type(backend).host:
        with pytest.raises(ValueError, match=r"a label is out of range for 5 classes"):
            call()
    else:
        assert list(np.isinf(nnx.to_numpy(call()))) == [True, False, False, False]


def test_what_does_not_fit():
    with pytest.raises(ValueError, match=r"log_probs \(t, n, c\) or \(t, c\), got \(6,\)"):
        losses.ctc_loss(X[:, 0, 0], LABELS, FRAMES, LENGTHS)
    with pytest.raises(ValueError, match=r"blank must be in \[0, 5\), got 5"):
        losses.ctc_loss(X, LABELS, FRAMES, LENGTHS, blank=5)
    with pytest.raises(ValueError, match=r"input_lengths has shape \(3,\) for 4 samples"):
        losses.ctc_loss(X, LABELS, FRAMES[:3], LENGTHS)
    with pytest.raises(ValueError, match=r"input_lengths must be in \[0, 6\]"):
        losses.ctc_loss(X, LABELS, (6, 6, 6, 7), LENGTHS)
    with pytest.raises(ValueError, match=r"target_lengths must be in \[0, 3\]"):
        losses.ctc_loss(X, LABELS, FRAMES, (4, 1, 1, 1))
    with pytest.raises(ValueError, match=r"7 targets one after another, but target_lengths add up to 9"):
        losses.ctc_loss(X, np.ones(7, int), FRAMES, LENGTHS)
    with pytest.raises(ValueError, match=r"expects targets \(4, s\) or \(sum of lengths,\), got \(3, 3\)"):
        losses.ctc_loss(X, LABELS[:3], FRAMES, LENGTHS)
