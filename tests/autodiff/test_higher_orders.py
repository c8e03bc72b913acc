"""Compositions of rules to higher orders: Hessians, their products and Jacobians, on every library."""

import numpy as np
import pytest

import nnx
from tests.support import assert_close

X = np.asarray([0.4, -0.7, 1.1, 0.2])
V = np.asarray([1.0, -0.5, 0.25, 2.0])


def rosenbrock(xp, x):
    return xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def network(xp, x):
    w = xp.reshape(x, (2, 2))
    h = xp.tanh(xp.matmul(w, xp.matrix_transpose(w)) + xp.mean(w, axis=0, keepdims=True))
    e = xp.exp(h - xp.max(h, axis=1, keepdims=True))
    return xp.sum(h * e / xp.sum(e, axis=1, keepdims=True))


def log_density(xp, x):
    """A normal distribution's, whose covariance depends on x, too."""
    eye = xp.eye(2, dtype=x.dtype, device=getattr(x, "device", None))  # a tracer of JAX has none
    factor = xp.tril(xp.reshape(x, (2, 2))) + 2.0 * eye
    covariance = xp.matmul(factor, xp.matrix_transpose(factor))
    _, log_det = xp.linalg.slogdet(covariance)
    z = xp.linalg.solve(covariance, x[2:])
    return -0.5 * (log_det + xp.vecdot(x[2:], z))


def mixed(xp, x):
    y = xp.where(x > 0, xp.sqrt(xp.abs(x) + 1.0), x * x * x)
    z = xp.concat([xp.cumulative_sum(y), xp.sort(x), xp.flip(y)[1:]])
    return xp.std(z) * xp.prod(y + 2.0) + xp.logaddexp(x[0], x[1]) / xp.hypot(x[2], x[3])


COMPOSITIONS = {f.__name__: f for f in (rosenbrock, network, log_density, mixed)}


def function(name):
    return lambda x: COMPOSITIONS[name](nnx.namespace(x), x)


def differences(f, x, h=1e-5):
    """The Jacobian of a function of plain arrays."""
    return np.stack([(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(len(x))], axis=-1)


def whole(backend, f):
    """f; on JAX as one program, which compiles in less time than its steps do one by one."""
    return pytest.importorskip("jax").jit(f) if backend.name == "jax" else f


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_hessian_its_product_and_the_gradient_of_the_gradient(backend, name):
    f, x, v = function(name), backend.asarray(X), backend.asarray(V)
    expected = differences(nnx.grad(f), X)
    slope = nnx.grad(lambda x: nnx.namespace(x).sum(nnx.grad(f)(x) * v))
    everything = whole(backend, lambda x: (nnx.hessian(f)(x), nnx.hvp(f, x, v), slope(x)))
    for found, right in zip(everything(x), (expected, expected @ V, expected @ V), strict=True):
        assert_close(found, right, rtol=1e-6, atol=1e-6 * np.abs(right).max())


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_third_order(name):
    """∂/∂x of ⟨v, H(x) v⟩, against differences of the Hessian."""
    f = function(name)
    found = nnx.grad(lambda x: nnx.namespace(x).sum(nnx.hvp(f, x, V) * V))(X)
    expected = np.einsum("ijk,i,j->k", differences(nnx.hessian(f), X), V, V)
    assert_close(found, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


def test_jacobian_of_a_composition_and_its_gradient(backend):
    def f(x):
        xp = nnx.namespace(x)
        return xp.sin(xp.matmul(xp.reshape(x, (2, 2)), x[:2])) * x[2:]

    x = backend.asarray(X)
    assert_close(whole(backend, nnx.jacobian(f))(x), differences(f, X), rtol=1e-6, atol=1e-7)
    volume = lambda x: nnx.namespace(x).sum(nnx.jacobian(f)(x) ** 2)
    assert_close(whole(backend, nnx.grad(volume))(x), differences(volume, X), rtol=1e-6, atol=1e-6)


def test_several_outputs_of_vjp_are_those_of_each_alone(backend):
    def f(x, w):
        xp = nnx.namespace(x)
        return {"y": xp.exp(x) * w, "z": (xp.sum(x * w), x[1:])}

    x, w = backend.asarray(X), backend.asarray(V)
    r = {"y": backend.asarray(V), "z": (backend.asarray(2.0, "float64"), backend.asarray(V[1:]))}
    _, pullback = nnx.vjp(f, x, w)
    dx, dw = pullback(r)
    last = np.concatenate([[0.0], V[1:]])
    assert_close(dx, np.exp(X) * V * V + 2.0 * V + last, rtol=1e-12)
    assert_close(dw, np.exp(X) * V + 2.0 * X, rtol=1e-12)


def test_gradient_through_a_pullback_of_several_outputs(backend):
    """A vjp inside of a gradient: its cotangents are watched, too."""

    def f(x):
        xp = nnx.namespace(x)
        (y, z), pullback = nnx.vjp(lambda x: (x * x, xp.sin(x)), x)
        (d,) = pullback((x, y))
        return xp.sum(d * z)

    expected = lambda x: np.sum((2 * x * x + np.cos(x) * x * x) * np.sin(x))
    assert_close(nnx.grad(f)(backend.asarray(X)), differences(expected, X), rtol=1e-6, atol=1e-8)


def test_slope_of_a_vector_that_has_none_of_first_order(backend):
    """The vectors of [[1, t], [t, 3]] lean over by t/2: Σ of the squares of what leans is t²/2."""

    def leaning(t):
        xp = nnx.namespace(t)
        x = xp.reshape(xp.stack([xp.ones_like(t), t, t, xp.ones_like(t) * 3.0]), (2, 2))
        vectors = xp.linalg.eigh(x)[1]
        return vectors[0, 1] ** 2 + vectors[1, 0] ** 2

    zero = backend.asarray(np.asarray(0.0))
    assert_close(nnx.grad(leaning)(zero), 0.0, atol=1e-12)
    assert_close(nnx.grad(nnx.grad(leaning))(zero), 1.0, rtol=1e-10)
