"""Arrays that a user already has, of any library: nnx differentiates them where they are, and copies nothing."""

import importlib

import numpy as np
import pytest

import nnx
from tests.support import assert_close


def address(x):
    """Where an array's numbers are in memory."""
    if hasattr(x, "data_ptr"):
        return x.data_ptr()
    if hasattr(x, "unsafe_buffer_pointer"):
        return x.unsafe_buffer_pointer()
    return x.data.ptr if hasattr(x.data, "ptr") else x.__array_interface__["data"][0]


MAKERS = {
    "numpy": ("numpy", "asarray"),
    "torch": ("torch", "tensor"),
    "jax": ("jax.numpy", "asarray"),
    "cupy": ("cupy", "asarray"),
}


@pytest.fixture(params=MAKERS)
def make(request):
    library, function = MAKERS[request.param]
    module = pytest.importorskip(library, reason=f"{library} is not installed")
    if request.param == "cupy" and not module.cuda.is_available():
        pytest.skip("cupy finds no GPU")
    return lambda x: getattr(module, function)(np.asarray(x, "float32"))


def test_value_and_grad_of_a_users_arrays(make):
    """While another backend is active: the arrays decide."""
    w, x = make([[1.0, -2.0], [3.0, 0.5]]), make([[2.0, 1.0]])
    seen = []

    def loss(w, x):
        seen.extend(address(v.value) for v in (w, x))
        return nnx.namespace(w).sum(nnx.functional.relu(nnx.functional.linear(x, w)) ** 2)

    places = [address(w), address(x)]
    with nnx.use_backend("numpy"):
        value, grads = nnx.value_and_grad(loss, argnums=(0, 1))(w, x)
    assert seen == places, "the function sees the user's own memory"
    assert [address(w), address(x)] == places
    assert type(value) is type(w) or np.isscalar(value)
    assert all(type(g) is type(w) for g in grads)
    assert_close(value, np.float32(6.5**2))
    assert_close(grads[0], np.asarray([[0.0, 0.0], [26.0, 13.0]], "float32"))
    assert_close(grads[1], np.asarray([[39.0, 6.5]], "float32"))


def squares(y):
    return nnx.namespace(y).sum(y**2)


def test_a_model_takes_a_users_tensors_as_its_parameters():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    theirs = torch.nn.Linear(3, 2)
    with nnx.use_backend("torch", "cpu"):
        layer = nnx.Linear(3, 2)
        layer.weight, layer.bias = theirs.weight.detach(), theirs.bias.detach()
        assert layer.weight.data_ptr() == theirs.weight.data_ptr()
        x = torch.ones((4, 3))
        grads = nnx.grad(lambda m: squares(m(x)))(layer)
    (theirs(x) ** 2).sum().backward()
    torch.testing.assert_close(grads["weight"], theirs.weight.grad)


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_dlpack_brings_host_arrays_without_a_copy(name):
    module = pytest.importorskip(name, reason=f"{name} is not installed")
    xp = module if name == "torch" else importlib.import_module("jax.numpy")
    x = xp.ones((256, 256), dtype=xp.float32)
    with nnx.use_backend("numpy"):
        assert address(nnx.to_numpy(x)) == address(x)
