"""Jacobians and Hessians of several arguments, of nests and of Modules, of complex numbers; JAX's forms."""

import numpy as np
import pytest

import nnx
from tests.support import assert_close, assert_same

X, Y = np.asarray([1.0, 2.0, 3.0]), np.asarray([0.5, -1.0])
Z = np.asarray([0.3 - 0.7j, 1.5j])


def outer(x, y):
    xp = nnx.namespace(x, y)
    return xp.linalg.outer(x * x, y)


DX = np.einsum("i,ik,j->ijk", 2 * X, np.eye(3), Y)
DY = np.einsum("i,jk->ijk", X**2, np.eye(2))


@pytest.mark.parametrize(("argnums", "expected"), [((0, 1), (DX, DY)), ((1, 0), (DY, DX)), ((1,), (DY,))])
def test_several_arguments(backend, argnums, expected):
    found = nnx.jacobian(outer, argnums)(backend.asarray(X), backend.asarray(Y))
    assert type(found) is tuple
    assert len(found) == len(expected)
    for one, right in zip(found, expected, strict=True):
        assert_close(one, right)


def test_nests_in_and_out(backend):
    def f(p, y):
        return {"outer": outer(p["x"][0], y), "first": [p["x"][0][0] * p["b"]]}

    found = nnx.jacobian(f)({"x": (backend.asarray(X),), "b": backend.asarray(Y)}, backend.asarray(Y))
    assert_close(found["outer"]["x"][0], DX)
    assert_close(found["outer"]["b"], np.zeros((3, 2, 2)))
    assert_close(found["first"][0]["x"][0], np.outer(Y, [1.0, 0.0, 0.0]))
    assert_close(found["first"][0]["b"], np.eye(2))


def test_output_without_elements_and_output_that_depends_on_nothing(backend):
    f = lambda x, y: [x[:0], y * 0.0 + 1.0, nnx.namespace(x).argmax(x)]
    empty, y, place = nnx.jacobian(f, (0, 1))(backend.asarray(X), backend.asarray(Y))
    assert_same(empty[0], np.zeros((0, 3)))
    assert_same(empty[1], np.zeros((0, 2)))
    assert_same(y[0], np.zeros((2, 3)))
    assert_same(place[0], np.zeros(3))


def test_hessian_of_several_arguments(backend):
    def f(x, y):
        xp = nnx.namespace(x, y)
        return xp.sum(x * x) * xp.sum(y**3)

    h = nnx.hessian(f, (0, 1))(backend.asarray(X), backend.asarray(Y))
    assert_close(h[0][0], 2 * np.eye(3) * np.sum(Y**3))
    assert_close(h[0][1], np.outer(2 * X, 3 * Y**2))
    assert_close(h[1][0], np.outer(3 * Y**2, 2 * X))
    assert_close(h[1][1], np.diag(6 * Y) * np.sum(X * X))


def test_jacobian_and_hessian_of_a_module(backend):
    x = X.astype("float32")
    model, batch = nnx.Linear(3, 2), backend.asarray(x)
    before = nnx.to_numpy(model.weight).copy()
    found = nnx.jacobian(lambda model, x: model(x))(model, batch)
    assert list(found) == ["weight", "bias"]
    assert_close(found["weight"], np.einsum("ij,k->ijk", np.eye(2, dtype="float32"), x))
    assert_close(found["bias"], np.eye(2, dtype="float32"))
    h = nnx.hessian(lambda model, x: nnx.namespace(x).sum(model(x) ** 2))(model, batch)
    expected = 2 * np.einsum("ij,k->ijk", np.eye(2, dtype="float32"), x)
    assert_close(h["bias"]["weight"], expected)
    assert_close(h["weight"]["bias"], np.moveaxis(expected, 0, -1))
    assert_same(model.weight, before)


COMPLEX = {
    "analytic": (lambda z: z * z * (1.0 + 2.0j), Z, np.diag(2 * Z * (1 + 2j))),
    "of real numbers": (lambda x: x * x * (1.0 + 2.0j), X, np.diag(2 * X * (1 + 2j))),
    "real": (lambda z: nnx.namespace(z).abs(z) ** 2, Z, np.diag(2 * Z)),  # as grad has it
}


@pytest.mark.parametrize("name", COMPLEX)
def test_jacobian_of_complex_numbers(backend, name):
    f, x, expected = COMPLEX[name]
    assert_close(nnx.jacobian(f)(backend.asarray(x)), expected, rtol=1e-12, atol=1e-15)


def test_jacobian_of_a_complex_and_a_real_argument(backend):
    dz, dx = nnx.jacobian(lambda z, x: z * x, (0, 1))(backend.asarray(Z), backend.asarray(Y))
    assert_close(dz, np.diag(Y + 0j))
    assert_close(dx, np.diag(Z))


def test_jacobian_inside_of_a_gradient(backend):
    volume = lambda x, y: sum(nnx.namespace(d).sum(d * d) for d in nnx.jacobian(outer, (0, 1))(x, y))
    gx = nnx.grad(volume)(backend.asarray(X), backend.asarray(Y))
    assert_close(gx, 8 * X * np.sum(Y**2) + 4 * X**3 * 2)


def test_agrees_with_jax():
    jax = pytest.importorskip("jax", reason="JAX is the oracle")
    f = lambda x, y: [nnx.namespace(x).sin(x) * y[0], y * y]
    theirs = jax.jacrev(lambda x, y: [jax.numpy.sin(x) * y[0], y * y], (0, 1))(X, Y)
    ours = nnx.jacobian(f, (0, 1))(X, Y)
    assert jax.tree.structure(theirs) == jax.tree.structure(ours)
    for one, right in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert_close(one, np.asarray(right), rtol=1e-12)


def test_what_is_refused():
    with pytest.raises(TypeError, match="a Jacobian is made of arrays: the function returned int"):
        nnx.jacobian(lambda x: (x, 3))(X)
    with pytest.raises(TypeError, match=r"a Hessian is of real arguments.*hvp"):
        nnx.hessian(lambda z: nnx.namespace(z).sum(nnx.namespace(z).abs(z) ** 2))(Z)
    with pytest.raises(ValueError, match="argnums must be positions"):
        nnx.jacobian(lambda x: x, ())
    with pytest.raises(ValueError, match="1 positional argument"):
        nnx.jacobian(lambda x, y=2.0: x, (0, 1))(X)
