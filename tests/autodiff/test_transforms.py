"""Transforms: what goes in, what comes out, and what is refused in which words."""

import collections

import array_api_strict as strict
import numpy as np
import pytest

import nnx
from nnx import Var
from tests.support import assert_close, assert_same

X = np.asarray([1.0, 2.0, 3.0])
W = np.asarray([[1.0, -1.0, 2.0], [0.5, 3.0, -2.0]])
Pair = collections.namedtuple("Pair", "left right")


def cube_sum(x):
    xp = nnx.namespace(x)
    return xp.sum(x * x * x)


# ---- value_and_grad and grad ----------------------------------------------------------------------------------------


def test_value_and_gradient_of_an_array(backend):
    value, gradient = nnx.value_and_grad(cube_sum)(backend.asarray(X))
    assert_same(value, np.asarray(36.0))
    assert_same(gradient, 3 * X**2)


def test_every_array_is_lifted_even_those_that_are_not_differentiated(backend):
    seen = []

    def loss(w, batch, *, scale):
        seen.extend([w, batch["x"][0], batch["n"], scale])
        return nnx.namespace(w).sum(w * batch["x"][0] * scale)

    gradient = nnx.grad(loss)(
        backend.asarray(X), {"x": (backend.asarray(X),), "n": 3, "name": "abc"}, scale=backend.asarray(X)
    )
    assert [type(a) for a in seen] == [Var, Var, int, Var]
    assert_same(gradient, X * X)


def test_nest_of_arguments_gives_the_same_nest_of_gradients(backend):
    x = backend.asarray(X)
    parameters = collections.OrderedDict(a=x, b=[x, (x, Pair(x, x))])

    def loss(p):
        a, (b, (c, (d, _))) = p["a"], p["b"]
        return nnx.namespace(a).sum(a * b * b + c * 5.0 + d * d * d)

    g = nnx.grad(loss)(parameters)
    assert type(g) is collections.OrderedDict
    assert type(g["b"]) is list
    assert type(g["b"][1]) is tuple
    assert type(g["b"][1][1]) is Pair
    assert_same(g["a"], X * X)
    assert_same(g["b"][0], 2 * X * X)
    assert_same(g["b"][1][0], np.full(3, 5.0))
    assert_same(g["b"][1][1].left, 3 * X * X)
    assert_same(g["b"][1][1].right, np.zeros(3))


def test_one_array_in_two_places_gets_a_gradient_at_each():
    g = nnx.grad(lambda p: np.sum if p is None else nnx.namespace(p[0]).sum(p[0] * 2.0 + p[1] * 5.0))([X, X])
    assert_same(g[0], np.full(3, 2.0))
    assert_same(g[1], np.full(3, 5.0))


@pytest.mark.parametrize(("argnums", "expected"), [(0, "y"), (1, "x"), ((0, 1), "yx"), ((1, 0), "xy"), ((1,), ["x"])])
def test_argnums(argnums, expected):
    x, y = np.asarray(3.0), np.asarray(5.0)
    value, g = nnx.value_and_grad(lambda a, b: a * b, argnums=argnums)(x, y)
    assert_same(value, 15.0)
    by_name = {"x": x, "y": y}
    if isinstance(argnums, int):
        assert_same(g, by_name[expected])
    else:
        assert isinstance(g, tuple)
        assert [float(d) for d in g] == [float(by_name[name]) for name in expected]


@pytest.mark.parametrize("argnums", [-1, (0, -1), (), "x", 1.0, True, (0, 0)])
def test_argnums_that_name_no_argument(argnums):
    with pytest.raises((ValueError, TypeError)):
        nnx.grad(lambda x: x, argnums=argnums)(np.asarray(1.0))


@pytest.mark.parametrize("argnums", [1, (0, 1), (1, 0)])
def test_argnums_beyond_the_arguments(argnums):
    with pytest.raises(ValueError, match="1 positional argument"):
        nnx.grad(lambda x, y=2.0: x, argnums=argnums)(np.asarray(1.0))


def test_auxiliary_results_come_out_plain(backend):
    x = backend.asarray(X)

    def loss(x):
        y = x * 2.0
        return nnx.namespace(x).sum(y), {"y": y, "n": 3, "c": [y > 3.0, "text"]}

    (value, aux), g = nnx.value_and_grad(loss, has_aux=True)(x)
    assert_same(value, 12.0)
    assert_same(aux["y"], 2 * X)
    assert_same(aux["c"][0], 2 * X > 3.0)
    assert (aux["n"], aux["c"][1]) == (3, "text")
    assert_same(g, np.full(3, 2.0))
    only, aux = nnx.grad(loss, has_aux=True)(x)
    assert_same(only, g if backend.name == "numpy" else np.full(3, 2.0))
    assert_same(aux["y"], 2 * X)


def test_unused_argument_has_a_gradient_of_zeros(backend):
    x = backend.asarray(X.astype(np.float32))
    g = nnx.grad(lambda p: nnx.namespace(p["a"]).sum(p["a"]))({"a": x, "b": x})
    assert_same(g["b"], np.zeros(3, np.float32))
    value, g = nnx.value_and_grad(lambda p: nnx.stop_gradient(p["a"])[0])({"a": x})
    assert_same(value, np.float32(1.0))
    assert_same(g["a"], np.zeros(3, np.float32))


def test_python_number_is_differentiated_as_an_array(backend):
    with nnx.use_backend(backend.name, backend.device):
        g = nnx.grad(lambda p: p["a"] * p["a"])({"a": 3.0})
    assert float(g["a"]) == 6.0


def test_float32_stays_float32(backend):
    x = backend.asarray(X.astype(np.float32))
    value, g = nnx.value_and_grad(lambda x: nnx.namespace(x).mean(x * 2.5 + x**2 / 3))(x)
    assert_close(value, np.float32(np.mean(X * 2.5 + X**2 / 3)), rtol=1e-6)
    assert_close(g, ((2.5 + 2 * X / 3) / 3).astype(np.float32), rtol=1e-6)


def test_inputs_are_untouched_and_gradients_fresh():
    x = X.copy()

    def loss(x):
        x[0] = 100.0
        return nnx.namespace(x).sum(x)

    g = nnx.grad(loss)(x)
    assert_same(x, X)
    assert_same(g, [0.0, 1.0, 1.0])
    g[1] = 7.0
    assert_same(nnx.grad(loss)(x), [0.0, 1.0, 1.0])


def test_second_and_third_derivative(backend):
    f = lambda x: x**4 / 24.0
    for expected in (8 / 6, 2.0, 2.0, 1.0):
        f = nnx.grad(f)
        assert float(f(backend.asarray(2.0))) == pytest.approx(expected)


def test_gradient_of_a_closure_over_a_watched_array(backend):
    """∂/∂x of (∂/∂y x²y³): the inner transform sees the outer one's array through a closure."""

    def outer(x):
        return nnx.grad(lambda y: x * x * y * y * y)(x * 2.0)

    # inner: 3x²(2x)² = 12x⁴, so the outer slope is 48x³
    assert float(nnx.grad(outer)(backend.asarray(np.asarray(2.0)))) == pytest.approx(48 * 8)


def test_perturbations_do_not_mix():
    """d/dx (x · d/dy (x + y)) = 1: the classic test of nested differentiation."""
    f = nnx.grad(lambda x: x * nnx.grad(lambda y: x + y)(np.asarray(1.0)))
    assert_same(f(np.asarray(1.0)), 1.0)


# ---- vjp, jacobian, hessian, hvp ------------------------------------------------------------------------------------


def test_vjp_of_several_outputs(backend):
    x, w = backend.asarray(X), backend.asarray(W)
    y, pullback = nnx.vjp(lambda x, w: {"a": w @ x, "b": (x * 2.0,), "c": 5}, x, w)
    assert_same(y["a"], W @ X)
    assert_same(y["b"][0], 2 * X)
    da, db = np.asarray([1.0, 10.0]), np.asarray([1.0, 2.0, 3.0])
    for _ in range(2):  # it may be called again
        dx, dw = pullback({"a": backend.asarray(da), "b": (backend.asarray(db),), "c": 0})
        assert_same(dx, W.T @ da + 2 * db)
        assert_same(dw, np.outer(da, X))
    dx, dw = pullback({"a": backend.asarray(0 * da), "b": (backend.asarray(db),), "c": 0})
    assert_same(dx, 2 * db)
    assert_same(dw, np.zeros((2, 3)))


def test_vjp_of_one_output_twice(backend):
    def f(x):
        y = x * x
        return y, [y, x]

    one = backend.asarray(np.ones(3))
    (dx,) = nnx.vjp(f, backend.asarray(X))[1]((one, [one * 10.0, one * 100.0]))
    assert_same(dx, 22 * X + 100.0)


def test_vjp_is_differentiable_in_its_argument_and_in_its_cotangent(backend):
    x = backend.asarray(X)

    def through(x, dy):
        (dx,) = nnx.vjp(lambda x: x * x, x)[1](dy)
        return nnx.namespace(dx).sum(dx * dx)

    gx, gy = nnx.grad(through, argnums=(0, 1))(x, backend.asarray(W[0, :]))
    assert_close(gx, 8 * X * W[0, :] ** 2)
    assert_close(gy, 8 * X**2 * W[0, :])
    outside = nnx.vjp(lambda x: x * x, x)[1]
    gy = nnx.grad(lambda dy: nnx.namespace(dy).sum(outside(dy)[0] ** 2))(backend.asarray(W[0, :]))
    assert_close(gy, 8 * X**2 * W[0, :])


def test_vjp_of_an_output_that_depends_on_nothing(backend):
    y, pullback = nnx.vjp(lambda x: nnx.namespace(x).zeros(2, device=x.device), backend.asarray(X))
    assert_same(pullback(y)[0], np.zeros(3))


@pytest.mark.parametrize(
    ("cotangent", "message"),
    [
        (np.ones(2), r"shape \(2,\) for an output of shape \(3,\)"),
        ((np.ones(3), np.ones(3)), "1 outputs, the pullback was given 2 cotangents: give them in its form"),
        ([np.ones(3)], "1 outputs, the pullback was given 1 cotangents: give them in its form"),
        (np.ones(3, np.float32), "a cotangent of dtype float32 for an output of dtype float64: convert it"),
        (np.ones(3) + 1j, "a cotangent of dtype complex128 for an output of dtype float64: convert it"),
        (np.ones(3, np.int64), "a cotangent of dtype int64 for an output of dtype float64: convert it"),
        (1.0, "a cotangent that is float for an output of dtype float64: give an array"),
        (strict.ones(3), "arrays of 'numpy' on cpu and 'array_api_strict'"),
    ],
)
def test_wrong_cotangents(cotangent, message):
    with pytest.raises((ValueError, TypeError), match=message):
        nnx.vjp(lambda x: x * 2.0, X)[1](cotangent)


def test_cotangents_are_matched_by_their_keys(backend):
    x = backend.asarray(X)
    _, pullback = nnx.vjp(lambda x: {"a": x * 10.0, "b": [x, (x * 100.0,)]}, x)
    one, none = backend.asarray(np.ones(3)), backend.asarray(np.zeros(3))
    assert_same(pullback({"b": [none, [none]], "a": one})[0], np.full(3, 10.0))
    assert_same(pullback({"b": (none, (one,)), "a": none})[0], np.full(3, 100.0))
    for wrong, message in (
        ({"a": one}, r"keys \['a', 'b'\], the pullback was given \['a'\]"),
        ({"a": one, "c": one}, r"given \['a', 'c'\]"),
        ([one, one], r"keys \['a', 'b'\], the pullback was given list"),
        ({"a": one, "b": [one]}, "2 outputs, the pullback was given 1 cotangents"),
        ({"a": one, "b": [one, one]}, "1 outputs, the pullback was given 1 cotangents: give them in its form"),
        ({"a": [one], "b": [one, (one,)]}, "1 outputs, the pullback was given 1 cotangents"),
    ):
        with pytest.raises(ValueError, match=message):
            pullback(wrong)


def test_cotangent_of_whole_numbers_is_not_looked_at(backend):
    y, pullback = nnx.vjp(lambda x: (x * 2.0, nnx.namespace(x).argmax(x)), backend.asarray(X))
    for dy in (y[1], backend.asarray(np.asarray(0.0))):
        assert_same(pullback((y[0], dy))[0], 4 * X)


def test_jacobian(backend):
    j = nnx.jacobian(lambda w, x: w @ x, argnums=0)(backend.asarray(W), backend.asarray(X))
    assert_same(j, np.einsum("ij,k->ijk", np.eye(2), X))
    j = nnx.jacobian(lambda w, x: w @ x, argnums=1)(backend.asarray(W), backend.asarray(X))
    assert_same(j, W)
    j = nnx.jacobian(lambda x: x[:0])(backend.asarray(X))
    assert_same(j, np.zeros((0, 3)))


def test_hessian_and_its_product_with_a_vector(backend):
    def f(x):
        return x[0] * x[0] * x[1] + x[2] ** 3

    expected = np.asarray([[4.0, 2.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 18.0]])
    assert_close(nnx.hessian(f)(backend.asarray(X)), expected)
    v = np.asarray([1.0, -2.0, 0.5])
    assert_close(nnx.hvp(f, backend.asarray(X), backend.asarray(v)), expected @ v)


def test_hessian_product_of_a_nest(backend):
    def f(p):
        a, (b,) = p["a"], p["b"]
        return nnx.namespace(a).sum(a * a * b)

    x, v = backend.asarray(X), backend.asarray(W[0, :])
    found = nnx.hvp(f, {"a": x, "b": [x * 2.0]}, {"a": v, "b": [v * 3.0]})
    assert_close(found["a"], 4 * X * W[0, :] + 2 * X * 3 * W[0, :])
    assert_close(found["b"][0], 2 * X * W[0, :])
    with pytest.raises(ValueError, match=r"direction of shape \(1, 3\) for a gradient of shape \(3,\)"):
        nnx.hvp(f, {"a": x, "b": [x]}, {"a": v[None, :], "b": [v]})
    for wrong in ({"a": v}, {"a": v, "b": [v, v]}, {"a": v, "b": []}):
        with pytest.raises(ValueError, match=r"entries for a gradient of \d: one each"):
            nnx.hvp(f, {"a": x, "b": [x]}, wrong)


def test_hessian_product_of_complex_numbers_is_how_the_gradient_changes(backend):
    z, v = backend.asarray(np.asarray([0.3 - 0.7j, 1.5j])), backend.asarray(np.asarray([1.0 + 2.0j, -0.5j]))
    found = nnx.hvp(lambda z: nnx.namespace(z).sum(nnx.namespace(z).abs(z) ** 2), z, v)
    assert_close(found, 2 * nnx.to_numpy(v))  # the gradient is 2z


def test_hessian_of_a_matrix_argument():
    h = nnx.hessian(lambda w: nnx.namespace(w).sum(w * w * w))(W)
    assert h.shape == (2, 3, 2, 3)
    assert_close(h.reshape(6, 6), np.diag(6 * W.reshape(-1)))


# ---- stop_gradient and op -------------------------------------------------------------------------------------------


def test_stop_gradient_stops_every_level(backend):
    x = backend.asarray(np.asarray(3.0))
    assert nnx.stop_gradient(x) is x
    assert float(nnx.grad(lambda x: x * nnx.stop_gradient(x))(x)) == 3.0
    assert float(nnx.grad(nnx.grad(lambda x: x * x * nnx.stop_gradient(x)))(x)) == 6.0


def test_users_own_rule_has_a_second_derivative(backend):
    @nnx.op
    def sine(x):
        xp = nnx.namespace(x)
        return xp.sin(x), lambda dy: (dy * xp.cos(x),)

    x = backend.asarray(np.asarray(0.5))
    assert_close(nnx.grad(sine)(x), np.cos(0.5))
    assert_close(nnx.grad(nnx.grad(sine))(x), -np.sin(0.5))
    assert_close(sine(x), np.sin(0.5))


# ---- wrong uses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "argument", "error", "message"),
    [
        (lambda x: x * 2.0, X, ValueError, r"must be a scalar, got shape \(3,\): take its mean or sum"),
        (lambda x: float(nnx.namespace(x).sum(x)), X, TypeError, r"scalar array, got float.*not float\(loss\)"),
        (lambda x: None, X, TypeError, "scalar array, got NoneType"),
        (lambda x: x[0] * 1j, X, TypeError, r"the loss must be real, got dtype complex128: take xp.real\(loss\)"),
        (lambda x: x[0], np.asarray([1, 2]), TypeError, "floating arrays, got dtype int64: convert it first"),
        (lambda x: x[0], [1, 2], TypeError, "cannot watch int"),
        (lambda x: x[0], "text", TypeError, "cannot watch str"),
    ],
)
def test_wrong_uses(loss, argument, error, message):
    with pytest.raises(error, match=message):
        nnx.value_and_grad(loss)(argument)


def test_arguments_of_two_libraries():
    with pytest.raises(nnx.MixedBackends, match=r"'numpy' on cpu and 'array_api_strict'.*nnx\.asarray"):
        nnx.grad(lambda x, y: nnx.namespace(x).sum(x * y))(X, strict.asarray([1.0, 2.0, 3.0]))


def test_error_of_the_library_is_not_taken_for_a_mix():
    with pytest.raises(ValueError, match=r"broadcast|shape"):
        nnx.grad(lambda x: nnx.namespace(x).sum(x + np.ones(2)))(X)
    with pytest.raises(ValueError, match="mine") as error:
        nnx.grad(_raises)(X)
    assert error.value.__cause__ is not error.value


@nnx.op
def _raises(x):
    raise ValueError("mine")
