"""Initialisers: ranges and standard deviations, and PyTorch's formulas where there is one."""

import math

import numpy as np
import pytest

import nnx
from nnx import init
from tests.support import assert_same

SHAPES = [(300, 200), (64, 32, 3, 3), (200, 10, 5)]
NONLINEARITIES = ["linear", "conv1d", "conv2d", "conv3d", "sigmoid", "tanh", "relu", "selu", "leaky_relu"]
NONLINEARITIES += ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


@pytest.mark.parametrize("name", NONLINEARITIES)
def test_gains_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name), rel=1e-15)


def test_gain_of_a_slope():
    torch = pytest.importorskip("torch")
    for slope in (0.0, 0.2, math.sqrt(5.0)):
        assert init.calculate_gain("leaky_relu", slope) == pytest.approx(
            torch.nn.init.calculate_gain("leaky_relu", slope)
        )
    with pytest.raises(ValueError, match="unknown nonlinearity 'gelu': one of linear"):
        init.calculate_gain("gelu")


@pytest.mark.parametrize("shape", [*SHAPES, (1, 1), (4, 3, 2, 2, 2)])
def test_fans_are_pytorchs(shape):
    torch = pytest.importorskip("torch")
    assert init.fans(shape) == torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))


@pytest.mark.parametrize("shape", [(), (3,)])
def test_what_has_no_fans(shape):
    with pytest.raises(ValueError, match="at least two dimensions"):
        init.fans(shape)
    with pytest.raises(ValueError, match="at least two dimensions"):
        init.xavier_normal(shape)


def fan(shape, mode="fan_in"):
    return init.fans(shape)[mode == "fan_out"]


CASES = {  # name: what it draws, its standard deviation, and whether it is uniform
    "uniform": (lambda s: init.uniform(s, -1.0, 3.0), lambda s: 4 / math.sqrt(12), True),
    "normal": (lambda s: init.normal(s, 1.0, 0.5), lambda s: 0.5, False),
    "xavier_uniform": (lambda s: init.xavier_uniform(s, 2.0), lambda s: 2 * math.sqrt(2 / sum(init.fans(s))), True),
    "xavier_normal": (lambda s: init.xavier_normal(s, 2.0), lambda s: 2 * math.sqrt(2 / sum(init.fans(s))), False),
    "kaiming_uniform": (init.kaiming_uniform, lambda s: math.sqrt(2 / fan(s)), True),
    "kaiming_normal": (init.kaiming_normal, lambda s: math.sqrt(2 / fan(s)), False),
    "kaiming_uniform fan_out": (
        lambda s: init.kaiming_uniform(s, mode="fan_out", nonlinearity="tanh"),
        lambda s: 5 / 3 / math.sqrt(fan(s, "fan_out")),
        True,
    ),
    "kaiming_normal slope": (
        lambda s: init.kaiming_normal(s, a=math.sqrt(5.0)),
        lambda s: math.sqrt(1 / 3 / fan(s)),
        False,
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", CASES)
def test_spread(name, shape):
    draw, deviation, uniform = CASES[name]
    x, s = draw(shape), deviation(shape)
    assert x.shape == shape
    assert x.dtype == np.float32
    middle = 1.0 if name in ("uniform", "normal") else 0.0
    assert abs(np.mean(x, dtype=float) - middle) < 4 * s / math.sqrt(x.size)
    assert np.std(x, dtype=float) == pytest.approx(s, rel=0.02)
    extent = float(np.max(np.abs(x - np.float32(middle))))
    assert (extent <= s * math.sqrt(3.0) * (1 + 1e-6)) == uniform


def test_constants(backend):
    assert_same(init.zeros((2, 3)), np.zeros((2, 3), dtype="float32"))
    assert_same(init.ones((2,), "float64"), np.ones(2))
    x = init.constant((), 2.5)
    assert_same(x, np.asarray(2.5, dtype="float32"))
    assert x.device == backend.device


@pytest.mark.parametrize("draw", [init.kaiming_uniform, init.kaiming_normal])
def test_unknown_mode(draw):
    with pytest.raises(ValueError, match="mode must be 'fan_in' or 'fan_out', got 'fan_both'"):
        draw((2, 2), mode="fan_both")


@pytest.mark.parametrize("name", ["xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"])
def test_the_formulas_are_pytorchs(name):
    """Every draw of PyTorch's is inside of nnx's range, and their spreads agree."""
    torch = pytest.importorskip("torch")
    theirs = torch.empty(300, 200)
    getattr(torch.nn.init, f"{name}_")(theirs, generator=torch.Generator().manual_seed(0))
    ours = getattr(init, name)((300, 200))
    assert np.std(ours) == pytest.approx(float(theirs.std()), rel=0.02)
    if "uniform" in name:
        assert np.max(np.abs(ours)) == pytest.approx(float(theirs.abs().max()), rel=1e-3)


def test_linear_begins_as_pytorchs():
    torch = pytest.importorskip("torch")
    ours, theirs = nnx.Linear(200, 300), torch.nn.Linear(200, 300)
    for name in ("weight", "bias"):
        a, b = getattr(ours, name), getattr(theirs, name).detach().numpy()
        assert a.shape == b.shape
        assert np.max(np.abs(a)) == pytest.approx(np.max(np.abs(b)), rel=0.05)
        assert np.max(np.abs(a)) <= 1 / math.sqrt(200)
