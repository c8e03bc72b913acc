"""Metrics equal scikit-learn's to 1e-12 over drawn data, with ties and absent classes, whole and in batches."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnx
from nnx import metrics

theirs = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the oracle of this test and is not installed")
pytestmark = pytest.mark.float64("held to scikit-learn to the last digits")
C = 4


COMPILES = ("jax", "cupy")  # anew for each shape, or slowly: few shapes there


@st.composite
def drawn(draw, name):
    """Labels, predictions and scores of C classes (of which some are absent), numbers, and where the batches end."""
    n = 12 if name in COMPILES else draw(st.integers(2, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    present = draw(st.lists(st.integers(0, C - 1), min_size=1, max_size=C, unique=True))
    step = draw(st.sampled_from([2, 5, 1000]))  # scores on a coarse grid have ties
    scores = rng.integers(1, step + 1, (n, C)) / step
    cuts = [4, 4] if name in COMPILES else sorted(draw(st.lists(st.integers(0, n), max_size=3)))
    size = draw(st.sampled_from([1e-3, 1.0, 1e3]))
    return {
        "true": rng.choice(present, n),
        "said": rng.integers(0, C, n),
        "scores": scores / scores.sum(1, keepdims=True),
        "yes": rng.integers(0, 2, n),
        "numbers": (rng.normal(size=(n, 2)) + draw(st.sampled_from([0.0, 10.0]))) * size,
        "others": rng.normal(size=(n, 2)),
        "cuts": list(zip([0, *cuts], [*cuts, n], strict=True)),
    }


def quiet(function, *args, **kwargs):
    """Scikit-learn warns of what is undefined; here that is written down."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def check(metric, function, output, target, cuts, expected, rtol=1e-12):
    """As a function of all, as an object over batches, and merged from two halves."""
    expected = np.asarray(expected, dtype=float)
    x, y = nnx.asarray(output), nnx.asarray(target)
    np.testing.assert_allclose(nnx.to_numpy(function(x, y)), expected, rtol=rtol, atol=1e-12)
    objects = metric(), metric(), metric()
    for k, (start, stop) in enumerate(cuts):
        batch = nnx.asarray(output[start:stop]), nnx.asarray(target[start:stop])
        objects[0].update(*batch)
        objects[1 + k % 2].update(*batch)
    for found in (objects[0].compute(), objects[2].merge(objects[1]).compute()):
        assert isinstance(found, float) == (not expected.ndim)
        found = nnx.to_numpy(found) if expected.ndim else found
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-12)


def properties(backend):
    """Over a few drawn examples, fewer where they take long."""
    examples = settings(max_examples=3 if backend.name in COMPILES else 12, deadline=None)
    return lambda test: examples(given(drawn(backend.name))(test))


AVERAGES = ["micro", "macro", "weighted", "none"]


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("zero", [0.0, 1.0, np.nan])
def test_precision_recall_and_f(backend, average, zero):
    @properties(backend)
    def holds(data):
        options = {"labels": range(C), "average": None if average == "none" else average, "zero_division": zero}
        for name, function, metric, more in [
            ("precision_score", metrics.precision, metrics.Precision, {}),
            ("recall_score", metrics.recall, metrics.Recall, {}),
            ("f1_score", metrics.f1_score, metrics.F1Score, {}),
            ("fbeta_score", metrics.fbeta_score, metrics.FBetaScore, {"beta": 0.5}),
        ]:
            expected = quiet(getattr(theirs, name), data["true"], data["said"], **options, **more)
            own = {"average": average, "num_classes": C, "zero_division": zero, **more}
            check(
                lambda metric=metric, own=own: metric(**own),
                lambda x, y, function=function, own=own: function(x, y, **own),
                data["said"], data["true"], data["cuts"], expected,
            )  # fmt: skip

    holds()


def test_of_yes_and_no(backend):
    @properties(backend)
    def holds(data):
        yes, p = data["yes"], data["scores"][:, 0]
        said = (p > 0.25).astype(int)
        for name, function, metric in [
            ("precision_score", metrics.precision, metrics.Precision),
            ("recall_score", metrics.recall, metrics.Recall),
            ("f1_score", metrics.f1_score, metrics.F1Score),
        ]:
            expected = quiet(getattr(theirs, name), yes, said, zero_division=0.0)
            check(
                lambda metric=metric: metric(threshold=0.25),
                lambda x, y, function=function: function(x, y, threshold=0.25),
                p, yes, data["cuts"], expected,
            )  # fmt: skip
            check(metric, function, said, yes, data["cuts"], expected)

    holds()


def test_accuracy_and_top_k(backend):
    @properties(backend)
    def holds(data):
        expected = theirs.accuracy_score(data["true"], data["said"])
        check(metrics.Accuracy, metrics.accuracy, data["said"], data["true"], data["cuts"], expected)
        expected = theirs.accuracy_score(data["true"], data["scores"].argmax(1))
        check(metrics.Accuracy, metrics.accuracy, data["scores"], data["true"], data["cuts"], expected)
        distinct = data["scores"] - np.arange(C) * 1e-9  # scikit-learn breaks ties the other way round
        expected = theirs.top_k_accuracy_score(data["true"], distinct, k=2, labels=range(C))
        check(
            lambda: metrics.Accuracy(2), lambda x, y: metrics.accuracy(x, y, 2),
            data["scores"], data["true"], data["cuts"], expected,
        )  # fmt: skip

    holds()


@pytest.mark.parametrize("normalize", [None, "true", "pred", "all"])
def test_confusion_matrix(backend, normalize):
    @properties(backend)
    def holds(data):
        for output in (data["said"], data["scores"]):
            said = output if output.ndim == 1 else output.argmax(1)
            expected = quiet(theirs.confusion_matrix, data["true"], said, labels=range(C), normalize=normalize)
            check(
                lambda: metrics.ConfusionMatrix(C, normalize),
                lambda x, y: metrics.confusion_matrix(x, y, C, normalize),
                output, data["true"], data["cuts"], expected,
            )  # fmt: skip

    holds()


def test_ranking_of_yes_and_no(backend):
    @properties(backend)
    def holds(data):
        p, yes, cuts = data["scores"][:, 0], data["yes"], data["cuts"]
        check(metrics.AUROC, metrics.auroc, p, yes, cuts, quiet(theirs.roc_auc_score, yes, p))
        expected = quiet(theirs.average_precision_score, yes, p)
        check(metrics.AveragePrecision, metrics.average_precision, p, yes, cuts, expected)

    holds()


@pytest.mark.parametrize("average", AVERAGES)
def test_ranking_of_classes(backend, average):
    @properties(backend)
    def holds(data):
        scores, true, cuts = data["scores"], data["true"], data["cuts"]
        hits, own = np.eye(C, dtype=int)[true], None if average == "none" else average
        for name, function, metric in [
            ("roc_auc_score", metrics.auroc, metrics.AUROC),
            ("average_precision_score", metrics.average_precision, metrics.AveragePrecision),
        ]:
            expected = quiet(getattr(theirs, name), hits, scores, average=own)
            for target in (true, hits):
                check(
                    lambda metric=metric: metric(average), lambda x, y, function=function: function(x, y, average),
                    scores, target, cuts, expected,
                )  # fmt: skip

    holds()


@pytest.mark.parametrize(
    ("name", "metric", "function"),
    [
        ("mean_absolute_error", metrics.MeanAbsoluteError, metrics.mean_absolute_error),
        ("mean_squared_error", metrics.MeanSquaredError, metrics.mean_squared_error),
        ("root_mean_squared_error", metrics.RootMeanSquaredError, metrics.root_mean_squared_error),
        ("r2_score", metrics.R2Score, metrics.r2_score),
    ],
)
def test_errors_of_numbers(backend, name, metric, function):
    @properties(backend)
    def holds(data):
        t, x = data["numbers"], data["numbers"] + data["others"] * data["numbers"].std()
        for a, b in ((x, t), (x[:, 0].copy(), t[:, 0].copy())):
            check(metric, function, a, b, data["cuts"], getattr(theirs, name)(b, a))

    holds()


def test_r2_far_from_0(backend):
    """Σ t² - (Σ t)²/n would have lost all of it."""
    rng = np.random.default_rng(3)
    t = rng.normal(size=12) + 1e7
    x = t + rng.normal(size=12) * 0.1
    meter = metrics.R2Score()
    for part in (slice(0, 4), slice(4, 12)):
        meter.update(nnx.asarray(x[part]), nnx.asarray(t[part]))
    assert meter.compute() == pytest.approx(theirs.r2_score(t, x), rel=1e-8)
