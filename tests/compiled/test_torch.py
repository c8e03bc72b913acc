"""nnx.compile on torch: the graph that a trace leaves, and what TorchInductor makes of it."""

import logging

import numpy as np
import pytest

import nnx
from tests.compiled.test_compile import batch, host, network, training

torch = pytest.importorskip("torch", reason="the compiler is torch's")

from nnx.backend import torch_compiler  # noqa: E402 - what it names may be missing


@pytest.fixture(autouse=True)
def _on_torch():
    with nnx.use_backend("torch"):
        yield


def lstm():
    class Last(nnx.Module):
        def __init__(self):
            self.rnn, self.out = nnx.LSTM(4, 5, batch_first=True), nnx.Linear(5, 3)

        def __call__(self, x):
            return self.out(self.rnn(nnx.namespace(x).reshape(x, (x.shape[0], 2, 4)))[0][:, -1, :])

    nnx.seed(0)
    return Last(), nnx.asarray(np.random.default_rng(0).normal(size=(6, 8)), "float32")


def images():
    nnx.seed(0)
    x = nnx.asarray(np.random.default_rng(0).normal(size=(6, 1, 6, 6)), "float32")
    layers = [nnx.Conv2d(1, 4, 3, padding=1), nnx.BatchNorm2d(4), nnx.ReLU(), nnx.MaxPool2d(2), nnx.Flatten()]
    return nnx.Sequential(*layers, nnx.Linear(36, 3)), x


def small():
    nnx.seed(0)
    return nnx.Linear(4, 3), batch(nnx.get_backend())[0]


CASES = {
    "small": small,
    "dropout and running statistics": lambda: (network(), batch(nnx.get_backend())[0]),
    "lstm": lstm,
    "images": images,
}


def three_steps(name, compiled):
    model, x = CASES[name]()
    optimizer, (_, y) = nnx.optim.SGD(lr=0.1, momentum=0.9), batch(nnx.get_backend())
    step = training(model, optimizer, compiled)
    losses = []
    for _ in range(3):
        optimizer.lr *= 0.9
        losses.append(float(step(x, y)))
    return losses, host(model.state_dict()), getattr(step, "traces", 1)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in ("small", "lstm") else [pytest.mark.slow]) for name in CASES]
)
def test_compiled_is_eager(inductor, name):
    (losses, weights, _), (found, theirs, traces) = three_steps(name, False), three_steps(name, True)
    assert traces == 1
    np.testing.assert_allclose(found, losses, rtol=2e-5)
    for path, x in weights.items():
        np.testing.assert_allclose(theirs[path], x, rtol=1e-3, atol=2e-5, err_msg=path)


READS = {
    "item": lambda x: x.sum().item(),
    "tolist": lambda x: x.tolist(),
    "numpy": nnx.to_numpy,
    "float": lambda x: float(x.sum()),
}


@pytest.mark.parametrize("name", READS)
def test_a_value_that_is_read(name):
    with pytest.raises(RuntimeError, match="a value was read from a tensor of a compiled step") as caught:
        nnx.compile(READS[name])(nnx.asarray([1.0, 2.0], "float32"))
    assert "belong outside" in "".join(caught.value.__notes__)


def test_numbers_are_no_constants_and_double():
    """A step of float64 is as exact as an eager one, whatever its number."""
    model = nnx.Linear(4, 3, dtype="float64")
    expected = nnx.Linear(4, 3, dtype="float64")
    expected.load_state_dict(model.state_dict())
    x, y = nnx.asarray(np.random.default_rng(0).normal(size=(6, 4))), batch(nnx.get_backend())[1]
    one, other = nnx.optim.Adam(lr=0.01), nnx.optim.Adam(lr=0.01)
    step, eager = training(model, one, True), training(expected, other, False)
    for _ in range(3):
        step(x, y)
        eager(x, y)
    assert step.traces == 1
    np.testing.assert_allclose(nnx.to_numpy(model.weight), nnx.to_numpy(expected.weight), rtol=1e-13)


def test_strides_are_part_of_a_form():
    compiled, x = nnx.compile(lambda x: x * 2.0), nnx.asarray(np.ones((3, 4), "float32"))
    for _ in range(2):
        compiled(x)
        compiled(torch.ones(4, 3).T)
    assert compiled.traces == 2


def test_without_a_compiler_a_step_runs_as_it_is(monkeypatch, caplog):
    monkeypatch.undo()  # tests/compiled/conftest.py's
    torch_compiler.works.cache_clear()
    monkeypatch.setattr(torch_compiler._inductor().cpp_builder, "get_cpp_compiler", lambda: 1 // 0)
    compiled = nnx.compile(lambda x: float(x.sum()))
    try:
        with caplog.at_level(logging.WARNING, "nnx.compile"):
            assert [compiled(nnx.asarray([1.0, 2.0])) for _ in range(2)] == [3.0, 3.0]
    finally:
        torch_compiler.works.cache_clear()
    assert len([r for r in caplog.records if "no C++ compiler" in r.getMessage()]) == 1
