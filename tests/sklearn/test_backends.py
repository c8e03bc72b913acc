"""Arrays in, arrays of the same library out, on whatever device they are; trained there, to the same numbers."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed, nnx.sklearn is made for it")

import nnx
from nnx.sklearn import MLPClassifier, MLPRegressor, NeuralNetClassifier
from tests.sklearn.nets import Net, digits, numbers
from tests.support import assert_close

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 3, "batch_size": 50, "learning_rate_init": 0.01}


def same_place(x, like):
    assert type(x) is type(like)
    assert x.device == like.device


@pytest.mark.parametrize(
    "options",
    [{"dropout": 0.2, "class_weight": "balanced"}, {"solver": "lbfgs", "hidden_layer_sizes": (), "max_iter": 2}],
    ids=["adam", "lbfgs"],
)
def test_classifier(backend, options):
    x, y = digits(100, "float32")  # two batches of one shape: JAX compiles each shape anew
    host = MLPClassifier(**SMALL | options, backend="numpy").fit(x, y)
    on_device = nnx.asarray(x)
    model = MLPClassifier(**SMALL | options).fit(on_device, nnx.asarray(y))
    loose = 1e-4 if options.get("solver") != "lbfgs" else 1e-2
    for a, b in zip([*model.coefs_, *model.intercepts_], [*host.coefs_, *host.intercepts_], strict=True):
        assert type(a) is np.ndarray
        np.testing.assert_allclose(a, b, rtol=loose, atol=loose)
    p = model.predict_proba(on_device)
    same_place(p, on_device)
    same_place(model.predict(on_device), on_device)
    assert_close(p, host.predict_proba(x), rtol=loose, atol=loose)
    assert model.score(on_device, nnx.asarray(y)) == pytest.approx(host.score(x, y), abs=0.02)
    again = pickle.loads(pickle.dumps(model))
    assert type(again.predict(x)) is np.ndarray
    assert_close(again.predict_proba(on_device), nnx.to_numpy(p))


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_samples_of_16_bits_train_in_32(backend, name):
    if getattr(backend.xp, name, None) is None:
        pytest.skip(f"{backend.name} has no {name}")
    x, y = digits(50, "float32")  # of 17 values, which 16 bits hold
    model = MLPClassifier(**SMALL).fit(nnx.asarray(x, name), y)
    same = MLPClassifier(**SMALL).fit(nnx.asarray(x), y)
    if backend.name != "numpy":  # as scikit-learn, which makes float64 of them
        np.testing.assert_array_equal(model.coefs_[0], same.coefs_[0])
    assert str(model.predict_proba(nnx.asarray(x, name)).dtype).endswith(("float32", "float64"))


def test_regressor_and_partial_fit(backend):
    x, y = (a.astype("float32") for a in numbers(50, outputs=2))
    host, model = MLPRegressor(**SMALL, backend="numpy"), MLPRegressor(**SMALL)
    for _ in range(2):
        host.partial_fit(x, y)
        model.partial_fit(nnx.asarray(x), nnx.asarray(y))
    found = model.predict(nnx.asarray(x))
    same_place(found, nnx.asarray(x))
    assert_close(found, host.predict(x), rtol=1e-4, atol=1e-5)
    assert model.score(nnx.asarray(x), nnx.asarray(y)) == pytest.approx(host.score(x, y), abs=1e-4)


def test_any_module(backend):
    x, y = digits(120, "float32")
    options = {"max_epochs": 3, "optimizer": "Adam", "lr": 0.01, "batch_size": 48, "verbose": False, "random_state": 0}
    host = NeuralNetClassifier(Net, **options, backend="numpy").fit(x, y)
    model = NeuralNetClassifier(Net, **options).fit(nnx.asarray(x), nnx.asarray(y))
    np.testing.assert_allclose(model.history["val_loss"], host.history["val_loss"], rtol=1e-4)
    p = model.predict_proba(nnx.asarray(x))
    same_place(p, nnx.asarray(x))
    assert_close(p, host.predict_proba(x), rtol=1e-3, atol=1e-5)
    assert {type(w) for w in model.module_.parameters()} == {np.ndarray}
    assert (pickle.loads(pickle.dumps(model)).predict(x) == host.predict(x)).mean() > 0.98


def test_what_is_wrong_with_an_array_is_said(backend):
    x, y = digits(20, "float32")
    model = MLPClassifier(**SMALL | {"batch_size": 20}).fit(nnx.asarray(x), np.asarray(list("abcdefghij"))[y])
    assert set(model.predict(nnx.asarray(x))) <= set("abcdefghij"), "names, which NumPy alone can hold"
    with pytest.raises(ValueError, match=r"10 features.*64 features"):
        model.predict(nnx.asarray(x[:, :10].copy()))
    with pytest.raises(ValueError, match=r"[Ee]xpected 2D array"):
        model.predict(nnx.asarray(x[0]))
    with pytest.raises(ValueError, match=r"contains NaN"):
        model.predict(nnx.asarray(np.where(x == x[0, 0], np.float32(np.nan), x)))
    with pytest.raises(ValueError, match=r"minimum of 1 is required|at least 1 sample"):
        model.predict(nnx.asarray(x[:0]))
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples"):
        model.fit(nnx.asarray(x), y[:10])


def test_the_parameters_say_where_to_compute(backend):
    x, y = digits(50, "float32")
    seen = []

    def loss(z, labels):
        seen.append(nnx.backend.backend_of(z).name)
        return nnx.losses.cross_entropy(z, labels)

    device = nnx.backend.backend_of(nnx.asarray(x)).device_name(backend.device)
    with nnx.use_backend("numpy"):
        model = MLPClassifier(**SMALL, loss=loss, backend=backend.name, device=device).fit(x, y)
        assert type(model.predict(x)) is np.ndarray
    assert set(seen) == {backend.name}
