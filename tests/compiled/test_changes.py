"""What a program depends on may change between two calls: a later call must notice, and compile no more than it must.

The second and later calls of a form are on a short way that makes no key: these tests are what it must not overlook.
"""

import numpy as np
import pytest

import nnx
from tests.compiled.test_compile import batch, host, network, training
from tests.support import assert_same


@pytest.fixture(params=["torch", pytest.param("jax", marks=pytest.mark.slow)])
def compiler(request):
    """A backend that has a compiler of its own, active."""
    pytest.importorskip(request.param)
    with nnx.use_backend(request.param) as active:
        yield active


def linear(seed=0):
    nnx.seed(seed)
    return nnx.Sequential(nnx.Linear(4, 3), nnx.Linear(3, 3))


def sgd(model, **options):
    optimizer = nnx.optim.SGD(lr=0.1, momentum=0.5, **options)
    return optimizer, training(model, optimizer, True)


def eager(model, optimizer):
    return training(model, optimizer, False)


CHANGES = {
    "a dropout's p": lambda model, optimizer: setattr(model.layers[3], "p", 0.5),
    "a tuple": lambda model, optimizer: setattr(model, "sizes", (1, 2)),
    "a hyperparameter": lambda model, optimizer: setattr(optimizer, "momentum", 0.7),
    "an option of a group": lambda model, optimizer: optimizer.groups["*.bias"].update(momentum=0.1),
    "what is frozen": lambda model, optimizer: model.layers[0].freeze(),
    "evaluation": lambda model, optimizer: model.layers[3].eval(),
    "another seed": lambda model, optimizer: nnx.seed(9),
    "a layer": lambda model, optimizer: model.append(nnx.Linear(3, 3)),
    "the kind of a rate": lambda model, optimizer: setattr(optimizer, "lr", 1),
}
NOTHING = {
    "nothing": lambda model, optimizer: None,
    "a learning rate": lambda model, optimizer: setattr(optimizer, "lr", 0.3),
    "a group's learning rate": lambda model, optimizer: optimizer.groups["*.bias"].update(lr=0.2),
    "a private attribute": lambda model, optimizer: setattr(model, "_note", 3),
    "loaded weights": lambda model, optimizer: model.load_state_dict(network().state_dict()),
    "loaded slots": lambda model, optimizer: optimizer.load_state_dict(optimizer.state_dict()),
    "an attribute of another model": lambda model, optimizer: setattr(nnx.Dropout(0.1), "p", 0.2),
    "another model": lambda model, optimizer: nnx.Linear(2, 2),
    "an eager step": lambda model, optimizer: eager(model, optimizer)(*batch(nnx.get_backend())),
}


@pytest.mark.parametrize("name", CHANGES | NOTHING)
def test_a_change_between_two_calls(compiler, name):
    """As many programs as are needed, and the numbers of a program that was made after the change."""
    found = []
    for fresh in (False, True):
        nnx.seed(1)
        model = network()
        optimizer, step = sgd(model, groups={"*.bias": {"lr": 0.05, "momentum": 0.2}})
        x, y = batch(compiler)
        step(x, y)
        step(x, y)
        (CHANGES | NOTHING)[name](model, optimizer)
        later = training(model, optimizer, True) if fresh else step
        losses = [float(later(x, y)), float(later(x, y))]
        found.append((losses, host(model.state_dict()), step.traces))
    assert found[0][2] == (2 if name in CHANGES else 1)
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-6)
    for path, weights in found[0][1].items():
        np.testing.assert_allclose(weights, found[1][1][path], rtol=1e-5, atol=1e-6, err_msg=path)


def test_arrays_that_are_shared_from_now_on(compiler):
    model = nnx.Sequential(nnx.Linear(3, 3, bias=False), nnx.Tanh(), nnx.Linear(3, 3, bias=False))
    _, step = sgd(model)
    x, y = compiler.asarray(np.eye(3), "float32"), batch(compiler)[1][:3]
    step(x, y)
    step(x, y)
    model.layers[2].weight = model.layers[0].weight
    step(x, y)
    step(x, y)
    assert model.layers[2].weight is model.layers[0].weight
    assert step.traces == 2


def test_a_counter_that_the_step_moves_asks_for_no_new_program(compiler):
    class Counting(nnx.Linear):
        def __call__(self, x):
            self.calls = getattr(self, "calls", 0) + 1
            return super().__call__(x)

    model = Counting(4, 3)
    _, step = sgd(model)
    for _ in range(3):
        step(*batch(compiler))
    assert step.traces == 1


def test_numbers_count_by_type_and_value(compiler):
    compiled, x = nnx.compile(lambda x, **options: x * 2.0), compiler.asarray([1.0], "float32")
    calls = [{"a": 1}, {"a": True}, {"a": 1.0}, {"a": 0.0}, {"a": -0.0}, {"a": (1, [2])}, {"a": [1, [2]]}]
    for _ in range(2):
        for options in calls:
            compiled(x, **options)
        compiled(x, a=float("nan"))
    assert compiled.traces == len(calls) + 1


def test_a_dict_is_no_keyword(compiler):
    compiled, x = nnx.compile(lambda *args, **options: (len(args), x * 2.0)), compiler.asarray([1.0], "float32")
    assert [compiled({"a": x})[0], compiled(a=x)[0], compiled({"a": x})[0]] == [1, 0, 1]


def test_a_seed_is_nothing_to_a_step_that_draws_nothing(compiler):
    model = linear()
    _, step = sgd(model)
    for seed in range(3):
        nnx.seed(seed)
        step(*batch(compiler))
    assert step.traces == 1


def test_what_a_step_leaves_alone_stays_where_it_is(compiler):
    """An evaluation overwrites nothing, and a frozen layer keeps its arrays."""
    model = linear()
    before = model.layers[0].weight
    x, y = batch(compiler)
    nnx.compile(lambda x: model(x), state=model)(x)
    assert model.layers[0].weight is before
    model.layers[0].freeze()
    sgd(model)[1](x, y)
    assert model.layers[0].weight is before
    assert_same(before, nnx.to_numpy(before))


def test_inside_of_another_transform(compiler):
    compiled, x = nnx.compile(lambda x: x * x), compiler.asarray([3.0], "float32")
    for _ in range(2):
        compiled(x)
        assert_same(nnx.grad(lambda x: compiled(x)[0])(x), np.asarray([6.0], "float32"))
    assert compiled.traces == 1


@pytest.mark.parametrize("given", [linear, lambda: nnx.optim.SGD(lr=0.1)], ids=["model", "optimizer"])
def test_an_argument_that_the_state_lacks(compiler, given):
    compiled, x = nnx.compile(lambda x, *rest: x * 2.0), compiler.asarray([1.0], "float32")
    with pytest.raises(TypeError, match="among the arguments of a compiled step, whose arrays would be constants"):
        compiled(x, given())
    model = linear()
    assert nnx.compile(lambda model, x: model(x), state=model)(model, batch(compiler)[0]).shape == (6, 3)
