"""cross_entropy and nll_loss against PyTorch, over what their arguments can be."""

import itertools

import numpy as np
import pytest

import nnx
from nnx import losses
from nnx.autodiff import gradcheck
from tests.oracle import check_against_torch, check_second_order, torch
from tests.support import assert_close, assert_same

TF = torch.nn.functional
REDUCTIONS = ["mean", "sum", "none"]
rng = np.random.default_rng(6)
FLAT, IMAGE = rng.uniform(-3.0, 3.0, (5, 4)), rng.uniform(-3.0, 3.0, (2, 4, 3, 2))
LABELS, MAP = rng.integers(0, 4, 5), rng.integers(0, 4, (2, 3, 2))
WEIGHT = np.asarray([0.5, 2.0, 1.0, 0.25])
SHARES = rng.uniform(0.1, 1.0, (5, 4))
SHARES /= SHARES.sum(1, keepdims=True)
MANY = rng.uniform(0.1, 1.0, IMAGE.shape)


def both(name, labels, reduction="mean", **options):
    """Functions of the logits alone; of a weight, too, where there is one."""

    def ours(x, *weight):
        return getattr(losses, name)(x, nnx.asarray(labels), *weight, reduction=reduction, **options)

    def theirs(x, *weight):
        return getattr(TF, name)(x, torch.from_numpy(np.asarray(labels)), *weight, reduction=reduction, **options)

    return ours, theirs


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("x", "labels"), [(FLAT, LABELS), (IMAGE, MAP), (FLAT[0], LABELS[0])], ids=["nc", "nchw", "c"])
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_labels(backend, name, x, labels, reduction):
    check_against_torch(*both(name, labels, reduction), x)
    check_against_torch(*both(name, labels, reduction, ignore_index=2), x)


COMBINATIONS = list(itertools.product([False, True], [None, 1, -100], [0.0, 0.1]))  # weighted, ignored, smoothing


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("weighted", "ignored", "smoothing"), COMBINATIONS)
def test_every_combination_of_options(backend, weighted, ignored, smoothing, reduction):
    labels = LABELS.copy()
    labels[1] = -100 if ignored == -100 else labels[1]
    options = {} if ignored is None else {"ignore_index": ignored}
    ours, theirs = both("cross_entropy", labels, reduction, label_smoothing=smoothing, **options)
    weight = nnx.asarray(WEIGHT), torch.from_numpy(WEIGHT)
    if weighted:
        check_against_torch(lambda x: ours(x, weight[0]), lambda x: theirs(x, weight[1]), FLAT)
    else:
        check_against_torch(ours, theirs, FLAT)


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_options_together_on_an_image(backend, name):
    options = {"label_smoothing": 0.2} if name == "cross_entropy" else {}
    ours, theirs = both(name, MAP, ignore_index=3, **options)
    fixed = nnx.asarray(WEIGHT), torch.from_numpy(WEIGHT)
    check_against_torch(lambda x: ours(x, fixed[0]), lambda x: theirs(x, fixed[1]), IMAGE)
    check_second_order(lambda x: ours(x, fixed[0]), lambda x: theirs(x, fixed[1]), IMAGE)
    if backend.name == "numpy":
        gradcheck(ours, IMAGE, WEIGHT, order=2)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize(("x", "t"), [(FLAT, SHARES), (IMAGE, MANY), (FLAT[0], SHARES[0])], ids=["nc", "nchw", "c"])
def test_probabilities_as_targets(backend, x, t, smoothing, reduction):
    def soft(module):
        return lambda x, t: module.cross_entropy(x, t, reduction=reduction, label_smoothing=smoothing)

    def weighted(module, weight):
        return lambda x, t: module.cross_entropy(x, t, weight, reduction=reduction, label_smoothing=smoothing)

    check_against_torch(soft(losses), soft(TF), x, t)
    check_against_torch(weighted(losses, nnx.asarray(WEIGHT)), weighted(TF, torch.from_numpy(WEIGHT)), x, t)


def test_float32_stays_float32(backend):
    x, weight = FLAT.astype("float32"), WEIGHT.astype("float32")
    check_against_torch(*both("cross_entropy", LABELS), x)
    ours, theirs = both("cross_entropy", LABELS, ignore_index=0, label_smoothing=0.1)
    fixed = nnx.asarray(weight), torch.from_numpy(weight)
    check_against_torch(lambda x: ours(x, fixed[0]), lambda x: theirs(x, fixed[1]), x)
    check_against_torch(losses.cross_entropy, TF.cross_entropy, x, SHARES.astype("float32"))


def test_second_order(backend):
    check_second_order(*both("cross_entropy", LABELS), FLAT)
    check_second_order(*both("cross_entropy", LABELS, "none"), FLAT)
    check_second_order(losses.cross_entropy, TF.cross_entropy, FLAT, SHARES)


def test_gradient_equals_differences():
    gradcheck(lambda x: losses.cross_entropy(x, LABELS), FLAT, order=2)
    gradcheck(lambda x: losses.cross_entropy(x, LABELS, reduction="none"), FLAT, order=2)
    gradcheck(lambda x, t, w: losses.cross_entropy(x, t, w, label_smoothing=0.1), FLAT, SHARES, WEIGHT, order=2)
    gradcheck(lambda x, w: losses.cross_entropy(x, LABELS, w, label_smoothing=0.1), FLAT, WEIGHT, order=2)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_extreme_logits(backend, dtype):
    x = (np.eye(5, 4) * 2e4 - 1e4).astype(dtype)
    for reduction in REDUCTIONS:
        check_against_torch(*both("cross_entropy", LABELS, reduction), x)
        check_against_torch(*both("cross_entropy", LABELS, reduction, label_smoothing=0.1), x, rtol=1e-6)


def test_a_class_that_is_masked_out(backend):
    x = FLAT.copy()
    x[:, 0] = -np.inf
    labels = np.maximum(LABELS, 1)
    check_against_torch(*both("cross_entropy", labels), x)
    check_against_torch(*both("cross_entropy", labels, ignore_index=3), x)


def test_when_nothing_counts_the_mean_is_nan(backend):
    labels = np.full(5, 2)
    for name in ("cross_entropy", "nll_loss"):
        ours, theirs = both(name, labels, ignore_index=2)
        assert np.isnan(float(ours(nnx.asarray(FLAT))))
        assert np.isnan(float(theirs(torch.from_numpy(FLAT))))
        check_against_torch(*both(name, labels, "sum", ignore_index=2), FLAT)


def test_empty_batch(backend):
    labels = np.empty(0, "int64")
    for reduction in REDUCTIONS:
        check_against_torch(*both("cross_entropy", labels, reduction), np.empty((0, 4)))
        check_against_torch(*both("nll_loss", labels, reduction), np.empty((0, 4)))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64"])
def test_labels_of_any_integers(backend, dtype):
    x = np.linspace(-1.0, 1.0, 600).reshape(2, 300)
    labels = np.asarray([7, 120])
    expected = TF.cross_entropy(torch.from_numpy(x), torch.from_numpy(labels)).numpy()
    own = nnx.asarray(labels.astype(dtype))
    assert_close(losses.cross_entropy(nnx.asarray(x), own), expected, 1e-12)
    assert_close(losses.cross_entropy(nnx.asarray(x), own, ignore_index=5), expected, 1e-12)


@pytest.mark.parametrize(
    "options", [{}, {"reduction": "none"}, {"reduction": "sum"}, {"ignore_index": 0}, {"label_smoothing": 0.1}]
)
@pytest.mark.parametrize("bad", [4, 10**6, -1, -100])
def test_a_label_out_of_range_is_never_a_wrong_number(backend, bad, options):
    labels = LABELS.copy()
    labels[2] = bad
    if type(backend).host:
        with pytest.raises(ValueError, match=rf"label {bad} is out of range for 4 classes.*ignore_index={bad}"):
            losses.cross_entropy(nnx.asarray(FLAT), nnx.asarray(labels), **options)
    else:
        found = nnx.to_numpy(losses.cross_entropy(nnx.asarray(FLAT), nnx.asarray(labels), **options))
        assert np.isinf(found if found.ndim == 0 else found[2])


REFUSED = [
    (LABELS.astype("float32"), TypeError, "labels are integers"),
    (LABELS > 1, TypeError, "labels are integers"),
    (LABELS[:, None], ValueError, r"got \(5, 4\) and \(5, 1\): one label a row"),
    (LABELS[:4], ValueError, r"got \(5, 4\) and \(4,\)"),
    pytest.param(
        *(SHARES.astype("float32"), TypeError, "the target .*float32: convert it first"),
        marks=pytest.mark.float64("two dtypes are its subject"),
    ),
    (SHARES[:, :3], TypeError, "labels are integers"),
]


@pytest.mark.parametrize(("target", "error", "message"), REFUSED)
def test_targets_that_do_not_fit(backend, target, error, message):
    with pytest.raises(error, match=message):
        losses.cross_entropy(nnx.asarray(FLAT), nnx.asarray(target))


def test_arguments_that_do_not_fit():
    with pytest.raises(TypeError, match="array of integers, got list"):
        losses.cross_entropy(FLAT, [0, 1, 2, 3, 0])
    with pytest.raises(TypeError, match="third argument is weight"):
        losses.cross_entropy(FLAT, LABELS, "sum")
    with pytest.raises(TypeError, match="third argument is weight"):
        losses.nll_loss(FLAT, LABELS, "sum")
    with pytest.raises(ValueError, match=r"expected \(4,\)"):
        losses.cross_entropy(FLAT, LABELS, np.ones(3))
    with pytest.raises(ValueError, match=r"label_smoothing must be in \[0, 1\]"):
        losses.cross_entropy(FLAT, LABELS, label_smoothing=1.5)
    with pytest.raises(ValueError, match="ignore_index is for labels"):
        losses.cross_entropy(FLAT, SHARES, ignore_index=0)
    with pytest.raises(ValueError, match="must be 'mean', 'sum' or 'none'"):
        losses.cross_entropy(FLAT, LABELS, reduction="average")
    with pytest.raises(ValueError, match=r"one sample \(c,\) has one label"):
        losses.cross_entropy(FLAT[0], LABELS)


def test_labels_stay_as_they_are(backend):
    x, labels = nnx.asarray(FLAT), nnx.asarray(LABELS.copy())
    nnx.value_and_grad(losses.cross_entropy)(x, labels)
    nnx.value_and_grad(lambda x, y: losses.cross_entropy(x, y, ignore_index=1))(x, labels)
    assert_same(labels, LABELS)
    assert_same(x, FLAT)
