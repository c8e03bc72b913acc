"""PyTorch as the oracle: values, gradients and Hessian-vector products of the same function, on the same numbers.

Importing this skips the test file where torch is missing. The oracle is asked through NumPy, whatever is tested.
"""

import numpy as np
import pytest

import nnx
from tests.support import assert_close

torch = pytest.importorskip("torch", reason="torch is the oracle of this test and is not installed")

TOLERANCE = {"float64": 1e-12, "float32": 2e-5}


def tensors(arrays):
    """Leaves of torch; floating ones ask for their gradient."""
    made = [torch.from_numpy(np.array(x, order="C")) for x in arrays]
    return [t.requires_grad_(t.is_floating_point()) for t in made]


def cotangent(shape, dtype="float64"):
    """Random ∂L/∂y: a mean of y alone would hide a gradient that is wrong in a symmetrical way."""
    return np.random.default_rng(7).standard_normal(shape).astype(dtype)


def check_against_torch(ours, theirs, *arrays, rtol=None, atol=None):
    """Value and every gradient of ours(*arrays) on the active backend equal theirs(*tensors)."""
    floating = [i for i, x in enumerate(arrays) if x.dtype.kind == "f"]
    leaves = tensors(arrays)
    expected = theirs(*leaves)
    r = cotangent(tuple(expected.shape), arrays[floating[0]].dtype)
    slopes = torch.autograd.grad(expected, [leaves[i] for i in floating], torch.from_numpy(r), materialize_grads=True)
    rtol = TOLERANCE[arrays[floating[0]].dtype.name] if rtol is None else rtol
    atol = rtol if atol is None else atol
    own = [nnx.asarray(x) for x in arrays]
    before = [np.array(nnx.to_numpy(x)) for x in own]
    y, pullback = nnx.vjp(lambda *xs: ours(*_placed(own, floating, xs)), *[own[i] for i in floating])
    assert_close(y, expected.detach().numpy(), rtol, atol)
    for g, e in zip(pullback(nnx.asarray(r)), slopes, strict=True):
        assert_close(g, e.numpy(force=True), rtol, atol)
    plain = ours(*own)
    assert not isinstance(plain, nnx.Var), "without a gradient nothing is wrapped"
    assert plain.device == own[floating[0]].device
    assert_close(plain, expected.detach().numpy(), rtol, atol)
    for x, old in zip(own, before, strict=True):
        np.testing.assert_array_equal(nnx.to_numpy(x), old, err_msg="an argument was changed")


def check_second_order(ours, theirs, x, *others, rtol=1e-10):
    """∂/∂x ⟨∂⟨f(x), r⟩/∂x, v⟩ equals torch's double backward."""
    leaf, *fixed = [torch.from_numpy(np.array(a, order="C")) for a in (x, *others)]
    leaf.requires_grad_()
    y = theirs(leaf, *fixed)
    r, v = cotangent(tuple(y.shape)), np.random.default_rng(8).standard_normal(x.shape)
    (slope,) = torch.autograd.grad(y, leaf, torch.from_numpy(r), create_graph=True)
    expected = torch.zeros_like(leaf)
    if slope.requires_grad:
        (expected,) = torch.autograd.grad(slope, leaf, torch.from_numpy(v), materialize_grads=True)
    own, others, r, v = nnx.asarray(x), [nnx.asarray(a) for a in others], nnx.asarray(r), nnx.asarray(v)

    def along(x):
        g = nnx.grad(lambda x: nnx.namespace(x).sum(ours(x, *others) * r))(x)
        return nnx.namespace(g).sum(g * v)

    assert_close(nnx.grad(along)(own), expected.detach().numpy(force=True), rtol, rtol)


def _placed(own, floating, xs):
    found = list(own)
    for i, x in zip(floating, xs, strict=True):
        found[i] = x
    return found
