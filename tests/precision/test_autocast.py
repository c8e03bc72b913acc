"""What runs in 16 bits under autocast and what in 32; parameters and their gradients are float32 all along."""

import threading

import numpy as np
import pytest

import nnx
from nnx import functional as F
from nnx import losses
from nnx.autodiff.casting import autocast_dtype, in_half
from nnx.functional.attention_scores import _safe_softmax
from tests.precision.halves import HAVE
from tests.support import assert_close

RNG = np.random.default_rng(0)


def array(*shape, scale=0.5):
    return nnx.asarray((scale * RNG.normal(size=shape)).astype("float32"))


def name_of(x):
    return str(x.dtype).rpartition(".")[2]


def numbers(x):
    return nnx.to_numpy(nnx.namespace(x).astype(x, nnx.namespace(x).float32))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_library_without_such_a_dtype_says_so(backend, dtype):
    x, w = array(2, 3), array(4, 3)
    if backend.name in HAVE[dtype]:
        with nnx.autocast(dtype):
            assert name_of(F.linear(x, w)) == dtype
    else:
        with pytest.raises(ValueError, match=f"'{backend.name}' has no such dtype, it has"), nnx.autocast(dtype):
            F.linear(x, w)
        with nnx.autocast(dtype, enabled=False):
            assert name_of(F.linear(x, w)) == "float32"


# name -> (function of arrays, their shapes)
IN_HALF = {
    "linear": (F.linear, (2, 3), (4, 3), (4,)),
    "conv1d": (F.conv1d, (2, 3, 8), (4, 3, 3), (4,)),
    "conv2d": (F.conv2d, (2, 3, 5, 5), (4, 3, 3, 3), (4,)),
    "conv_transpose2d": (F.conv_transpose2d, (2, 3, 5, 5), (3, 4, 3, 3), (4,)),
    "attention": (F.scaled_dot_product_attention, (2, 2, 4, 3), (2, 2, 5, 3), (2, 2, 5, 3)),
    "causal attention": (lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), (2, 2, 4, 3)),
    "masked attention": (F.scaled_dot_product_attention, (2, 2, 4, 3), (2, 2, 5, 3), (2, 2, 5, 3), (4, 5)),
    "attention with dropout": (lambda q: F.scaled_dot_product_attention(q, q, q, dropout_p=1e-9), (2, 2, 4, 3)),
    "lstm": (lambda x: nnx.LSTM(3, 3)(x)[0], (2, 2, 3)),
    "multihead": (lambda x: nnx.MultiheadAttention(3, 1)(x, x, x)[0], (2, 2, 3)),
}
IN_FULL = {
    "softmax": (F.softmax, (3, 4)),
    "log_softmax": (F.log_softmax, (3, 4)),
    "cosine_similarity": (F.cosine_similarity, (3, 4), (3, 4)),
    "pairwise_distance": (F.pairwise_distance, (3, 4), (3, 4)),
    "normalize": (F.normalize, (3, 4)),
    "mse_loss": (losses.mse_loss, (3, 4), (3, 4)),
    "l1_loss": (losses.l1_loss, (3, 4), (3, 4)),
    "huber_loss": (losses.huber_loss, (3, 4), (3, 4)),
    "smooth_l1_loss": (losses.smooth_l1_loss, (3, 4), (3, 4)),
    "cross_entropy": (lambda z: losses.cross_entropy(z, nnx.asarray([0, 1, 2])), (3, 4)),
    "nll_loss": (lambda z: losses.nll_loss(z, nnx.asarray([0, 1, 2])), (3, 4)),
    "binary_cross_entropy_with_logits": (losses.binary_cross_entropy_with_logits, (3, 4), (3, 4)),
    "kl_div": (lambda z, y: losses.kl_div(z, F.softmax(y)), (3, 4), (3, 4)),
    "a loss that is a module": (nnx.MSELoss(), (3, 4), (3, 4)),
}
KEPT = {
    "relu": (F.relu, (3, 4)),
    "gelu": (F.gelu, (3, 4)),
    "tanh": (F.tanh, (3, 4)),
    "dropout": (F.dropout, (3, 4)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), (2, 3, 4, 4)),
    "layer_norm": (lambda x: F.layer_norm(x, 4), (3, 4)),
    "batch_norm": (lambda x: nnx.BatchNorm1d(4)(x), (3, 4)),
}


@pytest.mark.parametrize("name", IN_HALF)
def test_products_run_in_16_bits(half, name):
    function, *shapes = IN_HALF[name]
    nnx.seed(0)
    arguments, tolerance = [array(*shape) for shape in shapes], {"float16": 3e-3, "bfloat16": 3e-2}[half]
    state = nnx.random.get_state()
    expected = function(*arguments)
    nnx.random.set_state(state)
    with nnx.autocast(half):
        y = function(*arguments)
    assert (name_of(expected), name_of(y)) == ("float32", half)
    np.testing.assert_allclose(numbers(y), nnx.to_numpy(expected), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", IN_FULL)
def test_sums_stay_in_32(half, name):
    function, *shapes = IN_FULL[name]
    arguments = [nnx.asarray(array(*shape), half) for shape in shapes]
    with nnx.autocast(half):
        y = function(*arguments)
    assert name_of(y) == "float32"
    same = function(*[nnx.namespace(x).astype(x, nnx.namespace(x).float32) for x in arguments])
    assert_close(y, nnx.to_numpy(same))


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("own", ["half", "float32"])
def test_others_follow_their_arguments(half, name, own):
    function, *shapes = KEPT[name]
    own = half if own == "half" else own
    with nnx.autocast(half):
        y = function(*[nnx.asarray(array(*shape), own) for shape in shapes])
    assert name_of(y) == own


@pytest.mark.parametrize("kind", ["float64", "complex128", "int32"])
def test_other_numbers_are_left_as_they_are(backend, kind):
    x = backend.asarray(np.arange(6).reshape(2, 3), kind)
    seen = in_half(lambda *args, **kwargs: (*args, kwargs["z"]))
    with nnx.autocast("float16"):
        assert all(y is x for y in seen(x, x, z=x))
        assert seen("mean", None, 2.0, True, z=(1, None)) == ("mean", None, 2.0, True, (1, None))


class Net(nnx.Module):
    """A convolution, normalisation, dropout, a layer, and a user's own product."""

    def __init__(self):
        self.conv, self.bn, self.drop = nnx.Conv2d(1, 4, 3), nnx.BatchNorm2d(4), nnx.Dropout(0.1)
        self.out, self.own, self.seen = nnx.Linear(16, 3), nnx.init.normal((3, 3)), {}

    def __call__(self, x):
        h = self.drop(F.tanh(self.bn(self.conv(x))))
        z = self.out(F.flatten(h, 1)) @ self.own
        self.seen["out"] = name_of(z)
        return z


def batch():
    rng = np.random.default_rng(1)
    return nnx.asarray(rng.normal(size=(6, 1, 4, 4)).astype("float32")), nnx.asarray(rng.integers(0, 3, 6))


def gradients(half, seed=0):
    nnx.seed(seed)
    model, (x, y) = Net(), batch()

    def loss_of(model, x, y):
        with nnx.autocast(half or "float16", enabled=half is not None):
            return losses.cross_entropy(model(x), y)

    def run(x, y):
        return nnx.value_and_grad(loss_of)(model, x, y)

    if nnx.get_backend().name == "jax":  # one program in place of a hundred
        run = nnx.compile(run, state=model)
    return model, *run(x, y)


def test_parameters_buffers_and_gradients_stay_float32(half):
    model, loss, grads = gradients(half)
    assert model.seen["out"] == half
    arrays = {**dict(model.named_parameters()), **grads, "loss": loss}
    assert {name: name_of(x) for name, x in arrays.items()} == dict.fromkeys(arrays, "float32")
    assert name_of(model.bn.running_mean) == name_of(model.bn.running_var) == "float32"
    _, plain, expected = gradients(None)
    tolerance = {"float16": 3e-3, "bfloat16": 3e-2}[half]
    assert float(loss) == pytest.approx(float(plain), abs=tolerance)
    for name, g in grads.items():
        size = float(np.abs(nnx.to_numpy(expected[name])).max())
        np.testing.assert_allclose(nnx.to_numpy(g), nnx.to_numpy(expected[name]), atol=10 * tolerance * max(size, 0.1))


def test_second_derivatives(half):
    """Of Σ (W x)² with respect to x, along v: 2 Wᵀ W v."""
    w, x, v = array(4, 3), array(3, 2), array(3, 2)

    def f(x):
        with nnx.autocast(half):
            y = w @ x
            return losses.mse_loss(y, nnx.namespace(y).zeros_like(y), reduction="sum")

    found = nnx.hvp(f, x, v)
    assert name_of(found) == "float32"
    matrix = nnx.to_numpy(w)
    np.testing.assert_allclose(nnx.to_numpy(found), 2 * matrix.T @ matrix @ nnx.to_numpy(v), atol=0.05, rtol=0.05)


def test_checkpoint_runs_again_under_the_same_autocast(half):
    nnx.seed(0)
    block, x, seen = nnx.Linear(3, 3), array(2, 3), []

    def run(x):
        seen.append(autocast_dtype())
        return F.gelu(block(x))

    def loss_of(block, x, wrap):
        with nnx.autocast(half):
            y = wrap(run)(x)
        return nnx.namespace(y).sum(nnx.namespace(y).astype(y, x.dtype))

    expected = nnx.grad(loss_of)(block, x, lambda f: f)
    found = nnx.grad(loss_of)(block, x, nnx.checkpoint)
    assert seen == [half] * 3
    for name, g in found.items():
        np.testing.assert_array_equal(nnx.to_numpy(g), nnx.to_numpy(expected[name]))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_compiled_function_has_a_program_for_each_autocast(dtype):
    pytest.importorskip("jax")
    with nnx.use_backend("jax"):
        layer, x = nnx.Linear(3, 2), array(2, 3)
        run = nnx.compile(lambda x: layer(x), state=layer)
        seen = []
        for enabled in (False, True, False, True):
            with nnx.autocast(dtype, enabled=enabled):
                seen.append(name_of(run(x)))
    assert seen == ["float32", dtype] * 2
    assert run.traces == 2


def test_the_attention_in_blocks_adds_up_in_float32(half, monkeypatch):
    monkeypatch.setattr("nnx.functional.attention.LONG", 4)
    q = array(1, 1, 6, 4)
    expected = nnx.to_numpy(F.scaled_dot_product_attention(q, q, q, is_causal=True))
    with nnx.autocast(half):
        y = F.scaled_dot_product_attention(q, q, q, is_causal=True)
    assert name_of(y) == half
    np.testing.assert_allclose(numbers(y), expected, atol=2e-2)


def test_the_softmax_of_attention_is_taken_in_float32(half):
    """Rounded once, at the end: taken in 16 bits, a third of these weights are others."""
    scores = nnx.asarray(RNG.normal(size=(20, 32)).astype("float32"), half)
    e = np.exp(numbers(scores) - numbers(scores).max(axis=-1, keepdims=True))
    expected = numbers(nnx.asarray(e / e.sum(axis=-1, keepdims=True), half))
    p = _safe_softmax(scores)
    assert name_of(p) == half
    assert np.mean(numbers(p) == expected) > 0.98


# ---- the context -----------------------------------------------------------------------------------------------------


def test_blocks_nest_and_end():
    assert autocast_dtype() is None
    outer = nnx.autocast("float16")
    with outer:
        with nnx.autocast("bfloat16"), outer:
            assert autocast_dtype() == "float16"
        with nnx.autocast(enabled=False):
            assert autocast_dtype() is None
        with pytest.raises(ZeroDivisionError), nnx.autocast("bfloat16"):
            _ = 1 / 0
        assert autocast_dtype() == "float16"
    assert autocast_dtype() is None


def test_it_decorates_a_function_that_calls_itself():
    @nnx.autocast("bfloat16")
    def down(n):
        """Down."""
        return [autocast_dtype(), *(down(n - 1) if n else [])]

    assert down(2) == ["bfloat16"] * 3
    assert (down.__name__, down.__doc__) == ("down", "Down.")
    assert autocast_dtype() is None


def test_it_is_a_threads_own():
    seen = []
    with nnx.autocast("float16"):
        thread = threading.Thread(target=lambda: seen.append(autocast_dtype()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_a_decorated_function_runs_in_several_threads_at_once():
    """The one that came first goes first: what they enter is not one stack."""
    entered, left, seen = [threading.Event(), threading.Event()], threading.Event(), []

    @nnx.autocast("bfloat16")
    def stay(own, until):
        entered[own].set()
        until.wait(10.0)
        seen.append(autocast_dtype())

    def first():
        stay(0, entered[1])
        seen.append(autocast_dtype())
        left.set()

    thread = threading.Thread(target=first)
    thread.start()
    entered[0].wait(10.0)
    stay(1, left)
    thread.join()
    assert seen == ["bfloat16", None, "bfloat16"]
    assert autocast_dtype() is None


def test_what_came_of_16_bits_goes_to_numpy(half):
    x = nnx.asarray([[1.0, 2.0]], "float32")
    with nnx.autocast(half):
        y = nnx.to_numpy(F.linear(x, x))
    assert isinstance(y, np.ndarray)
    assert float(y[0, 0]) == 5.0


@pytest.mark.parametrize("dtype", ["float32", "half", np.float16])
def test_no_other_dtype(dtype):
    with pytest.raises(ValueError, match="'float16' or 'bfloat16', got"):
        nnx.autocast(dtype)
