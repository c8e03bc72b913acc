"""While a gradient is taken the model's arrays are Vars; afterwards everything is back where it was."""

import threading

import numpy as np
import pytest

import nnx
from nnx import Var
from tests.layers.support import Counting, Scale, arrays, batch, same_objects, squares, total
from tests.support import assert_close, assert_same

X = np.asarray([1.0, 3.0])


def vector(backend, values=X):
    return backend.asarray(np.asarray(values), "float64")


def is_plain(model):
    return not any(isinstance(x, Var) for x in arrays(model).values())


# ---- put back --------------------------------------------------------------------------------------------------------


def test_arrays_are_swapped_and_put_back_by_identity(backend):
    model, x = nnx.Sequential(nnx.Linear(3, 3), nnx.Tanh(), nnx.Linear(3, 2)), batch(backend)
    before, seen = arrays(model), []

    def loss(m, x):
        seen.append([type(p) is Var and p.watched for p in m.parameters()])
        return squares(m, x)

    for transform in (nnx.grad(loss), lambda m, x: nnx.vjp(loss, m, x)):
        transform(model, x)
        assert same_objects(arrays(model), before)
    assert seen == [[True] * 4] * 2


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_arrays_are_put_back_after_an_exception(backend, error):
    model = Counting()
    before = arrays(model)

    def loss(m, x):
        assert not same_objects(arrays(m), before)
        m(x)
        raise error

    with pytest.raises(error):
        nnx.grad(loss)(model, vector(backend))
    after = arrays(model)
    assert is_plain(model)
    assert after[".weight"] is before[".weight"]
    assert_same(model.mean, X / 2)  # what the forward pass had assigned by then, as in eager code
    assert list(nnx.grad(lambda m, x: total(m(x)))(model, vector(backend))) == ["weight"]


def test_arrays_are_put_back_when_another_argument_cannot_be_watched():
    model = Counting()
    before = arrays(model)
    with pytest.raises(TypeError, match="floating"):
        nnx.grad(lambda m, x: total(m(x)), argnums=(0, 1))(model, np.asarray([1, 2]))
    assert same_objects(arrays(model), before)


def test_arrays_are_put_back_when_the_swap_itself_fails(monkeypatch):
    model = nnx.Sequential(Counting(), Counting())
    before = arrays(model)
    monkeypatch.setattr(nnx.layers.swapping, "lift", lambda x: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        nnx.grad(lambda m, x: total(m(x)))(model, X)
    assert same_objects(arrays(model), before)
    monkeypatch.undo()
    nnx.grad(lambda m, x: total(m(x)))(model, X)


def test_the_batch_the_buffers_and_frozen_parameters_are_constants(backend):
    model = nnx.Sequential(Counting(), Counting())
    model[0].freeze()

    def loss(m, x):
        for value in (x, m[0].weight, m[0].mean, m[0].steps, m[0]._last):
            assert type(value) is Var
            assert not value.watched
        assert m[1].weight.watched
        return total(m(x))

    assert list(nnx.grad(loss)(model, vector(backend))) == ["1.weight"]


def test_a_model_that_is_no_argument_of_the_gradient_is_a_constant(backend):
    model, x = Counting(), vector(backend)
    before = model.weight
    dx = nnx.grad(lambda x, m: total(m(x)))(x, model)
    assert_same(dx, np.asarray([1.0, 2.0]))
    assert model.weight is before
    assert_same(model.mean, X / 2)
    dx = nnx.grad(lambda x, parts: total(parts["model"](x)))(x, {"model": model})
    assert_same(dx, np.asarray([1.0, 2.0]))
    dx = nnx.grad(lambda x, model: total(model(x)))(x, model=model)
    assert_same(dx, np.asarray([1.0, 2.0]))
    assert is_plain(model)


def test_a_model_in_a_nest(backend):
    models = {"a": Scale(), "b": [Scale([2.0, 2.0, 2.0])]}
    grads = nnx.grad(lambda m, x: total(m["a"](x) * m["b"][0](x)))(models, vector(backend, [1.0, 1.0, 1.0]))
    assert_same(grads["a"]["weight"], np.asarray([2.0, 2.0, 2.0]))
    assert_same(grads["b"][0]["weight"], np.asarray([1.0, 2.0, 3.0]))


def test_an_unused_parameter_has_a_gradient_of_zeros(backend):
    model = Counting()
    grads = nnx.grad(lambda m, x: total(x * x) + 0.0 * total(m.mean))(model, vector(backend))
    assert_same(grads["weight"], np.zeros(2))


# ---- what the forward pass assigns -----------------------------------------------------------------------------------


def test_buffers_and_private_arrays_stay_unwrapped(backend):
    model, x = Counting(), vector(backend)
    weight = model.weight
    for k in range(2):
        nnx.grad(lambda m, x: total(m(x)))(model, x)
        assert is_plain(model)
        assert model.weight is weight
        assert_same(model.mean, X * (1.0 - 0.5 ** (k + 1)))
        assert_same(model.steps, np.asarray([k + 1], dtype="int32"))
        assert_same(model._last, X * np.asarray([1.0, 2.0]))


def test_buffers_are_the_same_as_without_a_gradient(backend):
    model, other, x = Counting(), Counting(), vector(backend)
    nnx.grad(lambda m, x: total(m(x)))(model, x)
    other(x)
    for path, value in other.state_dict().items():
        assert_same(model.state_dict()[path], nnx.to_numpy(value))


def test_buffers_of_a_model_that_the_function_closes_over(backend):
    model, x = Counting(), vector(backend)
    dx = nnx.grad(lambda x: total(model(x)))(x)
    assert_same(dx, np.asarray([1.0, 2.0]))
    assert is_plain(model)
    assert_same(model.mean, X / 2)
    nnx.grad(nnx.grad(lambda x: total(model(x) * x)))(vector(backend, [2.0])[0])
    assert is_plain(model)


def test_buffers_in_nested_transforms(backend):
    model, x = Counting(), vector(backend)

    def outer(m, x):
        return total(nnx.grad(lambda m, x: total(m(x) ** 2))(m, x)["weight"])

    nnx.grad(outer)(model, x)
    assert is_plain(model)
    assert_same(model.mean, X / 2)


def test_assignment_to_places_of_a_buffer(backend):
    class Places(nnx.Module):
        def __init__(self):
            self.register_buffer("seen", nnx.asarray([0.0, 0.0], "float64"))

        def __call__(self, x):
            self.seen[0] = 5.0
            return x * 1.0

    model = Places()
    nnx.grad(lambda x, m: total(m(x)))(vector(backend), model)
    assert_same(model.seen, np.asarray([5.0, 0.0]))


def test_a_private_array_that_did_not_exist_before(backend):
    class Memory(nnx.Module):
        def __call__(self, x):
            self._state = x * 2.0
            self._pair = (x * 3.0, [x * 4.0])
            self._named = {"x": x * 5.0}
            return self._state * self._named["x"]

    model = Memory()
    for _ in range(2):
        nnx.grad(lambda x, m: total(m(x)))(vector(backend), model)
        for found, factor in (
            (model._state, 2.0), (model._pair[0], 3.0), (model._pair[1][0], 4.0), (model._named["x"], 5.0)
        ):  # fmt: skip
            assert type(found) is not Var
            assert_same(found, X * factor)


def test_what_a_thread_assigns_is_not_unwrapped_by_another():
    class Memory(nnx.Module):
        def __call__(self, x):
            self._state = x * 2.0
            turn.set()
            assert other.wait(10)
            return self._state * x  # 2x²: 4x

    model, turn, other, found = Memory(), threading.Event(), threading.Event(), []
    thread = threading.Thread(target=lambda: found.append(nnx.grad(lambda x: total(model(x)))(X)))
    thread.start()
    assert turn.wait(10)
    nnx.grad(squares)(Scale(), np.ones(3))
    nnx.grad(lambda x: total(x))(X)
    other.set()
    thread.join()
    assert_same(found[0], 4 * X)


def test_a_new_array_under_a_public_name_is_an_error(backend):
    class Wrong(nnx.Module):
        def __call__(self, x):
            self.state = x * 2.0
            return self.state

    model = Wrong()
    with pytest.raises(AttributeError, match=r"Wrong\.state .* call it _state, or register_buffer\('state'"):
        nnx.grad(lambda x, m: total(m(x)))(vector(backend), model)
    assert vars(model) == {}


def test_a_new_array_in_a_public_list_is_an_error(backend):
    class Wrong(nnx.Module):
        def __call__(self, x):
            self.maps = [x * 2.0]
            return x

    with pytest.raises(TypeError, match=r"Wrong\.maps holds arrays in a list"):
        nnx.grad(lambda x, m: total(m(x)))(vector(backend), Wrong())


def test_an_attribute_that_the_forward_pass_deletes(backend):
    class Forgetful(nnx.Module):
        def __init__(self):
            self._scratch = nnx.asarray([1.0, 1.0], "float64")

        def __call__(self, x):
            y = x * self._scratch
            del self._scratch
            return y

    model = Forgetful()
    nnx.grad(lambda x, m: total(m(x)))(vector(backend), model)
    assert vars(model) == {}


def test_assigning_to_places_of_a_parameter_changes_the_loss_and_not_the_parameter(backend):
    def loss(m, x):
        m.weight[0] = 0.0
        return total(m(x) * m.weight)

    model = Counting()
    grads = nnx.grad(loss)(model, vector(backend))
    assert_same(grads["weight"], np.asarray([0.0, 2 * 2.0 * 3.0]))
    assert_same(model.weight, np.asarray([1.0, 2.0]))


def test_an_inner_update_lasts_as_long_as_the_outer_transform(backend):
    """One step of MAML: the gradient of a loss after a step of gradient descent."""
    model = Scale([1.0], "float64")

    def after_a_step(m):
        g = nnx.grad(lambda m: total(m.weight**3))(m)  # 3w²
        m.update({"weight": m.weight - 0.1 * g["weight"]})
        return total(m.weight**2)  # (w - 0.3w²)²

    grads = nnx.grad(after_a_step)(model)
    assert_close(grads["weight"], np.asarray([2 * 0.7 * 0.4]))
    assert_same(model.weight, np.asarray([1.0]))


# ---- nested in one thread, not in two --------------------------------------------------------------------------------


def test_the_gradient_of_a_gradient_through_a_model(backend):
    model, x = Scale([1.0, 2.0], "float64"), vector(backend)
    before = arrays(model)

    def slope(m, x):
        g = nnx.grad(lambda m, x: total(m(x) ** 3))(m, x)["weight"]  # 3w²x³
        return total(g * g)  # 9w⁴x⁶

    assert_close(nnx.grad(slope)(model, x)["weight"], 36 * np.asarray([1.0, 8.0]) * X**6)
    assert same_objects(arrays(model), before)


def test_a_hessian_times_a_vector_of_a_models_loss(backend):
    model = nnx.Sequential(nnx.Linear(3, 2, dtype="float64"), nnx.Tanh(), nnx.Linear(2, 1, dtype="float64"))
    x = batch(backend, dtype="float64")
    rng = np.random.default_rng(1)
    v = {path: backend.asarray(rng.normal(size=p.shape), "float64") for path, p in model.named_parameters()}
    found = nnx.hvp(lambda m: squares(m, x), model, v)
    start, eps = model.state_dict(), 1e-5

    def slopes(sign):
        model.update({path: start[path] + v[path] * (sign * eps) for path in v})
        g = nnx.grad(squares)(model, x)
        model.update(start)
        return g

    ahead, behind = slopes(1.0), slopes(-1.0)
    for path in v:
        difference = nnx.to_numpy(ahead[path] - behind[path]) / (2 * eps)
        assert_close(found[path], difference, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("entered", ["the model", "a part", "the whole"])
def test_another_thread_gets_an_error(entered):
    part = nnx.Sequential(nnx.ReLU(), Scale())
    model = nnx.Sequential(part, Scale())
    whole = nnx.Sequential(model, Scale())
    target = {"the model": model, "a part": part[1], "the whole": whole}[entered]
    inside, leave, errors = threading.Event(), threading.Event(), []

    def loss(m):
        inside.set()
        assert leave.wait(10)
        return squares(m, np.ones(3))

    found = []
    thread = threading.Thread(target=lambda: found.append(nnx.grad(loss)(model)))
    thread.start()
    assert inside.wait(10)
    held = arrays(target)
    with pytest.raises(RuntimeError, match="is being differentiated in another thread"):
        nnx.grad(squares)(target, np.ones(3))
    assert same_objects(arrays(target), held)
    leave.set()
    thread.join()
    assert not errors
    assert list(found[0]) == ["0.1.weight", "1.weight"]
    assert is_plain(whole)
    nnx.grad(squares)(target, np.ones(3))  # and it is free again


def test_threads_may_take_turns_and_have_models_of_their_own():
    found = [None] * 4

    def work(k):
        model = Scale()
        for _ in range(50):
            found[k] = nnx.grad(squares)(model, np.full(3, float(k)))["weight"]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(4):
        assert_same(found[k], 2.0 * k * k * np.asarray([1.0, 2.0, 3.0]))


# ---- a user's own layer ----------------------------------------------------------------------------------------------


def test_a_layer_in_plain_array_api_code_trains(backend):
    class Own(nnx.Module):
        def __init__(self):
            self.w = nnx.asarray([[0.5], [-0.5]], "float64")
            self.b = nnx.asarray([0.0], "float64")

        def __call__(self, x):
            xp = x.__array_namespace__() if hasattr(x, "__array_namespace__") else nnx.namespace(x)
            return xp.tanh(xp.matmul(x, self.w) + self.b)

    model = Own()
    x = vector(backend, [[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]])
    y = vector(backend, [[0.3], [-0.4], [0.1]])
    optimizer = nnx.optim.SGD(lr=0.1)
    losses = []
    for _ in range(20):
        loss, grads = nnx.value_and_grad(lambda m, x, y: nnx.losses.mse_loss(m(x), y))(model, x, y)
        optimizer.update(model, grads)
        losses.append(float(loss))
    assert losses[-1] < 0.2 * losses[0]
    assert type(model(x)) is type(x)
