"""The harness of the rung without float64: what tests bring is narrowed, and who asked for float64 is told apart."""

import inspect

import numpy as np
import pytest

import nnx
from tests import narrow

ASARRAY, METHOD = inspect.unwrap(nnx.asarray), inspect.unwrap(nnx.Backend.asarray)
strict = pytest.importorskip("array_api_strict")


@pytest.fixture
def device():
    with nnx.use_backend("array_api_strict", "no_float64") as active:
        yield active


def library(source):
    """A function `asked` as if it stood in a file of nnx."""
    space = {"__name__": "nnx.planted", "nnx": nnx}
    exec(compile(source, str(narrow.LIBRARY / "planted.py"), "exec"), space)
    return space["asked"]


def refusal(call):
    with pytest.raises(ValueError, match="does not support dtype") as caught:
        call()
    return caught.value


BROUGHT = {
    "float64": (np.ones(2), None, "float32"),
    "numbers": ([1.0, 2.0], None, "float32"),
    "a scalar of NumPy": (np.float64(1.0), None, "float32"),
    "complex128": (np.ones(2, complex), None, "complex64"),
    "by name": ([1.0], "float64", "float32"),
    "integers": (np.ones(2, "int64"), None, "int64"),
    "float32": (np.ones(2, "float32"), None, "float32"),
}


@pytest.mark.parametrize("name", BROUGHT)
def test_what_a_test_brings_is_narrowed(device, name):
    x, dtype, expected = BROUGHT[name]
    for asarray in (narrow._narrowing(ASARRAY, 0), narrow._narrowing(METHOD, 1).__get__(device)):
        for y in (asarray(x, dtype), asarray(x, dtype=dtype)):
            assert str(y.dtype).endswith(expected)
        assert asarray(y).dtype == y.dtype


def test_what_nnx_asks_for_is_not(device, monkeypatch):
    monkeypatch.setattr(nnx, "asarray", narrow._narrowing(ASARRAY, 0))
    refusal(library("def asked(): return nnx.asarray([1.0], 'float64')"))


def test_a_test_that_asks_is_excused(device):
    error = refusal(lambda: device.xp.ones(2, dtype=device.xp.float64, device=device.device))
    assert narrow.excuse(error) == "test_narrow.py asks for float64 itself"


@pytest.mark.parametrize("given", ["float64", strict.float64, np.ones(2), {"w": [np.float64(1.0)]}])
def test_a_test_that_hands_it_to_nnx_is_excused(device, given):
    asked = library("def asked(xp, device, given): return xp.ones(2, dtype=xp.float64, device=device)")
    assert narrow.excuse(refusal(lambda: asked(device.xp, device.device, given)))
    assert narrow.excuse(refusal(lambda: nnx.Linear(2, 2, dtype="float64")))


def test_nnx_is_not(device):
    asked = library("def asked(x): xp = nnx.namespace(x); return xp.astype(x, xp.float64)")
    x = device.asarray([1.0], "float32")
    assert narrow.excuse(refusal(lambda: asked(x))) is None
    assert narrow.excuse(refusal(lambda: nnx.grad(asked)(x))) is None


def test_another_error_is_not():
    assert narrow.excuse(ValueError("Device d does not support dtype=array_api_strict.int64.")) is None
    assert narrow.excuse(TypeError("x")) is None


def test_what_is_expected_in_32_bits():
    array, rtol, atol = narrow.expected(np.asarray([1.0, -200.0, np.inf]), 1e-9, 0.0)
    assert (array.dtype, rtol, atol) == (np.float32, narrow.RTOL, pytest.approx(200.0 * narrow.RTOL))
    array, rtol, atol = narrow.expected(np.asarray([1, 2]), 0.0, 0.0)
    assert (array.dtype, rtol, atol) == (np.int64, 0.0, 0.0)
