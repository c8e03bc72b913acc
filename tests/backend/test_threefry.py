"""Each backend's own generator makes the words of the generic one."""

import numpy as np
import pytest

import nnx
from nnx import random
from nnx.backend import kernel, threefry

KEYS = [(0, 0), (5, 0), (0xFFFFFFFF, 0xFFFFFFFF), (0x243F6A88, 0x85A308D3)]
SIZES = [0, 1, 2, 7, 4096, 2 * threefry.BLOCK - 1, 2 * threefry.BLOCK + 3]


def generic(n, key, draw):
    return threefry.words(np, np.uint32, n, key, draw)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("n", SIZES)
def test_in_blocks(n, key):
    for draw in (0, 1, 2**31 + 1, 2**32 - 1, 2**32 + 3):
        found = threefry.words_in_blocks(n, key, draw)
        assert found.dtype == np.uint32
        np.testing.assert_array_equal(found, generic(n, key, draw))


@pytest.mark.parametrize("key", KEYS)
def test_of_each_backend(backend, key):
    like = nnx.asarray([1.0], "float32")
    for n in SIZES[:5]:
        random.seed(key[0] | key[1] << 32)
        for draw in range(3):
            words = nnx.to_numpy(random.bits(n, like)).view(np.uint32)
            np.testing.assert_array_equal(words, generic(n, key, draw))


def test_written_on_the_standard_for_each_backend(backend):
    """The oracle itself runs everywhere, where a backend has its own generator, too."""
    dtype = backend.counter
    like = nnx.asarray([1.0], "float32")
    words = threefry.words(backend.xp, getattr(backend.xp, dtype), 9, (7, 8), 3, like.device, signed=dtype == "int32")
    np.testing.assert_array_equal(nnx.to_numpy(words).view(np.uint32), generic(9, (7, 8), 3))


def test_under_a_trace_of_jax():
    jax = pytest.importorskip("jax")
    like = jax.numpy.ones(1)

    @jax.jit
    def bits(x):
        return random.bits(9, x)

    random.seed(3)
    np.testing.assert_array_equal(np.asarray(bits(like)), generic(9, (3, 0), 0))


def test_who_has_words_of_its_own(backend):
    like = nnx.asarray([1.0], "float32")
    assert (kernel("words", like) is not None) == (backend.name in ("numpy", "torch", "jax", "cupy"))
