"""Layers of sequences against PyTorch's: several outputs, masks, states beside the input, both ways to a gradient."""

import numpy as np

import nnx
from tests.oracle import torch
from tests.support import assert_close


def numbers(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def twins(ours, theirs):
    """Both with the same random parameters, after their state dicts were seen to have the same names and shapes."""
    theirs = theirs.double()
    expected = {k: tuple(v.shape) for k, v in theirs.state_dict().items()}
    found = {k: tuple(v.shape) for k, v in ours.state_dict().items()}
    assert list(found.items()) == list(expected.items())
    with torch.no_grad():
        for k, (name, p) in enumerate(theirs.named_parameters()):
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            p.copy_(torch.from_numpy(centre + 0.5 * numbers(*p.shape, seed=k)))
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    return ours, theirs


def flat(outputs):
    """The arrays of a nest of tuples, without what is None."""
    if isinstance(outputs, tuple | list):
        return [x for part in outputs for x in flat(part)]
    return [] if outputs is None else [outputs]


def check(ours, theirs, call, *arrays, their_call=None, rtol=1e-9):
    """Every output of call(model, *arrays), and its gradient with respect to every array and parameter, are torch's."""
    leaves = [torch.from_numpy(x.copy()).requires_grad_() for x in arrays]
    expected = flat((their_call or call)(theirs, *leaves))
    rs = [numbers(*y.shape, seed=9 + k) for k, y in enumerate(expected)]
    parameters = dict(theirs.named_parameters())
    wanted = [*leaves, *parameters.values()]
    loss = sum((y * torch.from_numpy(r)).sum() for y, r in zip(expected, rs, strict=True))
    slopes = [g.numpy() for g in torch.autograd.grad(loss, wanted, materialize_grads=True)]
    own, weights = [nnx.asarray(x) for x in arrays], [nnx.asarray(r) for r in rs]

    def weighted(model, *xs):
        total, found = 0.0, flat(call(model, *xs))
        for y, r in zip(found, weights, strict=True):
            total = total + nnx.namespace(y).sum(y * r)
        return total, found

    numbers_of = tuple(range(len(arrays) + 1))
    (_, found), (grads, *dxs) = nnx.value_and_grad(weighted, numbers_of, has_aux=True)(ours, *own)
    compare(found, [grads, *dxs], expected, slopes, parameters, rtol)
    # rules on Vars, as under a second derivative: no library's own kernels
    outputs, pullback = nnx.vjp(lambda m, *xs: flat(call(m, *xs)), ours, *own)
    compare(outputs, pullback(weights), expected, slopes, parameters, rtol)
    for y, e in zip(flat(call(ours, *own)), expected, strict=True):
        assert_close(y, e.detach().numpy(), rtol, rtol)


def compare(outputs, gradients, expected, slopes, parameters, rtol):
    for y, e in zip(outputs, expected, strict=True):
        assert_close(y, e.detach().numpy(), rtol, rtol)
    grads, *dxs = gradients
    assert list(grads) == list(parameters)
    for name, g, e in zip([*map(str, range(len(dxs))), *grads], [*dxs, *grads.values()], slopes, strict=True):
        np.testing.assert_allclose(nnx.to_numpy(g), e, rtol, rtol * 10, err_msg=name)
