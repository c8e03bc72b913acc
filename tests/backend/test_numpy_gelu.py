"""NumPy's own GELU in blocks against the generic one, which is its oracle, and against float64."""

import numpy as np
import pytest

from nnx.autodiff import Tape
from nnx.backend import numpy_gelu
from nnx.functional import activations


@pytest.fixture
def generic(monkeypatch):
    """The rule without the kernel."""

    def rule(x):
        with monkeypatch.context() as patch:
            patch.setattr(activations, "kernel", lambda name, x: None)
            return activations._gelu_erf.__wrapped__(x)

    return rule


def numbers(shape):
    return (np.random.default_rng(0).normal(size=shape) * 3).astype("float32")


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (numpy_gelu.BLOCK,), (2, numpy_gelu.BLOCK + 7)])
def test_parity(generic, shape):
    x, dy = numbers(shape), np.ones(shape, "float32") * 2
    kept = x.copy()
    (y, pullback), (expected, oracle) = numpy_gelu.gelu(x), generic(x)
    assert y.shape == expected.shape
    assert y.dtype == expected.dtype
    np.testing.assert_allclose(y, expected, rtol=0, atol=2e-6)
    (dx,), (dx_expected,) = pullback(dy), oracle(dy)
    assert dx.shape == shape
    np.testing.assert_allclose(dx, dx_expected, rtol=0, atol=3e-6)
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(pullback(dy)[0], dx)  # nothing that it keeps was written to


def test_strided_and_watched_gradient(generic):
    x = numbers((6, 8)).T[::2]
    np.testing.assert_allclose(numpy_gelu.gelu(x)[0], generic(x)[0], rtol=0, atol=2e-6)
    dy, tape = numbers(x.shape), Tape()
    watched = tape.watch(dy)
    (dx,) = numpy_gelu.gelu(x)[1](watched)
    (slope,) = tape.gradient(dx, [watched], np.ones_like(dy))
    np.testing.assert_allclose(slope, generic(x)[1](np.ones_like(x))[0], rtol=0, atol=3e-6)


def test_tails():
    """To float64: in the tail on the left 1 + erf has no digits left, and this has four."""
    torch = pytest.importorskip("torch")
    x = np.linspace(-5, 8, 10_001).astype("float32")
    exact = torch.special.ndtr(torch.from_numpy(x).double()).numpy() * x
    y = numpy_gelu.gelu(x)[0]
    np.testing.assert_allclose(y, exact, rtol=5e-5, atol=0)
    left = np.linspace(-50, -5, 10_001).astype("float32")
    assert np.abs(numpy_gelu.gelu(left)[0]).max() < 1.5e-6
    far = np.asarray([-1e30, -100.0, 100.0, 1e30, np.inf, np.nan], "float32")
    np.testing.assert_array_equal(numpy_gelu.gelu(far)[0], np.asarray([0, 0, 100, 1e30, np.inf, np.nan], "float32"))


def test_other_dtypes_are_left_to_the_generic():
    assert numpy_gelu.gelu(np.zeros(3)) is None
    assert activations.gelu(np.zeros(3)).dtype == np.float64
