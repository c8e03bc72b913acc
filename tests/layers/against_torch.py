"""A layer against PyTorch's of the same name: outputs, gradients of everything, buffers, over several steps."""

import numpy as np

import nnx
from tests.oracle import torch
from tests.support import assert_close

RTOL = {"float64": 1e-9, "float32": 1e-4}


def take_state(ours, theirs, rng):
    """Random parameters (ones and zeros would hide a forgotten one), the same in both."""
    with torch.no_grad():
        for p in theirs.parameters():
            drawn = rng.uniform(0.5, 1.5, tuple(p.shape)) * rng.choice([-1.0, 1.0], tuple(p.shape))
            p.copy_(torch.from_numpy(np.asarray(drawn)))
    ours.load_state_dict({k: v.numpy(force=True) for k, v in theirs.state_dict().items()})


def assert_same_state(ours, theirs, rtol=1e-9):
    """The state dicts have the same names, shapes and numbers."""
    own, expected = ours.state_dict(), theirs.state_dict()
    assert list(own) == list(expected)
    for name, x in expected.items():
        found = nnx.to_numpy(own[name])
        assert found.shape == tuple(x.shape), name
        assert found.dtype.kind == x.numpy(force=True).dtype.kind, name
        np.testing.assert_allclose(found, x.numpy(force=True), rtol, rtol, err_msg=name)


def check_layer(ours, theirs, *shapes, steps=2, dtype="float64", seed=0, draw=None):
    """Both run `steps` steps in training, then one in evaluation: outputs, gradients and state dicts are equal."""
    rng = np.random.default_rng(seed)
    draw = draw or (lambda shape: rng.normal(1.0, 2.0, shape))
    theirs = theirs.to(getattr(torch, dtype))
    take_state(ours, theirs, rng)
    for mode in [*[True] * steps, False]:
        ours.train(mode), theirs.train(mode)
        check_step(ours, theirs, [draw(shape).astype(dtype) for shape in shapes], rng, RTOL[dtype])
        assert_same_state(ours, theirs, RTOL[dtype])
    assert type(ours).__name__ in repr(ours)


def check_step(ours, theirs, arrays, rng, rtol):
    """One forward and backward pass of both."""
    leaves = [torch.from_numpy(x).requires_grad_() for x in arrays]
    y = theirs(*leaves)
    r = rng.standard_normal(tuple(y.shape)).astype(arrays[0].dtype)
    parameters = dict(theirs.named_parameters())
    slopes = torch.autograd.grad(y, [*leaves, *parameters.values()], torch.from_numpy(r), materialize_grads=True)
    own, pullback = nnx.vjp(lambda m, *xs: m(*xs), ours, *[nnx.asarray(x) for x in arrays])
    grads, *dxs = pullback(nnx.asarray(r))
    assert_close(own, y.detach().numpy(), rtol, rtol)
    assert list(grads) == list(parameters)
    for g, e in zip([*dxs, *grads.values()], slopes, strict=True):
        assert_close(g, e.numpy(), rtol, rtol * 10)
