"""Against scikit-learn's MLPs: the same parameters, the same attributes, and with the same seed the same numbers."""

import inspect

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed, nnx.sklearn is made for it")

from sklearn import neural_network as theirs

from nnx import sklearn as ours
from tests.sklearn.nets import digits, numbers

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
BEYOND = {"dropout", "callbacks", "backend", "device", "dtype", "compile", "loss", "class_weight"}


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_parameters_and_defaults(name):
    mine, other = (inspect.signature(getattr(module, name).__init__).parameters for module in (ours, theirs))
    for parameter in other:
        assert mine[parameter].default == other[parameter].default, parameter
        assert mine[parameter].kind == other[parameter].kind, parameter
    assert set(mine) - set(other) <= BEYOND


CASES = {
    "adam": {},
    "batches that do not divide": {"batch_size": 37},
    "no shuffle, logistic": {"shuffle": False, "activation": "logistic"},
    "tanh, penalty, two layers": {"activation": "tanh", "alpha": 0.3, "hidden_layer_sizes": (12, 7)},
    "identity, no hidden layer": {"activation": "identity", "hidden_layer_sizes": ()},
    "epsilon, betas": {"epsilon": 1e-2, "beta_1": 0.5, "beta_2": 0.9},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2, "learning_rate_init": 0.05, "max_iter": 30},
    "converged": {"tol": 0.5, "n_iter_no_change": 1},
    "sgd": {"solver": "sgd"},
    "sgd, plain": {"solver": "sgd", "momentum": 0.0},
    "sgd, heavy ball": {"solver": "sgd", "nesterovs_momentum": False},
    "sgd, invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1, "power_t": 0.2},
    "sgd, adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 1},
}
SMALL = {"hidden_layer_sizes": (12,), "max_iter": 8, "random_state": 3}


def assert_same(mine, other):
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(mine, name), getattr(other, name), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-10)
    for name in ("loss_curve_", "validation_scores_", "best_loss_", "best_validation_score_", "loss_"):
        a, b = getattr(mine, name), getattr(other, name)
        assert (a is None) == (b is None), name
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-7, err_msg=name)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(mine, name) == getattr(other, name), name


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("classes", [10, 2])
def test_classifiers_train_alike(case, classes):
    x, y = digits()
    y = np.asarray([f"class {k}" for k in y % classes])
    mine, other = (m.MLPClassifier(**SMALL | CASES[case]).fit(x, y) for m in (ours, theirs))
    assert_same(mine, other)
    assert list(mine.classes_) == list(other.classes_)
    assert list(mine.predict(x)) == list(other.predict(x))
    np.testing.assert_allclose(mine.predict_proba(x), other.predict_proba(x), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(mine.predict_log_proba(x), other.predict_log_proba(x), rtol=1e-5, atol=1e-9)
    assert mine.score(x, y) == other.score(x, y)


@pytest.mark.parametrize("options", [{}, {"loss": "poisson"}, {"early_stopping": True}, {"solver": "sgd"}], ids=str)
@pytest.mark.parametrize("outputs", [1, 3])
def test_regressors_train_alike(options, outputs):
    x, y = numbers(outputs=outputs)
    y = np.abs(y) if "loss" in options else y
    mine, other = (m.MLPRegressor(**SMALL | options, learning_rate_init=0.01).fit(x, y) for m in (ours, theirs))
    assert_same(mine, other)
    np.testing.assert_allclose(mine.predict(x), other.predict(x), rtol=1e-7)
    assert mine.predict(x).shape == y.shape
    assert mine.score(x, y) == pytest.approx(other.score(x, y))


@pytest.mark.parametrize("estimator", ["MLPClassifier", "MLPRegressor"])
def test_weights_partial_fit_and_warm_start(estimator):
    x, y = digits()
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    mine, other = (getattr(m, estimator)(**SMALL) for m in (ours, theirs))
    first = {"classes": range(10)} if estimator == "MLPClassifier" else {}
    for k in range(3):
        for model in (mine, other):
            model.partial_fit(x[k * 90 : k * 90 + 90], y[k * 90 : k * 90 + 90], **first if k == 0 else {})
    assert_same(mine, other)
    for model in (mine, other):
        model.set_params(warm_start=True).fit(x, y, sample_weight=weight)
        model.fit(x, y, sample_weight=weight)
    assert_same(mine, other)


def test_multilabel():
    x, y = digits()
    y = np.stack([y % 2, y > 4, y % 3 == 0], axis=1).astype(int)
    mine, other = (m.MLPClassifier(**SMALL).fit(x, y) for m in (ours, theirs))
    assert_same(mine, other)
    assert (mine.predict(x) == other.predict(x)).all()
    assert mine.predict_proba(x).shape == (len(x), 3)


def test_sparse_samples_train_as_dense_ones():
    from scipy import sparse

    x, y = digits()
    x[x < 0.5] = 0.0
    dense, csr, csc = (
        ours.MLPClassifier(**SMALL).fit(form(x), y) for form in (np.asarray, sparse.csr_matrix, sparse.csc_array)
    )
    for other in (csr, csc):
        np.testing.assert_allclose(other.coefs_[0], dense.coefs_[0], rtol=1e-10)
    assert (csr.predict(sparse.csr_array(x)) == dense.predict(x)).all()
    assert ours.MLPClassifier(solver="lbfgs", max_iter=2).fit(sparse.csr_array(x), y).coefs_[0].shape == (64, 100)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_have_the_dtype_of_the_samples(dtype):
    x, y = digits(dtype=dtype)
    model = ours.MLPClassifier(**SMALL).fit(x, y)
    assert {str(w.dtype) for w in [*model.coefs_, *model.intercepts_]} == {dtype}
    assert str(model.predict_proba(x).dtype) == dtype
    assert str(ours.MLPClassifier(**SMALL, dtype="float32").fit(x, y).coefs_[0].dtype) == "float32"


@pytest.mark.parametrize(
    ("solver", "options"),
    [("adam", {"learning_rate_init": 5e-3}), ("sgd", {"learning_rate_init": 0.1}), ("lbfgs", {"alpha": 1e-2})],
)
def test_as_accurate_as_scikit_learn(solver, options):
    """On digits, half of them unseen: within a half of a percent, whatever the solver."""
    x, y = digits(1797)
    options |= {"solver": solver, "hidden_layer_sizes": (32,), "max_iter": 40, "random_state": 0, "tol": 1e-3}
    scores = [m.MLPClassifier(**options).fit(x[::2], y[::2]).score(x[1::2], y[1::2]) for m in (ours, theirs)]
    assert scores[1] > 0.93
    assert scores[0] > scores[1] - (0.005 if solver != "lbfgs" else 0.02)


def test_lbfgs_reaches_the_same_minimum():
    x, y = numbers()
    options = {"solver": "lbfgs", "hidden_layer_sizes": (), "random_state": 0, "alpha": 0.1, "tol": 1e-8}
    mine, other = (m.MLPRegressor(**options).fit(x, y) for m in (ours, theirs))
    assert mine.loss_ == pytest.approx(other.loss_, rel=1e-8)
    np.testing.assert_allclose(mine.coefs_[0], other.coefs_[0], rtol=1e-4)
    assert mine.n_iter_ < 50
    assert not hasattr(mine, "loss_curve_")
