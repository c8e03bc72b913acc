"""Margins, embeddings, likelihoods and overlaps against PyTorch: a row a case, value and every gradient."""

import numpy as np
import pytest

import nnx
from nnx import losses
from nnx.autodiff import gradcheck
from tests.losses.cases import CASES, FIRST, HARD, IDS, LABELS, POSITIVE, ROWS, SHARE, SIGNS, WEIGHT, X, Y, Z, arrays_of
from tests.oracle import check_against_torch, torch
from tests.support import assert_close

TF = torch.nn.functional


def focal(x, t, alpha=0.25, gamma=2.0, reduction="none"):
    """As torchvision's ops/focal_loss.py has it."""
    p = torch.sigmoid(x)
    ce = TF.binary_cross_entropy_with_logits(x, t, reduction="none")
    loss = ce * (1 - (p * t + (1 - p) * (1 - t))) ** gamma
    if alpha >= 0:
        loss = (alpha * t + (1 - alpha) * (1 - t)) * loss
    return {"none": loss, "sum": loss.sum(), "mean": loss.mean()}[reduction]


def dice(p, t, smooth=1.0, reduction="mean"):
    axes = tuple(range(2, p.ndim))
    both, either = ((p * t).sum(axes), (p + t).sum(axes)) if axes else (p * t, p + t)
    loss = 1 - (2 * both + smooth) / (either + smooth)
    return {"none": loss, "sum": loss.sum(), "mean": loss.mean()}[reduction]


def soft_margin(x, t, **options):
    return TF.soft_margin_loss(x, t.to(x.dtype), **options)


THEIRS = {"sigmoid_focal_loss": focal, "dice_loss": dice, "soft_margin_loss": soft_margin}
REDUCTIONS = ["none", "mean", "sum"]


def both(name, options, reduction):
    ours, theirs = getattr(losses, name), THEIRS.get(name) or getattr(TF, name)
    return (
        lambda *xs: ours(*xs, reduction=reduction, **options),
        lambda *xs: theirs(*xs, reduction=reduction, **options),
    )


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_value_and_gradients(backend, case):
    check_against_torch(*both(case[0], case[1], "none"), *arrays_of(case), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("case", FIRST, ids=lambda c: c[0])
def test_reductions(backend, case, reduction):
    check_against_torch(*both(case[0], case[1], reduction), *arrays_of(case), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("case", FIRST, ids=lambda c: c[0])
def test_float32_stays_float32(backend, case):
    check_against_torch(*both(case[0], case[1], "mean"), *arrays_of(case, "float32"), rtol=1e-4)


@pytest.mark.parametrize("case", FIRST, ids=lambda c: c[0])
def test_what_is_not_watched_may_be_plain(backend, case):
    f, (x, *others) = both(case[0], case[1], "mean")[0], [nnx.asarray(x) for x in arrays_of(case)]
    expected = nnx.to_numpy(nnx.grad(f)(x, *others))
    assert_close(nnx.grad(lambda x: f(x, *others))(x), expected)


SMOOTH = [c for c in CASES if c[3] is not c[2] and c[1] != {"eps": 1.0}]  # equal inputs, and a bound, are kinks


@pytest.mark.parametrize("case", SMOOTH, ids=lambda c: c[0])
def test_gradient_equals_differences(case):
    arrays = arrays_of(case)
    fixed = (
        len(arrays) if case[0] not in ("hinge_embedding_loss", "margin_ranking_loss", "cosine_embedding_loss") else -1
    )
    own = [k for k, x in enumerate(arrays[:fixed]) if x.dtype.kind == "f"]

    def f(*xs):
        placed = list(arrays)
        for k, x in zip(own, xs, strict=True):
            placed[k] = x
        return both(case[0], case[1], "none")[0](*placed)

    gradcheck(f, *[arrays[k] for k in own], order=2)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["multi_margin_loss", "multilabel_soft_margin_loss"])
def test_class_weights(backend, name, reduction):
    target = LABELS if name == "multi_margin_loss" else SHARE
    own, other = nnx.asarray(WEIGHT), torch.from_numpy(WEIGHT)
    ours, theirs = getattr(losses, name), getattr(TF, name)
    check_against_torch(
        lambda x: ours(x, nnx.asarray(target), weight=own, reduction=reduction),
        lambda x: theirs(x, torch.from_numpy(target), weight=other, reduction=reduction),
        X,
        rtol=1e-9,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
def test_weights_of_entries(backend, name, reduction):
    check_against_torch(
        lambda x, t, w: getattr(losses, name)(x, t, reduction, weight=w),
        lambda x, t, w: getattr(TF, name)(x, t, reduction=reduction, weight=w),
        X, Y, POSITIVE, rtol=1e-9,
    )  # fmt: skip
    with pytest.raises(ValueError, match=rf"{name}: weight has shape \(6,\), the output \(4, 6\)"):
        getattr(losses, name)(nnx.asarray(X), nnx.asarray(Y), reduction, weight=nnx.asarray(WEIGHT))


def test_a_variance_that_is_a_number(backend):
    for v in (2.0, 0.0):
        check_against_torch(
            lambda x, t, v=v: losses.gaussian_nll_loss(x, t, v), lambda x, t, v=v: TF.gaussian_nll_loss(x, t, v), X, Y
        )


def test_a_distance_of_ones_own(backend):
    check_against_torch(
        lambda a, p, n: losses.triplet_margin_with_distance_loss(
            a, p, n, distance_function=lambda x, y: nnx.namespace(x).max(nnx.namespace(x).abs(x - y), axis=-1)
        ),
        lambda a, p, n: TF.triplet_margin_with_distance_loss(
            a, p, n, distance_function=lambda x, y: (x - y).abs().amax(-1)
        ),
        X, Y, Z,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_extreme_numbers_stay_finite(backend, dtype):
    x, t = np.asarray([1e4, -1e4, 1e4, -1e4], dtype), np.asarray([1.0, 0.0, 0.0, 1.0], dtype)
    for loss, target in [
        (losses.soft_margin_loss, t * 2 - 1),
        (losses.sigmoid_focal_loss, t),
        (losses.multilabel_soft_margin_loss, t),
    ]:
        options = {"gamma": 0.5} if loss is losses.sigmoid_focal_loss else {}
        value, slope = nnx.value_and_grad(
            lambda x, y, loss=loss, options=options: loss(x, y, reduction="sum", **options)
        )(nnx.asarray(x), nnx.asarray(target))
        assert np.isfinite(float(value))
        assert np.all(np.isfinite(nnx.to_numpy(slope)))


def test_zero_vectors_have_a_cosine(backend):
    zero = np.zeros((2, 3))
    check_against_torch(losses.cosine_embedding_loss, TF.cosine_embedding_loss, zero, zero, np.asarray([1, -1]))


def test_a_label_out_of_range_is_never_a_wrong_number(backend):
    labels = LABELS.copy()
    labels[1] = 6
    if type(backend).host:
        with pytest.raises(ValueError, match="label 6 is out of range for 6 classes"):
            losses.multi_margin_loss(nnx.asarray(X), nnx.asarray(labels))
    else:
        found = losses.multi_margin_loss(nnx.asarray(X), nnx.asarray(labels), reduction="none")
        assert np.isinf(nnx.to_numpy(found)[1])


REFUSED = [
    (lambda: losses.poisson_nll_loss(X, X[0]), "poisson_nll_loss: the output has shape"),
    (lambda: losses.gaussian_nll_loss(X, Y, -1.0), "var must be >= 0, got -1.0"),
    (lambda: losses.gaussian_nll_loss(X, Y, -POSITIVE), "an entry below 0: e.g. exp or softplus"),
    (lambda: losses.gaussian_nll_loss(X, Y, WEIGHT), r"var has shape \(6,\), the output \(4, 6\)"),
    (lambda: losses.gaussian_nll_loss(X, Y, POSITIVE, eps=0.0), "eps must be > 0"),
    (lambda: losses.hinge_embedding_loss(X, ROWS), r"input, target of one shape, got \(4, 6\), \(4,\)"),
    (lambda: losses.margin_ranking_loss(X, Y, ROWS), "input1, input2, target of one shape"),
    (lambda: losses.soft_margin_loss(X, ROWS), "of one shape"),
    (lambda: losses.multi_margin_loss(X, LABELS, p=3), "p must be 1 or 2, got 3"),
    (lambda: losses.multi_margin_loss(X, LABELS[:2]), "one label a row"),
    (lambda: losses.multi_margin_loss(X, LABELS, weight=WEIGHT[:2]), r"weight has shape \(2,\): expected \(6,\)"),
    (lambda: losses.multilabel_margin_loss(X, SIGNS), "integers of that shape"),
    (lambda: losses.multilabel_margin_loss(X, LABELS), "of one shape"),
    (lambda: losses.triplet_margin_loss(X, Y, Z, margin=0.0), "margin must be > 0, got 0.0"),
    (lambda: losses.triplet_margin_loss(X, Y, Z[:2]), "anchor, positive, negative of one shape"),
    (lambda: losses.cosine_embedding_loss(X, Y, SIGNS), r"inputs \(n, d\) with a target \(n,\)"),
    (lambda: losses.sigmoid_focal_loss(X, HARD, gamma=-1.0), "gamma must be >= 0"),
    (lambda: losses.dice_loss(X[0], HARD[0]), r"probabilities \(n, c, ...\), got \(6,\)"),
    (lambda: losses.dice_loss(X, HARD, smooth=-1.0), "smooth must be >= 0"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_what_does_not_fit(call, message):
    with pytest.raises(ValueError, match=message):
        call()
