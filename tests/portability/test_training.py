"""Everything in a training step, on array-api-strict with its doors shut: no mask, no data-dependent shape, no float64.

A new family of layers is a row of `nnx.cli.families`, a new loss or optimizer of tests/portability/cases.py.
"""

import functools

import array_api_strict as strict
import numpy as np
import pytest

import nnx
from nnx import train
from nnx.cli import check
from nnx.cli.families import FAMILIES
from tests.portability.cases import FOR_MATRICES, LOSSES, METRICS, OPTIMIZERS, loss_of, optimizer


@pytest.fixture(params=["device1", "no_float64"])
def device(request):
    """array-api-strict on that device, with the flags that stand for 'can be compiled, never waits for a value'."""
    flags = strict.ArrayAPIStrictFlags(boolean_indexing=False, data_dependent_shapes=False)
    with nnx.use_backend("array_api_strict", request.param) as active, flags:
        yield active


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_of_layers_trains_as_on_numpy(device, name):
    results = check.family(name, device)
    assert [result["check"] for result in results] == list(check.TOLERANCES), results
    assert all(result["ok"] and result["difference"] < 1e-4 for result in results), results


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_optimizer_steps_as_on_numpy(device, name):
    def trained():
        nnx.seed(0)
        linear = functools.partial(nnx.Linear, bias=name not in FOR_MATRICES)
        model, rule = nnx.Sequential(linear(6, 8), nnx.Tanh(), linear(8, 4)), optimizer(name)
        x, y = check.samples(FAMILIES["linear"])
        for _ in range(4):
            _, grads = nnx.value_and_grad(check.loss_of)(model, x, y)
            grads, _ = nnx.optim.clip_grad_norm(grads, 1.0)
            rule.update(model, nnx.optim.clip_grad_value(grads, 0.5))
        return {path: nnx.to_numpy(p) for path, p in model.named_parameters()}

    found = trained()
    with nnx.use_backend("numpy"):
        expected = trained()
    for path, p in expected.items():
        assert found[path].dtype == p.dtype == np.float32
        np.testing.assert_allclose(found[path], p, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_has_the_gradient_that_it_has_on_numpy(device, name):
    def result():
        f, arguments = loss_of(name)
        loss, gradient = nnx.value_and_grad(f)(*arguments)
        return nnx.to_numpy(loss), nnx.to_numpy(gradient)

    found = result()
    with nnx.use_backend("numpy"):
        expected = result()
    assert np.any(expected[1])
    for ours, numpys in zip(found, expected, strict=True):
        assert ours.dtype == numpys.dtype == np.float32
        np.testing.assert_allclose(ours, numpys, rtol=1e-4, atol=1e-6)


def test_ctc(device):
    def gradient():
        z = nnx.asarray(np.random.default_rng(0).random((6, 2, 4), "float32"))
        targets = nnx.asarray(np.asarray([[1, 2, 2], [3, 0, 0]]))
        return nnx.to_numpy(
            nnx.grad(lambda z: nnx.losses.ctc_loss(nnx.functional.log_softmax(z, -1), targets, [6, 5], [3, 1]))(z)
        )

    found = gradient()
    with nnx.use_backend("numpy"):
        np.testing.assert_allclose(found, gradient(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_loop_with_metrics_a_schedule_and_callbacks(device, name):
    """The Trainer, from host arrays to history, for each family."""

    def history():
        with nnx.random.scope(0):
            model = nnx.Sequential(*FAMILIES[name].layers())
            x, y = (nnx.to_numpy(a) for a in check.samples(FAMILIES[name]))
            rule = nnx.optim.Adam(1e-2)
            schedule = nnx.optim.CosineAnnealingLR(rule, 6)
            clip = lambda grads: nnx.optim.clip_grad_norm(grads, 1.0)[0]
            options = {"schedule": schedule, "schedule_every": "step", "transform_grads": clip}
            trainer = train.Trainer(model, rule, nnx.losses.cross_entropy, METRICS, **options)
            watching = [train.GradientStats(), train.EarlyStopping("loss", patience=2), train.Progress(3, live=False)]
            found = trainer.fit(x, y, validation=(x, y), batch_size=12, epochs=3, callbacks=watching)
            return found, model

    found, model = history()
    assert all(p.dtype == strict.float32 for p in model.parameters())
    assert found["loss"][-1] < found["loss"][0]
    with nnx.use_backend("numpy"):
        expected, _ = history()
    for title in ("loss", "error", "distance", "top 2", "val_accuracy"):
        assert found[title] == pytest.approx(expected[title], rel=1e-3), title


def test_the_doors_are_shut(device):
    x = device.xp.ones((3,), dtype=device.xp.float32, device=device.device)
    with pytest.raises(RuntimeError, match="boolean_indexing flag has been disabled"):
        x[x > 0.0]
    with pytest.raises(RuntimeError, match="data_dependent_shapes flag has been disabled"):
        device.xp.nonzero(x)
    if "no_float64" in str(device.device):
        with pytest.raises(ValueError, match="does not support dtype"):
            device.xp.astype(x, device.xp.float64)
