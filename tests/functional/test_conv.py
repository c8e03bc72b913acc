"""Convolutions against PyTorch: value, all gradients, second order, over drawn arguments, on both paths."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnx
from nnx import functional as F
from nnx.functional import conv_core, conv_windows
from tests.functional.compiled import skip_many_shapes
from tests.oracle import check_against_torch, check_second_order, torch
from tests.support import assert_close

TF = torch.nn.functional
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")  # of torch's own
PATHS = ["own", "standard"]


@pytest.fixture(params=PATHS)
def path(request, backend, monkeypatch):
    """A library's own kernels, and the standard's functions alone."""
    if request.param == "own" and "convolve" not in backend.kernels():
        pytest.skip("one side: the library has no kernels of its own")
    if request.param == "standard":
        skip_many_shapes(backend, request)
        monkeypatch.setattr(conv_core, "kernel", lambda name, x: None)
    return request.param


def random(*shapes, dtype="float64"):
    rng = np.random.default_rng(3)
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


def both(name, **options):
    ours, theirs = getattr(F, name), getattr(TF, name)
    return lambda *a: ours(*a, **options), lambda *a: theirs(*a, **options)


# name, x, weight, options: few shapes, as JAX compiles each anew
CASES = [
    ("conv1d", (2, 4, 9), (6, 2, 3), {"stride": 2, "padding": 1, "groups": 2}),
    ("conv2d", (2, 4, 7, 6), (6, 2, 3, 2), {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2}),
    ("conv2d", (3, 2, 6, 6), (4, 2, 3, 3), {"padding": "same"}),
    ("conv2d", (2, 3, 5, 5), (4, 3, 1, 1), {}),
    ("conv2d", (2, 3, 6, 5), (2, 3, 2, 4), {"padding": "same", "dilation": (3, 1)}),  # more after than before
    ("conv2d", (2, 2, 5, 5), (2, 2, 2, 2), {"padding": 3}),  # windows that see padding alone
    ("conv3d", (2, 2, 4, 5, 4), (2, 1, 2, 3, 2), {"padding": (0, 1, 1), "stride": (1, 2, 1), "groups": 2}),
    ("conv_transpose1d", (2, 4, 5), (4, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}),
    ("conv_transpose2d", (2, 4, 3, 4), (4, 3, 3, 2), {"stride": (2, 3), "padding": 1, "output_padding": (1, 2)}),
    ("conv_transpose2d", (2, 4, 3, 3), (4, 3, 2, 2), {"stride": 2, "dilation": 3, "groups": 2}),
    ("conv_transpose3d", (1, 2, 2, 3, 2), (2, 2, 2, 2, 3), {"stride": (1, 2, 2), "padding": (0, 1, 0)}),
]
IDS = [f"{name}-{k}" for k, (name, *_) in enumerate(CASES)]


def channels_out(name, weight, options):
    return weight[1] * options.get("groups", 1) if "transpose" in name else weight[0]


@pytest.mark.parametrize(("name", "x", "weight", "options"), CASES, ids=IDS)
def test_value_and_gradients(backend, path, name, x, weight, options):
    arrays = random(x, weight, (channels_out(name, weight, options),))
    check_against_torch(*both(name, **options), *arrays, rtol=1e-9)


@pytest.mark.parametrize("case", [CASES[1], CASES[8]], ids=["conv2d", "conv_transpose2d"])
def test_float32_without_bias(backend, path, case):
    name, x, weight, options = case
    check_against_torch(*both(name, **options), *random(x, weight, dtype="float32"), rtol=1e-4)


@pytest.mark.parametrize("case", [CASES[1], CASES[8]], ids=["conv2d", "conv_transpose2d"])
def test_second_order(backend, path, case):
    name, x, weight, options = case
    ours, theirs = both(name, **options)
    x, w = random(x, weight)
    check_second_order(lambda x, w: ours(x, w) ** 3, lambda x, w: theirs(x, w) ** 3, x, w)
    check_second_order(lambda w, x: ours(x, w) ** 3, lambda w, x: theirs(x, w) ** 3, w, x)


def test_third_order(backend):
    x, w = (nnx.asarray(a) for a in random((1, 1, 4, 4), (1, 1, 2, 2)))

    def f(w):
        y = F.conv2d(x, w)
        return nnx.namespace(y).sum(y**4)

    def slopes(g):
        return lambda w: nnx.namespace(w).sum(nnx.grad(g)(w))

    third = nnx.grad(slopes(slopes(f)))(w)
    leaf = torch.from_numpy(nnx.to_numpy(w).copy()).requires_grad_()
    y = (TF.conv2d(torch.from_numpy(nnx.to_numpy(x).copy()), leaf) ** 4).sum()
    for _ in range(2):
        (g,) = torch.autograd.grad(y, leaf, create_graph=True)
        y = g.sum()
    assert_close(third, torch.autograd.grad(y, leaf)[0].numpy(), 1e-9, 1e-9)


@st.composite
def convolutions(draw):
    dims = draw(st.integers(1, 3))
    per_axis = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(dims))
    kernel, dilation, padding, stride = per_axis(1, 3), per_axis(1, 2), per_axis(0, 2), per_axis(1, 3)
    size = tuple(
        max(1, d * (k - 1) + 1 - 2 * p) + e
        for k, d, p, e in zip(kernel, dilation, padding, per_axis(0, 3), strict=True)
    )
    groups, n = draw(st.integers(1, 2)), draw(st.integers(0, 2))
    c, o = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if draw(st.booleans()):
        options["padding"] = "same" if math.prod(stride) == 1 else padding
    single = n == 1 and draw(st.booleans())
    return dims, ((c, *size) if single else (n, c, *size)), (o, c // groups, *kernel), options


@settings(max_examples=40, deadline=None)
@given(case=convolutions())
@pytest.mark.parametrize("own", [True, False], ids=PATHS)
def test_any_convolution(own, case):
    dims, x, weight, options = case
    with pytest.MonkeyPatch.context() as patch:
        if not own:
            patch.setattr(conv_core, "kernel", lambda name, x: None)
        check_against_torch(*both(f"conv{dims}d", **options), *random(x, weight, weight[:1]), rtol=1e-9)


@st.composite
def transposed(draw):
    dims = draw(st.integers(1, 3))
    per_axis = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(dims))
    kernel, dilation, stride, size = per_axis(1, 3), per_axis(1, 2), per_axis(1, 3), per_axis(1, 3)
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    smallest = [
        (n - 1) * s + d * (k - 1) + e for n, s, d, k, e in zip(size, stride, dilation, kernel, extra, strict=True)
    ]
    padding = tuple(draw(st.integers(0, min(2, m // 2))) for m in smallest)
    groups, n = draw(st.integers(1, 2)), draw(st.integers(0, 2))
    c, o = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "output_padding": extra}
    return dims, (n, c, *size), (c, o // groups, *kernel), (o,), options


@settings(max_examples=40, deadline=None)
@given(case=transposed())
@pytest.mark.parametrize("own", [True, False], ids=PATHS)
def test_any_transposed_convolution(own, case):
    dims, x, weight, bias, options = case
    with pytest.MonkeyPatch.context() as patch:
        if not own:
            patch.setattr(conv_core, "kernel", lambda name, x: None)
        check_against_torch(*both(f"conv_transpose{dims}d", **options), *random(x, weight, bias), rtol=1e-9)


def test_large_inputs_are_taken_in_parts(monkeypatch):
    """Parts of rows, and of samples where a row of all is too long: the same numbers."""
    from nnx.backend import numpy_conv

    for block in (64, 4096):
        monkeypatch.setattr(numpy_conv, "BLOCK", block)
        options = {"padding": 1, "stride": (1, 2)}
        check_against_torch(*both("conv2d", **options), *random((19, 2, 6, 5), (3, 2, 3, 3), (3,)), rtol=1e-9)


def test_places_are_made_once(monkeypatch):
    """The index of a geometry stays on its device, and only so many of them."""
    monkeypatch.setattr(conv_core, "kernel", lambda name, x: None)
    monkeypatch.setattr(conv_windows, "_PLACES", places := {})
    monkeypatch.setattr(conv_windows, "MOST_PLACES", 3)
    x, w = random((1, 1, 5, 5), (1, 1, 3, 3))
    F.conv2d(x, w)
    (first,) = places.values()
    F.conv2d(x, w)
    assert list(places.values()) == [first]
    for size in range(6, 10):
        F.conv2d(np.ones((1, 1, size, size)), w)
    assert len(places) == 3


WRONG = [
    ("conv2d", (2, 3), (1, 3, 1, 1), {}, r"expected x of shape \(n, c, h, w\) or \(c, h, w\), got \(2, 3\)"),
    ("conv1d", (2, 3, 4, 4), (1, 3, 1), {}, r"expected x of shape \(n, c, l\) or \(c, l\), got \(2, 3, 4, 4\)"),
    ("conv2d", (2, 3, 4, 4), (1, 2, 1, 1), {}, r"x has 3 channels, weight of shape \(1, 2, 1, 1\) .* takes 2"),
    ("conv2d", (2, 3, 4, 4), (1, 3, 1), {}, r"expected weight of shape \(o, c/1, kh, kw\).* got \(1, 3, 1\)"),
    ("conv2d", (2, 4, 4, 4), (3, 2, 1, 1), {"groups": 2}, "3 output channels do not divide into groups=2"),
    ("conv2d", (2, 4, 4, 4), (3, 2, 1, 1), {"groups": 0}, "groups must be at least 1, got 0"),
    ("conv2d", (2, 3, 4, 4), (1, 3, 5, 1), {}, r"a kernel of \(5, 1\) .* the padded input is \(4, 4\)"),
    ("conv2d", (2, 3, 4, 4), (1, 3, 1, 1), {"stride": 0}, "stride must be an integer >= 1 or a tuple of 2"),
    ("conv2d", (2, 3, 4, 4), (1, 3, 1, 1), {"stride": (1, 1, 1)}, "stride must be .* tuple of 2"),
    ("conv2d", (2, 3, 4, 4), (1, 3, 1, 1), {"padding": -1}, "padding must be an integer >= 0"),
    ("conv2d", (2, 3, 4, 4), (1, 3, 1, 1), {"padding": "full"}, "'same' or 'valid', got 'full'"),
    ("conv2d", (2, 3, 4, 4), (1, 3, 1, 1), {"padding": "same", "stride": 2}, r"stride \(2, 2\) does not: use stride 1"),
    ("conv2d", (2, 3, 4, 4), (1, 3, 1, 1), {"dilation": 1.5}, "dilation must be an integer"),
    ("conv2d", (2, 0, 4, 4), (1, 3, 1, 1), {}, "only the axis of samples may be empty"),
    ("conv_transpose2d", (2, 3, 4, 4), (2, 3, 1, 1), {}, "x has 3 channels, weight .* takes 2"),
    ("conv_transpose2d", (2, 3, 4, 4), (3, 1, 1, 1), {"groups": 2}, "3 input channels do not divide into groups=2"),
    ("conv_transpose2d", (2, 3, 4, 4), (3, 1, 1, 1), {"output_padding": 1}, r"output_padding \(1, 1\) must be smaller"),
    ("conv_transpose2d", (2, 3, 1, 1), (3, 1, 1, 1), {"padding": 1}, r"an output of \(-1, -1\): take less padding"),
]


@pytest.mark.parametrize(("name", "x", "weight", "options", "message"), WRONG)
def test_arguments_that_do_not_fit_are_named(name, x, weight, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(F, name)(np.ones(x), np.ones(weight), **options)


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_a_bias_of_another_length_is_named(name):
    with pytest.raises(ValueError, match=r"expected bias of shape \(2,\), got \(3,\)"):
        getattr(F, name)(np.ones((1, 2, 3, 3)), np.ones((2, 2, 1, 1)), np.ones(3))
