"""Any Module as an estimator, by skorch's names."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed, nnx.sklearn is made for it")

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import nnx
from nnx import train
from nnx.sklearn import NeuralNetClassifier, NeuralNetRegressor
from tests.sklearn.nets import Net, digits, net, numbers

QUICK = {"optimizer": "Adam", "lr": 0.01, "max_epochs": 3, "batch_size": 32, "verbose": False, "random_state": 0}


def test_a_class_a_function_or_an_instance():
    x, y = digits()
    nnx.seed(5)
    of_class = NeuralNetClassifier(Net, module__width=8, **QUICK).fit(x, y)
    of_function = NeuralNetClassifier(net, module__width=8, **QUICK).fit(x, y)
    assert of_class.history["loss"] == of_function.history["loss"]
    assert of_class.module_.layers[0].out_features == 8
    instance = net(64, 10)
    before = instance.state_dict()
    trained = NeuralNetClassifier(instance, **QUICK).fit(x, y)
    assert all((instance.state_dict()[path] == w).all() for path, w in before.items()), "a copy is trained"
    assert trained.history["loss"][-1] < trained.history["loss"][0]
    with pytest.raises(TypeError, match=r"module must make an nnx.Module, got int"):
        NeuralNetClassifier(lambda n_outputs: n_outputs, **QUICK).fit(x, y)


def test_history_and_validation():
    x, y = digits()
    net_ = NeuralNetClassifier(Net, **QUICK, train_split=0.25).fit(x, y)
    assert len(net_.history) == 3
    assert {"epoch", "loss", "val_loss", "val_acc", "lr", "seconds"} <= set(net_.history.records[0])
    assert net_.history.records[-1]["step"] == 3 * 10, "300 samples in batches of 32"
    assert "val_loss" not in NeuralNetClassifier(Net, **QUICK, train_split=None).fit(x, y).history.records[0]


def test_parameters_of_the_parts():
    model = NeuralNetClassifier(Net, module__width=4, optimizer__weight_decay=0.1, **QUICK)
    assert model.get_params()["module__width"] == 4
    assert clone(model).get_params() == model.get_params()
    model.set_params(module__width=5, optimizer__betas=(0.5, 0.9), lr=0.5)
    assert model.fit(*digits(100)).module_.layers[0].out_features == 5
    made = model._optimizer()
    assert (made.lr, made.betas, made.weight_decay) == (0.5, (0.5, 0.9), 0.1)
    with pytest.raises(ValueError, match=r"Invalid parameter 'widht' for estimator NeuralNetClassifier"):
        model.set_params(widht=3)
    with pytest.raises(TypeError, match=r"no parameter 'widht'; those of its parts begin with module__"):
        NeuralNetClassifier(Net, widht=3)
    with pytest.raises(ValueError, match=r"optimizer 'Adm' is not known"):
        NeuralNetClassifier(Net, **QUICK | {"optimizer": "Adm"}).fit(*digits(100))
    grid = GridSearchCV(NeuralNetClassifier(Net, **QUICK), {"module__width": [2, 24], "lr": [0.02]}, cv=2)
    assert grid.fit(*digits(200)).best_params_["module__width"] == 24


@pytest.mark.parametrize(
    ("criterion", "options"),
    [
        ("cross_entropy", {"criterion__label_smoothing": 0.1}),
        (nnx.CrossEntropyLoss, {"criterion__label_smoothing": 0.1}),
        (nnx.CrossEntropyLoss(label_smoothing=0.1), {}),
        (lambda z, y, reduction="mean": nnx.losses.cross_entropy(z, y, None, None, reduction, 0.1), {}),
    ],
)
@pytest.mark.parametrize("weight", [None, "balanced"])
def test_criteria(criterion, options, weight):
    x, y = digits(200)
    y = np.minimum(y, 3)
    model = NeuralNetClassifier(Net, criterion, **QUICK, **options, class_weight=weight).fit(x, y)
    same = NeuralNetClassifier(Net, criterion__label_smoothing=0.1, **QUICK, class_weight=weight).fit(x, y)
    plain = NeuralNetClassifier(Net, **QUICK).fit(x, y)
    assert model.history["loss"] == pytest.approx(same.history["loss"], rel=1e-6)
    assert model.history["loss"][0] != pytest.approx(plain.history["loss"][0], rel=1e-3)


def test_images_and_tokens():
    x, y = digits(100)
    images = nnx.Sequential(nnx.Conv2d(1, 4, 3), nnx.ReLU(), nnx.Flatten(), nnx.Linear(4 * 36, 10))
    model = NeuralNetClassifier(images, **QUICK).fit(x.reshape(-1, 1, 8, 8), y)
    assert model.predict_proba(x.reshape(-1, 1, 8, 8)).shape == (100, 10)
    tokens = (x * 15).astype("int64")
    words = nnx.Sequential(nnx.Embedding(16, 4), nnx.Flatten(), nnx.Linear(256, 10))
    model = NeuralNetClassifier(words, **QUICK, dtype=None).fit(tokens, y)
    assert model.history["loss"][-1] < model.history["loss"][0]


def test_callbacks_warm_start_and_partial_fit(capsys):
    x, y = digits()
    stopping = train.EarlyStopping("val_acc", patience=1, min_delta=1.0, mode="max")
    assert len(NeuralNetClassifier(Net, **QUICK, callbacks=[stopping]).fit(x, y).history) == 2
    seen = []
    model = NeuralNetClassifier(
        Net, **QUICK | {"verbose": True}, callbacks=[lambda e, record: seen.append(e.score(x, y))]
    )
    model.fit(x, y)
    assert len(seen) == 3
    assert capsys.readouterr().out.count("val_acc") == 3
    model.partial_fit(x, y)
    assert model.history["epoch"] == [1, 2, 3, 4, 5, 6]
    assert model.history["loss"][3] < model.history["loss"][0]
    assert len(model.fit(x, y).history) == 3
    assert len(model.set_params(warm_start=True).fit(x, y).history) == 6
    with pytest.raises(ValueError, match=r"y has classes .99., which are not among"):
        model.partial_fit(x[:1], [99])


class Looking(train.Callback):
    """Notes the validation labels and counts the batches."""

    def __init__(self):
        self.labels, self.batches = None, 0

    def on_train_begin(self, trainer):
        self.labels = nnx.to_numpy(trainer.validation[1])

    def on_batch_end(self, trainer, loss):
        self.batches += 1
        assert trainer.step == self.batches


def test_the_split_keeps_the_shares_of_the_classes():
    look = Looking()
    NeuralNetClassifier(Net, **QUICK, callbacks=[look], train_split=0.2).fit(digits(200)[0], [0] * 180 + [1] * 20)
    assert sorted(look.labels.tolist()) == [0] * 36 + [1] * 4
    assert look.batches == 3 * 5


def test_regressor():
    x, y = numbers(200)
    model = NeuralNetRegressor(Net, **QUICK | {"max_epochs": 60, "lr": 0.02}).fit(x, y)
    assert model.predict(x).shape == (200,)
    assert model.score(x, y) > 0.8
    assert "val_r2" in model.history.records[0]
    x, y = numbers(200, outputs=2)
    model = NeuralNetRegressor(Net, "huber_loss", criterion__delta=0.5, **QUICK).fit(x, y, np.linspace(0, 1, 200))
    assert model.predict(x).shape == (200, 2)
    assert NeuralNetRegressor(Net, **QUICK).partial_fit(x, y).partial_fit(x, y).history["epoch"] == [1, 2, 3, 4, 5, 6]


def test_probabilities_and_pickles():
    x, y = digits()
    model = NeuralNetClassifier(Net, **QUICK).fit(x, y)
    np.testing.assert_allclose(model.predict_proba(x).sum(axis=1), 1.0, rtol=1e-5)
    logits = model.set_params(predict_nonlinearity=None).predict_proba(x)
    own = model.set_params(predict_nonlinearity=lambda z: z * 2.0).predict_proba(x)
    np.testing.assert_allclose(own, 2.0 * logits)
    other = pickle.loads(pickle.dumps(model.set_params(predict_nonlinearity="auto")))
    assert (other.predict(x) == model.predict(x)).all()
    for m in (model, other):
        m.partial_fit(x, y)
    assert other.history["loss"] == model.history["loss"]


def test_a_module_that_returns_a_number_a_sample():
    x, y = numbers()
    options = {"train_split": 0.2, "verbose": False, "random_state": 0, "max_epochs": 3}
    flat = NeuralNetRegressor(lambda: nnx.Sequential(nnx.Linear(3, 1), nnx.Flatten(0)), **options).fit(x, y)
    column = NeuralNetRegressor(lambda: nnx.Linear(3, 1), **options).fit(x, y)
    assert flat.history["val_loss"] == column.history["val_loss"]
    np.testing.assert_array_equal(flat.predict(x), column.predict(x))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": "auto"}, r"'batch_size' parameter of NeuralNetClassifier must be an int"),
        (
            {"train_split": 1.0},
            r"'train_split' parameter of NeuralNetClassifier must be a float in the range .0, 1.",
        ),
        ({"optimizer": nnx.optim.Adam()}, r"optimizer must be a name or a class, got .*optimizer=nnx.optim.Adam, lr="),
        ({"module": 3}, r"module must be a Module, its class or a function, got int"),
    ],
)
def test_bad_parameters(options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        NeuralNetClassifier(**{"module": Net} | options).fit(*digits(50))
