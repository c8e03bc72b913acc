"""Random numbers: Threefry against its authors' known answers, the same on every backend, states that come back."""

import asyncio
import contextvars
import json
import math
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import nnx
from nnx import random
from nnx.backend import threefry
from tests.support import assert_same

# Random123's kat_vectors, threefry2x32 20: counter, key, answer
KNOWN = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]
MANY = 200_000


def words(x):
    """Random bits of any backend as uint32."""
    return nnx.to_numpy(x).view(np.uint32)


def mask(backend, keep=0.5, shape=(7, 5), seed=0):
    with random.scope(seed):
        return nnx.to_numpy(random.keep_mask(shape, keep, like=backend.asarray([1.0], "float32")))


# ---- the generator ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers(backend, counter, key, answer):
    signed = backend.counter == "int32"
    x0, x1 = (
        backend.asarray(np.full(3, c, np.uint32).view(backend.counter), backend.counter) for c in counter
    )  # fmt: skip
    for found, expected in zip(random.threefry2x32(backend.xp, key, x0, x1, signed), answer, strict=True):
        assert words(found).tolist() == [expected] * 3


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN[:1])
def test_the_first_words_of_a_draw_are_a_known_answer(backend, counter, key, answer):
    with random.scope(0):
        assert words(random.bits(2, like=backend.asarray([1.0], "float32"))).tolist() == list(answer)


def test_the_numpy_kernel_makes_the_same_words():
    for n in (0, 1, 2, 3, 10, 2 * threefry.BLOCK, 2 * threefry.BLOCK + 1, 5 * threefry.BLOCK - 3):
        for key, draw in (((0, 0), 0), ((0xFFFFFFFF, 0x12345678), 0xFFFFFFFE), ((1, 2), 2**32 + 3)):
            expected = threefry.words(np, np.uint32, n, key, draw)
            assert_same(threefry.words_in_blocks(n, key, draw), expected)


def test_jax_without_64_bits():
    """Its Python numbers are 32-bit then, and half of the words are larger than that."""
    pytest.importorskip("jax")
    code = """
import numpy as np, nnx
expected = [nnx.random.keep_mask((9,), 0.5, like=np.ones(1)).tolist() for k in [nnx.seed(2**64 - 1)]]
with nnx.use_backend("jax"):
    nnx.seed(2**64 - 1)
    assert nnx.random.keep_mask((9,), 0.5, like=nnx.asarray([1.0])).tolist() == expected[0]
    assert str(nnx.asarray(np.ones(2)).dtype) == "float32"
    assert str(nnx.asarray(np.ones(2), "float64").dtype) == "float32"
    assert str(nnx.asarray([1, 2], "int64").dtype) == "int32"
    model = nnx.Sequential(nnx.Linear(4, 3), nnx.Dropout())
    model.load_state_dict(model.state_dict())
    loss, grads = nnx.value_and_grad(lambda m, x: nnx.namespace(x).sum(m(x)))(model, nnx.asarray(np.ones((2, 4))))
    nnx.optim.Adam().update(model, grads)
"""
    environment = {**os.environ, "JAX_ENABLE_X64": "0", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-W", "error", "-c", code], env=environment, check=True)


# ---- masks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(7, 5), (1,), (), (0, 3)])
def test_the_same_mask_on_every_backend(backend, keep, shape):
    found = mask(backend, keep, shape, seed=12345678901234567890)
    assert found.dtype == bool
    assert_same(found, mask(nnx.get_backend("numpy"), keep, shape, seed=12345678901234567890))
    if keep in (0.0, 1.0):
        assert np.all(found == bool(keep))


def test_a_mask_lives_where_the_array_does(backend):
    like = backend.asarray([1.0])
    assert random.keep_mask((2,), 0.5, like=like).device == like.device
    assert random.keep_mask((2,), 0.5, like=nnx.Var(like)).device == like.device


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.8])
def test_how_many_are_kept(keep):
    found = mask(nnx.get_backend("numpy"), keep, (MANY,))
    assert abs(np.mean(found) - keep) < 4 * np.sqrt(keep * (1 - keep) / MANY)


def test_every_bit_is_a_fair_coin():
    with random.scope(1):
        found = words(random.bits(MANY, like=np.ones(1)))
    for k in range(32):
        assert abs(np.mean((found >> k) & 1) - 0.5) < 4 * 0.5 / np.sqrt(MANY)


def test_masks_are_independent():
    """Of the next call, of the neighbour, and of another seed: their products have the mean of a product."""
    with random.scope(0):
        one, two = (random.keep_mask((MANY,), 0.5, like=np.ones(1)) for _ in range(2))
    three = mask(nnx.get_backend("numpy"), shape=(MANY,), seed=1)
    four = mask(nnx.get_backend("numpy"), shape=(MANY,), seed=2**32)
    for a, b in ((one, two), (one[1:], one[:-1]), (one, three), (one, four), (one[: MANY // 2], one[MANY // 2 :])):
        assert abs(np.mean(a & b) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / len(a))


# ---- the state -------------------------------------------------------------------------------------------------------


def draws():
    return (
        random.uniform((2,)).tolist(),
        random.normal((2,)).tolist(),
        random.permutation(5).tolist(),
        random.keep_mask((9,), 0.5, like=np.ones(1)).tolist(),
    )


def test_the_same_seed_gives_the_same_numbers():
    nnx.seed(3)
    one, two = draws(), draws()
    nnx.seed(3)
    assert draws() == one
    assert draws() == two
    nnx.seed(4)
    assert all(a != b for a, b in zip(draws(), one, strict=True))
    assert all(a != b for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("wrong", [-1, 2**64])
def test_a_seed_out_of_range(wrong):
    with pytest.raises(ValueError, match=r"seed must be in \[0, 2\*\*64\)"):
        nnx.seed(wrong)


def test_a_scope_leaves_the_state_around_it_alone():
    nnx.seed(3)
    one, two = draws(), draws()
    nnx.seed(3)
    assert draws() == one
    with random.scope(3):
        assert draws() == one
        nnx.seed(4)
        draws()
        with random.scope(3):
            assert draws() == one
    with pytest.raises(KeyError), random.scope(5):
        raise KeyError
    assert draws() == two


@pytest.mark.parametrize("scoped", [False, True])
def test_the_state_comes_back_from_json(scoped):
    nnx.seed(2**63 + 5)
    random.normal((3,))
    draws()
    saved = json.loads(json.dumps(random.get_state()))
    expected = [draws() for _ in range(3)]
    nnx.seed(1)
    draws()
    if scoped:
        with random.scope(0):
            random.set_state(saved)
            assert [draws() for _ in range(3)] == expected
            assert random.get_state() != saved
    else:
        random.set_state(saved)
        assert random.get_state() == saved
        assert [draws() for _ in range(3)] == expected


def test_a_saved_state_is_a_copy():
    nnx.seed(0)
    saved = random.get_state()
    before = json.dumps(saved)
    draws()
    random.set_state(saved)
    draws()
    assert json.dumps(saved) == before


def test_contexts_have_states_of_their_own():
    async def task(turn, other):
        with random.scope(3):
            one = draws()
            turn.set()
            await other.wait()
            return one, draws()

    async def both():
        events = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(task(*events), task(*events[::-1]))

    one, two = asyncio.run(both())
    assert one == two
    nnx.seed(5)
    before = random.get_state()
    found = []

    def work():
        with random.scope(3):
            found.append((draws(), draws()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    contextvars.copy_context().run(work)
    assert found == [one, one]
    assert random.get_state() == before


# ---- on the host -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_same_parameters_on_every_backend(backend, dtype):
    if dtype == "float16" and not hasattr(backend.xp, "float16"):
        pytest.skip("no float16")
    for draw in (random.uniform, random.normal):
        nnx.seed(0)
        found = draw((3, 4), -1.0, 2.0, dtype)
        assert found.device == backend.device
        with nnx.use_backend("numpy"):
            nnx.seed(0)
            assert_same(found, draw((3, 4), -1.0, 2.0, dtype))


def test_a_dtype_that_numpy_does_not_have():
    torch = pytest.importorskip("torch")
    with nnx.use_backend("torch"):
        found = nnx.Linear(3, 2, dtype="bfloat16").weight
        assert found.dtype == torch.bfloat16
        nnx.seed(0)
        found = random.uniform((50,), -1.0, 1.0, "bfloat16")
        nnx.seed(0)
        assert torch.equal(found, random.uniform((50,), -1.0, 1.0).to(torch.bfloat16))


def test_ranges_and_moments():
    u, z = random.uniform((MANY,), -2.0, 3.0), random.normal((MANY,), 1.0, 2.0)
    assert u.min() >= -2.0
    assert u.max() <= 3.0
    assert abs(np.mean(u) - 0.5) < 4 * np.sqrt(25 / 12 / MANY)
    assert abs(np.std(u) - np.sqrt(25 / 12)) < 0.01
    assert abs(np.mean(z) - 1.0) < 4 * 2.0 / np.sqrt(MANY)
    assert abs(np.std(z) - 2.0) < 4 * 2.0 / np.sqrt(2 * MANY)


def test_a_permutation_is_one():
    assert sorted(random.permutation(100).tolist()) == list(range(100))
    assert random.permutation(0).tolist() == []


@pytest.mark.parametrize("name", ["rand_like", "randn_like"])
def test_draws_where_an_array_lives(backend, name):
    """Of the array's shape, dtype and device, distributed as stated; and the same on every backend."""
    x = backend.asarray(np.zeros((200, 50)), "float32")
    with nnx.random.scope(5):
        found = getattr(nnx.random, name)(x)
        again = getattr(nnx.random, name)(x)
    assert (tuple(found.shape), found.dtype, found.device) == ((200, 50), x.dtype, x.device)
    draws = np.sort(nnx.to_numpy(found).ravel().astype("float64"))
    n = draws.size
    expected = draws if name == "rand_like" else np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in draws])
    distance = max(np.abs(np.arange(1, n + 1) / n - expected).max(), np.abs(np.arange(n) / n - expected).max())
    assert distance < 1.95 / math.sqrt(n), "Kolmogorov and Smirnov, 0.1 %"
    assert not np.array_equal(nnx.to_numpy(found), nnx.to_numpy(again))
    assert abs(np.corrcoef(nnx.to_numpy(found).ravel(), nnx.to_numpy(again).ravel())[0, 1]) < 0.04
    if name == "rand_like":
        assert draws[0] >= 0
        assert draws[-1] < 1
    with nnx.random.scope(5):
        reference = getattr(nnx.random, name)(np.zeros((200, 50), "float32"))
    np.testing.assert_allclose(nnx.to_numpy(found), reference, rtol=2e-6, atol=2e-6)
