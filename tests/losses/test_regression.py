"""Losses between numbers, and between distributions, against PyTorch: value, gradients, second order, reductions."""

import numpy as np
import pytest

import nnx
from nnx import losses
from nnx.autodiff import gradcheck
from tests.oracle import check_against_torch, check_second_order, torch
from tests.support import assert_close

TF = torch.nn.functional
SHAPE = (4, 6)
rng = np.random.default_rng(5)
X, Y = rng.uniform(-3.0, 3.0, SHAPE), rng.uniform(-3.0, 3.0, SHAPE)
P, T = rng.uniform(0.02, 0.98, SHAPE), rng.uniform(0.02, 0.98, SHAPE)
HARD = (T > 0.5).astype("float64")
LOG = np.log(T / T.sum(1, keepdims=True))

# name, options, the output, the target
CASES = [
    ("mse_loss", {}, X, Y),
    ("l1_loss", {}, X, Y),
    ("smooth_l1_loss", {}, X, Y),
    ("smooth_l1_loss", {"beta": 0.3}, X, Y),
    ("smooth_l1_loss", {"beta": 0.0}, X, Y),
    ("huber_loss", {}, X, Y),
    ("huber_loss", {"delta": 2.5}, X, Y),
    ("binary_cross_entropy", {}, P, T),
    ("binary_cross_entropy", {}, P, HARD),
    ("binary_cross_entropy_with_logits", {}, X, T),
    ("binary_cross_entropy_with_logits", {}, X, HARD),
    ("kl_div", {}, X, T),
    ("kl_div", {"log_target": True}, X, LOG),
]
IDS = [
    "-".join([name, *(f"{k}={v}" for k, v in options.items()), str(i)]) for i, (name, options, _, _) in enumerate(CASES)
]
every_loss = pytest.mark.parametrize(("name", "options", "x", "t"), CASES, ids=IDS)
REDUCTIONS = ["mean", "sum", "none"]


def both(name, options, reduction="mean"):
    return (
        lambda x, t: getattr(losses, name)(x, t, reduction=reduction, **options),
        lambda x, t: torch_loss(name)(x, t, reduction=reduction, **options),
    )


def torch_loss(name):
    if name != "kl_div":
        return getattr(TF, name)

    def quiet(x, t, reduction, **options):  # torch warns at every mean that it is not the divergence
        found = TF.kl_div(x, t, reduction="none" if reduction == "mean" else reduction, **options)
        return found.mean() if reduction == "mean" else found

    return quiet


@pytest.mark.parametrize("reduction", REDUCTIONS)
@every_loss
def test_value_and_both_gradients(backend, name, options, x, t, reduction):
    check_against_torch(*both(name, options, reduction), x, t)


@every_loss
def test_float32_stays_float32(backend, name, options, x, t):
    check_against_torch(*both(name, options), x.astype("float32"), t.astype("float32"))


@every_loss
def test_second_order(backend, name, options, x, t):
    check_second_order(*both(name, options, "none"), x, t, rtol=1e-9)


@every_loss
def test_gradient_equals_differences(name, options, x, t):
    gradcheck(lambda x, t: both(name, options)[0](x, t), x, T if name.startswith("binary") else t, order=2)


@every_loss
def test_empty_batch_is_nan_as_in_torch(backend, name, options, x, t):
    empty = np.empty((0, 6))
    check_against_torch(*both(name, options), empty, empty)
    check_against_torch(*both(name, options, "sum"), empty, empty)
    check_against_torch(*both(name, options, "none"), empty, empty)


@every_loss
def test_noncontiguous(backend, name, options, x, t):
    wide, f = nnx.asarray(np.repeat(x, 2, axis=1)), both(name, options)[0]
    assert_close(f(wide[:, ::2], nnx.asarray(t)), nnx.to_numpy(f(nnx.asarray(x), nnx.asarray(t))), 1e-15)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_equal_and_far_apart(backend, name):
    x, t = np.asarray([0.0, 1.0, 2.0, -1.0, 1e30, -1e30]), np.asarray([0.0, 0.0, 2.0, 0.0, 0.0, 1e30])
    if name == "mse_loss":
        x, t = x[:4], t[:4]
    for reduction in ("none", "sum"):
        check_against_torch(*both(name, {}, reduction), x, t)
    if name != "mse_loss":
        check_against_torch(*both(name, {}, "none"), x.astype("float32"), t.astype("float32"))


EXTREME = np.asarray([1e4, -1e4, 1e4, -1e4, 100.0, -100.0, 0.0, 40.0])
SIDES = np.asarray([1.0, 0.0, 0.0, 1.0, 0.5, 0.25, 0.5, 1.0])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_logits_are_stable(backend, dtype):
    for reduction in REDUCTIONS:
        f, g = both("binary_cross_entropy_with_logits", {}, reduction)
        check_against_torch(f, g, EXTREME.astype(dtype), SIDES.astype(dtype))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_probabilities_of_0_and_1(backend, dtype):
    p, t = np.asarray([0.0, 1.0, 0.0, 1.0, 0.5, 1e-30], dtype), np.asarray([0.0, 1.0, 1.0, 0.0, 0.5, 1.0], dtype)
    fixed = nnx.asarray(t), torch.from_numpy(t)
    for reduction in REDUCTIONS:
        f, g = both("binary_cross_entropy", {}, reduction)
        # torch's own 1e-12, which keeps the slope finite, is a float32
        check_against_torch(lambda p: f(p, fixed[0]), lambda p: g(p, fixed[1]), p, rtol=2e-7)


def with_option(name, option, reduction):
    """Functions of the output, the target, and a third array; torch's has no gradient for it."""
    return lambda x, t, w: getattr(losses, name)(
        x, t, reduction=reduction, **{option: w}
    ), lambda w: lambda x, t: getattr(TF, name)(x, t, reduction=reduction, **{option: torch.from_numpy(w)})


WEIGHTED = [
    ("binary_cross_entropy", "weight", P),
    ("binary_cross_entropy_with_logits", "weight", X),
    ("binary_cross_entropy_with_logits", "pos_weight", X),
]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [SHAPE, (6,)])
@pytest.mark.parametrize(("name", "option", "x"), WEIGHTED)
def test_weights(backend, name, option, x, shape, reduction):
    w = np.linspace(0.5, 4.0, int(np.prod(shape))).reshape(shape)
    ours, theirs = with_option(name, option, reduction)
    own = nnx.asarray(w)
    check_against_torch(lambda x, t: ours(x, t, own), theirs(w), x, T)
    check_second_order(lambda x, t: ours(x, t, own), theirs(w), x, T)
    if backend.name == "numpy":
        gradcheck(ours, x, T, w, order=2)


def test_pos_weight_is_stable(backend):
    ours, theirs = with_option("binary_cross_entropy_with_logits", "pos_weight", "none")
    w = np.full(8, 3.0)
    check_against_torch(lambda x, t: ours(x, t, nnx.asarray(w)), theirs(w), EXTREME, SIDES)


def test_kl_div_of_a_batch(backend):
    for options in ({}, {"log_target": True}):
        t = LOG if options else T
        check_against_torch(
            lambda x, t: losses.kl_div(x, t, "batchmean", **options),
            lambda x, t: TF.kl_div(x, t, reduction="batchmean", **options),
            X,
            t,
        )


def test_kl_div_where_the_target_is_0(backend):
    f, g = both("kl_div", {}, "sum")
    x, t = nnx.asarray(X), nnx.asarray(HARD)
    value, slope = nnx.value_and_grad(f)(x, t)
    leaf = torch.from_numpy(X).requires_grad_()
    expected = g(leaf, torch.from_numpy(HARD))
    assert_close(value, expected.detach().numpy(), 1e-12)
    assert_close(slope, torch.autograd.grad(expected, leaf)[0].numpy(), 1e-12)


def test_quadratic_cost_by_hand(backend):
    # n = 2: (1² + 2² + 0² + 3²) / (2 · 2)
    a, y = np.asarray([[1.0, 0.0], [5.0, 1.0]]), np.asarray([[0.0, 2.0], [5.0, 4.0]])
    value, grads = nnx.value_and_grad(losses.quadratic_cost)(nnx.asarray(a), nnx.asarray(y))
    assert_close(value, np.asarray(3.5))
    assert_close(grads, (a - y) / 2)
    gradcheck(losses.quadratic_cost, X, Y, order=2)
    assert np.isnan(float(losses.quadratic_cost(nnx.asarray(np.ones((0, 2))), nnx.asarray(np.ones((0, 2))))))


PAIRED = [
    losses.mse_loss,
    losses.l1_loss,
    losses.smooth_l1_loss,
    losses.huber_loss,
    losses.quadratic_cost,
    losses.binary_cross_entropy,
    losses.binary_cross_entropy_with_logits,
    losses.kl_div,
]


@pytest.mark.float64("two dtypes are its subject")
@pytest.mark.parametrize("loss", PAIRED)
def test_shapes_and_dtypes_must_agree(backend, loss):
    p = nnx.asarray(P)
    with pytest.raises(ValueError, match=r"output has shape \(4, 6\), the target \(6,\)"):
        loss(p, p[0, :])
    with pytest.raises(ValueError, match=r"e\.g\. y\.reshape"):
        loss(p[:, :1], p[:, 0])
    with pytest.raises(TypeError, match=r"float64, the target .*float32: convert it first"):
        loss(p, nnx.asarray(P.astype("float32")))
    with pytest.raises(TypeError, match=r"the target .*int"):
        loss(p, nnx.asarray(np.ones(SHAPE, "int64")))


@pytest.mark.parametrize("loss", [f for f in PAIRED if f is not losses.quadratic_cost])
def test_reduction_is_one_of_three(loss):
    with pytest.raises(ValueError, match="must be 'mean', 'sum' or 'none', got 'average'"):
        loss(P, P, reduction="average")


def test_options_out_of_range():
    with pytest.raises(ValueError, match="beta must be >= 0"):
        losses.smooth_l1_loss(X, Y, beta=-1.0)
    with pytest.raises(ValueError, match="delta must be > 0"):
        losses.huber_loss(X, Y, delta=0.0)


def test_probabilities_out_of_range_are_named(backend):
    bad = nnx.asarray(X)
    if not type(backend).host:  # reading values would wait for the device
        assert losses.binary_cross_entropy(bad, nnx.asarray(T)).shape == ()
        return
    with pytest.raises(ValueError, match="take the sigmoid of logits first"):
        losses.binary_cross_entropy(bad, nnx.asarray(T))


def test_two_backends_are_an_error_that_names_both(backend):
    if backend.name == "numpy":
        pytest.skip("needs another library than NumPy")
    with pytest.raises(nnx.MixedBackends, match="numpy"):
        losses.mse_loss(nnx.asarray(X), Y)
