"""Small parameters updated together are, bit for bit, what updating each by itself makes of them."""

import numpy as np
import pytest

import nnx
from tests import support

OPTIMIZERS = {
    "adam": lambda: nnx.optim.Adam(1e-2, weight_decay=1e-3),
    "adamw": lambda: nnx.optim.AdamW(1e-2),
    "rmsprop": lambda: nnx.optim.RMSprop(1e-2, momentum=0.9, centered=True),
    "momentum": lambda: nnx.optim.SGD(1e-2, momentum=0.9, nesterov=True),
}
SHAPES = {f"{k}.{name}": shape for k in range(5) for name, shape in (("weight", (4, 3)), ("bias", (4,)))}


def alone(optimizer):
    """The same optimizer, every parameter by itself: the oracle."""
    optimizer.__class__ = type(optimizer.__class__.__name__, (optimizer.__class__,), {"calls": 0})
    return optimizer


def run(optimizer, steps, between=lambda step, params, optimizer: params):
    rng = np.random.default_rng(0)
    params = {path: nnx.asarray(rng.normal(size=shape).astype("float32")) for path, shape in SHAPES.items()}
    for step in range(steps):
        grads = {path: nnx.asarray(rng.normal(size=shape).astype("float32")) for path, shape in SHAPES.items()}
        params = between(step, optimizer.apply(params, grads), optimizer)
    return {path: nnx.to_numpy(p) for path, p in params.items()}, optimizer


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_equals_each_by_itself(backend, make):
    expected, oracle = run(alone(make()), 12)
    found, optimizer = run(make(), 12)
    assert optimizer._pack is not None
    assert oracle._pack is None
    for path in SHAPES:
        np.testing.assert_array_equal(found[path], expected[path])
        for mine, theirs in zip(optimizer.state[path], oracle.state[path], strict=True):
            np.testing.assert_array_equal(nnx.to_numpy(mine), nnx.to_numpy(theirs))


def test_what_a_user_holds_never_changes(backend):
    held = []

    def keep(step, params, optimizer):
        held.append((params["0.bias"], nnx.to_numpy(params["0.bias"]).copy()))
        return params

    run(OPTIMIZERS["adam"](), 6, keep)
    for array, then in held:
        support.assert_same(array, then)


@pytest.mark.parametrize("step", [1, 4])
def test_notices_what_changed_between_steps(backend, step):
    """A replaced parameter, and slots that somebody looked at (and may have changed)."""

    def meddle(at, params, optimizer):
        if at == step:
            params = {**params, "2.weight": params["2.weight"] * 2.0}
            optimizer.state["1.bias"] = tuple(x * 0.5 for x in optimizer.state["1.bias"])
        return params

    expected, _ = run(alone(OPTIMIZERS["adam"]()), 8, meddle)
    found, _ = run(OPTIMIZERS["adam"](), 8, meddle)
    for path in SHAPES:
        np.testing.assert_array_equal(found[path], expected[path])


def test_a_large_parameter_is_updated_by_itself():
    optimizer = OPTIMIZERS["adam"]()
    params = {"large": np.ones((100, 100), "float32"), "a": np.ones(3, "float32"), "b": np.ones(2, "float32")}
    for _ in range(3):
        params = optimizer.apply(params, {path: np.ones_like(p) for path, p in params.items()})
    assert optimizer._pack.paths == ["a", "b"]
    assert optimizer.steps == 3
    assert [optimizer.state[path][0].shape for path in params] == [(100, 100), (3,), (2,)]
