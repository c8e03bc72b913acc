"""Padding against PyTorch: value, gradient and second order of every mode."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnx
from nnx import functional as F
from tests.functional.compiled import skip_many_shapes
from tests.oracle import check_against_torch, check_second_order, torch

TF = torch.nn.functional

CASES = [
    ((2, 3, 4), (1, 2), "constant", 1.5),
    ((2, 3, 4), (1, 2, 0, 1, 3, 0), "constant", None),
    ((2, 3, 4, 5), (2, -1, -2, 1), "constant", -1.0),
    ((4,), (-1, -2), "constant", None),
    ((2, 3, 4), (3, 1), "reflect", None),
    ((2, 3, 4, 5), (4, 2, 0, 3), "reflect", None),
    ((2, 3, 4, 3), (1, 2, 3, 1), "reflect", None),
    ((1, 2, 3, 4, 2), (1, 1, 0, 3, 2, 1), "reflect", None),
    ((2, 3, 4), (5, 7), "replicate", None),
    ((2, 3, 4, 5), (2, 0, 1, 9), "replicate", None),
    ((1, 2, 3, 2, 2), (1, 1, 0, 3, 2, 1), "replicate", None),
    ((2, 3, 4), (4, 1), "circular", None),
    ((2, 3, 4, 5), (5, 2, 0, 3), "circular", None),
    ((1, 2, 3, 2, 2), (1, 1, 0, 2, 2, 1), "circular", None),
    ((3, 4, 5), (1, 0, 2, 1), "reflect", None),  # one sample
]
IDS = [f"{row[2]}-{k}" for k, row in enumerate(CASES)]


def both(edges, mode, value):
    return lambda x: F.pad(x, edges, mode, value), lambda x: TF.pad(x, edges, mode, value)


def random(shape, dtype="float64"):
    return np.random.default_rng(5).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize(("shape", "edges", "mode", "value"), CASES, ids=IDS)
def test_value_and_gradient(backend, request, shape, edges, mode, value):
    skip_many_shapes(backend, request)
    check_against_torch(*both(edges, mode, value), random(shape), rtol=1e-9)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_second_order(backend, mode):
    ours, theirs = both((2, 1, 0, 3), mode, None)
    check_second_order(lambda x: ours(x) ** 3, lambda x: theirs(x) ** 3, random((2, 3, 4, 5)))


@settings(max_examples=25, deadline=None)
@given(
    size=st.tuples(st.integers(2, 5), st.integers(2, 5)),
    edges=st.tuples(*[st.integers(0, 4)] * 4),
    mode=st.sampled_from(["reflect", "replicate", "circular", "constant"]),
)
def test_any_padding(size, edges, mode):
    most = {"reflect": -1, "circular": 0}.get(mode, 9)
    edges = tuple(min(e, n + most) for e, n in zip(edges, (size[1], size[1], size[0], size[0]), strict=True))
    check_against_torch(*both(edges, mode, None), random((1, 2, *size)), rtol=1e-9)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_empty_batch(backend, mode):
    y = F.pad(nnx.asarray(np.ones((0, 3, 4, 4))), (1, 2), mode) if mode == "constant" else None
    y = F.pad(nnx.asarray(np.ones((0, 3, 4))), (1, 2), mode) if y is None else y
    assert y.shape[-1] == 7
    assert y.shape[0] == 0


WRONG = [
    ((2, 3, 4), (1, 2, 3), "constant", None, "two integers an axis"),
    ((3,), (1, 2, 3, 4), "constant", None, r"of 1 axes at the most, got \(1, 2, 3, 4\) for shape \(3,\)"),
    ((2, 3, 4), (1, 1), "mirror", None, "mode must be one of constant, reflect, replicate, circular, got 'mirror'"),
    ((2, 3, 4), (4, 0), "reflect", None, "at most 3 places before and after an axis of 4, got 4, 0"),
    ((2, 3, 4), (0, 5), "circular", None, "at most 4 places before and after an axis of 4, got 0, 5"),
    ((2, 3, 4), (1, 1), "reflect", 2.0, "takes its numbers from x, and no value"),
    ((4,), (1, 1), "reflect", None, r"1 to 3 axes behind \(n, c\) or \(c\)"),
    ((2, 3, 4), (-2, -3), "constant", None, r"would leave shape \(2, 3, -1\)"),
    ((2, 3, 4), (-2, -3), "replicate", None, "leave nothing of an axis of 4"),
]


@pytest.mark.parametrize(("shape", "edges", "mode", "value", "message"), WRONG)
def test_arguments_that_do_not_fit_are_named(shape, edges, mode, value, message):
    with pytest.raises(ValueError, match=message):
        F.pad(np.ones(shape), edges, mode, value)
