"""Every rule: held to differences on NumPy, and every other library held to NumPy."""

import zlib

import numpy as np
import pytest

import nnx
from nnx.autodiff import gradcheck
from nnx.autodiff.tree import leaves
from tests.autodiff.cases import CASES
from tests.support import assert_close


def drawn(name):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return [draw(rng) for draw in CASES[name][1]]


def curved(name):
    """The function with y + y²/2 in the place of each output y: what arrives backward depends on the arguments, too."""
    f = CASES[name][0]

    def call(*arrays):
        xp = nnx.namespace(arrays[0])
        return [y + 0.5 * y * y for y in leaves(f(xp, *arrays))]

    return call


@pytest.mark.parametrize("name", CASES)
def test_gradient_and_its_gradient_are_those_of_differences(name):
    report = gradcheck(curved(name), *drawn(name), order=2)
    assert len(report.comparisons) >= 4


def everything(f, arrays, numbers, weights, directions):
    """The outputs, ∂L/∂arrays and ∂/∂arrays ⟨∂L/∂arrays, v⟩ for L = Re Σ⟨y, r⟩, as NumPy arrays."""

    def loss(*arrays):
        total = 0.0
        for y, r in zip(f(*arrays), weights, strict=True):
            xp = nnx.namespace(y)
            product = y * r
            total = total + xp.sum(xp.real(product) if np.iscomplexobj(nnx.to_numpy(r)) else product)
        return total

    def along(*arrays):
        total = 0.0
        for d, v in zip(nnx.grad(loss, argnums=numbers)(*arrays), directions, strict=True):
            xp = nnx.namespace(d)
            product = d * v
            total = total + xp.sum(xp.real(product) if np.iscomplexobj(nnx.to_numpy(v)) else product)
        return total

    outputs = [nnx.vjp(f, *arrays)[0]] if len(numbers) == len(arrays) else []
    gradients, products = nnx.grad(loss, argnums=numbers)(*arrays), nnx.grad(along, argnums=numbers)(*arrays)
    return [nnx.to_numpy(x) for x in leaves([outputs, gradients, products])]


@pytest.mark.parametrize("name", CASES)
def test_every_library_agrees_with_numpy(backend, name):
    if backend.name == "numpy":
        pytest.skip("the one that the others are held to")
    rng = np.random.default_rng(1)
    f, arrays = curved(name), drawn(name)
    numbers = tuple(i for i, x in enumerate(arrays) if x.dtype.kind in "fc")

    def random(y):
        y = np.asarray(y)
        return rng.normal(size=y.shape).astype(y.dtype) + (1j * rng.normal(size=y.shape) if y.dtype.kind == "c" else 0)

    weights, directions = [random(y) for y in f(*arrays)], [random(arrays[i]) for i in numbers]
    expected = everything(f, arrays, numbers, weights, directions)
    move = lambda xs: [backend.asarray(x) for x in xs]
    actual = everything(f, move(arrays), numbers, move(weights), move(directions))
    assert len(actual) == len(expected) >= 2
    for found, right in zip(actual, expected, strict=True):
        precision = 1e-4 if right.dtype in (np.float32, np.complex64) or "astype" in name else 1e-7
        assert_close(found, right, precision, precision * max(1.0, np.max(np.abs(right), initial=0)))
