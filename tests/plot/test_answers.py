"""What a model says: confusion matrix, reliability curve, prediction error, decision boundary."""

import numpy as np
import pytest

import nnx
from nnx import plot
from nnx.plot.canvas import PALETTE
from tests.plot.pictures import LABELS, SCORES, network, points

COUNTS = [[1, 0, 0], [0, 1, 0], [0, 1, 1]]


# ---- confusion matrix ------------------------------------------------------------------------------------------------


def test_confusion_matrix():
    names = ["cat", "dog", "a long name"]
    forms = [
        (SCORES, LABELS),
        (SCORES.argmax(axis=1), LABELS),
        (np.asarray(COUNTS), None),
        (SCORES.tolist(), [0, 1, 2, 2]),
    ]
    for output, target in forms:
        ax = plot.confusion_matrix(output, target, class_names=names)
        np.testing.assert_array_equal(ax.images[0].get_array(), COUNTS)
        numbers = {text.get_position(): text.get_text() for text in ax.texts}
        assert numbers == {(0, 0): "1", (1, 1): "1", (1, 2): "1", (2, 2): "1"}, "column, row; none where there is none"
        for labels in (ax.get_xticklabels(), ax.get_yticklabels()):
            assert [text.get_text() for text in labels] == names
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")


@pytest.mark.parametrize(
    ("normalize", "last"), [("true", [0.0, 0.5, 0.5]), ("pred", [0.0, 0.5, 1.0]), ("all", [0, 0.25, 0.25])]
)
def test_confusion_matrix_of_shares(normalize, last):
    for output, target in ((SCORES, LABELS), (np.asarray(COUNTS), None)):
        ax = plot.confusion_matrix(output, target, normalize=normalize)
        np.testing.assert_allclose(ax.images[0].get_array()[2], last)
        assert ax.texts[-1].get_text() == f"{last[-1]:.2f}"


def test_confusion_matrix_of_an_empty_class_and_of_many():
    ax = plot.confusion_matrix(np.zeros((2, 2), int), normalize="true")
    assert not ax.images[0].get_array().any(), "0, not nan, where there is nothing to share"
    ax = plot.confusion_matrix(np.arange(30), np.arange(30))
    assert not ax.texts, "no number could be read"
    assert len(ax.figure.axes) == 2, "a scale in their place"
    ax.figure.draw_without_rendering()


def test_confusion_matrix_of_bad_input():
    with pytest.raises(ValueError, match=r"expected a square matrix \(c, c\), got \(4, 3\): .* give the target, too"):
        plot.confusion_matrix(SCORES)
    with pytest.raises(ValueError, match="2 class_names for 3 classes: one for each"):
        plot.confusion_matrix(SCORES, LABELS, class_names=["a", "b"])


def test_names_are_no_formulas():
    ax = plot.confusion_matrix(np.eye(3, dtype=int), class_names=["a$b$c", "$x^", "_"])
    ax.figure.draw_without_rendering()
    assert ax.get_xticklabels()[0].get_text() == r"a\$b\$c", "which is how matplotlib writes a$b$c"


# ---- reliability -----------------------------------------------------------------------------------------------------


def test_reliability_curve_by_hand():
    """Confidences 0.7, 0.6, 0.5, 0.9: right, right, wrong, right. In halves: (0, 0.5] has one, (0.5, 1] three."""
    ax = plot.reliability_curve(SCORES, LABELS, bins=2)
    curve = ax.lines[1]
    np.testing.assert_allclose(curve.get_xdata(), [0.5, (0.7 + 0.6 + 0.9) / 3])
    np.testing.assert_allclose(curve.get_ydata(), [0.0, 1.0])
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], [0.25, 0.75])
    error = 0.25 * 0.5 + 0.75 * (1.0 - 2.2 / 3)
    assert curve.get_label() == f"model, ECE {error:.3f}"
    assert plot.calibration_of(SCORES, [2, 2, 0, 0], bins=1).right == [0.0], "none is right"


def test_reliability_of_a_calibrated_model_is_the_diagonal():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=40_000)
    found = plot.calibration_of(p, (rng.uniform(size=p.shape) < p).astype(int), bins=20)
    assert found.error < 0.02
    assert plot.calibration_of(p, (rng.uniform(size=p.shape) < p**3).astype(int)).error > 0.2
    np.testing.assert_allclose(found.right, found.confidence, atol=0.05)


def test_reliability_of_logits():
    logits = np.log(SCORES + 1e-9) + 5.0
    a, b = (plot.calibration_of(*given) for given in ((SCORES, LABELS), (logits, LABELS, 10, True)))
    assert a.error == pytest.approx(b.error, abs=1e-6)
    x = np.asarray([-800.0, -1.0, 0.5, 800.0])
    yes = plot.calibration_of(x, [0, 0, 1, 1], logits=True)
    assert yes.error == pytest.approx((1 / (1 + np.e) + 1 - 1 / (1 + np.exp(-0.5))) / 4)
    ax = plot.reliability_curve(x, [0, 0, 1, 1], logits=True)
    assert ax.get_xlabel().startswith("probability of class 1")


def test_reliability_of_bad_input():
    with pytest.raises(ValueError, match=r"expected probabilities, .* say logits=True"):
        plot.reliability_curve(SCORES * 3.0, LABELS)
    with pytest.raises(
        ValueError, match=r"expected probabilities \(n, c\) or \(n,\) and labels \(n,\), got \(4, 3\) and \(2,\)"
    ):
        plot.reliability_curve(SCORES, LABELS[:2])
    with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
        plot.reliability_curve(SCORES, LABELS, bins=0)


# ---- prediction error ------------------------------------------------------------------------------------------------


def test_prediction_error():
    said, true = np.asarray([[1.0], [2.0], [4.0]]), np.asarray([1.0, 2.0, 3.0])
    ax = plot.prediction_error(said, true, unit="m")
    np.testing.assert_array_equal(ax.lines[1].get_xdata(), true)
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), [1.0, 2.0, 4.0])
    assert list(ax.lines[0].get_xdata()) == list(ax.lines[0].get_ydata()) == [1.0, 4.0]
    assert ax.lines[1].get_label() == "R² 0.5, RMSE 0.5774"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("true value (m)", "predicted value (m)")
    with pytest.raises(ValueError, match=r"as many values as targets, got \(3, 1\) and \(2,\)"):
        plot.prediction_error(said, true[:2])


# ---- decision boundary -----------------------------------------------------------------------------------------------


def test_decision_boundary_of_a_line():
    """Scores (x₀, x₁): above the diagonal class 1, below it class 0."""
    x = np.asarray([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    ax = plot.decision_boundary(lambda x: x, x, [0, 0, 1], steps=7, margin=0.0, class_names=["under", "over"])
    found = ax.images[0].get_array()
    j, i = np.indices(found.shape)
    np.testing.assert_array_equal(found, j > i)
    assert ax.images[0].origin == "lower", "row 0 is at the bottom, as in the plane"
    assert ax.images[0].get_extent() == [0.0, 1.0, 0.0, 1.0]
    under, over = ax.collections[-2:]
    np.testing.assert_array_equal(under.get_offsets(), x[:2])
    np.testing.assert_array_equal(over.get_offsets(), x[2:])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["under", "over"]
    assert len({len(points.get_paths()[0].vertices) for points in (under, over)}) == 2, "markers differ, too"


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (lambda x: x[:, 0] - 0.5, {}),
        (lambda x: x[:, :1], {"threshold": 0.5}),
        (lambda x: (x[:, 0] > 0.5).astype(int), {}),
    ],
    ids=["score", "column", "labels"],
)
def test_decision_boundary_of_one_output(model, options):
    ax = plot.decision_boundary(model, [[0.0, 0.0], [1.0, 1.0]], steps=4, margin=0.0, **options)
    np.testing.assert_array_equal(ax.images[0].get_array(), [[0, 0, 1, 1]] * 4)
    assert ax.get_legend() is None, "no samples, no names"
    assert ax.images[0].cmap.colors == list(PALETTE[:2])


def test_decision_boundary_is_the_models_in_evaluation_mode():
    model, (x, y) = network(), points()
    model.layers[3].eval()
    modes = [layer.training for layer in model.modules()]
    found = plot.decision_boundary(model, x, y, steps=9).images[0].get_array()
    assert [layer.training for layer in model.modules()] == modes, "as it was, layer by layer"
    again = plot.decision_boundary(model.eval(), x, y, steps=9).images[0].get_array()
    np.testing.assert_array_equal(found, again)
    left, right, low, high = plot.decision_boundary(model, x, y, steps=9).images[0].get_extent()
    corner = nnx.asarray(np.asarray([[left, low], [right, high]], "float32"))
    assert list(nnx.to_numpy(model(corner)).argmax(axis=1)) == [found[0, 0], found[-1, -1]]


def test_decision_boundary_of_bad_input():
    with pytest.raises(ValueError, match=r"expected x of shape \(n, 2\), points in a plane, got \(4, 3\)"):
        plot.decision_boundary(network(), SCORES)
    with pytest.raises(ValueError, match="expected finite points and at least 2 steps, got 1 and "):
        plot.decision_boundary(network(), *points(), steps=1)
    with pytest.raises(ValueError, match="expected finite points"):
        plot.decision_boundary(network(), [[0.0, float("nan")]])


def test_decision_boundary_of_whole_numbers():
    """The grid is between them."""
    ax = plot.decision_boundary(lambda x: x[:, 0] - 0.5, [[0, 0], [1, 1]], [[0.0], [1.0]], steps=4, margin=0.0)
    np.testing.assert_array_equal(ax.images[0].get_array(), [[0, 0, 1, 1]] * 4)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0", "1"]
