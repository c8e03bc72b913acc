"""An nnx model as a torch.nn.Module: its values, its gradients, and what PyTorch does with modules."""

import copy
import pickle

import numpy as np
import pytest

import nnx
from nnx.interop import to_torch_module

torch = pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture(autouse=True)
def _on_torch():
    with nnx.use_backend("torch", "cpu"):
        yield


def numbers(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def norms():
    return nnx.Sequential(
        nnx.Linear(4, 8, dtype="float64"), nnx.BatchNorm1d(8, dtype="float64"), nnx.Tanh(),
        nnx.Linear(8, 3, dtype="float64"),
    )  # fmt: skip


def convolutions():
    return nnx.Sequential(nnx.Conv2d(1, 3, 3, dtype="float64"), nnx.ReLU(), nnx.Flatten(), nnx.GELU())


def total(y):
    return nnx.namespace(y).sum(y)


MODELS = {
    "norms": (norms, (5, 4)),
    "convolutions": (convolutions, (2, 1, 4, 4)),
    "attention": (lambda: nnx.TransformerEncoderLayer(4, 2, 8, dropout=0.0, dtype="float64"), (3, 2, 4)),
}


def squares(model, x):
    y = model(x)
    return nnx.namespace(y).sum(y * y)


@pytest.mark.parametrize("name", MODELS)
def test_values_and_gradients(name):
    make, shape = MODELS[name]
    model = make()
    module, x = to_torch_module(model), numbers(*shape).requires_grad_()
    value, (grads, dx) = nnx.value_and_grad(squares, argnums=(0, 1))(copy.deepcopy(model), x.detach())
    for _ in range(2):  # and a second time
        found = torch.autograd.grad((module(x) ** 2).sum(), [x, *module.parameters()])
        torch.testing.assert_close(found[0], dx, rtol=1e-6, atol=1e-9)
        for g, (path, _) in zip(found[1:], module.named_parameters(), strict=True):
            torch.testing.assert_close(g, grads[path], rtol=1e-6, atol=1e-9)
    torch.testing.assert_close((module(x) ** 2).sum().detach(), value, rtol=1e-6, atol=0.0)
    assert torch.autograd.gradcheck(copy.deepcopy(module).eval(), (x,))


def test_memory_is_shared_and_names_are_the_models():
    model = norms()
    module = to_torch_module(model)
    assert list(module.state_dict()) == list(model.state_dict())
    for path, p in module.named_parameters():
        assert p.data_ptr() == dict(model.named_parameters())[path].data_ptr(), path
    with torch.no_grad():
        module.get_parameter("0.weight").zero_()
    assert not model[0].weight.any()
    model.load_state_dict({path: x + 1 for path, x in model.state_dict().items()})
    assert to_torch_module(model).get_parameter("0.weight").eq(1.0).all()


def test_an_optimizer_of_torch_trains_the_model():
    model, x = norms(), numbers(16, 4)
    module, twin = to_torch_module(model), copy.deepcopy(model)
    theirs, ours = torch.optim.SGD(module.parameters(), 0.05, momentum=0.9), nnx.optim.SGD(0.05, momentum=0.9)
    losses = []
    for _ in range(5):
        theirs.zero_grad()
        loss = (module(x) ** 2).sum()
        loss.backward()
        theirs.step()
        expected, grads = nnx.value_and_grad(squares)(twin, x)
        ours.update(twin, grads)
        losses.append(loss.item())
        assert losses[-1] == pytest.approx(expected.item(), rel=1e-6)
    assert losses[-1] < losses[0]
    for path, expected in twin.state_dict().items():
        for found in (model.state_dict()[path], module.state_dict()[path]):
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)
    assert model[1].num_batches_tracked == 5


def test_inside_of_another_module():
    inner = norms()
    outer = torch.nn.Sequential(torch.nn.Linear(2, 4), to_torch_module(inner), torch.nn.Linear(3, 1)).double()
    assert "1.3.bias" in outer.state_dict()
    outer(numbers(6, 2)).sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in outer.parameters())
    outer.eval()
    assert not inner.training
    assert not inner[1].training
    assert outer.train()[1].hosted.model[1].training


def test_it_pickles_as_other_modules_do():
    """For torch.save of a whole module, and for processes that are handed one; a copy has a model of its own."""
    module, x = to_torch_module(norms()), numbers(5, 4)
    for other in (pickle.loads(pickle.dumps(module)), copy.deepcopy(module)):
        assert torch.equal(other.eval()(x), module.eval()(x))
        with torch.no_grad():
            next(iter(other.parameters())).add_(1.0)
        assert not torch.equal(other(x), module(x))
        other.train()(x).sum().backward()
        assert next(iter(module.parameters())).grad is None


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # PyTorch's compiler looks
def test_torch_compile_leaves_it_as_it_is():
    """Its own tracing of nnx warned, and failed at dropout's random numbers."""
    nnx.seed(0)
    inner = nnx.Sequential(*norms(), nnx.Dropout(0.5))
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), to_torch_module(inner), torch.nn.Linear(3, 1)).double()
    compiled = torch.compile(net, backend="aot_eager")
    x = numbers(5, 4)
    for mode in (True, False):
        found = []
        for f in (net.train(mode), compiled):
            nnx.seed(1)
            y = f(x)
            found.append((y, *torch.autograd.grad(y.sum(), net.parameters())))
        torch.testing.assert_close(*found)


def test_state_dict_round_trip_and_replaced_tensors():
    module, other, x = to_torch_module(norms()).eval(), to_torch_module(norms()).eval(), numbers(3, 4)
    for assign in (False, True):
        other.load_state_dict({k: v.clone() for k, v in module.state_dict().items()}, assign=assign)
        torch.testing.assert_close(other(x), module(x), rtol=0, atol=0)
    twin = copy.deepcopy(module)
    with torch.no_grad():
        twin.get_parameter("3.bias").add_(1.0)
    torch.testing.assert_close(twin(x), module(x) + 1.0)
    assert module.float()(x.float()).dtype == torch.float32
    assert module.hosted.model[0].weight.dtype == torch.float32


def test_shared_frozen_and_no_grad():
    model = nnx.Sequential(nnx.Linear(3, 3, dtype="float64"), nnx.Linear(3, 3, dtype="float64"))
    model[1].weight = model[0].weight
    model[1].bias = numbers(3)
    model[0].freeze(recurse=False)
    model[1].freeze(recurse=False)
    model[1].unfreeze()
    model[0].unfreeze()
    module, x = to_torch_module(model), numbers(2, 3)
    assert [path for path, _ in module.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    module(x).sum().backward()
    expected = nnx.grad(lambda m, x: total(m(x)))(model, x)
    torch.testing.assert_close(module.get_parameter("0.weight").grad, expected["0.weight"])
    model[0].freeze()
    module = to_torch_module(model)
    assert [p.requires_grad for p in module.parameters()] == [False, False, True]
    assert module(x).requires_grad
    with torch.no_grad():
        assert not module(x).requires_grad
    module.get_parameter("0.bias").requires_grad_()
    with pytest.raises(RuntimeError, match=r"0.bias: to be trained in PyTorch, but frozen in nnx: model.unfreeze"):
        module(x).sum().backward()


def test_several_outputs_and_integers():
    lstm = nnx.LSTM(3, 4, dtype="float64")
    module, x = to_torch_module(lstm), numbers(5, 2, 3).requires_grad_()
    state = (numbers(1, 2, 4), numbers(1, 2, 4, seed=1).requires_grad_())
    _, (h, c) = module(x, state)
    (h.sum() + (c * c).sum()).backward()
    assert x.grad is not None
    assert state[1].grad is not None

    def loss(m, x, c):
        _, (h, c) = m(x, (state[0], c))
        return nnx.namespace(h).sum(h) + nnx.namespace(c).sum(c * c)

    grads, dx, dc = nnx.grad(loss, argnums=(0, 1, 2))(lstm, x.detach(), state[1].detach())
    torch.testing.assert_close(x.grad, dx)
    torch.testing.assert_close(state[1].grad, dc)
    torch.testing.assert_close(module.get_parameter("weight_hh_l0").grad, grads["weight_hh_l0"])
    table = to_torch_module(nnx.Embedding(5, 2))
    table(torch.tensor([1, 1, 2])).sum().backward()
    assert table.get_parameter("weight").grad[:, 0].tolist() == [0.0, 2.0, 1.0, 0.0, 0.0]


def test_errors():
    with pytest.raises(TypeError, match="expected an nnx Module, got function"):
        to_torch_module(squares)
    with nnx.use_backend("numpy"):
        model = nnx.Linear(2, 2)
    with pytest.raises(TypeError, match=r"Linear.weight is an array of 'numpy'.*model.to\('torch'\) first"):
        to_torch_module(model)
    x = numbers(3, 4).requires_grad_()
    (dx,) = torch.autograd.grad((to_torch_module(norms())(x) ** 2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="a gradient of a gradient of a model of nnx"):
        dx.sum().backward()
    with pytest.raises(TypeError, match="convert it outside of the transform"):
        nnx.grad(lambda m: to_torch_module(m))(norms())


def test_a_penalty_on_gradients_does_not_pass_in_silence():
    """Its gradient is asked for by a constant cotangent, as y.sum() has, and added to a loss that has one."""
    module = to_torch_module(nnx.Sequential(nnx.Linear(2, 3), nnx.Tanh(), nnx.Linear(3, 1)).to("torch"))
    x = torch.ones(4, 2, requires_grad=True)
    y = module(x)
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (plain,) = torch.autograd.grad(module(x).sum(), x)
    assert torch.equal(slope, plain)
    assert not plain.requires_grad
    with pytest.raises(RuntimeError, match="a gradient of a gradient of a model of nnx"):
        ((y**2).mean() + (slope**2).sum()).backward()
