"""Every optimizer on a model whose parameters change between steps: replaced, added, frozen, shared."""

import numpy as np
import pytest

import nnx
from tests.optim.rows import ROWS
from tests.support import assert_close, assert_same

every_row = pytest.mark.parametrize("make", ROWS.values(), ids=ROWS)
X = np.random.default_rng(2).standard_normal((5, 3)).astype("float32")
GROUPS = {"*.bias": {"lr": 2e-3}}


def network():
    nnx.seed(3)
    return nnx.Sequential(nnx.Linear(3, 3), nnx.Tanh(), nnx.Linear(3, 3))


def gradients(model):
    return nnx.value_and_grad(lambda model, x: nnx.namespace(x).mean((model(x) - 1.0) ** 2))(model, nnx.asarray(X))


def train(model, optimizer, steps=1):
    for _ in range(steps):
        loss, grads = gradients(model)
        optimizer.update(model, grads)
    return float(nnx.to_numpy(loss))


def values(model):
    return {path: np.array(nnx.to_numpy(p)) for path, p in model.named_parameters()}


@pytest.fixture(params=[None, GROUPS], ids=["alone", "groups"])
def groups(request, backend):
    if request.param is not None and backend.name not in ("numpy", "array_api_strict"):
        pytest.skip("one library is enough for the groups")
    return request.param


@every_row
def test_a_replaced_parameter_is_what_moves(backend, make, groups):
    """A step of nothing but the new array's own gradient and the slots that were there: the twin never packs."""
    found = []
    for calls in (None, 0):
        model, optimizer = network(), make(groups=groups)
        if calls is not None:
            optimizer.__class__ = type("Alone", (type(optimizer),), {"calls": calls})
        train(model, optimizer, 3)
        replaced = model[0].weight = nnx.asarray(np.full((3, 3), 0.25, "float32"))
        train(model, optimizer)
        assert model[0].weight is not replaced
        assert_same(replaced, np.full((3, 3), 0.25, "float32"))
        found.append(values(model))
    for path in found[0]:
        np.testing.assert_array_equal(found[0][path], found[1][path])


@every_row
def test_a_layer_that_was_appended_trains(backend, make, groups):
    model, optimizer = network(), make(groups=groups)
    train(model, optimizer, 2)
    model.append(nnx.Linear(3, 3))
    before = values(model)
    train(model, optimizer, 2)
    after = values(model)
    assert all((before[path] != after[path]).any() for path in before)
    assert len(optimizer.state_dict()["slots"]) == len(optimizer.slots) * 6
    if optimizer.slots:
        assert optimizer.missed == {"3.weight": 2, "3.bias": 2}


@every_row
def test_frozen_parameters_come_back_with_their_slots(backend, make, groups):
    model, optimizer = network(), make(groups=groups)
    train(model, optimizer, 3)
    model[0].freeze()
    before, slots = values(model), optimizer.state["0.weight"]
    train(model, optimizer, 2)
    assert all((values(model)[path] == before[path]).all() == path.startswith("0.") for path in before)
    model.unfreeze()
    assert all(a is b for a, b in zip(optimizer.state["0.weight"], slots, strict=True))
    train(model, optimizer)
    assert (values(model)["0.weight"] != before["0.weight"]).any()
    assert optimizer.missed == {"0.weight": 2, "0.bias": 2}


@every_row
def test_a_shared_array_moves_once_and_stays_shared(backend, make, groups):
    model, optimizer = network(), make(groups=groups)
    model[2].weight = model[0].weight
    before = values(model)["0.weight"]
    _, grads = gradients(model)
    alone = make(groups=groups)
    expected = alone.apply({"0.weight": model[0].weight}, {"0.weight": grads["0.weight"]}) if groups is None else None
    optimizer.update(model, grads)
    assert model[0].weight is model[2].weight
    assert "2.weight" not in optimizer.state
    assert (nnx.to_numpy(model[0].weight) != before).any()
    if expected is not None:
        assert_close(model[0].weight, nnx.to_numpy(expected["0.weight"]), 1e-6, 1e-7)


@every_row
def test_goes_on_from_a_checkpoint_bit_for_bit(backend, make, groups):
    model, optimizer = network(), make(groups=groups)
    train(model, optimizer, 4)
    state, arrays = optimizer.state_dict(), model.state_dict()
    train(model, optimizer, 3)
    again, twin = make(), network()
    again.load_state_dict(state)
    twin.load_state_dict(arrays)
    train(twin, again, 3)
    for path, expected in values(model).items():
        np.testing.assert_array_equal(values(twin)[path], expected)
