"""nnx.summary: what it counts, against numbers worked out by hand and torch's shapes, and that it changes nothing."""

import json

import numpy as np
import pytest

import nnx
from tests.oracle import torch


class Block(nnx.Module):
    """A product of its own beside a layer's."""

    def __init__(self):
        self.inner = nnx.Linear(8, 8)

    def __call__(self, x):
        return self.inner(x) @ self.inner.weight


class Weighted(nnx.Module):
    def __init__(self):
        self.weight = nnx.init.ones((8, 8))

    def __call__(self, x):
        return nnx.namespace(x).matmul(x, self.weight)


class Counted(Weighted):
    def multiply_adds(self, inputs, output):
        return inputs[0][0] * 64


class Counting(nnx.Module):
    """Changes whatever a forward pass can change."""

    def __init__(self):
        self.register_buffer("seen", nnx.init.zeros((1,)))
        self._last = None
        self.norm = nnx.BatchNorm1d(8)
        self.drop = nnx.Dropout(0.5)
        self.steps = 0

    def __call__(self, x):
        self.seen = self.seen + 1.0
        self._last = x
        self.steps += 1
        self.extra = "new"
        return self.drop(self.norm(x))


def table(model, shape, **options):
    return {row.path: row for row in nnx.summary(model, shape, **options).rows}


def test_a_network_of_layers(backend):
    model = nnx.Sequential(nnx.Linear(4, 8), nnx.ReLU(), nnx.Sequential(nnx.Linear(8, 3, bias=False)))
    model[0].freeze()
    found = nnx.summary(model, (5, 4))
    rows = [
        (r.path, r.type, r.depth, r.output_shape, r.parameters, r.frozen, r.multiply_adds, r.complete)
        for r in found.rows
    ]
    assert rows == [
        ("", "Sequential", 0, (5, 3), 0, 0, 5 * (32 + 24), True),
        ("0", "Linear", 1, (5, 8), 40, 40, 5 * 32, True),
        ("1", "ReLU", 1, (5, 8), 0, 0, 0, True),
        ("2", "Sequential", 1, (5, 3), 0, 0, 5 * 24, True),
        ("2.0", "Linear", 2, (5, 3), 24, 0, 5 * 24, True),
    ]
    assert (found.parameters, found.trainable, found.frozen) == (64, 24, 40)
    assert (found.multiply_adds, found.complete) == (5 * 56, True)
    assert (found.parameter_bytes, found.input_bytes) == (64 * 4, 20 * 4)
    assert found.activation_bytes == 4 * 5 * (8 + 8 + 3)
    assert found.rows[1].input_shapes == [(5, 4)]


# the layer, shapes of its inputs, its multiply-adds
COSTS = [
    (lambda: nnx.Linear(4, 8), [(2, 3, 4)], 2 * 3 * 4 * 8),
    (lambda: nnx.Bilinear(2, 3, 4), [(5, 2), (5, 3)], 5 * 2 * 3 * 4),
    (lambda: nnx.Conv1d(4, 6, 3), [(2, 4, 10)], 2 * 8 * 6 * 4 * 3),
    (lambda: nnx.Conv2d(4, 6, (3, 2), groups=2), [(2, 4, 5, 5)], 2 * 3 * 4 * 6 * 2 * 6),
    (lambda: nnx.Conv3d(1, 2, 2), [(1, 1, 3, 3, 3)], 8 * 2 * 8),
    (lambda: nnx.ConvTranspose2d(4, 6, 3, stride=2), [(2, 4, 5, 5)], 2 * 4 * 25 * 6 * 9),
    (lambda: nnx.RNN(3, 5), [(7, 2, 3)], 14 * (15 + 25)),
    (lambda: nnx.LSTM(3, 5, num_layers=2, bidirectional=True), [(7, 2, 3)], 14 * 2 * 4 * (15 + 25 + 50 + 25)),
    (lambda: nnx.GRUCell(3, 5), [(2, 3)], 2 * 3 * (15 + 25)),
    (
        lambda: nnx.MultiheadAttention(8, 2, batch_first=True),
        [(2, 3, 8), (2, 5, 8), (2, 5, 8)],
        2 * (3 * 64 * 2 + 5 * 64 * 2 + 2 * 3 * 5 * 8),
    ),
    (
        lambda: nnx.MultiheadAttention(8, 2, kdim=4, vdim=6, add_zero_attn=True),
        [(3, 2, 8), (5, 2, 4), (5, 2, 6)],
        2 * (3 * 64 * 2 + 5 * 8 * (4 + 6) + 2 * 3 * 6 * 8),
    ),
    (lambda: nnx.BatchNorm2d(3), [(2, 3, 4, 4)], 0),
    (lambda: nnx.MaxPool2d(2), [(2, 3, 4, 4)], 0),
    (lambda: nnx.Flatten(), [(2, 3, 4, 4)], 0),
    (lambda: nnx.spectral_norm(nnx.Linear(4, 8)), [(2, 4)], 64),
    (lambda: Counted(), [(2, 8)], 128),
]


@pytest.mark.parametrize(("make", "shapes", "expected"), COSTS)
def test_multiply_adds(make, shapes, expected):
    layer = make()
    found = nnx.summary(layer, shapes)
    assert len(found.rows) == 1, "what a layer with a formula is made of has no rows"
    assert (found.multiply_adds, found.complete) == (expected, True)
    assert found.parameters == layer.num_parameters()


def test_a_transformer_is_the_sum_of_its_parts():
    found = nnx.summary(nnx.TransformerEncoderLayer(8, 2, 16, batch_first=True), (4, 3, 8))
    assert found.complete
    assert found.multiply_adds == 4 * (3 * 64 * 4 + 2 * 9 * 8) + 4 * 3 * 2 * 8 * 16
    assert found.parameters == sum(p.numel() for p in torch.nn.TransformerEncoderLayer(8, 2, 16).parameters())


UNKNOWN = [
    (lambda: nnx.Sequential(nnx.Linear(8, 8), nnx.Lambda(lambda x: x)), 128, "1"),
    (lambda: nnx.Sequential(nnx.Linear(8, 8), Weighted()), 128, "1"),
    (lambda: nnx.Sequential(nnx.Linear(8, 8), Block()), 256, None),
]


@pytest.mark.parametrize(("make", "known", "path"), UNKNOWN)
def test_what_nobody_knows_is_not_zero(make, known, path):
    found = nnx.summary(make(), (2, 8))
    assert (found.multiply_adds, found.complete) == (known, False)
    assert f"multiply-adds  ≥ {known}" in str(found)
    rows = {row.path: row for row in found.rows}
    if path:
        assert rows[path].multiply_adds is None
        assert "?" in str(found).splitlines()[3]
    else:
        assert (rows["1"].multiply_adds, rows["1"].complete) == (128, False)


def test_a_layer_that_overrides_the_call_is_not_taken_for_its_base():
    class Odd(nnx.ReLU):
        def __call__(self, x):
            return x

    assert not nnx.summary(Odd(), (2, 8)).complete


def test_layers_used_twice_and_never():
    class Twice(nnx.Module):
        def __init__(self):
            self.a = nnx.Sequential(nnx.Linear(8, 8))
            self.spare = nnx.Linear(2, 2)
            self.free = nnx.ParameterList([nnx.init.ones((3,))])

        def __call__(self, x):
            return self.a(self.a(x))

    found = nnx.summary(Twice(), (2, 8))
    assert [(r.path, r.again, r.called, r.parameters) for r in found.rows] == [
        ("", False, True, 3),
        ("a", False, True, 0),
        ("a.0", False, True, 72),
        ("a", True, True, 0),
        ("a.0", True, True, 0),
        ("spare", False, False, 6),
    ]
    assert found.parameters == Twice().num_parameters() == 81
    assert found.multiply_adds == 2 * 2 * 64
    text = str(found)
    assert text.count("(again)") == 2
    assert "(not called)" in text


def test_a_shared_parameter_counts_once():
    model = nnx.Sequential(nnx.Linear(8, 8), nnx.Linear(8, 8))
    model[1].weight = model[0].weight
    assert nnx.summary(model, (2, 8)).parameters == model.num_parameters() == 80


def state(model):
    found = {}
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            found[path, name] = value
    return found


def test_nothing_is_changed(backend):
    model = nnx.Sequential(nnx.Linear(8, 8), Counting())
    model[1].drop.eval()
    before, numbers = state(model), {k: nnx.to_numpy(v).copy() for k, v in model.state_dict().items()}
    nnx.seed(3)
    random, classes = nnx.random.get_state(), [type(m) for m in model.modules()]
    for training in (False, True):
        nnx.summary(model, (4, 8), training=training)
    after = state(model)
    assert list(before) == list(after)
    assert all(before[k] is after[k] for k in before)
    for name, x in model.state_dict().items():
        np.testing.assert_array_equal(nnx.to_numpy(x), numbers[name])
    assert nnx.random.get_state() == random
    assert [type(m) for m in model.modules()] == classes
    x = nnx.asarray(np.ones((4, 8), "float32"))
    grads = nnx.grad(lambda m, x: nnx.namespace(x).sum(m(x)))(model, x)
    assert sorted(grads) == ["0.bias", "0.weight", "1.norm.bias", "1.norm.weight"]


def test_an_array_that_is_written_into_is_a_copy():
    class Writing(nnx.Module):
        def __init__(self):
            self.register_buffer("count", np.zeros(1))

        def __call__(self, x):
            self.count[0] = self.count[0] + 1.0
            return x

    model = Writing()
    nnx.summary(model, (2, 3))
    assert model.count[0] == 0.0


def test_nothing_is_changed_if_the_pass_fails():
    model = nnx.Sequential(nnx.Linear(8, 8), Counting(), nnx.Linear(3, 3))
    before = state(model)
    with pytest.raises(ValueError, match=r"expected x of shape \(n, 3\), got \(4, 8\)") as caught:
        nnx.summary(model, (4, 8))
    assert "forward pass on zeros of shapes (4, 8)" in caught.value.__notes__[0]
    after = state(model)
    assert list(before) == list(after)
    assert all(before[k] is after[k] for k in before)
    assert type(model[0]) is nnx.Linear


def test_several_inputs_and_nested_outputs(backend):
    class Pair(nnx.Module):
        def __init__(self):
            self.table = nnx.Embedding(10, 4)
            self.out = nnx.Linear(4, 2)

        def __call__(self, words, mask):
            y = self.out(self.table(words))
            return {"y": y, "rest": [y, (mask, None)]}

    found = nnx.summary(Pair(), [(3, 5), (3, 5)], dtypes=["int64", "bool"])
    assert found.rows[0].output_shape == {"y": (3, 5, 2), "rest": [(3, 5, 2), ((3, 5), None)]}
    assert found.rows[0].input_shapes == [(3, 5), (3, 5)]
    assert found.input_bytes == 15 * 8 + 15
    assert (found.multiply_adds, found.complete) == (15 * 8, True)
    words = nnx.asarray(np.ones((3, 5), "int64"))
    assert nnx.summary(Pair(), [words, (3, 5)], dtypes=[None, "bool"]).multiply_adds == 15 * 8


def test_the_axis_of_the_batch():
    assert nnx.summary(nnx.Linear(4, 8), (4,), batch_dim=0).input_shapes == [(1, 4)]
    assert nnx.summary(nnx.Flatten(0), (4, 3), batch_dim=-1).input_shapes == [(4, 3, 1)]
    assert nnx.summary(nnx.Bilinear(2, 3, 4), [(2,), (3,)], batch_dim=0).input_shapes == [(1, 2), (1, 3)]


def test_dtypes_follow_the_model(backend):
    found = nnx.summary(nnx.Linear(4, 8, dtype="float64"), (5, 4))
    assert (found.parameter_bytes, found.activation_bytes, found.input_bytes) == (40 * 8, 40 * 8, 20 * 8)
    assert nnx.summary(nnx.ReLU(), (5, 4)).input_bytes == 20 * 4
    with pytest.raises(ValueError, match="2 dtypes for 1 inputs"):
        nnx.summary(nnx.ReLU(), (5, 4), dtypes=["float32", "float32"])


def test_as_text():
    model = nnx.Sequential(nnx.Linear(1000, 1000), nnx.BatchNorm1d(1000), nnx.Tanh())
    model[0].freeze()
    assert str(nnx.summary(model, (64, 1000))).splitlines() == [
        "layer    type         output shape          parameters  multiply-adds",
        "(model)  Sequential   (64, 1000)                     -     64,000,000",
        "0        Linear       (64, 1000)    1,001,000 (frozen)     64,000,000",
        "1        BatchNorm1d  (64, 1000)                 2,000              0",
        "2        Tanh         (64, 1000)                     -              0",
        "",
        "parameters     1,003,000 (trainable 2,000, frozen 1,001,000)",
        "multiply-adds  64,000,000",
        "memory         parameters 4.01 MB, buffers 8.01 kB, activations 768 kB, input 256 kB",
        "input          (64, 1000)",
    ]


def test_as_data():
    found = nnx.summary(nnx.Sequential(nnx.Linear(4, 8), nnx.Lambda(lambda x: x)), (5, 4)).to_dict()
    assert json.loads(json.dumps(found))["rows"][1] == {
        "path": "0", "type": "Linear", "depth": 1, "input_shapes": [[5, 4]], "output_shape": [5, 8],
        "parameters": 40, "trainable": 40, "frozen": 0, "parameter_bytes": 160, "multiply_adds": 160,
        "complete": True, "output_bytes": 160, "again": False, "called": True,
    }  # fmt: skip
    assert found["rows"][2]["multiply_adds"] is None
    assert (found["parameters"], found["frozen"], found["complete"]) == (40, 0, False)
