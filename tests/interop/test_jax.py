"""An nnx model as a function of JAX: through grad, jit, vmap and scan, as nnx computes it alone."""

import copy

import numpy as np
import pytest

import nnx
from nnx.interop import to_jax_function

jax = pytest.importorskip("jax", reason="JAX is not installed")

DTYPE, RTOL = ("float64", 1e-6) if jax.config.jax_enable_x64 else ("float32", 1e-4)


@pytest.fixture(autouse=True)
def _on_jax():
    with nnx.use_backend("jax", "cpu:0"):
        yield


def numbers(*shape, seed=0):
    return nnx.asarray(np.random.default_rng(seed).standard_normal(shape), DTYPE)


def mlp():
    return nnx.Sequential(nnx.Linear(4, 8, dtype=DTYPE), nnx.Tanh(), nnx.Linear(8, 3, dtype=DTYPE))


def squares(model, x):
    y = model(x)
    return nnx.namespace(y).sum(y * y)


def close(tree, expected, rtol=RTOL, atol=RTOL):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), tree, expected)


def test_values_and_gradients():
    model, x = mlp(), numbers(5, 4)
    function, params = to_jax_function(model)
    assert list(params) == [path for path, _ in model.named_parameters()]
    assert all(params[path] is p for path, p in model.named_parameters()), "nothing is copied"
    expected = nnx.value_and_grad(squares, argnums=(0, 1))(model, x)

    def loss(params, x):
        return jax.numpy.sum(function(params, x) ** 2)

    both = jax.value_and_grad(loss, argnums=(0, 1))
    close(both(params, x), expected)
    compiled = jax.jit(both)
    close(compiled(params, x), expected)
    moved = jax.tree.map(lambda p: p + 0.1, params)
    close(compiled(moved, x), nnx.value_and_grad(squares, argnums=(0, 1))(model.update(moved), x))


def test_training_a_few_steps_leaves_the_model():
    model, x = mlp(), numbers(16, 4)
    function, params = to_jax_function(model)
    before = model.state_dict()

    @jax.jit
    def step(params):
        loss, grads = jax.value_and_grad(lambda p: jax.numpy.sum(function(p, x) ** 2))(params)
        return loss, jax.tree.map(lambda p, g: p - 0.01 * g, params, grads)

    losses = []
    for _ in range(5):
        loss, params = step(params)
        losses.append(float(loss))
    assert losses[-1] < 0.8 * losses[0]
    close(model.state_dict(), before, rtol=0, atol=0)
    optimizer, expected = nnx.optim.SGD(0.01), []
    for _ in range(5):
        loss, grads = nnx.value_and_grad(squares)(model, x)
        optimizer.update(model, grads)
        expected.append(float(loss))
    np.testing.assert_allclose(losses, expected, rtol=RTOL)
    close(params, dict(model.named_parameters()))


def test_vmap_scan_and_second_order():
    model, x = mlp(), numbers(5, 4)
    function, params = to_jax_function(model)

    def loss(x):
        return jax.numpy.sum(function(params, x[None]) ** 2)

    expected = nnx.grad(squares, argnums=1)(model, x)
    close(jax.vmap(jax.grad(loss))(x), expected)
    close(jax.lax.scan(lambda carry, row: (carry, jax.grad(loss)(row)), 0, x)[1], expected)
    v = numbers(5, 4, seed=1)
    along = jax.grad(lambda x: jax.numpy.sum(jax.vmap(jax.grad(loss))(x) * v))(x)
    close(along, nnx.hvp(lambda x: squares(model, x), x, v))


def test_nests_integers_and_functions():
    lstm, x = nnx.LSTM(3, 4, dtype=DTYPE), numbers(5, 2, 3)
    state = (numbers(1, 2, 4), numbers(1, 2, 4, seed=1))
    function, params = to_jax_function(lstm)

    def last(model, x, state):
        _, (h, c) = model(x, state)
        return nnx.namespace(h).sum(h * c)

    found = jax.grad(lambda p, x, s: last(lambda *args: function(p, *args), x, s), argnums=(0, 1, 2))(params, x, state)
    close(found, nnx.grad(last, argnums=(0, 1, 2))(lstm, x, state))
    table, weights = to_jax_function(nnx.Embedding(5, 2))
    g = jax.grad(lambda w: jax.numpy.sum(table(w, nnx.asarray([1, 1, 2]))))(weights)["weight"]
    assert g[:, 0].tolist() == [0.0, 2.0, 1.0, 0.0, 0.0]
    gelu = to_jax_function(nnx.functional.gelu)
    close(jax.grad(gelu)(1.5), nnx.grad(nnx.functional.gelu)(nnx.asarray(1.5)))


def test_the_derivative_is_nnxs():
    """A rule whose slope is wrong on purpose: JAX would have found the right one by itself."""

    @nnx.op
    def sevenfold(x):
        return x * 1.0, lambda dy: (dy * 7.0,)

    assert float(jax.jit(jax.grad(to_jax_function(sevenfold)))(2.0)) == 7.0


def test_buffers_and_frozen_parameters_stay():
    model = nnx.Sequential(nnx.Linear(4, 8, dtype=DTYPE), nnx.BatchNorm1d(8, dtype=DTYPE))
    model[0].freeze()
    function, params = to_jax_function(model)
    assert list(params) == ["1.weight", "1.bias"]
    before = model.state_dict()
    grads = jax.jit(jax.grad(lambda p: jax.numpy.sum(function(p, numbers(5, 4)) ** 3)))(params)
    close(grads, nnx.grad(lambda m, x: cubes(m(x)))(copy.deepcopy(model), numbers(5, 4)))
    close(model.state_dict(), before, rtol=0, atol=0)


def cubes(y):
    return nnx.namespace(y).sum(y**3)


def test_errors():
    model = mlp()
    function, params = to_jax_function(model)
    with pytest.raises(KeyError, match=r"params must have the paths .*0.bias.*got"):
        function({"weight": params["0.weight"]}, numbers(5, 4))
    with pytest.raises(TypeError, match="expected an nnx Module or a function of arrays, got int"):
        to_jax_function(3)
    with nnx.use_backend("numpy"):
        host = nnx.Linear(2, 2)
    with pytest.raises(TypeError, match=r"Linear.weight is an array of 'numpy'.*model.to\('jax'\) first"):
        to_jax_function(host)
    weight = model[0].weight
    with pytest.raises(ValueError, match="expected x of shape"):
        jax.grad(lambda p: jax.numpy.sum(function(p, numbers(5, 3))))(params)
    assert model[0].weight is weight
