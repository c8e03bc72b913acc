"""A compiled step is the eager step: the same losses, weights, buffers, slots and masks; one trace for each form."""

import logging

import numpy as np
import pytest

import nnx
from nnx.compiled.count import Count
from tests.support import assert_close, assert_same

TRACES = ("jax", "torch", "numpy")
"""Backends that have a compiler; on the others the step runs as it is, and every test holds as well."""


def batch(backend, n=6):
    rng = np.random.default_rng(0)
    return backend.asarray(rng.normal(size=(n, 4)), "float32"), backend.asarray(np.arange(n) % 3, "int32")


def network(p=0.25):
    nnx.seed(0)
    return nnx.Sequential(
        nnx.Linear(4, 8, bias=False), nnx.BatchNorm1d(8), nnx.ReLU(), nnx.Dropout(p), nnx.Linear(8, 3)
    )


def training(model, optimizer, compiled, **options):
    loss_and_grads = nnx.value_and_grad(lambda model, x, y: nnx.losses.cross_entropy(model(x), y))

    def step(x, y):
        loss, grads = loss_and_grads(model, x, y)
        optimizer.update(model, grads)
        return loss

    return nnx.compile(step, state=(model, optimizer), **options) if compiled else step


def host(arrays):
    return {name: nnx.to_numpy(x).copy() for name, x in arrays.items()}


OPTIMIZERS = {
    "SGD": lambda: nnx.optim.SGD(lr=0.1),
    "SGD with momentum": lambda: nnx.optim.SGD(lr=0.1, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "Adam": lambda: nnx.optim.Adam(lr=0.01),
    "Adam, amsgrad": lambda: nnx.optim.Adam(lr=0.01, amsgrad=True, weight_decay=0.01),
    "AdamW": lambda: nnx.optim.AdamW(lr=0.01),
    "RMSprop": lambda: nnx.optim.RMSprop(lr=0.01, momentum=0.5, centered=True),
    "Adagrad": lambda: nnx.optim.Adagrad(lr=0.01, lr_decay=0.1),
    "Adadelta": lambda: nnx.optim.Adadelta(lr=1.0),
    "Adamax": lambda: nnx.optim.Adamax(lr=0.01),
    "NAdam": lambda: nnx.optim.NAdam(lr=0.01),
    "RAdam": lambda: nnx.optim.RAdam(lr=0.01, betas=(0.8, 0.9)),
    "ASGD": lambda: nnx.optim.ASGD(lr=0.1, t0=3.0),
    "Rprop": lambda: nnx.optim.Rprop(lr=0.001),
    "LAMB": lambda: nnx.optim.LAMB(lr=0.01),
    "Lion": lambda: nnx.optim.Lion(lr=0.001),
    "groups": lambda: nnx.optim.AdamW(lr=0.01, groups={"*.bias": {"lr": 0.1, "weight_decay": 0.0}}),
}


def ten_steps(name, compiled):
    """Losses, weights and slots after ten steps on the active backend, and how many programs that took."""
    model, optimizer = network(), OPTIMIZERS[name]()
    step = training(model, optimizer, compiled)
    x, y = batch(nnx.get_backend())
    losses = []
    for k in range(10):
        optimizer.lr *= 0.9  # as a schedule would
        losses.append(float(step(x, y)))
        if k == 5:
            x = x * 1.5
    assert type(optimizer.steps) is int
    assert optimizer.steps == 10
    assert nnx.random.get_state()["counter"] == 10
    assert type(nnx.random.get_state()["counter"]) is int
    found = losses, host(model.state_dict()), host(optimizer.state_dict()["slots"])
    return found, getattr(step, "traces", 0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_ten_steps_are_the_eager_steps(backend, name):
    with nnx.use_backend("numpy"):  # the reference: eager JAX compiles every operation by itself
        (losses, weights, slots), _ = ten_steps(name, False)
    (compiled_losses, compiled_weights, compiled_slots), traces = ten_steps(name, True)
    if backend.name in TRACES:
        assert traces == 1
    np.testing.assert_allclose(compiled_losses, losses, rtol=2e-4, atol=1e-5)
    for one, other in ((weights, compiled_weights), (slots, compiled_slots)):
        assert one.keys() == other.keys()
        for k in one:
            np.testing.assert_allclose(other[k], one[k], rtol=5e-3, atol=2e-4, err_msg=k)


def test_what_makes_a_new_program(backend):
    model, optimizer = network(), nnx.optim.Adam(lr=0.01)
    step, (x, y) = training(model, optimizer, True), batch(backend)
    programs = []

    def run(x=x, y=y):
        step(x, y)
        programs.append(step.traces)

    run()
    run()  # nothing has changed
    optimizer.lr = 0.5
    run()  # nor does a learning rate change anything
    run(x[:4, :], y[:4])  # a shape
    model.eval()
    run()
    model.train()
    run()  # known
    model.layers[0].freeze()
    run()
    optimizer.eps = 1e-3
    run()
    if backend.name in TRACES:
        assert programs == [1, 1, 1, 2, 3, 3, 4, 5]


def test_a_layer_that_is_added_is_trained(backend):
    model = nnx.Sequential(nnx.Linear(4, 3))
    optimizer = nnx.optim.Adam(lr=0.01)
    step, (x, y) = training(model, optimizer, True), batch(backend)
    step(x, y)
    model.append(nnx.Linear(3, 3))
    before = host(model.state_dict())
    step(x, y)
    for name, x in host(model.state_dict()).items():
        assert not np.array_equal(x, before[name]), name


def test_a_shared_array_is_one_parameter(backend):
    first, second = nnx.Linear(3, 3, bias=False), nnx.Linear(3, 3, bias=False)
    second.weight = first.weight
    model = nnx.Sequential(first, nnx.Tanh(), second)
    step = training(model, nnx.optim.SGD(lr=0.1), True)
    x, y = backend.asarray(np.random.default_rng(0).normal(size=(5, 3)), "float32"), batch(backend)[1][:5]
    step(x, y)
    step(x, y)
    assert first.weight is second.weight


def test_buffers_and_private_arrays_stay(backend):
    class Last(nnx.Module):
        def __init__(self):
            self.layer = nnx.Linear(4, 3)
            self.register_buffer("seen", nnx.asarray(np.zeros(1), "float32"))

        def __call__(self, x):
            self.seen = self.seen + 1.0
            self._last = self.layer(x)
            return self._last

    model = Last()
    step, (x, y) = training(model, nnx.optim.SGD(lr=0.0), True), batch(backend)
    for k in range(3):
        step(x, y)
        assert_same(model.seen, np.asarray([k + 1.0], "float32"))
        assert_close(model._last, nnx.to_numpy(model.layer(x)), 1e-5, 1e-6)


FAILURES = {
    "an exception": lambda x: 1 // 0,
    "a read": lambda x: float(nnx.namespace(x).sum(x)),
    "a branch": lambda x: 1 if nnx.namespace(x).sum(x) > 1e9 else 2,
    "a draw on the host": lambda x: nnx.random.normal((2,)),
    "a seed": lambda x: nnx.seed(3),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_step_that_fails_leaves_the_model_as_it_was(backend, name):
    if backend.name not in TRACES:
        pytest.skip("one library has a compiler: elsewhere a step may read what it likes")
    model, optimizer = network(), nnx.optim.SGD(lr=0.1, momentum=0.9)
    good, (x, y) = training(model, optimizer, True), batch(backend)
    good(x, y)
    before, counter = host(model.state_dict()), nnx.random.get_state()["counter"]

    def bad(x, y):
        optimizer.update(model, nnx.grad(lambda m, x: nnx.namespace(x).sum(m(x)))(model, x))
        return FAILURES[name](x)

    with pytest.raises(Exception, match=r"division|[Tt]racer|was read|host|seed") as caught:
        nnx.compile(bad, state=(model, optimizer))(x, y)
    if name in ("a read", "a branch"):
        assert "belong outside" in "".join(caught.value.__notes__)
    for k, x_ in host(model.state_dict()).items():
        np.testing.assert_array_equal(x_, before[k])
    assert (optimizer.steps, nnx.random.get_state()["counter"]) == (1, counter)
    assert "calls" not in vars(optimizer)
    good(x, y)


def test_nests_flags_and_keywords(backend):
    def step(pair, scale, *, flip=False, names):
        x, (y,) = pair["x"], pair["rest"]
        return {"sum": (x + y) * scale, "name": names[0], "flipped": [-x if flip else x, None]}

    compiled, x = nnx.compile(step), backend.asarray([1.0, 2.0], "float32")
    for flip, scale, sign in [(False, 2.0, 1), (True, 2.0, -1), (False, 3.0, 1), (False, 2.0, 1)]:
        found = compiled({"x": x, "rest": (x,)}, scale, flip=flip, names=["a"])
        assert_same(found["sum"], np.asarray([2.0, 4.0], "float32") * np.float32(scale))
        assert_same(found["flipped"][0], np.asarray([1.0, 2.0], "float32") * np.float32(sign))
        assert (found["name"], found["flipped"][1]) == ("a", None)
    if backend.name in TRACES:
        assert compiled.traces == 3


def test_what_was_taken_before(backend):
    """A state dict outlives a donated step; without donation so does an array of the model."""
    model, optimizer = network(), nnx.optim.Adam(lr=0.01)
    (x, y), kept, taken = batch(backend), model.state_dict(), model.layers[0].weight
    expected, first = host(kept), nnx.to_numpy(taken).copy()
    training(model, optimizer, True, donate=False)(x, y)
    assert_same(taken, first)
    training(model, optimizer, True)(x, y)
    for k, x_ in host(kept).items():
        np.testing.assert_array_equal(x_, expected[k])


def test_a_state_that_cannot_be_carried():
    with pytest.raises(TypeError, match="Modules and optimizers that change nothing but slots, got dict"):
        nnx.compile(lambda x: x, state=({"weight": 1.0},))
    with pytest.raises(TypeError, match="got AdamWScheduleFree: leave it out and update eagerly"):
        nnx.compile(lambda x: x, state=nnx.optim.AdamWScheduleFree())


def test_each_program_is_said_once(backend, caplog):
    compiled, x = nnx.compile(lambda x: x * 2.0), backend.asarray([1.0], "float32")
    with caplog.at_level(logging.INFO, "nnx.compile"):
        compiled(x)
        compiled(x)
    said = [record.getMessage() for record in caplog.records]
    assert said == (["compiled <lambda>: 1 program so far"] if backend.name in TRACES else [])


def test_counts():
    three = Count(np.asarray(3), 0)
    assert type(three + 2) is Count
    assert (three + 2 - 1).moved == 1
    checks = [
        (three + 0.5, 3.5), (three - 0.5, 2.5), (10 - three, 7), (2.0**three, 8.0), (three**2, 9), (three / 2, 1.5),
        (6 / three, 2.0), (three * 2, 6), (-three, -3), ((three + 1) - three, 1), (three > 1, True),
        (float(three), 3.0), (bool(three), True), (three % 2, 1), (three == 3, True), (1 + three == 4, True),
    ]  # fmt: skip
    for found, expected in checks:
        assert found == expected


TABLES = {
    "counts of a pool": lambda x: nnx.functional.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False),
    "shares of a resize": lambda x: nnx.functional.interpolate(x, scale_factor=1.5, mode="bilinear"),
    "places of windows": lambda x: nnx.functional.unfold(x, 3, padding=1, stride=2),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_a_trace_has_made_is_not_kept(backend, name):
    """Tables are made once for each geometry: one of a trace's own arrays would spoil every later call."""
    x = backend.asarray(np.arange(2 * 7 * 11, dtype="float32").reshape((1, 2, 7, 11)))
    found = nnx.to_numpy(nnx.compile(lambda x: TABLES[name](x))(x))
    np.testing.assert_allclose(nnx.to_numpy(TABLES[name](x)), found, rtol=1e-6)
