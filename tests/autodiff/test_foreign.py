"""Functions that nobody here wrote, differentiated: array-api-extra knows the standard and has never heard of nnx."""

import array_api_extra as xpx
import numpy as np
import pytest

import nnx
from nnx.autodiff import gradcheck
from tests.support import assert_close, assert_same

X = np.asarray([[0.31, -1.2, 0.75], [2.1, 0.43, -0.58]])
V = np.asarray([0.9, -0.35, 1.7])
NAN = np.asarray([[0.3, np.nan, 0.7], [2.1, 0.4, np.nan]])

FUNCTIONS = {
    "pad": lambda xp, x: xpx.pad(x, ((1, 0), (0, 2)), constant_values=0.5),
    "apply_where": lambda xp, x: xpx.apply_where(x > 0.5, x, lambda x: x * x, lambda x: 3.0 * x),
    "apply_where, filled": lambda xp, x: xpx.apply_where(x > 0.5, (x, x * 2.0), lambda x, y: x * y, fill_value=0.0),
    "cov": lambda xp, x: xpx.cov(x),
    "sinc": lambda xp, x: xpx.sinc(x),
    "kron": lambda xp, x: xpx.kron(x, x[:, :2]),
    "atleast_nd": lambda xp, x: xpx.atleast_nd(x, ndim=3),
    "create_diagonal": lambda xp, x: xpx.create_diagonal(x[0, :], offset=1),
    "nan_to_num": lambda xp, x: xpx.nan_to_num(x, fill_value=1.0) ** 2,
    "one_hot": lambda xp, x: xp.sum(xpx.one_hot(xp.argmax(x, axis=1), 3, dtype=x.dtype, axis=-1) * x**3, axis=-1),
    "at set": lambda xp, x: xpx.at(x * 2.0, (0, slice(None))).set(x[1, :] ** 2),
    "at add": lambda xp, x: xpx.at(x * x, (slice(None), 1)).add(x[:, 0]),
    "at multiply": lambda xp, x: xpx.at(x * x, (0, 1)).multiply(3.0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_first_and_second_order_on_numpy(name):
    def f(x):
        y = FUNCTIONS[name](nnx.namespace(x), x)
        return y + 0.5 * y * y

    gradcheck(f, X, order=2)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_hessian_agrees_with_numpy(backend, name):
    def loss(x):
        xp = nnx.namespace(x)
        y = FUNCTIONS[name](xp, x)
        r = xp.reshape(xp.cos(xp.arange(y.size, dtype=x.dtype, device=x.device)), y.shape)
        return xp.sum(y * y * r + y * r)

    hessian = nnx.hessian(loss)(backend.asarray(X))
    assert_close(hessian, nnx.hessian(loss)(X), rtol=1e-9, atol=1e-9)
    assert np.abs(nnx.to_numpy(hessian)).max() > 0.1


def test_hessian_through_several_of_them(backend):
    """The pad, apply_where and cov of a stranger, with a Hessian: what no other framework on the standard does."""

    def loss(x):
        xp = nnx.namespace(x)
        c = xpx.cov(xpx.pad(xpx.apply_where(x > 0.0, x, xp.exp, lambda x: x * x), 1))
        return xp.sum(c * c)

    hessian = nnx.hessian(loss)(backend.asarray(X))
    assert_close(hessian, nnx.hessian(loss)(X), rtol=1e-9, atol=1e-9)
    found = nnx.to_numpy(hessian).reshape(6, 6)
    np.testing.assert_allclose(found, found.T, atol=1e-9)


def test_gradient_is_zero_where_nan_was_replaced(backend):
    def loss(x):
        y = xpx.nan_to_num(x)
        return nnx.namespace(x).sum(y * y)

    assert_same(nnx.grad(loss)(backend.asarray(NAN)), np.where(np.isnan(NAN), 0.0, 2 * NAN))


def test_integer_helpers_take_constants_and_watched_arrays(backend):
    def counts(x):
        xp = nnx.namespace(x)
        n = xpx.nunique(xp.astype(x, xp.int64))
        return xp.sum(x) * xp.astype(n, x.dtype)

    if backend.name == "array_api_strict":
        pytest.skip("device1 has no data-dependent shapes")
    assert_same(nnx.grad(counts)(backend.asarray(V)), np.full(3, 2.0))


def test_isclose_and_allclose_are_constants(backend):
    def loss(x):
        xp = nnx.namespace(x)
        return xp.sum(xp.where(xpx.isclose(x, x + 1e-12), x * x, x))

    assert_same(nnx.grad(loss)(backend.asarray(V)), 2 * V)
