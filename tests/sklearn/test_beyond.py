"""What scikit-learn's users asked for and did not get, and what its tools expect: pipelines, clones, pickles."""

import io
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed, nnx.sklearn is made for it")

from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nnx
from nnx import train
from nnx.sklearn import MLPClassifier, MLPRegressor
from tests.sklearn.nets import digits, numbers

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SMALL = {"hidden_layer_sizes": (12,), "max_iter": 8, "random_state": 3, "learning_rate_init": 0.01}


def test_dropout_is_random_in_training_alone():
    x, y = digits()
    plain, one, same = (MLPClassifier(**SMALL, dropout=p).fit(x, y) for p in (0.0, 0.5, 0.5))
    assert plain.loss_curve_[0] != one.loss_curve_[0]
    assert one.loss_curve_ == same.loss_curve_
    assert (one.predict_proba(x) == one.predict_proba(x)).all()
    for model, state in ((one, 1), (same, 2)):  # the same weights, other masks
        model.set_params(random_state=state, shuffle=False).partial_fit(x, y)
    assert one.loss_ != same.loss_


def rows_mse(output, y, reduction="mean"):
    each = nnx.namespace(output).mean((output - y) ** 2, axis=1)
    return each if reduction == "none" else nnx.namespace(each).mean(each)


@pytest.mark.parametrize("loss", ["mse_loss", nnx.MSELoss(), nnx.MSELoss, nnx.losses.mse_loss, rows_mse])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_loss_of_ones_own(loss, weighted):
    """The mean square is twice scikit-learn's loss: with half of the step, SGD without momentum does the same."""
    x, y = numbers()
    weight = np.linspace(0.5, 2.0, len(y)) if weighted else None
    options = {**SMALL, "solver": "sgd", "momentum": 0.0, "alpha": 0.0}
    usual = MLPRegressor(**options).fit(x, y, weight)
    mine = MLPRegressor(**options | {"learning_rate_init": 0.005}, loss=loss).fit(x, y, weight)
    np.testing.assert_allclose(np.asarray(mine.loss_curve_), 2.0 * np.asarray(usual.loss_curve_), rtol=1e-9)
    np.testing.assert_allclose(mine.coefs_[0], usual.coefs_[0], rtol=1e-8)


def test_a_loss_of_classes_gets_logits_and_labels():
    x, y = digits()
    seen = []

    def loss(logits, labels):
        seen.append((logits.shape, labels.shape, str(labels.dtype)))
        return nnx.losses.cross_entropy(logits, labels, label_smoothing=0.1)

    two = MLPClassifier(**SMALL, loss=loss).fit(x, y > 4)
    assert set(seen[:2]) == {((200, 2), (200,), "int64")}
    assert two.out_activation_ == "softmax"
    assert two.n_outputs_ == 2
    assert two.predict_proba(x).shape == (len(x), 2)
    assert two.score(x, y > 4) > 0.6
    margin = MLPClassifier(**SMALL | {"max_iter": 60}, loss=nnx.MultiMarginLoss(), solver="lbfgs").fit(x, y)
    assert margin.score(x, y) > 0.95
    with pytest.raises(TypeError, match=r"one loss a sample: loss has no argument reduction"):
        MLPClassifier(**SMALL, loss=loss, class_weight="balanced").fit(x, y)


def test_one_class():
    x, _ = digits(60)
    for loss in ("log_loss", "cross_entropy"):
        model = MLPClassifier(**SMALL, loss=loss).fit(x, np.full(60, "it"))
        assert set(model.predict(x)) == {"it"}


def test_class_weights_are_sample_weights():
    x, y = digits()
    weighted = MLPClassifier(**SMALL, class_weight={3: 5.0}).fit(x, y)
    same = MLPClassifier(**SMALL).fit(x, y, np.where(y == 3, 5.0, 1.0))
    np.testing.assert_array_equal(weighted.coefs_[0], same.coefs_[0])
    assert (weighted.predict(x) == 3).sum() > (MLPClassifier(**SMALL).fit(x, y).predict(x) == 3).sum()
    balanced = MLPClassifier(**SMALL, class_weight="balanced").fit(x, np.minimum(y, 1))
    both = MLPClassifier(**SMALL, class_weight="balanced").fit(x, np.minimum(y, 1), np.ones(len(y)))
    np.testing.assert_array_equal(balanced.coefs_[0], both.coefs_[0])


def test_a_batch_need_not_hold_every_class_that_has_a_weight():
    x, y = digits()
    some, options = y < 5, {**SMALL, "shuffle": False}
    weighted = MLPClassifier(**options, class_weight={3: 5.0, 7: 2.0}).partial_fit(x[some], y[some], classes=range(10))
    same = MLPClassifier(**options).partial_fit(x[some], y[some], np.where(y[some] == 3, 5.0, 1.0), classes=range(10))
    np.testing.assert_array_equal(weighted.coefs_[0], same.coefs_[0])
    with pytest.raises(ValueError, match=r"class_weight holds \['3'\], which are not among the classes, \[0, 1"):
        MLPClassifier(**SMALL, class_weight={"3": 5.0}).fit(x, y)


def test_a_sample_of_weight_0_is_not_there():
    x, y = digits()
    left_out = MLPClassifier(**SMALL).fit(x, y, (y != 9).astype(float))
    assert 9 in left_out.classes_
    assert 9 not in left_out.predict(x)
    weight = np.where(np.arange(len(y)) < 60, 0.0, 2.0)  # whole batches of it
    options = SMALL | {"batch_size": 20, "shuffle": False}
    same = MLPClassifier(**options).fit(x[60:], y[60:], weight[60:])
    np.testing.assert_array_equal(MLPClassifier(**options).fit(x, y, weight).coefs_[0], same.coefs_[0])
    with pytest.raises(ValueError, match=r"all samples have weight 0"):
        MLPClassifier(**SMALL, class_weight={1: 0.0, 2: 0.0}).fit(x[:9], y[:9] % 2 + 1)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_validation_curves(dropout):
    x, y = digits()
    model = MLPClassifier(**SMALL, alpha=0.0, dropout=dropout).fit(x[:200], y[:200], X_val=x[200:], y_val=y[200:])
    plain = MLPClassifier(**SMALL, alpha=0.0, dropout=dropout).fit(x[:200], y[:200])
    assert plain.validation_loss_curve_ is None
    np.testing.assert_array_equal(model.coefs_[0], plain.coefs_[0])
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_
    p = model.predict_proba(x[200:])[np.arange(200), y[200:]]
    assert model.validation_loss_curve_[-1] == pytest.approx(-np.log(p).mean())
    assert model.validation_scores_[-1] == model.score(x[200:], y[200:])


def test_early_stopping_keeps_the_best_weights():
    x, y = digits()
    options = SMALL | {"max_iter": 200, "early_stopping": True, "n_iter_no_change": 3, "learning_rate_init": 0.1}
    model = MLPClassifier(**options).fit(x[:200], y[:200], X_val=x[200:], y_val=y[200:])
    assert model.n_iter_ < 200
    assert model.score(x[200:], y[200:]) == max(model.validation_scores_) == model.best_validation_score_
    assert model.validation_scores_[-1] < model.best_validation_score_


def test_callbacks():
    x, y = digits()
    seen, norms, shown = [], train.GradientStats(), io.StringIO()

    def watch(estimator, record):
        seen.append((record["epoch"], record["loss"], record["val_loss"], estimator.score(x, y)))
        return record["epoch"] == 4

    callbacks = [norms, train.Progress(8, live=False, file=shown), watch]
    model = MLPClassifier(**SMALL, callbacks=callbacks, early_stopping=True).fit(x, y)
    assert [epoch for epoch, *_ in seen] == [1, 2, 3, 4]
    assert [loss for _, loss, *_ in seen] == model.loss_curve_
    assert [loss for _, _, loss, _ in seen] == model.validation_loss_curve_
    assert len({score for *_, score in seen}) > 1, "the estimator is fitted so far"
    assert len(norms.norms) == 4
    assert shown.getvalue().count("epoch") == 4
    stopping = train.EarlyStopping("loss", patience=1, min_delta=10.0)
    assert MLPClassifier(**SMALL, callbacks=[stopping]).fit(x, y).n_iter_ == 2
    with pytest.raises(TypeError, match=r"callbacks are those of nnx.train or functions .*got str"):
        MLPClassifier(**SMALL, callbacks=["early"]).fit(x, y)


@pytest.mark.parametrize("compile", [None, True])
def test_callbacks_that_look_into_a_step(compile):
    """As in a Trainer: δ by layer, dead units, the operation of the first NaN; and the estimator still pickles."""
    x, y = digits()
    deltas, dead, profile = train.GradientStats(), train.ActivationStats(), train.Profiler(file=None)
    callbacks = [deltas, dead, train.TerminateOnNaN(), profile]
    model = MLPClassifier(**SMALL, callbacks=callbacks, compile=compile).fit(x, y)
    plain = MLPClassifier(**SMALL).fit(x, y)
    assert clone(MLPClassifier(callbacks=[train.Progress(5)])).callbacks[0].total == 5
    assert all((a == b).all() for a, b in zip(model.coefs_, plain.coefs_, strict=True)), "to look changes nothing"
    assert {path for epoch in deltas.deltas for path in epoch} == {"layers.0", "layers.1"}
    assert {path for epoch in dead.shares for path in epoch} == {"activations.0"}
    assert profile.seconds["forward+backward"] > 0.0 < profile.seconds["update"]
    assert (pickle.loads(pickle.dumps(model)).predict(x) == model.predict(x)).all()
    broken = MLPClassifier(
        **SMALL, callbacks=[train.TerminateOnNaN()], loss=lambda z, y: nnx.losses.mse_loss(z / 0.0, z)
    )
    with np.errstate(all="ignore"), pytest.raises(train.Diverged, match="made the first NaN"):
        broken.fit(x, y)
    with pytest.raises(TypeError, match="LearningRateFinder walks through a loader"):
        MLPClassifier(**SMALL, callbacks=[train.LearningRateFinder()]).fit(x, y)


def test_pipeline_search_and_clone():
    x, y = digits()
    grid = {"mlpclassifier__dropout": [0.0, 0.1], "mlpclassifier__hidden_layer_sizes": [(8,), (8, 8)]}
    search = GridSearchCV(make_pipeline(StandardScaler(), MLPClassifier(**SMALL)), grid, cv=2).fit(x, y)
    assert search.best_score_ > 0.3
    assert clone(search.best_estimator_[-1]).get_params() == search.best_estimator_[-1].get_params()
    assert cross_val_score(MLPRegressor(**SMALL), *numbers(), cv=3).shape == (3,)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_pickles_and_goes_on_training(solver):
    x, y = digits()
    model = MLPClassifier(**SMALL, solver=solver).fit(x, y)
    other = pickle.loads(pickle.dumps(model))
    assert (other.predict_proba(x) == model.predict_proba(x)).all()
    for m in (model, other):
        m.partial_fit(x, y).partial_fit(x, y)
    np.testing.assert_array_equal(model.coefs_[0], other.coefs_[0])


@pytest.mark.parametrize("before", [{"solver": "lbfgs"}, {"early_stopping": True}])
def test_a_warm_start_may_change_how_it_is_trained(before):
    x, y = digits()
    model = MLPClassifier(**SMALL | before, warm_start=True).fit(x, y)
    known = len(getattr(model, "loss_curve_", []))
    model.set_params(solver="adam", early_stopping=False).fit(x, y)
    assert len(model.loss_curve_) == known + SMALL["max_iter"]
    assert model.best_loss_ == min(model.loss_curve_[known:])


def test_weights_may_be_assigned():
    x, y = digits()
    model, other = (MLPClassifier(**SMALL | {"random_state": seed}).fit(x, y) for seed in (1, 2))
    model.coefs_, model.intercepts_ = other.coefs_, other.intercepts_
    assert (model.predict_proba(x) == other.predict_proba(x)).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"alpha": -1.0}, "The 'alpha' parameter of MLPClassifier must be a float in the range .0, inf.. Got -1.0"),
        ({"solver": "adamw"}, "The 'solver' parameter of MLPClassifier must be a str among"),
        ({"dropout": 1.0}, "The 'dropout' parameter"),
        ({"batch_size": 0}, "The 'batch_size' parameter"),
        ({"shuffle": 1}, "The 'shuffle' parameter of MLPClassifier must be a bool. Got 1"),
        ({"hidden_layer_sizes": (3, 0)}, "hidden_layer_sizes must be > 0, got .3, 0."),
        ({"loss": "cross_entropie"}, "loss 'cross_entropie' is not known"),
        ({"dtype": "int8"}, "backend 'numpy' has no floating dtype 'int8' here: float32, float64"),
    ],
)
def test_bad_parameters(options, words):
    with pytest.raises(ValueError, match=words):
        MLPClassifier(**options).fit(*digits(50))


def test_bad_use():
    x, y = digits(50)
    with pytest.raises(AttributeError, match=r"partial_fit"):
        MLPClassifier(solver="lbfgs").partial_fit(x, y)
    with pytest.raises(ValueError, match=r"partial_fit does not support early_stopping"):
        MLPClassifier(early_stopping=True).partial_fit(x, y, classes=range(10))
    with pytest.raises(ValueError, match=r"classes must be passed on the first call to partial_fit"):
        MLPClassifier().partial_fit(x, y)
    with pytest.raises(ValueError, match=r"`y` has classes not in.*\[10\]"):  # which would be another's score
        MLPClassifier(**SMALL).fit(x, y, X_val=x[:9], y_val=np.full(9, 10))
    with pytest.raises(ValueError, match=r"y_val and sample_weight_val belong to X_val, which is missing"):
        MLPClassifier(**SMALL).fit(x, y, y_val=y)
    for options, given in (({"callbacks": [print]}, {}), ({}, {"X_val": x, "y_val": y})):
        with pytest.raises(ValueError, match=r"solver='lbfgs' has no epochs: callbacks and X_val need solver='adam'"):
            MLPClassifier(solver="lbfgs", **options).fit(x, y, **given)
    with pytest.raises(TypeError, match=r"callbacks must be a list, got one GradientStats: callbacks=.callback."):
        MLPClassifier(**SMALL, callbacks=train.GradientStats()).fit(x, y)
    with pytest.raises(ValueError, match=r"`y` has classes not in"):
        MLPClassifier(**SMALL).partial_fit(x, y, classes=range(10)).partial_fit(x, y + 5)
    with pytest.raises(ValueError, match=r"non-finite parameter weights"), np.errstate(all="ignore"):
        MLPRegressor(activation="identity", solver="sgd", learning_rate_init=1e4).fit(x * 1e6, y)
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations .2. reached"):
        MLPClassifier(max_iter=2).fit(x, y)
    with pytest.warns(ConvergenceWarning, match=r"lbfgs failed to converge after 3 iteration"):
        MLPClassifier(max_iter=3, solver="lbfgs").fit(x, y)


def test_it_says_what_it_does_when_asked(capsys):
    MLPClassifier(**SMALL, verbose=True, tol=10.0, n_iter_no_change=1).fit(*digits(50))
    text = capsys.readouterr().out
    assert "Iteration 1, loss = " in text
    assert "Training loss did not improve more than tol=10.000000 for 1 consecutive epochs. Stopping." in text
