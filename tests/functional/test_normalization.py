"""The functions of normalisation: values, gradients of both orders, narrow numbers, and what the pullback costs."""

import numpy as np
import pytest

import nnx
from nnx import functional as F
from nnx.autodiff import gradcheck
from tests.oracle import check_against_torch, check_second_order, torch
from tests.support import assert_close

TF = torch.nn.functional
RNG = np.random.default_rng(5)
MEAN, VAR, WEIGHT, BIAS = RNG.normal(size=4), RNG.uniform(0.5, 2.0, 4), RNG.normal(size=4), RNG.normal(size=4)


def numbers(shape, dtype="float64"):
    return np.random.default_rng(3).normal(0.5, 2.0, shape).astype(dtype)


# name, shape of x, shapes of weight and bias (None: not given), the function of (f, torch's or nnx's namespace)
CASES = [
    ("layer", (5, 4), [(4,), (4,)], lambda f, x, *p: f.layer_norm(x, (4,), *p)),
    ("layer-2", (2, 4, 3), [(4, 3), (4, 3)], lambda f, x, *p: f.layer_norm(x, (4, 3), *p, eps=0.1)),
    ("layer-bare", (2, 4, 3), [], lambda f, x, *p: f.layer_norm(x, (3,))),
    ("rms", (5, 4), [(4,)], lambda f, x, *p: f.rms_norm(x, (4,), *p)),
    ("rms-bare", (2, 4, 3), [], lambda f, x, *p: f.rms_norm(x, (4, 3), eps=0.1)),
    ("group", (2, 4, 3), [(4,), (4,)], lambda f, x, *p: f.group_norm(x, 2, *p)),
    ("group-bare", (2, 4, 3, 2), [], lambda f, x, *p: f.group_norm(x, 2)),
    ("group-flat", (5, 4), [(4,), (4,)], lambda f, x, *p: f.group_norm(x, 2, *p)),
    ("instance", (2, 4, 3), [(4,), (4,)], lambda f, x, *p: f.instance_norm(x, None, None, *p)),
    ("instance-bare", (2, 4, 3, 2), [], lambda f, x, *p: f.instance_norm(x)),
    ("batch", (5, 4), [(4,), (4,)], lambda f, x, *p: f.batch_norm(x, None, None, *p, training=True)),
    ("batch-4d", (2, 4, 3, 2), [(4,), (4,)], lambda f, x, *p: f.batch_norm(x, None, None, *p, training=True)),
    ("batch-bare", (2, 4, 3, 2), [], lambda f, x, *p: f.batch_norm(x, None, None, training=True, eps=0.1)),
    ("batch-eval", (5, 4), [(4,), (4,)], lambda f, x, *p: f.batch_norm(x, *statistics(f, x), *p)),
    ("batch-eval-bare", (2, 4, 3), [], lambda f, x, *p: f.batch_norm(x, *statistics(f, x), eps=0.1)),
    (
        "instance-eval",
        (2, 4, 3),
        [(4,)],
        lambda f, x, w: f.instance_norm(x, *statistics(f, x), w, use_input_stats=False),
    ),
    ("local", (2, 4, 3), [], lambda f, x: f.local_response_norm(x, 3, alpha=0.7)),
    ("local-even", (2, 4, 3), [], lambda f, x: f.local_response_norm(x, 2, 0.7, 0.5, 1.3)),
    ("normalize", (5, 4), [], lambda f, x: f.normalize(x)),
    ("normalize-1", (5, 4), [], lambda f, x: f.normalize(x, 1.0, 0)),
    ("normalize-3", (5, 4), [], lambda f, x: f.normalize(x, p=3.0, dim=-1)),
    ("normalize-inf", (5, 4), [], lambda f, x: f.normalize(x, float("inf"))),
]
SOME = ["layer", "rms", "group", "batch-4d", "batch-eval", "local", "normalize"]
"""Each rule once, as JAX compiles every shape and dtype anew; the rest differ in axes alone."""


def rows(names):
    return pytest.mark.parametrize(("shape", "parameters", "f"), [c[1:] for c in CASES if c[0] in names], ids=names)


every_case, some_cases = rows([c[0] for c in CASES]), rows(SOME)


def statistics(f, x):
    if f is TF:
        return torch.from_numpy(MEAN).to(x.dtype), torch.from_numpy(VAR).to(x.dtype)
    return nnx.asarray(MEAN, nnx.backend.innermost(x).dtype), nnx.asarray(VAR, nnx.backend.innermost(x).dtype)


@every_case
def test_value_and_gradients(backend, shape, parameters, f):
    arrays = [numbers(shape), *(RNG.normal(size=s) for s in parameters)]
    check_against_torch(lambda *xs: f(F, *xs), lambda *xs: f(TF, *xs), *arrays, rtol=1e-9)


@some_cases
def test_float32(backend, shape, parameters, f):
    arrays = [numbers(shape, "float32"), *(RNG.normal(size=s).astype("float32") for s in parameters)]
    check_against_torch(lambda *xs: f(F, *xs), lambda *xs: f(TF, *xs), *arrays, rtol=1e-4)


@some_cases
def test_gradient_of_the_gradient(backend, shape, parameters, f):
    arrays = [numbers(shape), *(RNG.normal(size=s) for s in parameters)]
    check_second_order(lambda *xs: f(F, *xs) ** 2, lambda *xs: f(TF, *xs) ** 2, *arrays, rtol=1e-9)


@every_case
def test_gradient_equals_differences(shape, parameters, f):
    gradcheck(lambda *xs: f(F, *xs), numbers(shape), *(RNG.normal(size=s) for s in parameters), order=2)


def test_a_vector_of_zeros_is_left(backend):
    x = np.zeros((2, 3))
    check_against_torch(F.normalize, TF.normalize, x)
    check_against_torch(lambda x: F.layer_norm(x, 3), lambda x: TF.layer_norm(x, (3,)), x)


def test_large_numbers_keep_their_variance(backend):
    x = (1e4 + np.random.default_rng(0).normal(size=(3, 64))).astype("float32")
    check_against_torch(lambda x: F.layer_norm(x, 64), lambda x: TF.layer_norm(x, (64,)), x, rtol=1e-2)
    y = nnx.to_numpy(F.layer_norm(nnx.asarray(x), 64)).astype("float64")
    np.testing.assert_allclose(y.std(axis=1), 1.0, rtol=1e-2)


def test_numbers_of_16_bits_are_summed_in_32():
    x = (np.random.default_rng(0).normal(size=(3, 64)) * 300.0).astype("float16")
    y, pullback = nnx.vjp(lambda x: F.rms_norm(x, 64), x)
    assert y.dtype == "float16"
    assert pullback(y)[0].dtype == "float16"
    wide = x.astype("float32")
    np.testing.assert_allclose(y, wide / np.sqrt((wide**2).mean(axis=1, keepdims=True)), rtol=2e-3)


def test_noncontiguous_input(backend):
    x = numbers((4, 3, 2))
    turned = backend.xp.permute_dims(nnx.asarray(x), (2, 0, 1))
    for f in (lambda x: F.layer_norm(x, 3), lambda x: F.group_norm(x, 2), lambda x: F.instance_norm(x)):
        assert_close(f(turned), nnx.to_numpy(f(nnx.asarray(x.transpose(2, 0, 1).copy()))), 1e-12, 1e-12)


def test_moments_are_constants(backend):
    x = numbers((2, 4, 3))

    def f(x):
        _, mean, var = F.batch_norm_with_moments(x)
        return nnx.namespace(x).sum(x * 0.0) + nnx.namespace(mean).sum(mean + var)

    assert_close(nnx.grad(f)(nnx.asarray(x)), np.zeros(x.shape))

    def inner(z):
        return nnx.namespace(z).sum(z * nnx.namespace(z).sum(F.batch_norm_with_moments(z)[1]))

    slopes = nnx.grad(lambda x: nnx.namespace(x).sum(nnx.grad(inner)(x)))(nnx.asarray(x))  # at every level
    assert_close(slopes, np.zeros(x.shape))
    _, mean, var = F.batch_norm_with_moments(nnx.asarray(x))
    assert_close(mean, x.mean(axis=(0, 2)), 1e-12, 1e-12)
    assert_close(var, x.var(axis=(0, 2), ddof=1), 1e-12, 1e-12)


WRONG = [
    (lambda x: F.batch_norm(x, None, None), "needs running_mean and running_var unless it is training"),
    (lambda x: F.batch_norm(x[0], None, None, training=True), r"\(n, c, \.\.\.\), got \(4,\)"),
    (lambda x: F.batch_norm_with_moments(x[0]), r"\(n, c, \.\.\.\), got \(4,\)"),
    (lambda x: F.batch_norm(x, x[0], x[0], x), r"expected \(3, 4\) channels"),
    (lambda x: F.instance_norm(x), r"\(n, c, \.\.\.\), got \(3, 4\)"),
    (lambda x: F.group_norm(x, 3), r"3 groups do not divide the 4 channels of x \(3, 4\)"),
    (lambda x: F.group_norm(x[:1, :], 4), "more than one value a channel"),
    (lambda x: F.layer_norm(x, 4, x), r"weight and bias must have shape \(4,\), got \(3, 4\)"),
]


@pytest.mark.parametrize(("f", "message"), WRONG)
def test_what_does_not_fit_is_named(f, message):
    with pytest.raises(ValueError, match=message):
        f(np.ones((3, 4)))
