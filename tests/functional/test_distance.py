"""Bilinear forms and distances, functions and layers, against PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnx
from nnx import functional as F
from tests.layers.against_torch import check_layer
from tests.oracle import check_against_torch, check_second_order, torch

TF = torch.nn.functional

# name, options, shapes
FUNCTIONS = [
    ("cosine_similarity", {}, [(5, 3), (5, 3)]),
    ("cosine_similarity", {"dim": 0, "eps": 1e-3}, [(5, 3), (5, 3)]),
    ("cosine_similarity", {"dim": -1}, [(2, 5, 3), (5, 3)]),
    ("cosine_similarity", {"dim": 0}, [(5, 3), (1, 3)]),
    ("cosine_similarity", {}, [(0, 3), (0, 3)]),
    ("pairwise_distance", {}, [(5, 3), (5, 3)]),
    ("pairwise_distance", {"p": 1.0, "eps": 0.1, "keepdim": True}, [(5, 3), (3,)]),
    ("pairwise_distance", {"p": 3.0}, [(3,), (3,)]),
    ("pairwise_distance", {"p": float("inf")}, [(5, 3), (5, 3)]),
    ("bilinear", {}, [(5, 2), (5, 3), (4, 2, 3), (4,)]),
    ("bilinear", {}, [(2, 5, 2), (2, 5, 3), (4, 2, 3)]),
    ("bilinear", {}, [(0, 2), (0, 3), (4, 2, 3), (4,)]),
]
every_function = pytest.mark.parametrize(("name", "options", "shapes"), FUNCTIONS)


def both(name, options):
    return (lambda *xs: getattr(F, name)(*xs, **options)), (lambda *xs: getattr(TF, name)(*xs, **options))


def arrays(shapes, dtype="float64"):
    rng = np.random.default_rng(2)
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


some_functions = pytest.mark.parametrize(("name", "options", "shapes"), [FUNCTIONS[k] for k in (0, 4, 8)])


@every_function
def test_value_and_gradients(backend, name, options, shapes):
    check_against_torch(*both(name, options), *arrays(shapes), rtol=1e-9)


@some_functions
def test_float32(backend, name, options, shapes):
    check_against_torch(*both(name, options), *arrays(shapes, "float32"), rtol=1e-4)


@some_functions
def test_gradient_of_the_gradient(backend, name, options, shapes):
    check_second_order(*both(name, options), *arrays(shapes))


@settings(max_examples=15, deadline=None)
@given(lead=st.lists(st.integers(1, 3), max_size=2), sizes=st.tuples(*[st.integers(1, 4)] * 3), bias=st.booleans())
def test_bilinear_layer(lead, sizes, bias):
    i, j, o = sizes
    ours, theirs = nnx.Bilinear(i, j, o, bias, "float64"), torch.nn.Bilinear(i, j, o, bias)
    with nnx.use_backend("numpy"):
        check_layer(ours, theirs, (*lead, i), (*lead, j), steps=1)


def test_layers(backend):
    check_layer(nnx.Bilinear(2, 3, 4, dtype="float64"), torch.nn.Bilinear(2, 3, 4), (5, 2), (5, 3))
    check_layer(nnx.CosineSimilarity(0, 1e-3), torch.nn.CosineSimilarity(0, 1e-3), (5, 3), (5, 3))
    check_layer(nnx.PairwiseDistance(1.0, 0.1, True), torch.nn.PairwiseDistance(1.0, 0.1, True), (5, 3), (5, 3))


def test_bilinear_starts_as_pytorchs():
    weight = nnx.Bilinear(16, 50, 70).weight
    assert weight.shape == (70, 16, 50)
    assert 0.249 < np.abs(weight).max() <= 0.25
    assert abs(weight.std() - 0.25 / np.sqrt(3.0)) < 1e-3
    assert nnx.Bilinear(2, 3, 4, bias=False).bias is None
    with pytest.raises(ValueError, match="all three sizes must be at least 1"):
        nnx.Bilinear(0, 2, 3)


@pytest.mark.parametrize("shapes", [[(5, 3), (5, 3)], [(5, 2), (4, 3)], [(2,), (5, 3)], [(), (3,)]])
def test_bilinear_names_what_does_not_fit(shapes):
    with pytest.raises(ValueError, match=r"x1 of shape \(\.\.\., 2\) and x2 of shape \(\.\.\., 3\)"):
        nnx.Bilinear(2, 3, 4)(*arrays(shapes, "float32"))
