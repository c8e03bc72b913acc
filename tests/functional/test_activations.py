"""Every activation, function and layer, against PyTorch: a row a case."""

import inspect

import numpy as np
import pytest

import nnx
from nnx import functional as F
from nnx.autodiff import gradcheck
from tests.oracle import check_against_torch, check_second_order, torch
from tests.support import assert_close, assert_same

TF = torch.nn.functional

# name of both functions, its options, the places of its kinks
FUNCTIONS = [
    ("relu", {}, [0]),
    ("leaky_relu", {}, [0]),
    ("leaky_relu", {"negative_slope": -0.3}, [0]),
    ("relu6", {}, [0, 6]),
    ("elu", {}, [0]),
    ("elu", {"alpha": 0.4}, [0]),
    ("celu", {}, [0]),
    ("celu", {"alpha": 0.5}, [0]),  # torch rounds 1 / alpha to float32: a power of two is exact
    ("selu", {}, [0]),
    ("rrelu", {}, [0]),
    ("rrelu", {"lower": 0.1, "upper": 0.7}, [0]),
    ("threshold", {"threshold": 0.3, "value": -7.0}, [0.3]),
    ("hardtanh", {}, [-1, 1]),
    ("hardtanh", {"min_val": -2, "max_val": 0.5}, [-2, 0.5]),
    ("hardsigmoid", {}, [-3, 3]),
    ("hardswish", {}, [-3, 3]),
    ("hardshrink", {}, [-0.5, 0.5]),
    ("hardshrink", {"lambd": 1.25}, [-1.25, 1.25]),
    ("softshrink", {}, [-0.5, 0.5]),
    ("softshrink", {"lambd": 1.25}, [-1.25, 1.25]),
    ("sigmoid", {}, [0]),
    ("logsigmoid", {}, [0]),
    ("tanh", {}, [0]),
    ("tanhshrink", {}, [0]),
    ("gelu", {}, [0]),
    ("gelu", {"approximate": "tanh"}, [0]),
    ("silu", {}, [0]),
    ("mish", {}, [0]),
    ("softplus", {}, [0, 20]),
    ("softplus", {"beta": 2.5, "threshold": 1}, [0, 0.4]),
    ("softsign", {}, [0]),
    ("softmax", {"dim": -1}, []),
    ("softmax", {"dim": 0}, []),
    ("softmin", {"dim": 1}, []),
    ("log_softmax", {"dim": 1}, []),
    ("log_softmax", {"dim": -2}, []),
    ("glu", {}, []),
    ("glu", {"dim": 0}, []),
]
IDS = ["-".join([name, *(f"{k}={v}" for k, v in options.items())]) for name, options, _ in FUNCTIONS]
every_function = pytest.mark.parametrize(("name", "options", "kinks"), FUNCTIONS, ids=IDS)


def both(name, options):
    """The function of nnx and of torch, as functions of x alone."""
    theirs = ORACLES.get(name) or getattr(TF, name)
    return lambda x: getattr(F, name)(x, **options), lambda x: theirs(x, **options)


# torch's own hardsigmoid holds 1/6 in single precision
ORACLES = {"hardsigmoid": lambda x: TF.relu6(x + 3.0) / 6.0}


def numbers(kinks=(), extreme=False, dtype="float64"):
    """(4, 6) numbers on both sides of 0 and of every kink; the kinks, and numbers whose exponential overflows."""
    x = np.random.default_rng(1).uniform(-5.0, 5.0, 24)
    x[-len(kinks) or 24 :] = kinks
    if extreme:
        x[:4] = [1e4, -1e4, 120.0, -120.0]
    return x.reshape(4, 6).astype(dtype)


@every_function
def test_value_and_gradient(backend, name, options, kinks):
    check_against_torch(*both(name, options), numbers(kinks))


@every_function
def test_large_numbers_neither_overflow_nor_warn(backend, name, options, kinks):
    check_against_torch(*both(name, options), numbers(kinks, extreme=True))


@every_function
def test_float32_stays_float32(backend, name, options, kinks):
    check_against_torch(*both(name, options), numbers(kinks, extreme=True, dtype="float32"))


@every_function
def test_gradient_of_the_gradient(backend, name, options, kinks):
    check_second_order(*both(name, options), numbers())


@every_function
def test_gradient_equals_differences(name, options, kinks):
    f, _ = both(name, options)
    gradcheck(f, numbers(), order=2)


@every_function
def test_empty_batch(backend, name, options, kinks):
    # an axis without entries has no softmax: then it is the other one that is empty
    shape = (4, 0) if options.get("dim") in (0, -2) else (0, 6)
    check_against_torch(*both(name, options), np.empty(shape))


@every_function
def test_noncontiguous_input(backend, name, options, kinks):
    f, _ = both(name, options)
    x = nnx.asarray(numbers())
    wide = nnx.namespace(x).concat([x, x], axis=0)
    y, pullback = nnx.vjp(f, wide[::2, :])
    dense = nnx.to_numpy(f(nnx.asarray(np.concatenate([numbers()] * 2)[::2, :].copy())))
    assert_close(y, dense, 1e-14 if backend.name == "dpnp" else 0.0)  # whose kernel differs with the strides
    assert pullback(y)[0].shape == (4, 6)


@every_function
def test_options_and_defaults_are_torchs(name, options, kinks):
    ours = inspect.signature(getattr(F, name)).parameters
    try:
        theirs = inspect.signature(getattr(TF, name)).parameters
    except ValueError:
        pytest.skip("torch wrote it in C and does not tell its signature")
    for option, found in list(ours.items())[1:]:
        expected = theirs[option].default
        if option == "dim":  # torch guesses the axis from the number of dimensions, and warns that it does
            expected = -1
        assert found.default == expected, option


@pytest.mark.parametrize("shape", [(1,), (6,)])
def test_prelu(backend, shape):
    weight = np.random.default_rng(2).uniform(-0.5, 0.5, shape)
    check_against_torch(F.prelu, TF.prelu, numbers([0]), weight)
    check_second_order(F.prelu, TF.prelu, numbers(), weight)


def test_prelu_has_a_slope_a_channel_of_an_image(backend):
    x = numbers([0]).reshape(2, 3, 2, 2)
    weight = np.asarray([0.5, -0.25, 0.1])
    check_against_torch(F.prelu, TF.prelu, x, weight)
    gradcheck(F.prelu, numbers().reshape(2, 3, 2, 2), weight, order=2)


@pytest.mark.parametrize("shape", [(5,), (2,), (1, 1)])
def test_prelu_refuses_a_weight_that_does_not_fit(shape):
    with pytest.raises(ValueError, match=r"expected \(1,\) or \(6,\)"):
        F.prelu(numbers(), np.ones(shape))


def test_softmax_rows_sum_to_one(backend):
    y = nnx.to_numpy(F.softmax(nnx.asarray(numbers(extreme=True)), 0))
    np.testing.assert_allclose(y.sum(0), 1.0, rtol=1e-12)


def test_softmax_of_masked_scores(backend):
    x = numbers()
    x[:, ::2] = -np.inf
    check_against_torch(*both("softmax", {"dim": 1}), x)


def test_nan_stays_nan(backend):
    x = np.full((4, 6), np.nan)
    for name, options, _ in FUNCTIONS:
        y = nnx.to_numpy(getattr(F, name)(nnx.asarray(x), **options))
        expected = getattr(TF, name)(torch.from_numpy(x), **options).numpy()
        np.testing.assert_array_equal(np.isnan(y), np.isnan(expected), err_msg=name)


REFUSED = [
    (F.gelu, {"approximate": "erf"}, "must be 'none' or 'tanh'"),
    (F.hardtanh, {"min_val": 2.0, "max_val": 1.0}, "min_val must be below max_val"),
    (F.softshrink, {"lambd": -1.0}, "must be >= 0"),
    (F.rrelu, {"lower": 2.0, "upper": 1.0}, "lower must be at most upper"),
    (F.celu, {"alpha": 0.0}, "must not be 0"),
    (F.glu, {"dim": 2}, r"shape \(4, 6\)"),
]


@pytest.mark.parametrize(("function", "options", "message"), REFUSED)
def test_options_out_of_range(function, options, message):
    with pytest.raises(ValueError, match=message):
        function(numbers(), **options)


def test_glu_refuses_an_odd_axis():
    with pytest.raises(ValueError, match="must be even"):
        F.glu(numbers().reshape(8, 3))


# ---- rrelu in training: random slopes --------------------------------------------------------------------------------


def rrelu_slopes(backend, lower=0.125, upper=0.5):
    x = nnx.asarray(np.full((100, 41), -2.0))
    y, pullback = nnx.vjp(lambda x: F.rrelu(x, lower, upper, training=True), x)
    slopes = nnx.to_numpy(y) / -2.0
    assert_same(pullback(nnx.asarray(np.ones((100, 41))))[0], slopes)
    return slopes


def test_rrelu_draws_slopes_from_the_interval(backend):
    slopes = rrelu_slopes(backend)
    assert slopes.min() >= 0.125
    assert slopes.max() <= 0.5
    np.testing.assert_allclose(slopes.mean(), 0.3125, atol=0.01)
    np.testing.assert_allclose(slopes.std(), 0.375 / np.sqrt(12), rtol=0.05)
    assert (rrelu_slopes(backend) != slopes).mean() > 0.99


def test_rrelu_draws_the_same_slopes_everywhere(backend):
    found = rrelu_slopes(backend)
    nnx.seed(0)
    with nnx.use_backend("numpy"):
        np.testing.assert_array_equal(found, rrelu_slopes(None))


def test_rrelu_leaves_positive_numbers_alone(backend):
    x = np.abs(numbers()).astype("float32")
    assert_same(F.rrelu(nnx.asarray(x), training=True), x)


# ---- layers ----------------------------------------------------------------------------------------------------------

LAYERS = [
    ("Identity", ()),
    ("Identity", (54, True)),
    ("ReLU", ()),
    ("LeakyReLU", ()),
    ("LeakyReLU", (0.3,)),
    ("PReLU", ()),
    ("PReLU", (6, 0.4)),
    ("ReLU6", ()),
    ("ELU", ()),
    ("ELU", (0.7,)),
    ("CELU", ()),
    ("CELU", (0.7,)),
    ("SELU", ()),
    ("Threshold", (0.3, -7.0)),
    ("Hardtanh", ()),
    ("Hardtanh", (-2.0, 0.5)),
    ("Hardsigmoid", ()),
    ("Hardswish", ()),
    ("Hardshrink", ()),
    ("Hardshrink", (0.9,)),
    ("Softshrink", ()),
    ("Softshrink", (0.9,)),
    ("Sigmoid", ()),
    ("LogSigmoid", ()),
    ("Tanh", ()),
    ("Tanhshrink", ()),
    ("GELU", ()),
    ("GELU", ("tanh",)),
    ("SiLU", ()),
    ("Mish", ()),
    ("Softplus", ()),
    ("Softplus", (2.0, 3.0)),
    ("Softsign", ()),
    ("Softmax", (0,)),
    ("Softmin", (0,)),
    ("LogSoftmax", (0,)),
    ("GLU", ()),
    ("GLU", (0,)),
]


@pytest.mark.parametrize(("name", "args"), LAYERS)
def test_layer(backend, name, args):
    ours, theirs = getattr(nnx, name)(*args), getattr(torch.nn, name)(*args)
    x = numbers(dtype="float32")
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    assert_close(ours(nnx.asarray(x)), expected, 2e-5, 2e-5)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for option, found in vars(ours).items():
        if isinstance(found, int | float | str):
            assert getattr(theirs, option) == found
            assert f"{option}={found!r}" in repr(ours)


def test_softmax2d(backend):
    x = numbers().reshape(2, 3, 2, 2)
    check_against_torch(nnx.Softmax2d(), torch.nn.Softmax2d(), x)
    with pytest.raises(ValueError, match=r"\(n, c, h, w\)"):
        nnx.Softmax2d()(nnx.asarray(x[0, 0]))


def test_rrelu_layer_draws_in_training_only(backend):
    layer, x = nnx.RReLU(0.125, 0.5), nnx.asarray(np.full((4, 6), -1.0))
    assert len(np.unique(nnx.to_numpy(layer(x)))) > 12
    assert_same(layer.eval()(x), np.full((4, 6), -0.3125))
    assert repr(layer) == "RReLU(lower=0.125, upper=0.5)"


def test_prelu_trains_its_slope(backend):
    layer, x = nnx.PReLU(), nnx.asarray(numbers(dtype="float32"))
    _, grads = nnx.value_and_grad(lambda layer, x: nnx.namespace(x).sum(layer(x)))(layer, x)
    assert_close(grads["weight"], np.minimum(numbers(dtype="float32"), 0.0).sum(keepdims=True).reshape(1), 1e-5)
