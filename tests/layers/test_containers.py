"""Lists and dicts of modules and of parameters: what they hold is found, trained and saved, however they change."""

import numpy as np
import pytest

import nnx
from tests.oracle import torch
from tests.support import assert_close, assert_same


def linear(n=2, m=2):
    return nnx.Linear(n, m, bias=False)


def names(module):
    return [path for path, _ in module.named_parameters()]


class Listed(nnx.Module):
    def __init__(self, layers):
        self.layers = layers

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def grads_of(model):
    x = nnx.asarray(np.ones((3, 2), "float32"))
    return nnx.grad(lambda m, x: nnx.namespace(x).sum(m(x)))(model, x)


# what changes a ModuleList of three layers, and how many it has then
CHANGES = [
    (lambda m: m.append(linear()), 4),
    (lambda m: m.extend([linear(), linear()]), 5),
    (lambda m: m.insert(1, linear()), 4),
    (lambda m: m.__iadd__([linear()]), 4),
    (lambda m: m.pop(), 2),
    (lambda m: m.pop(0), 2),
    (lambda m: m.__setitem__(1, linear()), 3),
    (lambda m: m.__setitem__(-1, nnx.Sequential(linear(), linear())), 4),
    (lambda m: m.__delitem__(0), 2),
    (lambda m: m.__delitem__(slice(0, 2)), 1),
]


@pytest.mark.parametrize(
    "kind",
    [lambda: nnx.ModuleList([linear() for _ in range(3)]), lambda: nnx.Sequential(*[linear() for _ in range(3)])],
)
@pytest.mark.parametrize(("change", "length"), CHANGES)
def test_what_changes_after_the_first_step_is_trained(kind, change, length):
    model = Listed(kind())
    assert len(grads_of(model)) == 3
    change(model.layers)
    assert len(grads_of(model)) == length
    assert sorted(grads_of(model)) == sorted(names(model))
    assert all(path.startswith("layers.") for path in names(model))


def test_a_module_list_is_a_list():
    layers = [linear() for _ in range(3)]
    found = nnx.ModuleList(layers)
    assert list(found) == layers
    assert len(found) == 3
    assert found[-1] is layers[2]
    assert type(found[1:]) is nnx.ModuleList
    assert list(found[1:]) == layers[1:]
    assert list(found + found[:1]) == [*layers, layers[0]]
    assert type(nnx.Sequential(*layers) + nnx.ModuleList([linear()])) is nnx.Sequential
    assert len(nnx.ModuleList()) == 0
    with pytest.raises(IndexError):
        found[3]


def test_module_dict(backend):
    model = nnx.ModuleDict({"a": linear()})
    model["b"] = nnx.Sequential(linear())
    model.update([("c", linear())])
    assert names(model) == ["a.weight", "b.0.weight", "c.weight"]
    assert list(model) == list(model.keys()) == ["a", "b", "c"]
    assert [name for name, _ in model.items()] == ["a", "b", "c"]
    assert next(iter(model.values())) is model["a"]
    assert "a" in model
    assert "d" not in model
    popped = model.pop("a")
    assert isinstance(popped, nnx.Linear)
    del model["b"]
    assert names(model) == ["c.weight"]
    new = nnx.asarray(np.ones((2, 2), "float32"))
    assert model.update({"c.weight": new}) is model
    assert model["c"].weight is new
    model.clear()
    assert len(model) == 0
    assert names(model) == []


def test_module_dict_after_a_step(backend):
    class Heads(nnx.Module):
        def __init__(self):
            self.heads = nnx.ModuleDict({"a": linear()})

        def __call__(self, x):
            y = x
            for head in self.heads.values():
                y = y + head(x)
            return y

    model = Heads()
    assert list(grads_of(model)) == ["heads.a.weight"]
    model.heads["b"] = linear()
    assert list(grads_of(model)) == ["heads.a.weight", "heads.b.weight"]


class Weighted(nnx.Module):
    def __init__(self, parameters):
        self.weights = parameters

    def __call__(self, x):
        for w in self.weights if isinstance(self.weights, nnx.ParameterList) else self.weights.values():
            x = x * w
        return x


def parameters(n=3):
    return [nnx.asarray(np.full((2,), k + 2.0, "float32")) for k in range(n)]


def test_a_parameter_list_is_trained(backend):
    model = Weighted(nnx.ParameterList(parameters()))
    assert list(grads_of(model)) == ["weights.0", "weights.1", "weights.2"]
    assert_same(grads_of(model)["weights.0"], np.full((2,), 3 * 3.0 * 4.0, "float32"))
    optimizer = nnx.optim.SGD(lr=0.5)
    optimizer.update(model, grads_of(model))
    assert_same(model.weights[0], np.full((2,), 2.0 - 18.0, "float32"))
    model.weights.append(parameters(1)[0])
    assert len(grads_of(model)) == 4
    model.weights[0] = nnx.asarray(np.zeros((2,), "float64"))
    assert model.weights.pop(1).shape == (2,)
    assert list(grads_of(model)) == ["weights.0", "weights.1", "weights.2"]
    assert_same(model.weights[1], np.full((2,), 4.0 - 3 * 6.0 / 2, "float32"))


def test_a_parameter_list_is_a_list(backend):
    arrays = parameters()
    found = nnx.ParameterList(iter(arrays))
    found += parameters(1)
    assert len(found) == len(list(found)) == 4
    assert found[-4] is arrays[0]
    assert [x is y for x, y in zip(found[1:3], arrays[1:], strict=True)] == [True, True]
    assert len(nnx.ParameterList()) == 0
    assert "(2,), (2,), (2,), (2,)" in repr(found)
    with pytest.raises(IndexError, match="parameter 4 of a ParameterList of 4"):
        found[4]


def test_a_parameter_dict_is_trained(backend):
    model = Weighted(nnx.ParameterDict(dict(zip("ab", parameters(2), strict=True))))
    assert list(grads_of(model)) == ["weights.a", "weights.b"]
    model.weights["c"] = parameters(1)[0]
    model.weights.update({"a": parameters(1)[0] + 1.0, "d": parameters(1)[0]})
    assert list(grads_of(model)) == [f"weights.{name}" for name in "abcd"]
    assert_same(model.weights["a"], np.full((2,), 3.0, "float32"))
    assert model.weights.pop("b").shape == (2,)
    del model.weights["c"]
    assert list(grads_of(model)) == ["weights.a", "weights.d"]
    assert "a" in model.weights
    assert "b" not in model.weights
    assert len(model.weights) == 2
    assert list(model.weights) == ["a", "d"]
    assert repr(model.weights) == "ParameterDict(a: (2,), d: (2,))"


def test_state_dicts_have_pytorchs_names():
    nn = torch.nn
    theirs = nn.ModuleDict({
        "layers": nn.ModuleList([nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 2))]),
        "free": nn.ParameterList([torch.ones(2), torch.ones(3)]),
        "named": nn.ParameterDict({"left": torch.ones(2)}),
    })  # fmt: skip
    ours = nnx.ModuleDict({
        "layers": nnx.ModuleList([nnx.Linear(2, 3), nnx.Sequential(nnx.Linear(3, 2))]),
        "free": nnx.ParameterList([np.ones(2), np.ones(3)]),
        "named": nnx.ParameterDict({"left": np.ones(2)}),
    })  # fmt: skip
    expected = {name: x.numpy() for name, x in theirs.state_dict().items()}
    assert list(ours.state_dict()) == list(expected)
    ours.load_state_dict(expected)
    for name, x in ours.state_dict().items():
        np.testing.assert_array_equal(x, expected[name])


def test_residual(backend):
    x = nnx.asarray(np.random.default_rng(0).normal(size=(3, 2)))
    inner = nnx.Linear(2, 2, dtype="float64")
    assert_close(nnx.Residual(inner)(x), nnx.to_numpy(inner(x)) + nnx.to_numpy(x), 1e-12)
    wider, shortcut = nnx.Linear(2, 4, dtype="float64"), nnx.Linear(2, 4, bias=False, dtype="float64")
    model = nnx.Residual(wider, shortcut)
    assert_close(model(x), nnx.to_numpy(wider(x)) + nnx.to_numpy(shortcut(x)), 1e-12)
    assert names(model) == ["module.weight", "module.bias", "shortcut.weight"]
    with pytest.raises(ValueError, match=r"shape \(3, 4\) to a shortcut of shape \(3, 2\)"):
        nnx.Residual(wider)(x)


def test_lambda(backend):
    x = nnx.asarray(np.asarray([-1.0, 2.0]))

    def doubled(x):
        return x + x

    assert_same(nnx.Lambda(doubled)(x), [-2.0, 4.0])
    assert_same(nnx.Lambda(lambda a, b: a * b)(x, x), [1.0, 4.0])
    assert repr(nnx.Lambda(doubled)) == "Lambda(doubled)"
    assert_same(nnx.grad(lambda m, x: nnx.namespace(x).sum(m(x)), argnums=1)(nnx.Lambda(doubled), x), [2.0, 2.0])


WRONG = [
    (lambda: nnx.ModuleList([nnx.functional.relu]), TypeError, "ModuleList takes Modules, got function: use nnx.ReLU"),
    (lambda: nnx.ModuleList([nnx.ReLU]), TypeError, "ModuleList takes Modules, got type"),
    (lambda: nnx.ModuleDict({"a": 1}), TypeError, "ModuleDict takes Modules, got int"),
    (lambda: nnx.ModuleDict({"a.b": nnx.ReLU()}), KeyError, "without dots, got 'a.b'"),
    (lambda: nnx.ModuleDict({1: nnx.ReLU()}), KeyError, "without dots, got 1"),
    (lambda: nnx.ParameterList([1.0]), TypeError, "takes floating arrays, got float"),
    (lambda: nnx.ParameterList([np.arange(3)]), TypeError, "got an array of int64"),
    (lambda: nnx.ParameterDict({"training": np.ones(2)}), KeyError, "no method of it, got 'training'"),
    (lambda: nnx.ParameterDict({"_a": np.ones(2)}), KeyError, "underscore.*got '_a'"),
    (lambda: nnx.Residual(nnx.functional.relu), TypeError, "Residual takes Modules, got function"),
    (lambda: nnx.Lambda(1), TypeError, "Lambda takes a function, got int"),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG)
def test_what_cannot_be_held_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()
