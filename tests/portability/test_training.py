"""Everything in a training step, on array-api-strict doors shut: no mask, no data-dependent shape, no float64."""

import array_api_strict as strict
import numpy as np
import pytest

import nnx
from nnx import train
from nnx.cli import check

OPTIMIZERS = {
    "sgd": lambda: nnx.optim.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: nnx.optim.Adam(1e-2, weight_decay=1e-3),
    "adamw": lambda: nnx.optim.AdamW(1e-2),
    "rmsprop": lambda: nnx.optim.RMSprop(1e-2, centered=True, momentum=0.5),
    "adagrad": lambda: nnx.optim.Adagrad(1e-2),
}


def _flags():
    return strict.ArrayAPIStrictFlags(boolean_indexing=False, data_dependent_shapes=False)


@pytest.fixture(params=["device1", "no_float64"])
def device(request):
    """array-api-strict on that device, with the flags that stand for 'can be compiled, never waits for a value'."""
    with nnx.use_backend("array_api_strict", request.param) as active, _flags():
        yield active


@pytest.mark.parametrize("name", check.FAMILIES)
def test_each_family_of_layers_trains_as_on_numpy(device, name):
    results = check.family(name, device)
    assert [result["check"] for result in results] == list(check.TOLERANCES), results
    assert all(result["ok"] and result["difference"] < 1e-5 for result in results), results


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimizer_steps_as_on_numpy(device, name):
    def trained():
        nnx.seed(0)
        model, optimizer = nnx.Sequential(nnx.Linear(6, 8), nnx.Tanh(), nnx.Linear(8, 4)), OPTIMIZERS[name]()
        x, y = check.samples(6, False)
        for _ in range(4):
            _, grads = nnx.value_and_grad(check.loss_of)(model, x, y)
            grads, _ = nnx.optim.clip_grad_norm(grads, 1.0)
            optimizer.update(model, nnx.optim.clip_grad_value(grads, 0.5))
        return {path: nnx.to_numpy(p) for path, p in model.named_parameters()}

    found = trained()
    with nnx.use_backend("numpy"):
        expected = trained()
    for path, p in expected.items():
        assert found[path].dtype == p.dtype == np.float32
        np.testing.assert_allclose(found[path], p, rtol=1e-4, atol=1e-6)


LOSSES = {
    "mse": (nnx.losses.mse_loss, "float"),
    "quadratic": (nnx.losses.quadratic_cost, "float"),
    "binary": (nnx.losses.binary_cross_entropy_with_logits, "float"),
    "smoothed": (lambda z, y: nnx.losses.cross_entropy(z, y, label_smoothing=0.1), "label"),
    "ignoring": (lambda z, y: nnx.losses.cross_entropy(z, y, ignore_index=2), "label"),
    "weighted": (
        lambda z, y: nnx.losses.cross_entropy(z, y, weight=nnx.asarray([1.0, 2.0, 0.5, 1.0], "float32")),
        "label",
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_each_loss(device, name):
    loss, kind = LOSSES[name]

    def gradient():
        rng = np.random.default_rng(0)
        z = nnx.asarray(rng.standard_normal((8, 4)).astype("float32"))
        y = rng.random((8, 4)).astype("float32") if kind == "float" else rng.integers(0, 4, 8)
        return nnx.to_numpy(nnx.grad(loss)(z, nnx.asarray(y)))

    found = gradient()
    with nnx.use_backend("numpy"):
        np.testing.assert_allclose(found, gradient(), rtol=1e-4, atol=1e-6)


def test_the_loop_with_metrics_and_callbacks(device):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 6)).astype("float32"), rng.integers(0, 4, 40)
    model = nnx.Sequential(nnx.Linear(6, 8), nnx.ReLU(), nnx.Dropout(0.2), nnx.Linear(8, 4))
    trainer = train.Trainer(model, nnx.optim.Adam(1e-2), nnx.losses.cross_entropy, {"accuracy": nnx.metrics.accuracy})
    callbacks = [train.GradientStats(), train.EarlyStopping("loss", patience=2), train.Progress(3, live=False)]
    history = trainer.fit(x, y, validation=(x, y), epochs=3, callbacks=callbacks)
    assert history["loss"][-1] < history["loss"][0]
    assert model[0].weight.dtype == strict.float32


def test_the_doors_are_shut(device):
    x = device.xp.ones((3,), dtype=device.xp.float32, device=device.device)
    with pytest.raises(RuntimeError, match="boolean_indexing flag has been disabled"):
        x[x > 0.0]
    with pytest.raises(RuntimeError, match="data_dependent_shapes flag has been disabled"):
        device.xp.nonzero(x)
    if "no_float64" in str(device.device):
        with pytest.raises(ValueError, match="does not support dtype"):
            device.xp.astype(x, device.xp.float64)
