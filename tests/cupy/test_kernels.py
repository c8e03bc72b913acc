"""CuPy's own kernels against the generic functions that they stand in for, bit for bit, and what they cost."""

import numpy as np
import pytest

import nnx
from nnx.backend import cupy_kernels, kernel, threefry
from nnx.losses import labels
from tests import cuda_emulator
from tests.cuda_emulator import compile_for, wheel

KEYS = [(0, 0), (7, 2**32 - 1), (2**32 - 1, 2**32 - 1)]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 1000, 1001])
def test_random_words(backend, n):
    like = backend.asarray(np.zeros(1, "float32"))
    for key in KEYS:
        for draw in (0, 1, 2**32 - 1, 2**32 + 5):
            found = nnx.to_numpy(cupy_kernels.words(n, key, draw, like))
            np.testing.assert_array_equal(found, threefry.words_in_blocks(n, key, draw), strict=True)


def test_random_words_cost_one_launch(backend, cuda_budget):
    x = backend.asarray(np.zeros((32, 10), "float32"))
    nnx.random.bits(320, x)
    with cuda_budget(launch=1):
        nnx.random.bits(320, x)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("integer", ["int8", "uint8", "int64", "uint64"])
def test_pick(backend, dtype, integer):
    z = np.random.default_rng(0).standard_normal((5, 7)).astype(dtype)
    target = np.asarray([3, 0, 6, 7, 100], integer)
    expected = np.asarray([z[0, 3], z[1, 0], z[2, 6], -np.inf, -np.inf], dtype)
    # a view whose rows are not next to each other: the kernel counts in rows and columns
    view = backend.asarray(np.repeat(z, 2, axis=1))[:, ::2]
    for scores in (backend.asarray(z), view):
        found = labels.pick(scores, backend.asarray(target))
        np.testing.assert_array_equal(nnx.to_numpy(found), expected, strict=True)


def test_a_negative_label_is_no_column(backend):
    z = backend.asarray(np.zeros((2, 3), "float32"))
    found = labels.pick(z, backend.asarray(np.asarray([-1, 2], "int32")))
    np.testing.assert_array_equal(nnx.to_numpy(found), np.asarray([-np.inf, 0], "float32"))
    assert float(nnx.losses.cross_entropy(z, backend.asarray(np.asarray([-1, 2])))) == np.inf


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_minus_one_hot(backend, dtype):
    p = np.random.default_rng(0).random((4, 300)).astype(dtype)
    target = np.asarray([0, 299, -1, 300], "int16")
    expected = p.copy()
    expected[[0, 1], [0, 299]] -= 1
    found = labels.minus_one_hot(backend.asarray(p), backend.asarray(target))
    np.testing.assert_array_equal(nnx.to_numpy(found), expected, strict=True)


def test_no_rows(backend):
    z, target = backend.asarray(np.zeros((0, 3), "float32")), backend.asarray(np.zeros(0, "int64"))
    assert labels.pick(z, target).shape == (0,)
    assert labels.minus_one_hot(z, target).shape == (0, 3)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
def test_index_add(backend, dtype):
    rng = np.random.default_rng(0)
    x = (rng.integers(-8, 8, (6, 2, 3)) * (1 + 1j)).astype(dtype) if dtype[0] == "c" else rng.integers(-8, 8, (6, 2, 3))
    x, index = x.astype(dtype), np.asarray([4, 0, 4, 4, 1, 0])
    expected = np.zeros((5, 2, 3), dtype)
    np.add.at(expected, index, x)
    found = type(backend).index_add(5, backend.asarray(index), backend.asarray(x))
    np.testing.assert_array_equal(nnx.to_numpy(found), expected, strict=True)


def test_the_kernels_are_in_use(backend):
    x = backend.asarray(np.zeros((1, 1), "float32"))
    assert kernel("words", x) is cupy_kernels.words
    assert kernel("pick", x) is cupy_kernels.pick
    assert kernel("minus_one_hot", x) is cupy_kernels.minus_one_hot


@pytest.mark.parametrize("arch", ["75", "120"])
def test_nvrtc_takes_them(emulated, arch):
    """g++ knows names that NVRTC does not, INFINITY for one: the oldest and the newest architecture, without a GPU."""
    z, target = emulated.asarray(np.zeros((2, 3), "float32")), emulated.asarray(np.zeros(2, "int64"))
    cupy_kernels.words(4, (0, 0), 0, z), cupy_kernels.pick(z, target), cupy_kernels.minus_one_hot(z, target)
    own = [source for source in cuda_emulator.sources() if "nnx_" in source.code]
    assert len(own) >= 3
    if not list(wheel.site().glob("nvidia/*/lib/libnvrtc.so*")):
        pytest.skip("not emulated: NVRTC is not installed, pip install 'cuda-toolkit[nvrtc]==13.*'")
    assert compile_for.compile_all(own[:6], [arch]) == []
