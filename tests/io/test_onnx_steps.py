"""Whole training steps as ONNX graphs: onnxruntime trains as nnx does."""

import numpy as np
import pytest

import nnx
from nnx import models
from nnx.io import NotTraceable, export_onnx_step
from tests.io.test_onnx import mlp, numbers, run


def labels(n):
    return np.random.default_rng(n).integers(0, 3, (n,))


def cross_entropy(model, x, y):
    return nnx.losses.cross_entropy(model(x), y)


def norms():
    return nnx.Sequential(
        nnx.Linear(4, 8), nnx.BatchNorm1d(8), nnx.ReLU(), nnx.LayerNorm(8), nnx.GELU(), nnx.Linear(8, 3)
    )


def convolutions():
    return nnx.Sequential(
        nnx.Conv2d(1, 2, 1), nnx.Conv2d(2, 4, 3, stride=2, padding=1), nnx.ReLU(), nnx.MaxPool2d(2), nnx.AvgPool2d(2),
        nnx.Flatten(), nnx.Linear(4, 3),
    )  # fmt: skip


def step_of(model, optimizer):
    def step(x, y):
        loss, grads = nnx.value_and_grad(cross_entropy)(model, x, y)
        optimizer.update(model, grads)
        return loss

    return step


CASES = {
    "sgd": (mlp, lambda: nnx.optim.SGD(0.1), (4,)),
    "momentum": (mlp, lambda: nnx.optim.SGD(0.1, momentum=0.9, nesterov=True), (4,)),
    "adam": (mlp, lambda: nnx.optim.Adam(0.01), (4,)),
    "nadam": (mlp, lambda: nnx.optim.NAdam(0.01), (4,)),
    "rprop": (mlp, lambda: nnx.optim.Rprop(0.01), (4,)),
    "adamw": (mlp, lambda: nnx.optim.AdamW(0.01, weight_decay=0.1), (4,)),
    "norms": (norms, lambda: nnx.optim.SGD(0.1), (4,)),
    "convolutions": (convolutions, lambda: nnx.optim.SGD(0.1), (1, 8, 8)),
    "lenet": (lambda: models.LeNet5(3), lambda: nnx.optim.SGD(0.1), (1, 28, 28)),
    "vit": (lambda: models.ViT(8, 4, 1, 2, 8, 16, num_classes=3), lambda: nnx.optim.SGD(0.1), (3, 8, 8)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_training_step(name, tmp_path):
    """Three steps at another batch size than that of the example."""
    make, optimizer, shape = CASES[name]
    model, optimizer = make(), optimizer()
    before = model.state_dict()
    path = tmp_path / "step.onnx"
    export_onnx_step(step_of(model, optimizer), path, (numbers(3, *shape), labels(3)), state=(model, optimizer))
    assert optimizer.steps == 0
    assert optimizer.state == {}
    assert model.state_dict().keys() == before.keys()
    assert all(np.array_equal(x, before[path]) for path, x in model.state_dict().items())

    optimizer.init(model)
    first = {p: zip(optimizer.slots, slots, strict=True) for p, slots in optimizer.state.items()}
    feed = {f"optimizer.{p}.{name}": np.array(x) for p, slots in first.items() for name, x in slots}
    feed |= {"optimizer.steps": np.asarray(0), **before}
    for k in range(3):
        x, y = numbers(5, *shape, seed=k), labels(5)
        out = run(path, x=x, y=y, **feed)
        feed |= {name.removeprefix("new."): value for name, value in out.items()}
        np.testing.assert_allclose(out["output"], step_of(model, optimizer)(x, y), rtol=1e-5)
    for path, x in model.state_dict().items():
        np.testing.assert_allclose(feed[path], x, rtol=1e-5, atol=1e-6)
    assert optimizer.slots == () or feed["optimizer.steps"] == 3
    moved = [path for path, x in model.state_dict().items() if not np.array_equal(x, before[path])]
    assert moved


def test_gradients_alone(tmp_path):
    model, x, y = mlp(), numbers(4, 4), labels(4)

    def gradients(x, y):
        return nnx.value_and_grad(cross_entropy)(model, x, y)

    export_onnx_step(gradients, tmp_path / "g.onnx", (x, y), state=model)
    found = list(run(tmp_path / "g.onnx", x=x, y=y, **model.state_dict()).values())
    loss, grads = gradients(x, y)
    for g, expected in zip(found, [loss, *grads.values()], strict=False):
        np.testing.assert_allclose(g, expected, rtol=1e-5, atol=1e-7)


def test_errors(tmp_path):
    model, x = mlp(), (numbers(3, 4), labels(3))
    radam = nnx.optim.RAdam(0.01)
    with pytest.raises(NotTraceable, match="count of steps"):
        export_onnx_step(step_of(model, radam), tmp_path / "s.onnx", x, state=(model, radam))
    assert (radam.steps, radam.state) == (0, {})
    with pytest.raises(TypeError, match=r"state takes a Module, and an optimizer .*got dict"):
        export_onnx_step(step_of(model, radam), tmp_path / "s.onnx", x, state={})
    dropping = nnx.Sequential(nnx.Linear(4, 3), nnx.Dropout(0.5))
    with pytest.raises(NotTraceable, match="random numbers"):
        export_onnx_step(step_of(dropping, nnx.optim.SGD(0.1)), tmp_path / "s.onnx", x, state=dropping)
    assert not list(tmp_path.iterdir())
