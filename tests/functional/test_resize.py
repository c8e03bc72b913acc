"""Interpolation, and places exchanged for channels, against PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnx
from nnx import functional as F
from nnx.functional import resize
from tests.functional.compiled import skip_many_shapes
from tests.oracle import check_against_torch, check_second_order, torch
from tests.support import assert_same

TF = torch.nn.functional


def random(shape, dtype="float64"):
    return np.random.default_rng(6).standard_normal(shape).astype(dtype)


def both(name, *args, **options):
    ours, theirs = getattr(F, name), getattr(TF, name)
    return lambda x: ours(x, *args, **options), lambda x: theirs(x, *args, **options)


CASES = [
    ((2, 3, 5), {"scale_factor": 2}),
    ((2, 3, 4, 5), {"size": (7, 3)}),
    ((1, 2, 3, 4, 2), {"scale_factor": (2, 1.5, 2)}),
    ((2, 3, 4, 5), {"size": (7, 3), "mode": "nearest-exact"}),
    ((2, 3, 5), {"size": 8, "mode": "linear"}),
    ((2, 3, 5), {"size": 8, "mode": "linear", "align_corners": True}),
    ((2, 3, 4, 5), {"scale_factor": 2, "mode": "bilinear"}),
    ((2, 3, 4, 5), {"scale_factor": (0.5, 2.3), "mode": "bilinear"}),
    ((2, 3, 4, 5), {"scale_factor": (0.6, 2.3), "mode": "bilinear", "recompute_scale_factor": True}),
    ((2, 3, 4, 5), {"size": (1, 9), "mode": "bilinear", "align_corners": True}),
    ((2, 3, 4, 5), {"size": (6, 3), "mode": "bicubic"}),
    ((2, 3, 4, 5), {"size": (6, 9), "mode": "bicubic", "align_corners": True}),
    ((1, 2, 3, 4, 2), {"size": (5, 3, 4), "mode": "trilinear"}),
    ((1, 2, 3, 4, 2), {"scale_factor": 2, "mode": "trilinear", "align_corners": True}),
    ((2, 3, 4, 5), {"size": (3, 2), "mode": "area"}),
]
IDS = [f"{options.get('mode', 'nearest')}-{k}" for k, (_, options) in enumerate(CASES)]


@pytest.mark.parametrize(("shape", "options"), CASES, ids=IDS)
def test_interpolate(backend, request, shape, options):
    skip_many_shapes(backend, request)
    check_against_torch(*both("interpolate", **options), random(shape), rtol=1e-9)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_second_order_and_float32(backend, mode):
    ours, theirs = both("interpolate", scale_factor=1.5, mode=mode)
    check_second_order(lambda x: ours(x) ** 3, lambda x: theirs(x) ** 3, random((2, 1, 4, 5)))
    check_against_torch(ours, theirs, random((2, 1, 4, 5), "float32"), rtol=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    old=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    new=st.tuples(st.integers(1, 11), st.integers(1, 11)),
    mode=st.sampled_from(["nearest", "nearest-exact", "bilinear", "bicubic"]),
    align=st.booleans(),
)
def test_any_size(old, new, mode, align):
    options = {"size": new, "mode": mode} | ({} if "nearest" in mode else {"align_corners": align})
    check_against_torch(*both("interpolate", **options), random((1, 2, *old)), rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 40), factor=st.floats(0.3, 4.0), mode=st.sampled_from(["nearest", "nearest-exact", "linear"]))
def test_any_factor(n, factor, mode):
    m = int(n * factor)
    # where the size becomes m = n or 2n by rounding, torch's backward takes other places than its forward
    if m >= 1 and (mode != "nearest" or m not in (n, 2 * n)):
        check_against_torch(*both("interpolate", scale_factor=factor, mode=mode), random((1, 2, n)), rtol=1e-9)


def test_matrices_are_made_once(monkeypatch):
    monkeypatch.setattr(resize, "_MATRICES", matrices := {})
    monkeypatch.setattr(resize, "MOST_MATRICES", 2)
    for size in (5, 5, 6, 7, 8):
        F.interpolate(np.ones((1, 1, 3)), size, mode="linear")
    assert len(matrices) == 2


MOVED = [
    ("pixel_shuffle", (2, 12, 3, 2), (2,), {}),
    ("pixel_shuffle", (9, 2, 3), (3,), {}),
    ("pixel_unshuffle", (2, 3, 4, 6), (2,), {}),
    ("unfold", (2, 3, 5, 6), ((3, 2),), {"dilation": (1, 2), "padding": 1, "stride": (2, 1)}),
    ("unfold", (3, 5, 6), (2,), {}),
    ("fold", (2, 12, 20), ((5, 6), 2), {}),
    ("fold", (2, 18, 15), ((5, 6), (3, 2)), {"dilation": (1, 2), "padding": 1, "stride": (2, 1)}),
    ("fold", (8, 6), ((4, 5), 2), {"stride": (2, 1), "padding": (0, 0), "dilation": (1, 2)}),
]


@pytest.mark.parametrize(("name", "shape", "args", "options"), MOVED, ids=[f"{r[0]}-{k}" for k, r in enumerate(MOVED)])
def test_places_and_channels(backend, request, name, shape, args, options):
    skip_many_shapes(backend, request)
    ours, theirs = both(name, *args, **options)
    if name == "fold" and len(shape) == 3 and args[1] == (3, 2):
        windows = TF.unfold(torch.ones(2, 3, 5, 6), args[1], **options).shape[-1]
        shape = (*shape[:2], windows)
    check_against_torch(ours, theirs, random(shape), rtol=1e-9)


def test_channel_shuffle(backend):
    x = random((2, 6, 2, 3))
    layer = torch.nn.ChannelShuffle(3)
    check_against_torch(lambda x: F.channel_shuffle(x, 3), layer, x)
    assert_same(F.pixel_unshuffle(F.pixel_shuffle(nnx.asarray(random((1, 4, 2, 2))), 2), 2), random((1, 4, 2, 2)))


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_empty_batch(backend, mode):
    y, pullback = nnx.vjp(lambda x: F.interpolate(x, (3, 7), mode=mode), nnx.asarray(np.ones((0, 2, 5, 4))))
    assert y.shape == (0, 2, 3, 7)
    assert pullback(y)[0].shape == (0, 2, 5, 4)


WRONG = [
    ("interpolate", (2, 3), {"size": 4}, r"expected x of shape \(n, c, ...\) with 1 to 3 more axes, got \(2, 3\)"),
    ("interpolate", (2, 3, 4), {}, "give one of size and scale_factor"),
    ("interpolate", (2, 3, 4), {"size": 4, "scale_factor": 2}, "give one of size and scale_factor"),
    ("interpolate", (2, 3, 4), {"size": 4, "mode": "cubic"}, "mode must be one of nearest"),
    ("interpolate", (2, 3, 4), {"size": 4, "mode": "bilinear"}, "mode 'bilinear' is for 2 axes .* x has 1"),
    ("interpolate", (2, 3, 4), {"size": 4, "align_corners": True}, "align_corners is for linear and cubic modes"),
    ("interpolate", (2, 3, 4), {"scale_factor": 0.1}, "nothing is left"),
    ("interpolate", (2, 3, 4), {"scale_factor": -1.0}, "scale_factor must be > 0"),
    ("interpolate", (2, 3, 4), {"size": 0}, "size must be an integer >= 1"),
    ("pixel_shuffle", (2, 3, 4, 4), {"upscale_factor": 2}, r"\(..., c·2², h, w\), got \(2, 3, 4, 4\)"),
    ("pixel_unshuffle", (2, 3, 5, 4), {"downscale_factor": 2}, r"h·2, w·2\), got \(2, 3, 5, 4\)"),
    ("channel_shuffle", (2, 3, 5, 4), {"groups": 2}, r"c divisible by groups=2, got \(2, 3, 5, 4\)"),
    ("unfold", (2, 3, 5, 4), {"kernel_size": 6}, r"a window reaches over \(6, 6\), the padded input is \(5, 4\)"),
    ("fold", (2, 12, 21), {"output_size": (5, 6), "kernel_size": 2}, r"has 20 windows .* \(n, c·4, 20\), got \(2, 12"),
]


@pytest.mark.parametrize(("name", "shape", "options", "message"), WRONG)
def test_arguments_that_do_not_fit_are_named(name, shape, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(F, name)(np.ones(shape), **options)
