"""Every normalising layer on every backend is as on NumPy: for where PyTorch cannot be asked, as under emulation."""

import numpy as np
import pytest

import nnx
from tests.support import assert_close

# a layer, the shape of its input
LAYERS = {
    "batch": (lambda: nnx.BatchNorm2d(4, dtype="float64"), (2, 4, 3, 2)),
    "batch-cumulative": (lambda: nnx.BatchNorm1d(4, momentum=None, dtype="float64"), (5, 4)),
    "layer": (lambda: nnx.LayerNorm(4, dtype="float64"), (5, 4)),
    "rms": (lambda: nnx.RMSNorm(4, dtype="float64"), (5, 4)),
    "group": (lambda: nnx.GroupNorm(2, 4, dtype="float64"), (2, 4, 3, 2)),
    "instance": (lambda: nnx.InstanceNorm2d(4, affine=True, track_running_stats=True, dtype="float64"), (2, 4, 3, 2)),
    "local": (lambda: nnx.LocalResponseNorm(3, alpha=0.5), (2, 4, 3, 2)),
    "weight_norm": (lambda: nnx.weight_norm(nnx.Linear(4, 3, dtype="float64")), (5, 4)),
    "spectral_norm": (lambda: nnx.spectral_norm(nnx.Linear(4, 3, dtype="float64")), (5, 4)),
    "bilinear": (lambda: nnx.Residual(nnx.Sequential(nnx.Lambda(lambda x: (x, x)), Both())), (5, 4)),
}


class Both(nnx.Module):
    """A bilinear form, its parts' cosine and distance."""

    def __init__(self):
        self.form = nnx.Bilinear(4, 4, 4, dtype="float64")

    def __call__(self, pair):
        a, b = pair[0], pair[1] * 2.0 + 1.0
        near = nnx.CosineSimilarity()(a, b) + nnx.PairwiseDistance()(a, b)
        return self.form(a, b) * near[:, None]


def run(make, shape):
    """Values, gradients of the parameters and of x, a Hessian-vector product, and the state, on the active backend."""
    nnx.seed(0)
    rng, model = np.random.default_rng(0), make()
    model.update({k: nnx.asarray(rng.normal(1.0, 0.5, tuple(v.shape))) for k, v in model.named_parameters()})
    found = []
    for mode in (True, True, False):
        x, r = (nnx.asarray(rng.normal(size=shape)) for _ in range(2))
        y, pullback = nnx.vjp(lambda m, x: m(x), model.train(mode), x)
        r = r if tuple(r.shape) == tuple(y.shape) else r[:, : y.shape[1]]
        dm, dx = pullback(r)
        found += [y, dx, *dm.values()]
    found.append(nnx.hvp(lambda x: nnx.namespace(x).sum(model(x) ** 3), x, x * 0.5 + 1.0))
    return [nnx.to_numpy(a) for a in [*found, *model.state_dict().values()]]


@pytest.mark.parametrize("name", LAYERS)
def test_as_on_numpy(backend, name):
    found = run(*LAYERS[name])
    with nnx.use_backend("numpy"):
        expected = run(*LAYERS[name])
    assert len(found) == len(expected)
    for a, e in zip(found, expected, strict=True):
        assert_close(a, e, 1e-9, 1e-9)
