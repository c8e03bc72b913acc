"""Pools against PyTorch: value, gradient, second order, over drawn arguments, on both paths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnx
from nnx import functional as F
from nnx.functional import pool, pool_core
from tests.functional.compiled import skip_many_shapes
from tests.oracle import check_against_torch, check_second_order, torch
from tests.support import assert_close, assert_same

TF = torch.nn.functional
PATHS = ["own", "standard"]


@pytest.fixture(params=PATHS)
def path(request, backend, monkeypatch):
    """A library's own kernels, and the standard's functions alone."""
    if request.param == "own" and "max_pool" not in backend.kernels():
        pytest.skip("one side: the library has no kernels of its own")
    if request.param == "standard":
        skip_many_shapes(backend, request)
        monkeypatch.setattr(pool_core, "kernel", lambda name, x: None)
    return request.param


def random(*shape, dtype="float64"):
    return np.random.default_rng(4).standard_normal(shape).astype(dtype)


def both(name, *args, **options):
    ours, theirs = getattr(F, name), getattr(TF, name)
    return lambda x: ours(x, *args, **options), lambda x: theirs(x, *args, **options)


CASES = [
    ("max_pool1d", (2, 3, 9), (3,), {"stride": 2, "padding": 1}),
    ("max_pool2d", (2, 3, 6, 8), (2,), {}),
    ("max_pool2d", (2, 3, 7, 8), ((3, 2),), {"stride": (2, 1), "padding": 1, "dilation": (1, 2), "ceil_mode": True}),
    ("max_pool2d", (3, 6, 8), (2,), {}),
    ("max_pool2d", (2, 3, 1, 2), (3,), {"stride": 1, "padding": 1}),
    ("max_pool3d", (1, 2, 4, 5, 4), (2,), {"stride": (1, 2, 2), "ceil_mode": True}),
    ("avg_pool1d", (2, 3, 9), (3,), {"stride": 2, "padding": 1, "count_include_pad": False}),
    ("avg_pool2d", (2, 3, 7, 8), (3,), {"stride": 2, "padding": 1, "ceil_mode": True}),
    ("avg_pool2d", (2, 3, 7, 8), (3,), {"stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False}),
    ("avg_pool2d", (2, 3, 7, 8), (3,), {"padding": 1, "divisor_override": 5}),
    ("avg_pool3d", (1, 2, 4, 5, 4), ((2, 3, 2),), {"padding": (1, 1, 0), "stride": 1}),
    ("adaptive_avg_pool1d", (2, 3, 7), (3,), {}),
    ("adaptive_avg_pool2d", (2, 3, 7, 8), ((3, 5),), {}),
    ("adaptive_avg_pool2d", (2, 3, 6, 8), ((None, 4),), {}),
    ("adaptive_avg_pool2d", (3, 7, 8), (1,), {}),
    ("adaptive_avg_pool2d", (2, 3, 4, 3), ((6, 7),), {}),  # more than there is
    ("adaptive_avg_pool3d", (1, 2, 4, 5, 4), ((2, 3, 1),), {}),
    ("adaptive_max_pool1d", (2, 3, 7), (3,), {}),
    ("adaptive_max_pool2d", (2, 3, 7, 8), ((3, 5),), {}),
    ("adaptive_max_pool2d", (2, 3, 6, 8), ((3, None),), {}),
    ("adaptive_max_pool3d", (1, 2, 4, 5, 4), (2,), {}),
    ("lp_pool1d", (2, 3, 9), (2.0, 3), {"stride": 2}),
    ("lp_pool2d", (2, 3, 7, 8), (4, (2, 3)), {"ceil_mode": True}),
    ("lp_pool2d", (2, 3, 6, 8), (float("inf"), 2), {}),
    ("lp_pool3d", (1, 2, 4, 5, 4), (2, 2), {}),
]
IDS = [f"{name}-{k}" for k, (name, *_) in enumerate(CASES)]


@pytest.mark.parametrize(("name", "shape", "args", "options"), CASES, ids=IDS)
def test_value_and_gradient(backend, path, name, shape, args, options):
    check_against_torch(*both(name, *args, **options), random(*shape), rtol=1e-9)


@pytest.mark.parametrize("case", [CASES[2], CASES[7], CASES[12]], ids=["max", "avg", "adaptive"])
def test_float32(backend, case):
    name, shape, args, options = case
    check_against_torch(*both(name, *args, **options), random(*shape, dtype="float32"), rtol=1e-4)


SECOND = [CASES[2], CASES[7], CASES[12], CASES[18], CASES[22]]


@pytest.mark.parametrize("case", SECOND, ids=["max", "avg", "adaptive_avg", "adaptive_max", "lp"])
def test_second_order(backend, path, case):
    name, shape, args, options = case
    ours, theirs = both(name, *args, **options)
    check_second_order(lambda x: ours(x) ** 3, lambda x: theirs(x) ** 3, random(*shape))


@st.composite
def windows(draw):
    dims = draw(st.integers(1, 3))
    per_axis = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(dims))
    kernel, stride = per_axis(1, 4), per_axis(1, 4)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = tuple(k + e for k, e in zip(kernel, per_axis(0, 4), strict=True))  # torch's 3d wants no less than the kernel
    shape = (draw(st.integers(1, 2)), 2, *size)
    return dims, shape, {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": draw(st.booleans())}


@settings(max_examples=40, deadline=None)
@given(case=windows(), count_include_pad=st.booleans())
@pytest.mark.parametrize("own", [True, False], ids=PATHS)
def test_any_pool(own, case, count_include_pad):
    dims, shape, options = case
    with pytest.MonkeyPatch.context() as patch:
        if not own:
            patch.setattr(pool_core, "kernel", lambda name, x: None)
        few = np.round(random(*shape))  # many equal numbers: the first wins
        check_against_torch(*both(f"max_pool{dims}d", **options), few, rtol=1e-9)
        check_against_torch(
            *both(f"avg_pool{dims}d", **options, count_include_pad=count_include_pad), random(*shape), rtol=1e-9
        )


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"])
def test_empty_batch(backend, path, name):
    x = nnx.asarray(np.ones((0, 3, 6, 6)))
    y, pullback = nnx.vjp(lambda x: getattr(F, name)(x, 2), x)
    assert y.shape == (0, 3, 3, 3) if name.startswith(("max", "avg")) else (0, 3, 2, 2)
    assert pullback(y)[0].shape == x.shape


def test_the_first_of_equal_numbers_has_the_gradient(backend, path):
    x = nnx.asarray(np.asarray([[[[1.0, 2.0, 2.0], [2.0, 0.0, 2.0]]]]))
    y, pullback = nnx.vjp(lambda x: F.max_pool2d(x, 2, 1), x)
    assert_same(y, np.asarray([[[[2.0, 2.0]]]]))
    assert_same(pullback(nnx.asarray(np.asarray([[[[1.0, 10.0]]]])))[0], [[[[0.0, 11.0, 0.0], [0.0, 0.0, 0.0]]]])


def test_nan_wins(backend, path):
    x = np.asarray([[[[1.0, 9.0, 3.0, 4.0], [np.nan, 5.0, 6.0, 7.0]]]])
    check_against_torch(*both("max_pool2d", 2), x, rtol=1e-9)


def test_an_infinite_gradient_stays_where_it_belongs(backend, path):
    y, pullback = nnx.vjp(lambda x: F.max_pool1d(x, 2), nnx.asarray(np.asarray([[[1.0, 2.0, 3.0, 1.0]]])))
    found = pullback(nnx.asarray(np.asarray([[[np.inf, 1.0]]])))[0]
    assert_same(found, [[[0.0, np.inf, 1.0, 0.0]]])
    assert y.shape == (1, 1, 2)


INDEXED = [
    ("max_pool1d", (2, 3, 9), (3, 2, 1), {"ceil_mode": True}),
    ("max_pool2d", (2, 3, 7, 8), ((3, 2), 2, 1), {}),
    ("max_pool3d", (2, 4, 5, 4), (2,), {}),
    ("adaptive_max_pool2d", (2, 3, 7, 8), ((3, 5),), {}),
]


@pytest.mark.parametrize(("name", "shape", "args", "options"), INDEXED, ids=[row[0] for row in INDEXED])
def test_places_that_won(backend, name, shape, args, options):
    x = random(*shape)
    y, places = getattr(F, name)(nnx.asarray(x), *args, **options, return_indices=True)
    expected = getattr(TF, name)(torch.from_numpy(x), *args, **options, return_indices=True)
    assert_close(y, expected[0].numpy(), 1e-12)
    np.testing.assert_array_equal(nnx.to_numpy(places), expected[1].numpy())


@pytest.mark.parametrize("p", [1, 2, 3])
def test_a_sum_of_zero_has_no_slope(p):
    x = np.asarray([[[[1.0, -1.0, 0.0, 0.0], [2.0, -2.0, 0.0, 0.0]]]])
    check_against_torch(*both("lp_pool2d", p, 2), x, rtol=1e-9)


def test_counts_are_made_once(monkeypatch):
    monkeypatch.setattr(pool, "_COUNTS", counts := {})
    monkeypatch.setattr(pool, "MOST_COUNTS", 2)
    for size in (5, 5, 6, 7, 8):
        F.avg_pool2d(np.ones((1, 1, size, size)), 3, 2, 1, count_include_pad=False)
    assert len(counts) == 2


WRONG = [
    ("max_pool2d", (2, 3), (2,), {}, r"expected x of shape \(n, c, h, w\) or \(c, h, w\), got \(2, 3\)"),
    ("max_pool2d", (1, 2, 4, 4), (5,), {}, r"a window of \(5, 5\) .* the padded input is \(4, 4\)"),
    ("max_pool2d", (1, 2, 4, 4), (2,), {"padding": 2}, r"padding \(2, 2\) must be at most half"),
    ("avg_pool2d", (1, 2, 4, 4), (3,), {"padding": 2}, r"padding \(2, 2\) must be at most half"),
    ("avg_pool1d", (1, 2, 4), (0,), {}, "kernel_size must be an integer >= 1"),
    ("avg_pool2d", (1, 2, 4, 4), (2,), {"stride": (1, 2, 3)}, "stride must be an integer >= 1 or a tuple of 2"),
    ("avg_pool2d", (1, 2, 4, 4), (2,), {"divisor_override": 0}, "divisor_override must not be 0"),
    ("adaptive_avg_pool2d", (1, 2, 4, 4), ((1, 2, 3),), {}, "tuple of 2"),
    ("adaptive_max_pool2d", (1, 2, 4, 4), (0,), {}, "output_size must be an integer >= 1"),
    ("lp_pool2d", (1, 2, 4, 4), (0, 2), {}, "norm_type must not be 0"),
    ("max_pool2d", (1, 2, 0, 4), (1,), {}, "only the axis of samples may be empty"),
]


@pytest.mark.parametrize(("name", "shape", "args", "options", "message"), WRONG)
def test_arguments_that_do_not_fit_are_named(name, shape, args, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(F, name)(np.ones(shape), *args, **options)
