"""What tests share: which backends there are, arrays from NumPy's, and comparison with dtype, shape and device."""

import os

import numpy as np

import nnx
from tests import narrow

BACKENDS = ["numpy", "array_api_strict", "torch", "jax", "cupy", "dpnp"]
REQUIRED = [name for name in os.environ.get("NNX_TEST_BACKENDS", "").split(",") if name]
if os.environ.get("NNX_TEST_CUPY") in ("require", "emulated"):
    REQUIRED = [*(REQUIRED or ["numpy"]), "cupy"]
if REQUIRED:
    BACKENDS = [name for name in BACKENDS if name in REQUIRED]

STRICT_DEVICE = os.environ.get("NNX_TEST_STRICT_DEVICE", "device1")
DEVICES = {"array_api_strict": STRICT_DEVICE}
WITHOUT_FLOAT64 = STRICT_DEVICE == "no_float64"


def open_backend(name):
    return nnx.get_backend(name, DEVICES.get(name))


def assert_close(actual, expected, rtol=1e-7, atol=0.0):
    """An array of any backend equals a NumPy array: values, shape and dtype."""
    assert not isinstance(actual, nnx.Var), "what comes out of a transform is plain"
    found, expected = nnx.to_numpy(actual), np.asarray(expected)
    if WITHOUT_FLOAT64:
        expected, rtol, atol = narrow.expected(expected, rtol, atol)
    assert found.shape == expected.shape, f"shape {found.shape}, expected {expected.shape}"
    assert found.dtype == expected.dtype, f"dtype {found.dtype}, expected {expected.dtype}"
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


def assert_same(actual, expected):
    """An array of any backend equals a NumPy array, bit for bit."""
    assert_close(actual, expected, rtol=0.0)


NOT_EMULATED = ("cuSOLVER", "cuFFT", "getrfBatched")


def needs_a_gpu(error):
    """What the CUDA emulator was asked for and does not have, of the libraries of which that is known; else None."""
    while error is not None:
        text = str(error)
        if "the CUDA emulator" in text and any(library in text for library in NOT_EMULATED):
            return text
        error = error.__cause__ or error.__context__
    return None
