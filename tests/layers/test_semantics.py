"""Where a gradient would be wrong without a word: pullbacks used later, Vars that outlive tapes, places assigned to."""

import collections

import numpy as np
import pytest

import nnx
from tests.layers.support import Scale, total
from tests.support import assert_same


def vector(backend, *values):
    return backend.asarray(list(values), "float64")


# ---- pullbacks, later and often --------------------------------------------------------------------------------------


def test_a_pullback_is_that_of_the_forward_pass_whatever_becomes_of_the_model(backend):
    model, x = Scale([2.0]), vector(backend, 3.0)
    y, pullback = nnx.vjp(lambda m, x: m(x) * m.weight, model, x)  # w²x
    one = vector(backend, 1.0)
    model.update({"weight": vector(backend, 5.0)})
    for _ in range(2):
        dm, dx = pullback(one)
        assert_same(dm["weight"], [12.0])
        assert_same(dx, [4.0])
    slope = nnx.grad(lambda dy: total(pullback(dy)[0]["weight"]))(one)  # linear in dy
    assert_same(slope, [12.0])
    assert_same(y, [12.0])
    assert not isinstance(model.weight, nnx.Var)


def test_a_pullback_that_is_differentiated_has_the_forward_passes_mask(backend):
    x = backend.asarray(np.ones(64), "float64")
    y, pullback = nnx.vjp(lambda x: nnx.functional.dropout(x, 0.5, True), x)
    before = nnx.random.get_state()
    assert_same(nnx.grad(lambda dy: total(pullback(dy)[0]))(x), nnx.to_numpy(y))
    assert nnx.random.get_state() == before


def test_a_pullback_inside_of_a_gradient(backend):
    def slope(x):
        y, pullback = nnx.vjp(lambda z: z**3, x)
        return total(pullback(nnx.namespace(y).ones_like(y))[0])

    assert_same(nnx.grad(slope)(vector(backend, 2.0)), [12.0])


def test_buffers_after_a_vjp(backend):
    from tests.layers.support import Counting, arrays

    model = Counting()
    y, _ = nnx.vjp(lambda m, x: m(x), model, vector(backend, 1.0, 3.0))
    assert not any(isinstance(x, nnx.Var) for x in [y, *arrays(model).values()])
    assert_same(model.mean, [0.5, 1.5])


def test_one_array_that_is_several_outputs(backend):
    def f(x):
        y = x * x
        return y, y, y + x

    _, pullback = nnx.vjp(f, vector(backend, 3.0))
    assert_same(pullback((vector(backend, 1.0),) * 3)[0], [19.0])


def test_a_tape_that_was_run_backwards_is_spent(backend):
    one = vector(backend, 1.0)
    with nnx.Tape() as tape:
        v = tape.watch(one)
        y = v * v
    assert_same(tape.gradient(y, [v], one)[0], [2.0])
    with pytest.raises(RuntimeError, match="freed by an earlier backward pass"):
        tape.gradient(y, [v], one)


# ---- Vars that outlive their tape ------------------------------------------------------------------------------------


def test_what_leaks_from_an_inner_transform_still_has_its_outer_gradient(backend):
    leaked = []

    def inner(z):
        leaked.append(z * 1.0)
        return total(z * z)

    def outer(x):
        nnx.grad(inner)(x)
        return total(leaked[-1] * x)

    assert_same(nnx.grad(outer)(vector(backend, 3.0)), [6.0])
    assert_same(leaked[-1].value.value, [3.0])


def test_what_leaks_from_the_outermost_transform_is_a_constant(backend):
    leaked = []

    def loss(x):
        leaked.append(x * 2.0)
        return total(x)

    nnx.grad(loss)(vector(backend, 3.0))
    assert_same(nnx.grad(lambda x: total(x * leaked[0]))(vector(backend, 1.0)), [6.0])


def test_an_inner_function_closes_over_an_outer_variable(backend):
    def outer(x):
        return total(nnx.grad(lambda y: total(y * y * x))(x))

    assert_same(nnx.grad(outer)(vector(backend, 3.0)), [12.0])


# ---- places assigned to ----------------------------------------------------------------------------------------------


def test_an_argument_that_is_assigned_to(backend):
    def loss(x):
        x[0] = 0.0
        return total(x * x)

    x = vector(backend, 1.0, 2.0)
    assert_same(nnx.grad(loss)(x), [0.0, 4.0])
    assert_same(nnx.grad(lambda nest: loss(nest["x"]))({"x": x})["x"], [0.0, 4.0])
    assert_same(x, [1.0, 2.0])


def test_an_argument_that_an_inner_function_assigns_to(backend):
    def inner(y, x):
        x[0] = y
        return total(x * x) * y  # (y² + x₁²) y

    def outer(x):
        return nnx.grad(inner)(x[1], x)  # 3y² + x₁² at y = x₁

    assert_same(nnx.grad(outer)(vector(backend, 1.0, 2.0)), [0.0, 16.0])


def test_a_constant_that_a_watched_value_is_assigned_to(backend):
    b = vector(backend, 0.0, 0.0)

    def loss(x, b):
        b[0] = x
        return total(b * b)

    assert_same(nnx.grad(loss)(backend.asarray(3.0, "float64"), b), np.asarray(6.0))
    assert_same(b, [0.0, 0.0])


# ---- nests -----------------------------------------------------------------------------------------------------------


def test_dictionaries_of_every_kind(backend):
    x = vector(backend, 2.0)
    nests = [
        collections.OrderedDict(b=x, a=x),
        collections.defaultdict(list, {"a": x}),
        nnx.layers.structure.TrackedDict(a=x),
    ]
    for nest in nests:
        grads = nnx.grad(lambda n: total(n["a"] * n["a"]))(nest)
        assert type(grads) is type(nest)
        assert_same(grads["a"], [4.0])
    aux = nnx.value_and_grad(lambda x: (total(x), collections.Counter(a=3)), has_aux=True)(x)[0][1]
    assert aux == collections.Counter(a=3)


def test_one_array_at_two_places_of_a_nest_has_two_gradients(backend):
    x = vector(backend, 2.0, 3.0)
    grads = nnx.grad(lambda n: total(n["a"] * n["a"] * n["b"]))({"a": x, "b": x})
    assert_same(grads["a"], [8.0, 18.0])
    assert_same(grads["b"], [4.0, 9.0])
