"""Where NumPy's own functions differ from the standard's, nnx's NumPy is array_api_compat's."""

import array_api_compat.numpy as compat
import numpy as np
import pytest

import nnx

RNG = np.random.default_rng(0)
SINGLE, SMALL = np.asarray([0.1, 2.0, 5.0], np.float32), np.asarray([1, 100, 200], np.uint8)
NEARLY_SINGULAR = np.diag([1.0, 1e-8]) @ RNG.normal(size=(2, 2))
TIMES = np.asarray([3, 1, 3, 2])
CALLS = {
    "clip by an array of another dtype": lambda xp: xp.clip(SINGLE, np.asarray(0.5), np.asarray(3.0)),
    "clip by numbers": lambda xp: xp.clip(SINGLE, 0.5, 3.0),
    "clip of one side": lambda xp: xp.clip(SINGLE, max=3),
    "clip by numbers that the dtype has not": lambda xp: xp.clip(SMALL, -5, 300),
    "clip by an integer": lambda xp: xp.clip(SMALL, 50, 150),
    "pinv": lambda xp: xp.linalg.pinv(NEARLY_SINGULAR.astype(np.float32)),
    "pinv with a tolerance": lambda xp: xp.linalg.pinv(NEARLY_SINGULAR, rtol=0.1),
    "matrix_rank": lambda xp: xp.linalg.matrix_rank(NEARLY_SINGULAR.astype(np.float32)),
    "eig of real eigenvalues": lambda xp: xp.linalg.eig(np.asarray([[2.0, 1.0], [0.0, 3.0]], np.float32)),
    "eig of complex eigenvalues": lambda xp: xp.linalg.eig(np.asarray([[0.0, 1.0], [-1.0, 0.0]])),
    "eigvals": lambda xp: (xp.linalg.eigvals(np.asarray([[2.0, 1.0], [0.0, 3.0]])),),
    "fftfreq": lambda xp: (xp.fft.fftfreq(5, d=0.5, dtype=np.float32), xp.fft.rfftfreq(4)),
    "argsort": lambda xp: (xp.argsort(TIMES, descending=True), xp.sort(TIMES, descending=True)),
    "unique_values": lambda xp: (xp.unique_values(np.asarray([3.0, np.nan, 1.0, np.nan, 3.0])),),
    "count_nonzero": lambda xp: (xp.count_nonzero(TIMES), xp.count_nonzero(np.ones((2, 3)), axis=1, keepdims=True)),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_same_as_compat(name):
    found, expected = CALLS[name](nnx.get_backend("numpy").xp), CALLS[name](compat)
    found, expected = (y if isinstance(y, tuple) else (y,) for y in (found, expected))
    for y, right in zip(found, expected, strict=True):
        assert y.dtype == right.dtype
        assert type(y) in (np.ndarray, y.dtype.type)
        np.testing.assert_allclose(y, right, rtol=1e-6)


def test_the_rank_of_a_vector_is_an_error():
    with pytest.raises(np.linalg.LinAlgError, match="1 dimensions"):
        nnx.get_backend("numpy").xp.linalg.matrix_rank(np.ones(3))
