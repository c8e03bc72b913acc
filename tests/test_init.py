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


# ---- distributions and matrices --------------------------------------------------------------------------------------

TRUNCATED = [
    (0.0, 1.0, -2.0, 2.0),
    (0.0, 0.02, -0.04, 0.04),
    (1.0, 2.0, -10.0, -6.0),
    (0.0, 1.0, 3.0, 1e6),
    (0.0, 1.0, -0.1, 0.2),
]


def assert_drawn_from(x, distribution):
    """Kolmogorov and Smirnov: such a distance has a probability below 1e-4 if the distribution is the one said."""
    stats = pytest.importorskip("scipy.stats")
    assert stats.kstest(np.asarray(x, float).ravel(), distribution.cdf).pvalue > 1e-4


def test_the_distributions():
    stats = pytest.importorskip("scipy.stats")
    assert_drawn_from(init.uniform((20000,), -1.0, 3.0), stats.uniform(-1.0, 4.0))
    assert_drawn_from(init.normal((20000,), 1.0, 0.5), stats.norm(1.0, 0.5))
    assert_drawn_from(init.kaiming_uniform((100, 8, 5, 5)), stats.uniform(-0.1 * math.sqrt(3.0), 0.2 * math.sqrt(3.0)))
    assert_drawn_from(init.xavier_normal((96, 4, 5, 5)), stats.norm(0.0, math.sqrt(2.0 / 2500.0)))
    with pytest.raises(AssertionError):  # the test can fail
        assert_drawn_from(init.normal((20000,), 1.0, 0.5), stats.norm(1.0, 0.56))


@pytest.mark.parametrize(("mean", "std", "a", "b"), TRUNCATED)
def test_trunc_normal(mean, std, a, b):
    stats = pytest.importorskip("scipy.stats")
    x = init.trunc_normal((200, 100), mean, std, a, b, "float64")
    assert a <= x.min()
    assert x.max() <= b
    assert_drawn_from(x, stats.truncnorm((a - mean) / std, (b - mean) / std, mean, std))


def test_eye_and_dirac_are_pytorchs(backend):
    torch = pytest.importorskip("torch")
    for shape in [(3, 5), (5, 3)]:
        assert_same(init.eye(shape), torch.nn.init.eye_(torch.empty(shape)).numpy())
    for shape, groups in [((4, 3, 3), 1), ((6, 2, 3, 4), 2), ((6, 5, 1, 2, 3), 3)]:
        assert_same(init.dirac(shape, groups), torch.nn.init.dirac_(torch.empty(shape), groups).numpy())


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (4, 2, 3, 3), (20, 2, 3)])
def test_orthogonal(shape):
    q = init.orthogonal(shape, 2.0, "float64").reshape(shape[0], -1)
    small = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(small, 4.0 * np.eye(len(small)), atol=1e-12)


def test_orthogonal_matrices_are_drawn_evenly():
    """Of 2 × 2 ones: every angle as often, and as many reflections as rotations. QR alone would not do so."""
    stats = pytest.importorskip("scipy.stats")
    drawn = np.asarray([init.orthogonal((2, 2), dtype="float64") for _ in range(2000)])
    angles = np.arctan2(drawn[:, 1, 0], drawn[:, 0, 0])
    assert_drawn_from(angles, stats.uniform(-math.pi, 2 * math.pi))
    assert abs((np.linalg.det(drawn) > 0).mean() - 0.5) < 0.05


def test_sparse():
    stats = pytest.importorskip("scipy.stats")
    x = init.sparse((30, 500), 0.35, 0.5)
    assert ((x == 0).sum(0) == 11).all()
    assert_drawn_from(x[x != 0], stats.norm(0.0, 0.5))
    assert_drawn_from(
        np.nonzero(x[:, :300] == 0)[0] + np.random.default_rng(0).uniform(size=3300), stats.uniform(0, 30)
    )


DRAWN = {
    "trunc_normal": lambda: init.trunc_normal((4, 3)),
    "orthogonal": lambda: init.orthogonal((4, 3)),
    "sparse": lambda: init.sparse((4, 3), 0.4),
}


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_bits_on_every_backend(backend, name):
    nnx.seed(7)
    found = DRAWN[name]()
    nnx.seed(7)
    with nnx.use_backend("numpy"):
        assert_same(found, DRAWN[name]())
    assert found.device == backend.device


REFUSED = [
    (lambda: init.trunc_normal((2,), std=0.0), "std must be > 0 and a < b"),
    (lambda: init.trunc_normal((2,), a=1.0, b=1.0), "a < b"),
    (lambda: init.eye((3,)), "two dimensions"),
    (lambda: init.dirac((3, 3)), "3, 4 or 5 dimensions"),
    (lambda: init.dirac((4, 2, 3), 3), "4 output channels cannot be divided into 3 groups"),
    (lambda: init.orthogonal((3,)), "at least two dimensions"),
    (lambda: init.sparse((3, 3, 3), 0.1), "two dimensions"),
    (lambda: init.sparse((3, 3), 1.5), r"sparsity must be in \[0, 1\], got 1.5"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_what_cannot_be_initialised(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_every_initialiser_of_pytorch_is_there():
    torch = pytest.importorskip("torch")
    theirs = {name[:-1] for name in dir(torch.nn.init) if name.endswith("_") and not name.startswith("_")}
    assert {"uniform", "kaiming_normal", "orthogonal"} < theirs
    assert not {name for name in theirs | {"calculate_gain"} if not hasattr(init, name)}
