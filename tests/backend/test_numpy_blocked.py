"""NumPy's own kernels in blocks, each against the generic functions, which are their oracle; and the switch for all."""

import os
import subprocess
import sys
import types

import numpy as np
import pytest

import nnx
from nnx import functional as F
from nnx.autodiff import gradcheck
from nnx.backend import arrays, numpy_attention, numpy_conv, numpy_lstm, numpy_memory, numpy_norm
from nnx.backend.windows import Windows
from nnx.functional.recurrent import RecurrentWeights, recurrent


def numbers(*shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(0.3, 1.0, shape).astype(dtype)


def samples_last(*shape, dtype="float64"):
    return np.moveaxis(numbers(*shape[1:], shape[0], dtype=dtype), -1, 0)


@pytest.fixture
def generic(monkeypatch):
    """Runs a function without kernels."""

    def run(f):
        with monkeypatch.context() as patch:
            patch.setattr(arrays, "_KERNELS", _Nothing())
            return f()

    return run


class _Nothing(dict):
    def __missing__(self, key):
        return None


@pytest.fixture
def noted(monkeypatch):
    """Whether a kernel was called and has not declined: noted(name) makes it count."""

    def note(name, kind=np.ndarray):
        own, found = arrays.backend_of(np.ones(1)).kernel(name), types.SimpleNamespace(calls=0)

        def call(*args):
            y = own(*args)
            found.calls += y is not None
            return y

        monkeypatch.setitem(arrays._KERNELS, (name, kind), call)
        return found

    return note


def same(f, given, generic, rtol=1e-10):
    """Value and all gradients of Σ r f, r random, with the kernel and without it; nothing given is changed."""
    kept = [x.copy() for x in given]

    def loss(*xs):
        y = f(*xs)
        xp = y.__array_namespace__()
        return xp.sum(y * numbers(*y.shape, dtype=given[0].dtype, seed=7)), nnx.stop_gradient(y)

    run = nnx.value_and_grad(loss, argnums=tuple(range(len(given))), has_aux=True)
    (_, y), grads = run(*given)
    (_, expected), oracle = generic(lambda: run(*given))
    for found, right in zip([y, f(*given), *grads], [expected, expected, *oracle], strict=True):
        assert found.shape == right.shape
        assert found.dtype == right.dtype
        np.testing.assert_allclose(found, right, rtol=rtol, atol=rtol * max(1.0, np.abs(right).max()))
    for x, before in zip(given, kept, strict=True):
        np.testing.assert_array_equal(x, before)


NORMS = {
    "layer": ((7, 3, 5), [(5,), (5,)], lambda x, *p: F.layer_norm(x, (5,), *p)),
    "layer-bare": ((7, 5), [], lambda x: F.layer_norm(x, (5,))),
    "layer-2": ((4, 3, 5), [(3, 5), (3, 5)], lambda x, *p: F.layer_norm(x, (3, 5), *p)),
    "rms": ((7, 5), [(5,)], lambda x, w: F.rms_norm(x, (5,), w)),
    "batch": ((4, 5, 3, 2), [(5,), (5,)], lambda x, *p: F.batch_norm(x, None, None, *p, training=True)),
    "batch-bare": ((4, 5, 3), [], lambda x: F.batch_norm(x, None, None, training=True)),
}


@pytest.mark.parametrize("block", [4, 12, 1 << 15])
@pytest.mark.parametrize("order", ["C", "samples last"])
@pytest.mark.parametrize("name", NORMS)
def test_normalisation(name, order, block, generic, noted, monkeypatch):
    shape, parameters, f = NORMS[name]
    monkeypatch.setattr(numpy_norm, "BLOCK", block)
    x = numbers(*shape) if order == "C" else samples_last(*shape)
    calls = noted("normalized")
    same(f, [x, *(numbers(*s, seed=k) for k, s in enumerate(parameters))], generic)
    assert calls.calls >= (2 if order == "C" or name.startswith("batch") else 0)


def test_normalisation_of_large_float32(generic, noted):
    """A mean that is a thousand times the deviation: the kernel subtracts it before it squares."""
    calls, x = noted("normalized"), samples_last(64, 3, 20, 20, dtype="float32") + np.float32(1000.0)
    y = F.batch_norm(x, None, None, training=True)
    assert calls.calls == 1
    exact = F.batch_norm(x.astype("float64"), None, None, training=True)
    np.testing.assert_allclose(y, exact, atol=3e-3)
    assert [s > 0 for s in y.strides] == [True] * 4
    assert np.moveaxis(y, 0, -1).flags.c_contiguous  # as x lies: the convolution that comes next counts on it


def test_moments_are_the_generic_ones(generic):
    x = samples_last(4, 5, 3, 2)
    for found, right in zip(F.batch_norm_with_moments(x), generic(lambda: F.batch_norm_with_moments(x)), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-12)


@pytest.mark.parametrize("x", [numbers(4, 5, 3, 2), samples_last(4, 5, 3, 2), numbers(4, 5)])
def test_batch_norm_in_evaluation(x, generic):
    given = [numbers(5, seed=1), numbers(5, seed=2) ** 2 + 0.1, numbers(5, seed=3), numbers(5, seed=4)]
    np.testing.assert_allclose(F.batch_norm(x, *given), generic(lambda: F.batch_norm(x, *given)), rtol=1e-12)
    same(lambda x, w: F.batch_norm(x, *given[:2], w), [x, given[2]], generic)


@pytest.mark.parametrize("block", [1, 40, 1 << 15])
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize(("n", "m"), [(6, 6), (3, 7), (7, 3)])
def test_attention(n, m, is_causal, block, generic, noted, monkeypatch):
    monkeypatch.setattr(numpy_attention, "BLOCK", block)
    calls = noted("short_attention")
    q, k, v = numbers(3, n, 2, 4).swapaxes(1, 2), numbers(3, 2, m, 4, seed=1), numbers(3, 2, m, 5, seed=2)
    same(lambda *a: F.scaled_dot_product_attention(*a, is_causal=is_causal), [q, k, v], generic)
    assert calls.calls == 2
    assert F.scaled_dot_product_attention(q, k, v).transpose(0, 2, 1, 3).flags.c_contiguous  # as q lies


def test_attention_that_is_left_to_the_generic(generic, noted):
    q, k = numbers(2, 2, 3, 4), numbers(2, 1, 3, 4)
    calls = noted("short_attention")
    mask = np.tri(3, dtype=bool)
    F.scaled_dot_product_attention(q, q, q, mask)
    F.scaled_dot_product_attention(q, k, k)
    F.scaled_dot_product_attention(q[0, 0], q[0, 0], q[0, 0])
    assert calls.calls == 0


def test_scores_that_would_overflow():
    q = np.full((1, 1, 3, 2), 40.0, "float32")
    y = F.scaled_dot_product_attention(q * 40, q * 40, q, is_causal=True)
    np.testing.assert_allclose(y, q, rtol=1e-6)


SECOND = {
    "attention": (lambda q, k: F.scaled_dot_product_attention(q, k, k, is_causal=True), [(2, 2, 3, 2), (2, 2, 3, 2)]),
    "layer_norm": (lambda x, w: F.layer_norm(x, (3,), w), [(4, 3), (3,)]),
    "batch_norm": (lambda x, w: F.batch_norm(x, None, None, w, training=True), [(3, 2, 2), (2,)]),
}


@pytest.mark.parametrize("name", SECOND)
def test_a_gradient_that_is_watched_itself(name):
    f, shapes = SECOND[name]
    xs = [numbers(*s, seed=k) for k, s in enumerate(shapes)]

    def pulled(dy):
        _, pullback = nnx.vjp(f, *xs)
        return pullback(dy)[0]

    assert gradcheck(pulled, numbers(*f(*xs).shape, seed=5))


@pytest.mark.parametrize("kept", [1, 200, 1 << 16])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_lstm_alone(biased, reverse, kept, generic, noted, monkeypatch):
    monkeypatch.setattr(numpy_lstm, "KEPT", kept)
    calls = noted("recurrent_alone")
    x, h, c = numbers(3, 5, 4).swapaxes(0, 1), numbers(3, 6, seed=1), numbers(3, 6, seed=2)
    biases = [numbers(24, seed=3), numbers(24, seed=4)] if biased else [None, None]
    weights = RecurrentWeights(numbers(24, 4, seed=5), numbers(24, 6, seed=6), *biases)
    before = [a.copy() for a in (x, h, c)]
    found = recurrent("lstm", x, h, c, weights, reverse=reverse)
    assert calls.calls == 1
    for y, right in zip(found, generic(lambda: recurrent("lstm", x, h, c, weights, reverse=reverse)), strict=True):
        np.testing.assert_allclose(y, right, rtol=1e-12, atol=1e-12)
    for a, old in zip((x, h, c), before, strict=True):
        np.testing.assert_array_equal(a, old)
    found[0][...] = 0.0
    assert found[1].any()  # the last h is an array of its own


def test_lstm_that_is_watched_or_mixed_is_not_alone(noted):
    calls = noted("recurrent_alone")
    x, h, w = numbers(2, 3, 4), numbers(3, 6), (numbers(24, 4), numbers(24, 6))

    def total(w_ih):
        return nnx.namespace(w_ih).sum(recurrent("lstm", x, h, h, RecurrentWeights(w_ih, w[1]))[0])

    assert nnx.grad(total)(w[0]).any()
    recurrent("lstm", x, h.astype("float32"), h, RecurrentWeights(*w))
    recurrent("gru", x, h, None, RecurrentWeights(numbers(18, 4), numbers(18, 6)))
    assert calls.calls == 0


def test_linear_of_several_axes(generic):
    given = [numbers(2, 3, 4), numbers(5, 4, seed=1), numbers(5, seed=2)]
    same(F.linear, given, generic)
    y = F.linear(given[0].astype("float32"), given[1].astype("float32"), given[2])
    assert y.dtype == generic(lambda: F.linear(given[0].astype("float32"), given[1].astype("float32"), given[2])).dtype


CONVOLUTIONS = [
    Windows((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1))),
    Windows((2, 3), (1, 1), (2, 1), ((0, 1), (2, 0))),
    Windows((3,), (1,), (2,), ((4, -1),)),
    Windows((2, 1, 2), (1, 1, 1), (1, 1, 1), ((0, 0), (0, 0), (1, 1))),
]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("at", CONVOLUTIONS)
def test_dx_by_flipped_kernels(at, groups):
    """Against the columns of dx, added up."""
    size = (7, 6, 5)[: len(at.kernel)]
    weight, dy = numbers(4, 4 // groups, *at.kernel), samples_last(3, 4, *at.outputs(size))
    assert numpy_conv._flipped(at) is not None
    columns = numpy_conv._spread(np.moveaxis(dy, 0, -1), weight, at, groups, size)
    found = numpy_conv.spread(dy, weight, at, groups, size)
    np.testing.assert_allclose(found, np.moveaxis(columns, -1, 0), rtol=1e-12, atol=1e-12)


def test_padding_is_not_what_comes_back():
    """It lies in memory that the next call writes to."""
    at = Windows((1, 1), (1, 1), (1, 1), ((1, 1), (1, 1)))
    x, weight = numbers(2, 3, 4, 4), np.eye(3)[:, :, None, None]
    y = numpy_conv.convolve(x, weight, None, at, 1)
    kept = y.copy()
    numpy_conv.convolve(x + 1, weight, None, at, 1)
    numpy_conv.max_pool(x + 1, Windows((2, 2), (1, 1), (1, 1), ((1, 1), (1, 1))))
    np.testing.assert_array_equal(y, kept)


def test_memory_lies_as_the_array(monkeypatch):
    monkeypatch.setattr(numpy_memory, "_KEPT", numpy_memory._Kept())
    x = np.empty((300, 5, 41), "float32").transpose(2, 0, 1)
    for shape in (None, (7, 500, 30)):
        y = numpy_memory.like(x, shape)
        assert y.shape == (shape or x.shape)
        assert y.transpose(1, 2, 0).flags.c_contiguous
    assert numpy_memory.kept()["total"] > 0
    del y
    numpy_memory.release()
    assert numpy_memory.kept() == {"total": 0, "free": 0}


def test_a_switch_turns_all_kernels_off():
    code = (
        "import numpy as np, nnx; from nnx.backend import kernel, arrays;"
        "F = nnx.functional; x = np.ones((2, 3, 4, 4), 'float32');"
        "y = nnx.BatchNorm2d(3)(nnx.Conv2d(3, 3, 3)(x)); F.gelu(x); nnx.LSTM(4, 2)(x[0]);"
        "nnx.losses.cross_entropy(x[:, :, 0, 0], np.asarray([0, 1]));"
        "F.scaled_dot_product_attention(x, x, x); print(len(arrays._KERNELS), set(arrays._KERNELS.values()))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "NNX_KERNELS": "0"}, capture_output=True, text=True, check=True
    )
    count, _, values = found.stdout.strip().partition(" ")
    assert int(count) > 5
    assert values == "{None}"
