"""Small parameters updated together are, bit for bit, what updating each by itself makes of them."""

import numpy as np
import pytest

import nnx
from tests import support
from tests.optim.rows import NOT_ELEMENTWISE, ROWS

GROUPS = {"*.bias": {"lr": 3e-3}, "[34].*": {"maximize": True}}
OPTIMIZERS = {name: make for name, make in ROWS.items() if name not in {*NOT_ELEMENTWISE, "plain"}}
OPTIMIZERS |= {"groups": lambda: nnx.optim.Adam(1e-2, weight_decay=1e-3, groups=GROUPS)}
KEYS = [(), ("*.bias",)]  # of the other two parts, two arrays each, it would not be worth it
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
    packs = KEYS if make is OPTIMIZERS["groups"] else [()]
    assert list(optimizer._packs) == ([] if backend.updates_together else packs)
    assert not oracle._packs
    for path in SHAPES:
        np.testing.assert_array_equal(found[path], expected[path])
        for mine, theirs in zip(optimizer.state[path], oracle.state[path], strict=True):
            np.testing.assert_array_equal(nnx.to_numpy(mine), nnx.to_numpy(theirs))


def test_what_a_user_holds_never_changes(backend):
    held = []

    def keep(step, params, optimizer):
        held.append((params["0.bias"], nnx.to_numpy(params["0.bias"]).copy()))
        return params

    run(OPTIMIZERS["Adam"](), 6, keep)
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

    expected, _ = run(alone(OPTIMIZERS["Adam"]()), 8, meddle)
    found, _ = run(OPTIMIZERS["Adam"](), 8, meddle)
    for path in SHAPES:
        np.testing.assert_array_equal(found[path], expected[path])


def test_a_large_parameter_is_updated_by_itself():
    optimizer = OPTIMIZERS["Adam"]()
    params = {"large": np.ones((100, 100), "float32"), "a": np.ones(3, "float32"), "b": np.ones(2, "float32")}
    for _ in range(3):
        params = optimizer.apply(params, {path: np.ones_like(p) for path, p in params.items()})
    assert optimizer._packs[()].paths == ["a", "b"]
    assert optimizer.steps == 3
    assert [optimizer.state[path][0].shape for path in params] == [(100, 100), (3,), (2,)]


@pytest.mark.parametrize("at", [0, 5])
def test_a_step_that_fails_has_not_happened(backend, at):
    """Two packs, the second of which meets a gradient of the wrong size: the first must not have moved."""
    if backend.name not in ("numpy", "array_api_strict"):
        pytest.skip("one library is enough")

    def meddle(step, params, optimizer):
        if step == at:
            wrong = {path: p * 1.0 for path, p in params.items()}
            wrong["4.bias"] = nnx.asarray(np.ones((7, 9), "float32"))
            with pytest.raises((ValueError, TypeError)):
                optimizer.apply(params, wrong)
        return params

    expected, _ = run(OPTIMIZERS["groups"](), 8)
    found, _ = run(OPTIMIZERS["groups"](), 8, meddle)
    for path in SHAPES:
        np.testing.assert_array_equal(found[path], expected[path])


def test_a_whole_group_that_pauses_is_as_late_as_each_of_it():
    """Its pack must not be taken up again as if no step had been missed."""

    def trained(optimizer):
        rng = np.random.default_rng(0)
        params = {path: rng.normal(size=shape) for path, shape in SHAPES.items()}
        for step in range(9):
            part = {path: p for path, p in params.items() if step not in (3, 4) or not path.endswith("bias")}
            params |= optimizer.apply(part, {path: rng.normal(size=p.shape) for path, p in part.items()})
        return params

    make = lambda: nnx.optim.Adam(1e-2, groups={"*.bias": {"lr": 3e-3}})
    found, expected = trained(make()), trained(alone(make()))
    for path in SHAPES:
        np.testing.assert_array_equal(found[path], expected[path])
