"""Convolutions, pools, padding, resizing on every backend equal NumPy's: value, gradients, second order."""

import numpy as np
import pytest

import nnx
from nnx import functional as F
from tests.support import assert_close

IMAGE, VOLUME = (2, 4, 6, 7), (1, 2, 3, 4, 4)

# a row a case: the function of x (and of a weight), the shapes of its arguments
CASES = {
    "conv1d": (lambda x, w: F.conv1d(x, w, None, 2, 1), (2, 3, 9), (4, 3, 3)),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, padding="same"), IMAGE, (3, 4, 3, 2), (3,)),
    "groups": (lambda x, w: F.conv2d(x, w, None, (2, 1), 1, (1, 2), 2), IMAGE, (4, 2, 3, 3)),
    "conv3d": (lambda x, w: F.conv3d(x, w, None, 1, 1), VOLUME, (2, 2, 2, 3, 2)),
    "transposed": (lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1, 1), (2, 4, 3, 3), (4, 2, 3, 3), (2,)),
    "max": (lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True), IMAGE),
    "max3d": (lambda x: F.max_pool3d(x, 2), VOLUME),
    "avg": (lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), IMAGE),
    "avg1d": (lambda x: F.avg_pool1d(x, 3), (2, 3, 9)),
    "adaptive_avg": (lambda x: F.adaptive_avg_pool2d(x, (4, 3)), IMAGE),
    "adaptive_max": (lambda x: F.adaptive_max_pool2d(x, (4, 3)), IMAGE),
    "lp": (lambda x: F.lp_pool2d(x, 2, 2), IMAGE),
    "constant": (lambda x: F.pad(x, (1, -1, 0, 2), value=2.0), IMAGE),
    "reflect": (lambda x: F.pad(x, (1, 2, 0, 2), "reflect"), IMAGE),
    "nearest": (lambda x: F.interpolate(x, scale_factor=1.5), IMAGE),
    "bilinear": (lambda x: F.interpolate(x, (9, 5), mode="bilinear"), IMAGE),
    "shuffle": (lambda x: F.pixel_shuffle(x, 2), IMAGE),
    "unfold": (lambda x: F.unfold(x, 3, padding=1), IMAGE),
    "fold": (lambda x: F.fold(x, (4, 5), 2), (2, 8, 12)),
}


def derivatives(f, arrays):
    """f(*arrays), the gradients of a weighted sum of its cubes, and a Hessian-vector product in x."""

    def loss(*xs):
        y = f(*xs)
        xp = nnx.namespace(y)
        weights = xp.reshape(xp.arange(1, y.size + 1, dtype=y.dtype, device=nnx.backend.device_of(y)), y.shape)
        return xp.sum(y**3 * weights) * (1.0 / y.size)

    grads = nnx.grad(loss, argnums=tuple(range(len(arrays))))(*arrays)
    hvp = nnx.hvp(lambda x: loss(x, *arrays[1:]), arrays[0], arrays[0] * 0.5)
    return [f(*arrays), *grads, hvp]


@pytest.mark.parametrize("name", CASES)
def test_equals_numpys(backend, name):
    f, *shapes = CASES[name]
    rng = np.random.default_rng(2)
    arrays = [rng.standard_normal(shape) for shape in shapes]
    with nnx.use_backend("numpy"):
        expected = derivatives(f, arrays)
    found = derivatives(f, [nnx.asarray(x) for x in arrays])
    for one, other in zip(found, expected, strict=True):
        assert one.device == nnx.asarray(arrays[0]).device
        assert_close(one, other, 1e-9, 1e-9)
