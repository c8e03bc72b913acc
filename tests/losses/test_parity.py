"""Every loss on every backend equals NumPy's: value and gradient. PyTorch, the oracle elsewhere, is not needed here."""

import numpy as np
import pytest

import nnx
from nnx import losses
from nnx.functional import log_softmax
from tests.losses.cases import CASES, IDS, arrays_of

rng = np.random.default_rng(14)


def value_and_slope(f, *arrays):
    found = nnx.value_and_grad(f)(*[nnx.asarray(x) for x in arrays])
    return [nnx.to_numpy(x) for x in found]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_as_on_numpy(backend, case):
    def f(*xs):
        return getattr(losses, case[0])(*xs, reduction="sum", **case[1])

    found = value_and_slope(f, *arrays_of(case))
    with nnx.use_backend("numpy"):
        expected = value_and_slope(f, *arrays_of(case))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("flat", [False, True])
def test_ctc_as_on_numpy(backend, flat):
    x, labels, lengths = rng.normal(size=(6, 4, 5)), rng.integers(1, 5, (4, 3)), (3, 3, 2, 0)
    targets = np.concatenate([row[:n] for row, n in zip(labels, lengths, strict=True)]) if flat else labels

    def f(x, y):
        return losses.ctc_loss(log_softmax(x, -1), y, (6, 6, 3, 2), lengths, zero_infinity=True)

    found = value_and_slope(f, x, targets)
    with nnx.use_backend("numpy"):
        expected = value_and_slope(f, x, targets)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
