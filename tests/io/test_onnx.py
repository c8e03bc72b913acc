"""Models as ONNX files: what onnxruntime computes is what the model computes, at any size of the batch."""

import sys

import numpy as np
import pytest

import nnx
from nnx import functional as F
from nnx import models
from nnx.autodiff.tree import leaves
from nnx.io import NotTraceable, export_onnx

pytest.importorskip("ndonnx", reason="ndonnx, which writes the graphs, is not installed: pip install 'nnx-array[onnx]'")
onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'nnx-array[onnx]'")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'nnx-array[onnx]'")


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def tokens(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 20, shape)


def mlp():
    return nnx.Sequential(nnx.Linear(4, 8), nnx.Tanh(), nnx.Linear(8, 3))


MODELS = {
    "mlp": (mlp, numbers, (4,)),
    "lenet": (lambda: models.LeNet5(), numbers, (1, 28, 28)),
    "resnet": (lambda: models.resnet18(10, small=True), numbers, (3, 8, 8)),
    "bottlenecks": (
        lambda: models.ResNet(models.Bottleneck, (1, 1, 1, 1), 5, small=True),
        numbers,
        (3, 8, 8),
    ),
    "vgg": (lambda: models.VGG(11, 10, hidden=16, batch_norm=True), numbers, (3, 32, 32)),
    "unet": (lambda: models.UNet(width=4, depth=2), numbers, (1, 8, 8)),
    "autoencoder": (lambda: models.Autoencoder((16, 8, 4)), numbers, (16,)),
    "vae": (lambda: models.VAE((16, 8, 4)), numbers, (16,)),
    "gpt": (lambda: models.GPT(20, 8, 2, 2, 8), tokens, (6,)),
    "vit": (lambda: models.ViT(8, 4, 2, 2, 8, 16, num_classes=5), numbers, (3, 8, 8)),
    "lstm": (lambda: models.LSTMLanguageModel(20, 8, 8), tokens, (4,)),
    "tagger": (lambda: models.LSTMTagger(20, 5, embedding_dim=6, hidden_size=8), tokens, (4,)),
}


def run(path, **inputs):
    """What onnxruntime makes of a file, by output."""
    session = runtime.InferenceSession(path)
    names = [node.name for node in session.get_inputs()]
    return dict(
        zip([y.name for y in session.get_outputs()], session.run(None, {n: inputs[n] for n in names}), strict=True)
    )


def settled(model):
    """With random numbers everywhere: zeros and ones hide what is forgotten."""
    state = {
        path: np.abs(numbers(*x.shape, seed=k)) * 0.3 + 0.1
        if "running_var" in path
        else numbers(*x.shape, seed=k) * 0.3
        for k, (path, x) in enumerate(model.state_dict().items())
        if "num_batches" not in path
    }
    model.load_state_dict(state, strict=False)
    return model


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_the_zoo(name, tmp_path):
    make, draw, shape = MODELS[name]
    model = settled(make())
    before, arrays = model.state_dict(), list(model.parameters())
    export_onnx(model, tmp_path / "model.onnx", draw(2, *shape), metadata={"author": "me"})
    assert model.training
    assert all(x is y for x, y in zip(model.parameters(), arrays, strict=True)), "the model's arrays are its own"
    for path, x in model.state_dict().items():
        np.testing.assert_array_equal(x, before[path])
    x = draw(5, *shape, seed=1)
    (given,) = [node.name for node in runtime.InferenceSession(tmp_path / "model.onnx").get_inputs()]
    found = run(tmp_path / "model.onnx", **{given: x})
    for y, expected in zip(found.values(), leaves(model.eval()(x)), strict=True):
        assert y.dtype == expected.dtype
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    proto = onnx.load(tmp_path / "model.onnx")
    kept = {x.name: onnx.numpy_helper.to_array(x) for x in proto.graph.initializer}
    assert kept.keys() <= before.keys()
    assert all(np.array_equal(x, before[path]) for path, x in kept.items())
    assert {path for path, _ in model.named_parameters()} <= kept.keys()
    assert {p.key: p.value for p in proto.metadata_props} == {"author": "me"}
    assert (proto.producer_name, proto.producer_version) == ("nnx", nnx.__version__)
    assert [v.version for v in proto.opset_import if not v.domain] == [21]


def test_the_graph_is_small(tmp_path):
    export_onnx(mlp(), tmp_path / "m.onnx", numbers(2, 4))
    ops = [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node]
    assert sorted(ops) == sorted(["Transpose", "MatMul", "Add", "Tanh", "Transpose", "MatMul", "Add", "Identity"])
    export_onnx(models.LeNet5(), tmp_path / "l.onnx", numbers(2, 1, 28, 28))
    ops = [node.op_type for node in onnx.load(tmp_path / "l.onnx").graph.node]
    assert (ops.count("Conv"), ops.count("MaxPool"), ops.count("Relu"), len(ops) <= 22) == (2, 2, 4, True)


def test_names_sizes_and_opset(tmp_path):
    path = tmp_path / "m.onnx"
    export_onnx(mlp(), path, numbers(2, 4), input_names=["rows"], output_names=["scores"], batch="n", opset=18)
    proto = onnx.load(path)
    assert [v.version for v in proto.opset_import if not v.domain] == [18]
    (x,), (y,) = proto.graph.input, proto.graph.output
    assert [d.dim_param or d.dim_value for d in x.type.tensor_type.shape.dim] == ["n", 4]
    assert (x.name, y.name) == ("rows", "scores")
    assert [d.dim_param or d.dim_value for d in y.type.tensor_type.shape.dim] == ["n", 3]
    export_onnx(mlp(), path, numbers(2, 4), batch=None)
    (x,) = onnx.load(path).graph.input
    assert [d.dim_value for d in x.type.tensor_type.shape.dim] == [2, 4]


def test_on_every_backend(backend, tmp_path):
    model = nnx.Sequential(nnx.Conv2d(1, 3, 3, padding=1), nnx.ReLU(), nnx.Flatten(), nnx.Linear(48, 2))
    x = numbers(2, 1, 4, 4)
    export_onnx(model, tmp_path / "m.onnx", nnx.asarray(x))
    (found,) = run(tmp_path / "m.onnx", x=x).values()
    np.testing.assert_allclose(found, nnx.to_numpy(model(nnx.asarray(x))), rtol=1e-5, atol=1e-6)


class Odd(nnx.Module):
    """A function as a module."""

    def __init__(self, function):
        self.weight = nnx.asarray(numbers(4))
        self._function = function

    def __call__(self, x):
        return self._function(nnx.namespace(x), x * self.weight)


FUNCTIONS = {
    "getitem": lambda xp, x: x[:, 1:3] + x[..., :1] + x[:, None, -1],
    "whole batch": lambda xp, x: x[: x.shape[0], ::2],
    "mean of the batch": lambda xp, x: x - xp.mean(x, axis=0) / xp.std(x, axis=0),
    "over the batch": lambda xp, x: x * (3.0 / (x.shape[0] - 1)) + 2 * x.shape[0],
    "grown batch": lambda xp, x: xp.sum(xp.reshape(xp.concat([x, x * 2], axis=0), (x.shape[0], 2, 4)), axis=1),
    "twice the batch": lambda xp, x: xp.broadcast_to(xp.sum(x), (2 * x.shape[0], x.shape[0])),
    "similarities": lambda xp, x: xp.matmul(xp.matmul(x, x.T), x),
    "zeros": lambda xp, x: xp.concat([x, xp.zeros((x.shape[0], 2), dtype=x.dtype), xp.ones_like(x)], axis=1),
    "arange": lambda xp, x: x * xp.astype(xp.arange(x.shape[0]), x.dtype)[:, None],
    "stretched": lambda xp, x: xp.broadcast_to(xp.sum(x, axis=0, keepdims=True), (x.shape[0], 4))
    * xp.broadcast_to(x[:, None, :], (x.shape[0], 3, 4))[:, 2, :],
    "sort": lambda xp, x: xp.sort(x, axis=1) + xp.astype(xp.argmax(x, axis=1, keepdims=True), x.dtype),
    "cumulative": lambda xp, x: xp.cumulative_sum(x, axis=1) + xp.flip(x, axis=1) + xp.roll(x, 1, axis=1),
    "stack": lambda xp, x: xp.moveaxis(xp.stack([x, -x, abs(x)]), 0, 1),
    "where": lambda xp, x: xp.where(x > 0, x, 0.1 * x) + xp.clip(x, -0.5, 0.5) + xp.maximum(x, 0.0) ** 2,
    "take": lambda xp, x: xp.take(x, xp.asarray([2, 0, 2]), axis=1)
    + xp.take_along_axis(x, xp.argmax(x, axis=1, keepdims=True), axis=1),
    "unstack": lambda xp, x: xp.unstack(x, axis=1)[2] - xp.squeeze(x[:, :1], axis=1) + xp.repeat(x, 2, axis=1)[:, 3],
    "bits": lambda xp, x: xp.astype((x > 0) ^ (x < 0.5) & ~(x == 0), x.dtype) - x % 2 + 1 / (2 + x * x),
    "gelu": lambda xp, x: F.gelu(x) + F.softmax(x) * F.log_softmax(x) + F.silu(x) + F.softplus(x),
    "pools": lambda xp, x: F.avg_pool1d(xp.reshape(x, (-1, 2, 2)), 2, padding=1)
    + F.adaptive_avg_pool1d(xp.reshape(x, (-1, 2, 2)), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_the_standard(name, tmp_path):
    rows = 1100 if name == "whole batch" else 5  # more than the number that stands for the batch
    model, x = Odd(FUNCTIONS[name]), numbers(rows, 4, seed=3)
    export_onnx(model, tmp_path / "m.onnx", numbers(3, 4))
    (found,) = run(tmp_path / "m.onnx", x=x).values()
    np.testing.assert_allclose(found, model(x), rtol=1e-5, atol=1e-5)


REFUSED = {
    "branch": (lambda xp, x: x if xp.sum(x) > 0 else -x, "a number of an array was asked for"),
    "number": (lambda xp, x: x * float(xp.max(x)), "a number of an array was asked for"),
    "mask": (lambda xp, x: x[x > 0], "shape that depends on values"),
    "unique": (lambda xp, x: xp.unique_values(x), "unique_values .*shape depends on values"),
    "root of the batch": (lambda xp, x: x / float(x.shape[0]), "function of the size of the batch"),
    "dropout": (lambda xp, x: F.dropout(x, 0.5), "random numbers"),
    "inverse": (lambda xp, x: xp.linalg.inv(xp.eye(4)) @ x[0], "inv"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_graph_holds(name, tmp_path):
    function, words = REFUSED[name]
    model = Odd(function)
    weight = model.weight
    with pytest.raises(NotTraceable, match=words):
        export_onnx(model, tmp_path / "m.onnx", numbers(2, 4))
    assert model.weight is weight
    assert not list(tmp_path.iterdir())
    assert model(numbers(2, 4)).size


def test_a_graph_that_is_wrong_is_not_written(tmp_path):
    model = Odd(lambda xp, x: x * len([0 for _ in range(x.shape[0])]))
    with pytest.raises(ValueError, match=r"output differs from the model's by .*batch=None fixes the sizes"):
        export_onnx(model, tmp_path / "m.onnx", numbers(2, 4))
    assert not list(tmp_path.iterdir())
    export_onnx(model, tmp_path / "m.onnx", numbers(2, 4), batch=None)


BAD = {
    "no array": (lambda m, p: export_onnx(m, p, [1.0]), TypeError, "examples of the inputs, plain arrays, got list"),
    "names": (lambda m, p: export_onnx(m, p, numbers(2, 4), input_names=["a", "b"]), ValueError, "1 inputs need"),
    "outputs": (lambda m, p: export_onnx(m, p, numbers(2, 4), output_names=[]), ValueError, "1 outputs need"),
    "taken": (lambda m, p: export_onnx(m, p, numbers(2, 4), input_names=["0.bias"]), ValueError, "both called 0.bias"),
    "taken by an input": (
        lambda m, p: export_onnx(m, p, numbers(2, 4), input_names=["a"], output_names=["a"]),
        ValueError,
        "called a: outp",
    ),
    "taken by an array": (
        lambda m, p: export_onnx(m, p, numbers(2, 4), output_names=["0.bias"]),
        ValueError,
        "both called 0.bias: outp",
    ),
    "a function": (lambda m, p: export_onnx(lambda x: x, p, numbers(2, 4)), TypeError, "nnx.Module, got function"),
    "opset": (lambda m, p: export_onnx(m, p, numbers(2, 4), opset=3), ValueError, "opset 21, and ONNX cannot convert"),
    "shape": (lambda m, p: export_onnx(m, p, numbers(2, 5)), ValueError, r"expected x of shape \(n, 4\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors(name, tmp_path):
    call, kind, words = BAD[name]
    with pytest.raises(kind, match=words):
        call(mlp(), tmp_path / "m.onnx")


def test_watched_arrays_are_refused(tmp_path):
    model = mlp()

    def loss(model):
        export_onnx(model, tmp_path / "m.onnx", numbers(2, 4))

    with pytest.raises(TypeError, match="export it outside of the transform"):
        nnx.grad(loss)(model)
    with pytest.raises(TypeError, match="an array that is being differentiated"):
        nnx.grad(lambda x: export_onnx(model, tmp_path / "m.onnx", x))(numbers(2, 4))


def test_a_missing_package_says_how_to_get_it(tmp_path, monkeypatch):
    from nnx.backend.onnx import library

    library.ndx.cache_clear()
    monkeypatch.setitem(sys.modules, "ndonnx", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs ndonnx: pip install 'nnx-array\[onnx\]'"):
        export_onnx(mlp(), tmp_path / "m.onnx", numbers(2, 4))
