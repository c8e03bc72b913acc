"""z = x Wᵀ + b and the shapes around it, against PyTorch."""

import numpy as np
import pytest

import nnx
from nnx import functional as F
from nnx.autodiff import gradcheck
from tests.oracle import check_against_torch, check_second_order, torch
from tests.support import assert_close, assert_same

SHAPES = [(3,), (5, 3), (2, 2, 3), (2, 1, 2, 3), (0, 3)]


def operands(shape, dtype="float64"):
    rng = np.random.default_rng(3)
    return [rng.standard_normal(s).astype(dtype) for s in (shape, (4, 3), (4,))]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_linear(backend, shape, bias, dtype):
    arrays = operands(shape, dtype)[: 3 if bias else 2]
    check_against_torch(F.linear, torch.nn.functional.linear, *arrays)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 2, 3)])
def test_second_order(backend, shape):
    # linear alone has no second derivative: its square has
    def squared(f):
        return lambda *xs: f(*xs) ** 2

    check_second_order(squared(F.linear), squared(torch.nn.functional.linear), *operands(shape))


@pytest.mark.parametrize("shape", SHAPES[:4])
def test_gradient_equals_differences(shape):
    gradcheck(lambda *xs: F.tanh(F.linear(*xs)), *operands(shape), order=2)


def test_transposed_weights_and_columns_of_a_batch(backend):
    x, w, b = operands((5, 3))
    xp = backend.xp
    turned = xp.matrix_transpose(nnx.asarray(x.T.copy()))
    y = F.linear(turned, xp.matrix_transpose(nnx.asarray(w.T.copy())), nnx.asarray(b))
    assert_close(y, x @ w.T + b, 1e-12, 1e-12)


WRONG = [((5, 4), r"\(n, 3\), got \(5, 4\): flatten"), ((4,), r"got \(4,\)"), ((), r"got \(\)"), ((2, 3, 1), "flatten")]


@pytest.mark.parametrize(("shape", "message"), WRONG)
def test_an_input_that_does_not_fit_is_named(backend, shape, message):
    _, w, b = [nnx.asarray(a) for a in operands((5, 3))]
    with pytest.raises(ValueError, match=message):
        F.linear(nnx.asarray(np.ones(shape)), w, b)


def test_layer_equals_torchs(backend):
    ours, theirs = nnx.Linear(3, 4), torch.nn.Linear(3, 4)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    x = operands((5, 3), "float32")[0]
    assert_close(ours(nnx.asarray(x)), theirs(torch.from_numpy(x)).detach().numpy(), 1e-6, 1e-6)
    assert nnx.Linear(3, 4, bias=False).bias is None


FLATTENED = [
    ((2, 3, 4), 0, -1),
    ((2, 3, 4), 1, -1),
    ((2, 3, 4), 0, 1),
    ((2, 3, 4), 2, 2),
    ((0, 3, 4), 1, 2),
    ((6,), 0, -1),
]


@pytest.mark.parametrize(("shape", "start", "end"), FLATTENED)
def test_flatten(backend, shape, start, end):
    x = np.arange(np.prod(shape), dtype="float64").reshape(shape)
    expected = torch.flatten(torch.from_numpy(x), start, end).numpy()
    y, pullback = nnx.vjp(lambda x: F.flatten(x, start, end), nnx.asarray(x))
    assert_same(y, expected)
    assert_same(pullback(y)[0], x)
    assert_same(nnx.Flatten(start, end)(nnx.asarray(x)), expected)


@pytest.mark.parametrize(("start", "end"), [(1, 0), (0, 3), (-4, -1)])
def test_flatten_refuses_axes_that_do_not_exist(start, end):
    with pytest.raises(ValueError, match="must be in order and exist"):
        F.flatten(np.ones((2, 3, 4)), start, end)
