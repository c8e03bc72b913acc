"""Attention, plain and in blocks, against PyTorch: masks, queries that may look nowhere, shared heads; its memory."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnx
from nnx import functional as F
from nnx.functional.attention import attention_weights, plain
from nnx.functional.attention_blocks import blocked
from tests.oracle import check_against_torch, check_second_order, cotangent, torch
from tests.support import assert_close

theirs = torch.nn.functional.scaled_dot_product_attention


def numbers(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def operands(n=5, m=5, batch=(2, 3), d=4, e=4):
    return numbers(*batch, n, d), numbers(*batch, m, d, seed=1), numbers(*batch, m, e, seed=2)


def booleans(n=5, m=5):
    """Some may look here or there, the second query nowhere."""
    mask = numbers(2, 1, n, m, seed=3) > -0.5
    mask[0, 0, 1] = False
    mask[1, 0, :, :2] = False  # the first block, where blocks hold two keys
    return mask


RULES = {
    "plain": lambda q, k, v, mask=None, causal=False: plain(q, k, v, mask, causal, q.shape[-1] ** -0.5),
    "blocked": lambda q, k, v, mask=None, causal=False: blocked(q, k, v, mask, causal, q.shape[-1] ** -0.5, 2),
}
MASKS = {
    "none": None,
    "booleans": booleans(),
    "booleans for all": np.tril(np.ones((5, 5), bool)),
    "booleans of keys": np.asarray([True, True, False, True, False])[None, None, None, :],
    "numbers": numbers(2, 1, 5, 5, seed=4),
    "numbers of keys": numbers(2, 1, 1, 5, seed=4),
    "numbers of queries": numbers(5, 1, seed=4),
    "infinite": np.where(booleans(), 0.0, -math.inf),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("rule", RULES)
def test_masks(backend, rule, mask):
    ours, given = RULES[rule], MASKS[mask]
    if given is None or given.dtype == bool:
        own, other = (None, None) if given is None else (nnx.asarray(given), torch.from_numpy(given))
        check_against_torch(lambda q, k, v: ours(q, k, v, own), lambda q, k, v: theirs(q, k, v, other), *operands())
    else:
        check_against_torch(ours, theirs, *operands(), given)


@pytest.mark.parametrize(("n", "m"), [(3, 5), (5, 3)])
@pytest.mark.parametrize("rule", RULES)
def test_causal(backend, rule, n, m):
    ours = RULES[rule]
    check_against_torch(
        lambda q, k, v: ours(q, k, v, None, True), lambda q, k, v: theirs(q, k, v, is_causal=True), *operands(n, m)
    )


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_a_librarys_own_kernel(backend, rule, causal):
    """As a training step runs: on plain arrays, where the library may have its own."""
    arrays, ours = operands(), RULES[rule]
    leaves = [torch.from_numpy(x).requires_grad_() for x in arrays]
    y = theirs(*leaves, is_causal=causal)
    r = cotangent(tuple(y.shape))
    y.backward(torch.from_numpy(r))

    def loss(q, k, v):
        return nnx.namespace(q).sum(ours(q, k, v, None, causal) * nnx.asarray(r))

    grads = nnx.grad(loss, (0, 1, 2))(*map(nnx.asarray, arrays))
    for g, leaf in zip(grads, leaves, strict=True):
        assert_close(g, leaf.grad.numpy(), 1e-12, 1e-12)


@settings(max_examples=20, deadline=None)
@given(
    n=st.integers(1, 7),
    m=st.integers(1, 7),
    batch=st.sampled_from([(), (2,), (2, 3)]),
    e=st.integers(1, 3),
    block=st.integers(1, 8),
    causal=st.booleans(),
    scale=st.sampled_from([None, 0.3]),
)
def test_any_shape(n, m, batch, e, block, causal, scale):
    q, k, v = operands(n, m, batch, 2, e)
    factor = 2**-0.5 if scale is None else scale
    expected = lambda *xs: theirs(*xs, is_causal=causal, scale=scale)
    check_against_torch(lambda *xs: blocked(*xs, None, causal, factor, block), expected, q, k, v)
    check_against_torch(
        lambda *xs: F.scaled_dot_product_attention(*xs, is_causal=causal, scale=scale), expected, q, k, v
    )


@pytest.mark.parametrize("rule", ["plain", "blocked"])
def test_second_order(backend, rule):
    q, k, v = operands(3, 3, (1,), 2, 2)
    mask = nnx.asarray(np.asarray([[True, False, True], [False, False, False], [True, True, True]]))
    own = {"none": None, "mask": mask}
    other = {"none": None, "mask": torch.from_numpy(np.array(nnx.to_numpy(mask)))}

    def math_only(*xs):  # torch's quick kernels have no second derivative
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            return theirs(*xs)

    for name, turn in [("none", 0), ("mask", 0), ("mask", 1), ("mask", 2)]:
        arrays = [q, k, v][turn:] + [q, k, v][:turn]

        def placed(xs, turn=turn):
            return [xs[(i - turn) % 3] for i in range(3)]

        check_second_order(
            lambda *xs, name=name: RULES[rule](*placed(xs), own[name]) ** 2,
            lambda *xs, name=name: math_only(*placed(xs), other[name]) ** 2,
            *arrays,
        )


GROUPED = [None, (2, 1, 5, 5), (2, 6, 5, 5), (5, 5)]


@pytest.mark.parametrize("shape", GROUPED)
def test_query_heads_share_keys(backend, shape):
    q, k, v = numbers(2, 6, 5, 4), numbers(2, 2, 5, 4, seed=1), numbers(2, 2, 5, 3, seed=2)
    mask = None if shape is None else numbers(*shape, seed=3) > 0
    own, other = (None, None) if mask is None else (nnx.asarray(mask), torch.from_numpy(mask))
    check_against_torch(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, own, enable_gqa=True),
        lambda q, k, v: theirs(q, k, v, other, enable_gqa=True),
        q, k, v,
    )  # fmt: skip
    plainly = F.scaled_dot_product_attention(*map(nnx.asarray, (q, k, v)), is_causal=True, enable_gqa=True)
    expected = theirs(*map(torch.from_numpy, (q, k, v)), is_causal=True, enable_gqa=True)
    assert_close(plainly, expected.numpy(), 1e-12, 1e-12)


def test_float32(backend):
    q, k, v = (x.astype("float32") for x in operands())
    check_against_torch(lambda *xs: RULES["blocked"](*xs), theirs, q, k, v, rtol=1e-4)


def test_dropout_drops_weights_and_keeps_their_mean(backend):
    q, k, v = map(nnx.asarray, (numbers(1, 4), numbers(64, 4), np.eye(64)))
    masks = []
    weights = nnx.to_numpy(attention_weights(q, k, None, False, 0.5))[0]
    for _ in range(3):
        found = nnx.to_numpy(F.scaled_dot_product_attention(q, k, v, dropout_p=0.25)[0, :])
        dropped = found == 0.0
        assert 0 < dropped.sum() < 40
        np.testing.assert_allclose(
            found[~dropped], weights[~dropped] / 0.75, 1e-12 if found.dtype == "float64" else 1e-5
        )
        masks.append(tuple(dropped))
    assert len(set(masks)) == 3, "another mask each time"


# ---- memory ----------------------------------------------------------------------------------------------------------


def peak(n, function):
    arrays = [numbers(1, 2, n, 8, seed=k).astype("float32") for k in range(3)]
    tracemalloc.start()
    try:
        function(*arrays)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("causal", [False, True])
def test_memory_grows_with_the_length_and_not_with_its_square(causal):
    """Of the whole way there and back."""

    def step(q, k, v):
        def loss(q, k, v):
            return nnx.namespace(q).sum(F.scaled_dot_product_attention(q, k, v, is_causal=causal))

        nnx.grad(loss, (0, 1, 2))(q, k, v)

    with nnx.use_backend("numpy"):
        short, long = peak(1024, step), peak(4096, step)
    assert long < 5 * short
    assert long < 2 * 4096 * 4096 * 4, "less than the weights alone, once"


# ---- what does not fit -----------------------------------------------------------------------------------------------

WRONG = [
    (((5,), (5, 4), (5, 4)), {}, "at least two axes"),
    (((5, 3), (5, 4), (5, 4)), {}, "same number of features"),
    (((5, 4), (5, 4), (6, 4)), {}, "one value for each key"),
    (((2, 5, 4), (3, 5, 4), (3, 5, 4)), {}, "axes before the last two must agree"),
    (((6, 5, 4), (4, 5, 4), (4, 5, 4)), {"enable_gqa": True}, "heads must be a multiple"),
]


@pytest.mark.parametrize(("shapes", "options", "message"), WRONG)
def test_shapes_that_do_not_fit_are_named(backend, shapes, options, message):
    with pytest.raises(ValueError, match=message):
        F.scaled_dot_product_attention(*(nnx.asarray(numbers(*s)) for s in shapes), **options)


@pytest.mark.float64("two dtypes are its subject")
def test_masks_that_do_not_fit_are_named(backend):
    q, k, v = map(nnx.asarray, operands())
    mask = nnx.asarray(booleans())
    with pytest.raises(ValueError, match="not both"):
        F.scaled_dot_product_attention(q, k, v, mask, is_causal=True)
    with pytest.raises(TypeError, match="booleans or of query's dtype"):
        F.scaled_dot_product_attention(q, k, v, nnx.asarray(np.ones((5, 5), "float32")))
