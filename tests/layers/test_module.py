"""What a Module holds, by which name, and how it is changed."""

import copy
import pickle

import numpy as np
import pytest

import nnx
from nnx.layers.structure import version
from tests.layers.support import Counting, Scale, batch, squares, total
from tests.support import assert_same


class Nested(nnx.Module):
    """Submodules in every kind of attribute."""

    def __init__(self):
        self.one = Scale()
        self.many = [Scale(), Scale()]
        self.pair = (Scale(), nnx.ReLU())
        self.by_name = {"a": Scale(), "deep": [{"b": Scale()}]}
        self.weight = nnx.asarray([1.0, 1.0, 1.0], "float64")

    def __call__(self, x):
        scales = [self.one, *self.many, *self.pair, self.by_name["a"], self.by_name["deep"][0]["b"]]
        for layer in scales:
            x = layer(x)
        return x * self.weight


PATHS = ["weight", "one.weight", "many.0.weight", "many.1.weight", "pair.0.weight", "by_name.a.weight"]
PATHS.append("by_name.deep.0.b.weight")


# ---- what is a parameter ---------------------------------------------------------------------------------------------


def test_a_floating_array_is_a_parameter_unless_it_is_private_or_a_buffer(backend):
    model = Counting()
    assert [path for path, _ in model.named_parameters()] == ["weight"]
    assert [path for path, _ in model.named_buffers()] == ["mean"]
    assert list(model.state_dict()) == ["weight", "mean"]
    assert [x is y for x, y in zip(model.buffers(), [model.mean], strict=True)] == [True]
    assert list(model.trainable()) == ["weight"]
    assert model.num_parameters() == 2


def test_a_complex_array_is_a_parameter_and_booleans_are_none(backend):
    model = nnx.Module()
    model.phase = backend.asarray(np.asarray([1j]), "complex128")
    model.mask = backend.asarray(np.asarray([True]))
    assert [path for path, _ in model.named_parameters()] == ["phase"]


def test_submodules_in_attributes_lists_tuples_and_dicts():
    model = Nested()
    assert [path for path, _ in model.named_parameters()] == PATHS
    assert list(model.state_dict()) == PATHS
    assert model.num_parameters() == 21
    assert [path for path, _ in model.named_modules()] == [
        "", "one", "many.0", "many.1", "pair.0", "pair.1", "by_name.a", "by_name.deep.0.b"
    ]  # fmt: skip
    assert len(list(model.children())) == 7
    grads = nnx.grad(squares)(model, np.ones((2, 3)))
    assert list(grads) == PATHS
    assert all(np.any(g != 0.0) for g in grads.values())


def test_no_super_init_is_needed():
    class Bare(nnx.Module):
        def __init__(self):
            self.w = np.ones(2)

    assert list(dict(Bare().named_parameters())) == ["w"]


def test_a_dataclass_may_be_a_module():
    import dataclasses

    @dataclasses.dataclass(eq=False)
    class Affine(nnx.Module):
        w: np.ndarray
        b: np.ndarray

        def __call__(self, x):
            return x * self.w + self.b

    model = Affine(np.ones(3), np.zeros(3))
    assert list(nnx.grad(squares)(model, np.ones((2, 3)))) == ["w", "b"]


def test_names_that_the_base_uses_are_free_for_layers():
    class Layer(nnx.Module):
        def __init__(self):
            self.weight = np.ones(3)
            self.child = Scale()
            self._cache = np.zeros(3)
            self._differentiated = None

        def __call__(self, x):
            self._cache = x * 1.0
            return self.child(x * self.weight)

    model = Layer()
    for _ in range(2):
        grads = nnx.grad(squares)(model, np.ones(3))
        model.more = [Scale()]
    assert list(grads) == ["weight", "child.weight", "more.0.weight"]
    assert_same(model._cache, np.ones(3))
    assert model._differentiated is None


def test_a_numpy_scalar_is_a_number_and_not_a_parameter(backend):
    class Layer(nnx.Module):
        def __init__(self):
            self.weight = nnx.asarray([1.0, 2.0], "float64")
            self.scale = 1.0 / np.sqrt(4.0)
            self._eps = np.float32(0.5)

        def __call__(self, x):
            return x * self.weight * self.scale

    model = Layer()
    assert type(model.scale) is type(model._eps) is float
    assert model.scale == model._eps == 0.5
    assert list(nnx.grad(lambda m, x: total(m(x)))(model, backend.asarray([1.0, 1.0], "float64"))) == ["weight"]


def test_a_parameter_without_dimensions_stays_one(backend):
    model = nnx.Module()
    model.scale = backend.asarray(2.0, "float64")
    optimizer = nnx.optim.SGD(lr=0.25)
    for _ in range(2):
        optimizer.update(model, nnx.grad(lambda m: m.scale * m.scale)(model))
        nnx.layers.structure.version.bump()
    assert [path for path, _ in model.named_parameters()] == ["scale"]
    assert float(model.scale) == 0.5


@pytest.mark.parametrize("values", [[np.ones(2)], (np.ones(2),), {"w": np.ones(2)}, [[np.ones(2)]]])
def test_arrays_in_a_list_would_silently_not_be_trained(values):
    model = nnx.Module()
    with pytest.raises(TypeError, match=r"Module\.weights holds arrays in a (list|tuple|dict), which are not trained"):
        model.weights = values
    model._weights = values
    model.sizes = [np.arange(3), 1.0, np.float64(2.0)]


# ---- the structure changes -------------------------------------------------------------------------------------------


def trained(model, x, lr=0.1):
    """One step; the paths whose arrays moved."""
    before = dict(model.named_parameters())
    nnx.optim.SGD(lr=lr).update(model, nnx.grad(squares)(model, x))
    return [path for path, p in model.named_parameters() if path in before and np.any(nnx.to_numpy(p != before[path]))]


class Stack(nnx.Module):
    def __init__(self, layers):
        self.layers = layers

    def _all(self):
        return list(self.layers.values()) if isinstance(self.layers, dict) else list(self.layers)

    def __call__(self, x):
        for layer in self._all():
            x = layer(x)
        return x


def _replace_tuple(model, a, b):
    model.layers = (*model.layers, a)


CHANGES = {  # what was there, what happens with two spare layers, how many parameters there are then
    "append": ([Scale()], lambda m, a, b: m.layers.append(a), 2),
    "extend": ([Scale()], lambda m, a, b: m.layers.extend(iter([a, b])), 3),
    "insert": ([Scale()], lambda m, a, b: m.layers.insert(0, a), 2),
    "iadd": ([Scale()], lambda m, a, b: m.layers.__iadd__([a]), 2),
    "setitem": ([Scale(), nnx.ReLU()], lambda m, a, b: m.layers.__setitem__(1, a), 2),
    "slice": ([nnx.ReLU()], lambda m, a, b: m.layers.__setitem__(slice(0, 1), [a, b]), 2),
    "into an empty list": ([], lambda m, a, b: m.layers.__setitem__(slice(0, 0), [a]), 1),
    "delitem": ([Scale(), Scale()], lambda m, a, b: m.layers.__delitem__(0), 1),
    "pop": ([Scale(), Scale()], lambda m, a, b: m.layers.pop(), 1),
    "remove": ([Scale(), Scale()], lambda m, a, b: m.layers.remove(m.layers[0]), 1),
    "clear": ([Scale(), Scale()], lambda m, a, b: m.layers.clear(), 0),
    "reverse": ([Scale(), nnx.ReLU()], lambda m, a, b: m.layers.reverse(), 1),
    "sort": ([Scale(), nnx.ReLU()], lambda m, a, b: m.layers.sort(key=lambda x: type(x).__name__), 1),
    "imul": ([Scale()], lambda m, a, b: m.layers.__imul__(0), 0),
    "dict setitem": ({"a": Scale()}, lambda m, a, b: m.layers.__setitem__("b", a), 2),
    "dict update": ({"a": Scale()}, lambda m, a, b: m.layers.update({"b": a}, c=b), 3),
    "dict ior": ({"a": Scale()}, lambda m, a, b: m.layers.__ior__({"b": a}), 2),
    "dict setdefault": ({"a": Scale()}, lambda m, a, b: m.layers.setdefault("b", a), 2),
    "dict pop": ({"a": Scale(), "b": Scale()}, lambda m, a, b: m.layers.pop("a"), 1),
    "dict popitem": ({"a": Scale(), "b": Scale()}, lambda m, a, b: m.layers.popitem(), 1),
    "dict delitem": ({"a": Scale(), "b": Scale()}, lambda m, a, b: m.layers.__delitem__("a"), 1),
    "dict clear": ({"a": Scale(), "b": Scale()}, lambda m, a, b: m.layers.clear(), 0),
    "tuple": ((Scale(),), _replace_tuple, 2),
    "attribute": ([Scale()], lambda m, a, b: setattr(m, "layers", [a, b]), 2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_after_the_first_step_trains(change):
    start, act, count = CHANGES[change]
    model, x = Stack(copy.deepcopy(start)), np.ones((2, 3))
    spare = Scale(), Scale()  # made now, as a module that is being made is a change, too
    trained(model, x)
    act(model, *spare)
    names = [path for path, _ in model.named_parameters()]
    assert len(names) == count
    assert trained(model, x) == names


def test_the_order_of_layers_is_that_of_their_paths():
    model = Stack([Scale([1.0]), Scale([2.0])])
    assert [float(p[0]) for p in model.parameters()] == [1.0, 2.0]
    for act, expected in (
        (model.layers.reverse, [2.0, 1.0]),
        (lambda: model.layers.insert(0, model.layers.pop()), [1.0, 2.0]),
    ):
        act()
        assert [float(p[0]) for p in model.parameters()] == expected


def test_a_list_inside_of_a_list_grows_too():
    class Deep(Stack):
        def _all(self):
            return [layer for group in self.layers for layer in group]

    model, x = Deep([[], [Scale()]]), np.ones((2, 3))
    one, two = Scale(), Scale()
    assert trained(model, x) == ["layers.1.0.weight"]
    model.layers[0].append(one)
    assert trained(model, x) == ["layers.0.0.weight", "layers.1.0.weight"]
    model.layers.append([])
    trained(model, x)
    model.layers[2].append(two)
    assert len(trained(model, x)) == 3
    del model.layers[0]
    assert trained(model, x) == ["layers.0.0.weight", "layers.1.0.weight"]
    model.groups = {"a": {}}
    trained(model, x)
    model.groups["a"]["b"] = one
    assert "groups.a.b.weight" in model.trainable()


def test_attributes_that_come_go_and_change_kind():
    model, x = Stack([Scale()]), np.ones((2, 3))
    trained(model, x)
    model.extra = np.ones(3)
    assert list(model.trainable()) == ["extra", "layers.0.weight"]
    model.extra = np.ones(3, dtype="int64")
    assert list(model.trainable()) == ["layers.0.weight"]
    model.extra = Scale()
    assert list(model.trainable()) == ["layers.0.weight", "extra.weight"]
    model.extra = None
    assert list(model.trainable()) == ["layers.0.weight"]
    model.layers[0].more = np.ones(3)
    assert list(model.trainable()) == ["layers.0.weight", "layers.0.more"]
    del model.layers[0].more
    assert list(model.trainable()) == ["layers.0.weight"]
    model.register_buffer("seen", np.ones(3))
    assert list(model.state_dict()) == ["seen", "layers.0.weight"]
    model.layers[0].register_buffer("weight", model.layers[0].weight)
    assert list(model.trainable()) == []
    del model.seen
    model.seen = np.ones(3)
    assert list(model.trainable()) == ["seen"]


def test_a_step_walks_no_tree(monkeypatch):
    model, x = nnx.Sequential(nnx.Linear(3, 3), nnx.Dropout(), Stack([Counting()])), np.ones((2, 3), dtype="float32")
    model = nnx.Sequential(nnx.Linear(3, 2), Counting(), nnx.Linear(2, 2))
    model[1].history, model[1].shape = [], (2, 2)
    optimizer = nnx.optim.Adam()

    def step():
        optimizer.update(model, nnx.grad(squares)(model, x))
        model[1].history.append(1.0)
        model[1].shape = (3, 3)
        model[1].mean = model[1].mean + 1.0
        model.training = True

    step()
    before = version.now
    monkeypatch.setattr(nnx.layers.structure, "walk", lambda *args: pytest.fail("a step walked the tree of modules"))
    step()
    step()
    assert version.now == before


def test_a_module_that_contains_itself_is_an_error_that_leaves_it_usable():
    model = Stack([Scale()])
    model.loop = model
    with pytest.raises(ValueError, match="contains itself"):
        nnx.grad(squares)(model, np.ones(3))
    del model.loop
    assert list(nnx.grad(squares)(model, np.ones(3))) == ["layers.0.weight"]


# ---- shared arrays ---------------------------------------------------------------------------------------------------


def tied(backend):
    model = Stack([Scale(), Scale()])
    model.layers[1].weight = model.layers[0].weight
    return model, backend.asarray([[1.0, 1.0, 1.0]], "float64")


def test_a_shared_array_has_one_gradient_the_sum(backend):
    model, x = tied(backend)
    grads = nnx.grad(lambda m, x: total(m(x)))(model, x)  # Σ w²
    assert list(grads) == ["layers.0.weight"]
    assert_same(grads["layers.0.weight"], np.asarray([2.0, 4.0, 6.0]))
    assert [path for path, _ in model.named_parameters()] == ["layers.0.weight"]
    assert model.num_parameters() == model.num_parameters(trainable_only=True) == 3
    assert list(model.state_dict()) == ["layers.0.weight", "layers.1.weight"]


def test_a_shared_array_stays_shared(backend):
    model, x = tied(backend)

    def shared():
        return model.layers[0].weight is model.layers[1].weight

    for _ in range(2):
        nnx.optim.Adam(lr=0.1).update(model, nnx.grad(squares)(model, x))
        assert shared()
    model.update({"layers.1.weight": backend.asarray([7.0, 8.0, 9.0], "float64")})
    assert shared()
    assert_same(model.layers[0].weight, np.asarray([7.0, 8.0, 9.0]))
    model.load_state_dict(model.state_dict())
    assert shared()
    model.load_state_dict({"layers.0.weight": backend.asarray([1.0, 2.0, 3.0])}, strict=False)
    assert shared()
    assert_same(model.layers[1].weight, np.asarray([1.0, 2.0, 3.0]))
    model.load_state_dict({"layers.1.weight": backend.asarray([4.0, 5.0, 6.0])}, strict=False)
    assert_same(model.layers[0].weight, np.asarray([4.0, 5.0, 6.0]))
    model.to(dtype="float32")
    assert shared()
    assert model.layers[0].weight.dtype == backend.xp.float32
    model.to("numpy")
    assert shared()
    assert isinstance(model.layers[0].weight, np.ndarray)


@pytest.mark.parametrize("first", [True, False])
def test_an_array_under_a_private_name_too(first):
    class Alias(nnx.Module):
        def __init__(self):
            if first:
                self._w = np.asarray([1.0, 2.0])
                self.weight = self._w
            else:
                self.weight = np.asarray([1.0, 2.0])
                self._w = self.weight

        def __call__(self, x):
            return x * self.weight * self._w

    model = Alias()
    assert_same(nnx.grad(lambda m: total(m(1.0)))(model)["weight"], np.asarray([2.0, 4.0]))
    nnx.optim.SGD(lr=0.5).update(model, nnx.grad(lambda m: total(m(1.0)))(model))
    assert model._w is model.weight
    model.load_state_dict({"weight": np.asarray([5.0, 6.0])})
    assert model._w is model.weight


@pytest.mark.parametrize("at", [0, 1])
def test_a_shared_array_is_frozen_wherever_it_stands(backend, at):
    model, x = tied(backend)
    model.bias = backend.asarray([1.0], "float64")
    model.layers[at].freeze()
    grads = nnx.grad(squares)(model, x)
    assert list(grads) == list(model.trainable()) == ["bias"]
    nnx.optim.SGD().update(model, grads)
    model.layers[at].unfreeze()
    assert list(nnx.grad(squares)(model, x)) == ["bias", "layers.0.weight"]


def test_one_module_at_two_places(backend):
    layer = Scale()
    model, x = Stack([layer, layer]), backend.asarray([[1.0, 1.0, 1.0]], "float64")
    weight = layer.weight
    grads = nnx.grad(lambda m, x: total(m(x)))(model, x)
    assert list(grads) == ["layers.0.weight"]
    assert_same(grads["layers.0.weight"], np.asarray([2.0, 4.0, 6.0]))
    assert layer.weight is weight
    assert list(model.state_dict()) == ["layers.0.weight", "layers.1.weight"]
    model.load_state_dict(model.state_dict())
    nnx.optim.SGD(lr=0.1).update(model, grads)
    assert [path for path, _ in model.named_modules()] == ["", "layers.0"]
    assert len(list(model.children())) == 1
    assert model.num_parameters() == 3


def test_one_array_in_two_models_that_are_both_differentiated():
    one, two = Scale(), Scale()
    two.weight = one.weight
    both = nnx.grad(lambda a, b: total(a(1.0) * b(1.0)), argnums=(0, 1))(one, two)
    assert_same(both[0]["weight"], np.asarray([2.0, 4.0, 6.0]))
    assert_same(both[1]["weight"], np.asarray([2.0, 4.0, 6.0]))
    same = nnx.grad(lambda a, b: total(a(1.0) * b(1.0)), argnums=(0, 1))(one, one)
    assert_same(same[0]["weight"], np.asarray([2.0, 4.0, 6.0]))
    assert_same(same[1]["weight"], np.asarray([2.0, 4.0, 6.0]))
    assert isinstance(one.weight, np.ndarray)


# ---- freezing, modes -------------------------------------------------------------------------------------------------


def test_freeze(backend):
    model, x = nnx.Sequential(nnx.Linear(3, 3), nnx.Linear(3, 2)), batch(backend)
    model[0].freeze()
    frozen = model[0].weight
    assert list(model.trainable()) == list(nnx.grad(squares)(model, x)) == ["1.weight", "1.bias"]
    assert len(list(model.named_parameters())) == 4
    assert model.num_parameters() == 20
    assert model.num_parameters(trainable_only=True) == 8
    nnx.optim.SGD().update(model, nnx.grad(squares)(model, x))
    assert model[0].weight is frozen
    model[0].weight = frozen * 1.0
    assert "0.weight" not in model.trainable()
    model.unfreeze()
    assert len(nnx.grad(squares)(model, x)) == 4
    model.freeze()
    assert nnx.grad(squares)(model, x) == {}


def test_freeze_of_this_module_alone():
    model = Nested()
    model.freeze(recurse=False)
    assert list(model.trainable()) == PATHS[1:]
    model.freeze().unfreeze(recurse=False)
    assert list(model.trainable()) == PATHS[:1]


def test_train_and_eval():
    model = Nested()
    assert model.training
    assert model.eval() is model
    assert not any(module.training for module in model.modules())
    model.by_name["a"].train()
    assert not model.training
    assert model.by_name["a"].training
    model.train()
    assert all(module.training for module in model.modules())
    assert model.train(False).training is False


# ---- update ----------------------------------------------------------------------------------------------------------


def test_update(backend):
    model = Nested()
    new = backend.asarray([4.0, 5.0, 6.0], "float64")
    assert model.update({"by_name.a.weight": new}) is model
    assert model.by_name["a"].weight is new
    with pytest.raises(KeyError, match=r"no parameter nothing in Nested: there is weight, one\.weight"):
        model.update({"nothing": new})
    before = model.one.weight
    with pytest.raises(ValueError, match=r"weight has shape \(2,\), the model's \(3,\)"):
        model.update({"one.weight": new, "weight": backend.asarray([1.0, 2.0])})
    assert model.one.weight is before


# ---- state dicts -----------------------------------------------------------------------------------------------------


def test_a_state_dict_is_a_copy(backend):
    model = Counting()
    state = model.state_dict()
    assert all(state[path] is not x for path, x in model.named_parameters())
    if backend.name != "jax":
        state["weight"][0] = 100.0
        state["mean"][0] = 100.0
        assert_same(model.weight, np.asarray([1.0, 2.0]))
        assert_same(model.mean, np.asarray([0.0, 0.0]))
        state = model.state_dict()
        model.weight[0] = 50.0
        assert_same(state["weight"], np.asarray([1.0, 2.0]))


def test_what_is_loaded_is_a_copy(backend):
    model, other = Scale(), Scale([4.0, 5.0, 6.0])
    state = dict(other.named_parameters())
    model.load_state_dict(state)
    assert model.weight is not state["weight"]
    if backend.name != "jax":
        state["weight"][0] = 100.0
        assert_same(model.weight, np.asarray([4.0, 5.0, 6.0]))


def test_loading_keeps_the_models_dtype_backend_and_device(backend):
    model = nnx.Linear(2, 2)
    for source in ("numpy", "array_api_strict", "torch", "jax"):
        if not nnx.backend.table.installed(source):
            continue
        with nnx.use_backend(source):
            other = nnx.Linear(2, 2, dtype="float64")
        found = model.load_state_dict(other.state_dict())
        assert found == ([], [])
        assert model.weight.dtype == backend.xp.float32
        assert type(model.weight) is type(backend.asarray([1.0]))
        assert model.weight.device == backend.asarray([1.0]).device
        assert_same(model.weight, nnx.to_numpy(other.weight).astype("float32"))


def test_a_state_dict_that_does_not_fit_changes_nothing(backend):
    model = nnx.Sequential(nnx.Linear(2, 2), nnx.Linear(2, 3))
    before = dict(model.named_parameters())
    good = model.state_dict()
    bad = {**good, "0.bias": good["1.bias"], "2.weight": good["0.weight"]}
    del bad["1.weight"]
    with pytest.raises(ValueError, match="does not fit Sequential") as caught:
        model.load_state_dict(bad)
    for words in ("0.bias has shape (3,), the model's (2,)", "missing: 1.weight", "unexpected: 2.weight"):
        assert words in str(caught.value)
    with pytest.raises(ValueError, match="wrong shape") as caught:
        model.load_state_dict(bad, strict=False)
    assert "missing" not in str(caught.value)
    with pytest.raises(ValueError, match=r"0\.weight is no array but a list"):
        model.load_state_dict({**good, "0.weight": [[1.0, 2.0], [3.0, 4.0]]})
    assert all(x is before[path] for path, x in model.named_parameters())


def test_a_conversion_that_fails_changes_nothing():
    class Unreadable(np.ndarray):
        def __array_finalize__(self, obj):
            pass

        def astype(self, *args, **kwargs):
            raise OSError("gone")

    model = nnx.Sequential(Scale(), Scale())
    before = dict(model.named_parameters())
    state = {**model.state_dict(), "1.weight": np.asarray(["a", "b", "c"])}
    with pytest.raises(ValueError, match="could not convert"):
        model.load_state_dict(state)
    assert all(x is before[path] for path, x in model.named_parameters())


def test_loading_what_fits(backend):
    model = nnx.Sequential(nnx.Linear(2, 2), nnx.Linear(2, 3))
    new = backend.asarray(np.full((2, 2), 7.0), "float32")
    found = model.load_state_dict({"0.weight": new, "other": new}, strict=False)
    assert found.missing_keys == ["0.bias", "1.weight", "1.bias"]
    assert found.unexpected_keys == ["other"]
    assert_same(model[0].weight, np.full((2, 2), 7.0, dtype="float32"))


def test_a_buffer_that_is_none_is_no_part_of_the_state():
    model = Scale()
    model.register_buffer("mean", None)
    assert list(model.state_dict()) == ["weight"]
    model.mean = np.zeros(2)
    assert list(model.state_dict()) == ["weight", "mean"]
    assert list(model.trainable()) == ["weight"]


# ---- moving ----------------------------------------------------------------------------------------------------------


def test_to_another_backend_and_back(backend):
    model = nnx.Sequential(nnx.Linear(2, 2), Counting())
    expected = {path: nnx.to_numpy(x) for path, x in model.state_dict().items()}
    assert model.to("numpy") is model
    assert all(
        isinstance(x, np.ndarray) for x in [*model.parameters(), *model.buffers(), model[1].steps, model[1]._last]
    )
    model.to(backend.name, backend.device)
    for path, x in model.state_dict().items():
        assert type(x) is type(backend.asarray([1.0]))
        assert x.device == backend.asarray([1.0]).device
        assert_same(x, expected[path])
    nnx.grad(squares)(model, batch(backend, width=2))


def test_to_a_dtype_is_for_floating_arrays(backend):
    model = Counting()
    model.to(dtype="float32")
    assert model.weight.dtype == model.mean.dtype == model._last.dtype == backend.xp.float32
    assert model.steps.dtype == backend.xp.int32
    model.to(dtype=backend.xp.float64)
    assert model.weight.dtype == backend.xp.float64


def test_to_a_device_of_the_same_backend():
    strict = pytest.importorskip("array_api_strict")
    with nnx.use_backend("array_api_strict"):
        model = Scale()
    model.to("array_api_strict", "device1")
    assert model.weight.device == strict.Device("device1")
    model.to(dtype="float32")
    assert model.weight.device == strict.Device("device1")
    model.load_state_dict({"weight": np.ones(3)})
    assert model.weight.device == strict.Device("device1")


# ---- copies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_copies_are_models_of_their_own(backend, how):
    if backend.name == "dpnp":
        pytest.skip("one library: dpnp's arrays can be neither copied by copy.deepcopy nor pickled")
    model, x = Nested(), backend.asarray(np.ones((2, 3)), "float64")
    model.many[1].weight = model.one.weight
    model.by_name["a"].freeze()
    nnx.grad(squares)(model, x)
    found = copy.deepcopy(model) if how == "deepcopy" else pickle.loads(pickle.dumps(model))
    assert list(found.trainable()) == list(model.trainable())
    assert found.many[1].weight is found.one.weight
    trained(found, x)
    assert_same(model.one.weight, np.asarray([1.0, 2.0, 3.0]))
    found.many.append(Scale())
    assert "many.2.weight" in found.trainable()
    assert "many.2.weight" not in model.trainable()


def test_a_shallow_copy_shares_its_arrays():
    model = Scale()
    other = copy.copy(model)
    assert other.weight is model.weight
    other.weight = np.zeros(3)
    assert_same(model.weight, np.asarray([1.0, 2.0, 3.0]))
    nnx.grad(squares)(other, np.ones(3))


# ---- representation --------------------------------------------------------------------------------------------------


def test_repr():
    class Block(nnx.Module):
        def __init__(self):
            self.proj = nnx.Sequential(nnx.Flatten(), nnx.ReLU())
            self.heads = [nnx.ReLU(), nnx.Tanh()]

        def extra_repr(self):
            return "width=2"

    assert repr(Block()) == (
        "Block(\n  width=2\n  (proj): Sequential(\n    (0): Flatten(start_dim=1, end_dim=-1)\n    (1): ReLU()\n  )\n"
        "  (heads.0): ReLU()\n  (heads.1): Tanh()\n)"
    )
    assert repr(Scale()) == "Scale()"


def test_a_module_without_a_forward_pass():
    with pytest.raises(NotImplementedError, match="Module needs a method __call__"):
        nnx.Module()(1.0)


# ---- Sequential ------------------------------------------------------------------------------------------------------


def test_sequential():
    layers = nnx.Linear(3, 4), nnx.ReLU(), nnx.Linear(4, 2)
    model = nnx.Sequential(*layers)
    assert len(model) == 3
    assert list(model) == list(layers)
    assert model[0] is layers[0]
    assert model[-1] is layers[2]
    part = model[1:]
    assert isinstance(part, nnx.Sequential)
    assert part[1] is layers[2]
    assert model.append(nnx.Tanh()) is model
    assert len(model) == 4
    model[1] = nnx.Sigmoid()
    assert isinstance(model[1], nnx.Sigmoid)
    model.insert(0, nnx.Flatten()).extend([nnx.ReLU()])
    assert [type(layer).__name__ for layer in model] == ["Flatten", "Linear", "Sigmoid", "Linear", "Tanh", "ReLU"]
    del model[0]
    assert list(model.trainable()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert model(np.ones((5, 3), dtype="float32")).shape == (5, 2)


@pytest.mark.parametrize("wrong", [nnx.functional.relu, 3, None])
def test_sequential_takes_modules(wrong):
    with pytest.raises(TypeError, match="Sequential takes Modules"):
        nnx.Sequential(nnx.ReLU(), wrong)
    model = nnx.Sequential(nnx.ReLU())
    with pytest.raises(TypeError, match="Sequential takes Modules"):
        model.append(wrong)
    with pytest.raises(TypeError, match="Sequential takes Modules"):
        model[0] = wrong
