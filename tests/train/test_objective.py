"""What is minimised: several losses with weights and names, and samples and classes that count more than others."""

import numpy as np
import pytest

import nnx
from nnx.data import ArrayDataset, DataLoader
from nnx.train import Term, Trainer, Weighted
from tests.train.networks import Stop, model, modes, points, weights

CE = nnx.losses.cross_entropy


def squares(model, batch):
    return sum(nnx.namespace(x).sum(x * x) for x in model.parameters())


class ByName(nnx.Module):
    def __init__(self, inner):
        self.inner = inner

    def __call__(self, *, input):
        return self.inner(input)


def made(loss=CE, **options):
    nnx.seed(7)
    return Trainer(model(dropout=0.0), nnx.optim.SGD(0.1), loss, **options)


def same(a, b, rtol=1e-5):
    for path, x in a.model.state_dict().items():
        np.testing.assert_allclose(
            nnx.to_numpy(x), nnx.to_numpy(b.model.state_dict()[path]), rtol=rtol, atol=1e-6, err_msg=path
        )


def test_several_losses_are_one_sum_and_each_is_recorded(backend):
    x, y = points(20)
    several = made({"data": CE, "size": Term(squares, weight=0.01, of="model")})
    single = made(lambda output, target: CE(output, target) + 0.01 * squares(single.model, None))
    history = several.fit(x, y, validation=(x, y), epochs=2, batch_size=20)
    single.fit(x, y, epochs=2, batch_size=20)
    same(several, single)
    for record in history:
        assert record["loss"] == pytest.approx(record["data"] + 0.01 * record["size"], rel=1e-5)
        assert record["val_loss"] == pytest.approx(record["val_data"] + 0.01 * record["val_size"], rel=1e-5)
    assert record["val_size"] == pytest.approx(float(squares(several.model, None)), rel=1e-5)


def test_a_loss_of_model_and_batch_needs_no_target(backend):
    """An autoencoder on batches of inputs alone, of whatever form."""
    x = points(20)[0].astype("float32")
    seen = []

    def loss(model, batch):
        (x,) = batch if isinstance(batch, tuple) else (batch,)
        seen.append(type(batch))
        return nnx.losses.mse_loss(model(x), x)

    nnx.seed(0)
    t = Trainer(nnx.Linear(2, 2), nnx.optim.SGD(0.1), Term(loss, of="model"))
    history = t.fit(DataLoader(ArrayDataset(x), 10), validation=[nnx.asarray(x)], epochs=3)
    assert history["val_loss"][-1] < history["val_loss"][0]
    assert seen[0] is tuple
    x = nnx.asarray(x)
    assert history["val_loss"][-1] == pytest.approx(float(nnx.losses.mse_loss(t.model(x), x)), rel=1e-5)


def test_terms_and_compiled_on_each_backend(backend):
    x, y = points(20)
    weight = np.linspace(0.0, 2.0, 20).astype("float32")
    found = []
    for compile in modes(backend):
        t = made({"data": CE, "size": Term(squares, 0.01, of="model")}, compile=compile)
        found.append(t.fit(x, y, epochs=2, batch_size=7, sample_weight=weight, class_weight={1: 3.0})["loss"])
    np.testing.assert_allclose(found[-1], found[0], rtol=1e-4)


def by_hand(weight, steps=3):
    """Gradient descent on Σ wᵢ lᵢ / n, all samples in one batch."""
    x, y = points(20)
    t = made()
    x, y, weight = nnx.asarray(x, "float32"), nnx.asarray(y), nnx.asarray(weight, "float32")
    loss_of = nnx.value_and_grad(
        lambda model, x, y, w: nnx.namespace(w).sum(w * CE(model(x), y, reduction="none")) / 20.0
    )
    for _ in range(steps):
        loss, grads = loss_of(t.model, x, y, weight)
        t.optimizer.update(t.model, grads)
    return t, float(loss)


@pytest.mark.parametrize("form", ["array", "loader", "dict"])
@pytest.mark.parametrize("loss", [CE, nnx.CrossEntropyLoss()], ids=["function", "module"])
def test_sample_weights(backend, form, loss):
    x, y = points(20)
    w = np.linspace(0.0, 2.0, 20).astype("float32")
    t = made(loss)
    if form == "array":
        t.fit(x, y, sample_weight=w, epochs=3, batch_size=20)
    else:
        batch = nnx.asarray(x, "float32"), nnx.asarray(y), nnx.asarray(w)
        if form == "dict":
            batch = dict(zip(("input", "y", "sample_weight"), batch, strict=True))
            t = Trainer(ByName(t.model), t.optimizer, loss)
        t.fit([batch if form == "dict" else Weighted(*batch)], epochs=3)
    expected, last = by_hand(w)
    t.model = getattr(t.model, "inner", t.model)
    same(t, expected)
    assert t.history["loss"][-1] == pytest.approx(last, rel=1e-4)


def test_a_sample_of_weight_2_is_two_samples():
    x, y = points(20)
    once, twice = made(), made()
    once.fit(x, y, sample_weight=np.where(np.arange(20) < 4, 2.0, 1.0) * 20 / 24, batch_size=20)
    twice.fit(np.concatenate([x, x[:4]]), np.concatenate([y, y[:4]]), batch_size=24)
    same(once, twice)


def test_what_a_sample_adds_does_not_depend_on_its_batch():
    x, y = points(20)
    w = np.linspace(0.0, 2.0, 20)
    t = made()
    found = [t.evaluate(x, y, batch_size=k, sample_weight=w)["loss"] for k in (1, 7, 20)]
    assert found == pytest.approx([found[0]] * 3, rel=1e-5)
    assert t.evaluate((x, y, w))["loss"] == pytest.approx(found[0], rel=1e-5)
    assert found[0] != pytest.approx(t.evaluate(x, y)["loss"], rel=1e-3)


@pytest.mark.parametrize("given", [{0: 3.0}, {0: 0.5, 1: 2.0, 2: 1.0}, "balanced"])
def test_class_weights(backend, given):
    x, y = points(20)
    y = np.where(np.arange(20) < 12, 0, y)
    counts = np.bincount(y)
    table = 20 / (3 * counts) if given == "balanced" else [given.get(k, 1.0) for k in range(3)]
    a, b = made(), made()
    a.fit(x, y, class_weight=given, epochs=2, batch_size=20)
    b.fit(x, y, sample_weight=np.asarray(table)[y], epochs=2, batch_size=20)
    same(a, b)
    c = made()
    c.fit(x, y, epochs=2, batch_size=20)
    assert weights(a) != weights(c)


def test_class_and_sample_weights_multiply():
    x, y = points(20)
    w = np.linspace(0.5, 2.0, 20)
    a, b = made(), made()
    a.fit(x, y, sample_weight=w, class_weight={1: 3.0}, batch_size=20)
    b.fit(x, y, sample_weight=w * np.where(y == 1, 3.0, 1.0), batch_size=20)
    same(a, b)


def test_weighted_losses_of_images_are_averaged_over_pixels(backend):
    """(n, 2, 2) losses and (n,) weights."""
    nnx.seed(0)
    t = Trainer(nnx.Conv2d(1, 3, 1), nnx.optim.SGD(0.1), CE)
    x, y = np.random.default_rng(0).normal(size=(4, 1, 2, 2)), np.arange(16).reshape(4, 2, 2) % 3
    w = np.asarray([0.0, 1.0, 2.0, 3.0])
    each = nnx.to_numpy(CE(t.model(nnx.asarray(x, "float32")), nnx.asarray(y), reduction="none"))
    assert t.evaluate((x, y, w))["loss"] == pytest.approx((each.mean(axis=(1, 2)) * w).mean(), rel=1e-5)


X, Y = points(9)
W = np.ones(9)
WRONG = {
    "weights of another length": (
        lambda: made().fit(X, Y, sample_weight=W[:5]), ValueError, r"of shape \(9,\).*got \(5,\)",
    ),
    "weights with a loader": (
        lambda: made().fit([(X, Y)], sample_weight=W), TypeError, r"goes with arrays x and y, got a loader \(list\)",
    ),
    "a loss without reduction": (
        lambda: made(lambda output, target: CE(output, target)).fit(X, Y, sample_weight=W),
        TypeError, r"need one loss a sample, and <lambda> takes no reduction='none'",
    ),
    "balanced with a loader": (
        lambda: made().fit([(X, Y)], class_weight="balanced"), ValueError, r"counts the labels of y, got a loader",
    ),
    "another word": (lambda: made().fit(X, Y, class_weight="equal"), ValueError, "dict or 'balanced', got 'equal'"),
    "a list of class weights": (
        lambda: made().fit(X, Y, class_weight=[1.0]), TypeError, "must be a dict or .*got list",
    ),
    "a class that is not there": (
        lambda: made().fit(X, Y, class_weight={7: 1.0}), ValueError, r"names \[7\], y holds \[0, 1, 2\]",
    ),
    "a negative class weight": (
        lambda: made().fit(X, Y, class_weight={1: -1.0}), ValueError, r">= 0 for each class, got \{1: -1.0\}",
    ),
    "classes of numbers": (
        lambda: made().fit(X, Y * 0.5, class_weight="balanced"), TypeError, r"got shape \(9,\), dtype float64",
    ),
    "no loss": (lambda: made({}), ValueError, "an empty dict: one loss at least"),
    "a loss called loss": (lambda: made({"loss": CE}), ValueError, "a loss is named 'loss', which records keep"),
    "a loss that is a number": (lambda: made({"a": 1.0}), TypeError, r"loss 'a' must be a function .*got float"),
    "a loss and a metric of one name": (lambda: made({"a": CE}, metrics={"a": CE}), ValueError, "both named 'a'"),
    "a term of something else": (
        lambda: Term(CE, of="input"), ValueError, "of must be 'output' or 'model', got 'input'",
    ),
    "a term without a function": (lambda: Term(3.0), TypeError, "takes a function, got float"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_misuse(case):
    call, error, words = WRONG[case]
    with pytest.raises(error, match=words):
        call()


def test_weighted_training_resumes_bit_for_bit(tmp_path):
    x, y = points(20)
    w = np.linspace(0.0, 2.0, 20)

    def fit(t, *callbacks):
        t.fit(x, y, sample_weight=w, class_weight="balanced", epochs=3, batch_size=6, callbacks=callbacks)

    expected = made()
    nnx.seed(5)
    fit(expected)
    t = made()
    nnx.seed(5)
    with pytest.raises(KeyboardInterrupt):
        fit(t, nnx.train.Checkpoint(tmp_path / "c", every=1), Stop(7))
    found = made()
    found.resume(tmp_path / "c")
    fit(found)
    assert weights(found) == weights(expected)
