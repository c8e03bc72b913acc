"""Every axis from -4 to 3: values and errors are the library's, watched or not.

An array of no dimensions has no axis in the standard; what a library does with one is compared where both give a value.
"""

import array_api_compat.numpy
import array_api_strict as strict
import numpy as np
import pytest

import nnx
from nnx import Var
from tests.conformance.compare import compared, difference
from tests.conformance.libraries import named

REDUCTIONS = "sum prod mean var std max min all any argmax argmin count_nonzero".split()  # noqa: SIM905
BY_AXIS = "flip sort argsort squeeze expand_dims unstack diff cumulative_sum cumulative_prod".split()  # noqa: SIM905
CALLS = {
    **{n: lambda xp, x, a, _n=n: named(xp, _n)(x, axis=a) for n in (*REDUCTIONS, *BY_AXIS)},
    **{
        f"{n} kept": lambda xp, x, a, _n=n: named(xp, _n)(x, axis=a, keepdims=True)
        for n in ("sum", "prod", "var", "max")
    },
    **{
        f"{n} of two": lambda xp, x, a, _n=n: named(xp, _n)(x, axis=(a, 0))
        for n in ("sum", "prod", "var", "max", "expand_dims")
    },
    "roll": lambda xp, x, a: xp.roll(x, 1, axis=a),
    "concat": lambda xp, x, a: xp.concat([x, x], axis=a),
    "stack": lambda xp, x, a: xp.stack([x, x], axis=a),
    "repeat": lambda xp, x, a: xp.repeat(x, 2, axis=a),
    "moveaxis": lambda xp, x, a: xp.moveaxis(x, a, 0),
    "take": lambda xp, x, a: xp.take(x, xp.asarray([0, 0]), axis=a),
    "vecdot": lambda xp, x, a: xp.vecdot(x, x, axis=-abs(a) - 1),
    "vector_norm": lambda xp, x, a: xp.linalg.vector_norm(x, axis=a),
    **{f"fft.{n}": lambda xp, x, a, _n=n: named(xp.fft, _n)(x, axis=a) for n in ("fft", "ifft", "rfft", "irfft")},
    **{f"fft.{n}": lambda xp, x, a, _n=n: named(xp.fft, _n)(x, axes=(a,)) for n in ("fftn", "rfftn", "irfftn")},
    "fft.fftshift": lambda xp, x, a: xp.fft.fftshift(x, axes=a),
}
SHAPES = [(), (3,), (2, 1, 3)]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("below", [strict, array_api_compat.numpy], ids=["array_api_strict", "numpy"])
def test_axes(below, name):
    above = nnx.namespace(Var(below.asarray(1.0)))
    for shape in SHAPES:
        x = below.reshape(below.arange(1.0, 1.0 + np.prod(shape, dtype=int)), shape)
        if "fft" in name and "rfft" not in name:
            x = below.astype(x, below.complex128)
        for axis in range(-4, 4):
            for how, theirs, ours in compared(CALLS[name], (Var(x), axis), {}, below, above):
                if not shape and (isinstance(theirs, Exception) or isinstance(ours, Exception)):
                    continue
                assert (wrong := difference(theirs, ours, 10.0)) is None, f"{how}, axis {axis} of {shape}: {wrong}"


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min"])
@pytest.mark.parametrize("axis", [0, -1])
def test_gradient_where_numpy_reduces_no_dimensions(name, axis):
    slope = nnx.grad(lambda x: getattr(nnx.namespace(x), name)(x, axis=axis))(np.asarray(3.0))
    assert (slope.shape, float(slope)) == ((), 1.0)


def test_two_new_axes_at_one_place():
    with nnx.Tape() as tape, pytest.raises(ValueError, match="repeated axis"):
        nnx.namespace(Var(np.ones(2))).expand_dims(tape.watch(np.ones(2)), axis=(0, 0))


@pytest.mark.parametrize("value", [np.ones(()), np.float32(1.0)])
def test_numpy_has_no_mean_along_an_axis_that_is_not_there(value):
    with pytest.raises(np.exceptions.AxisError):
        nnx.namespace(value).mean(value, axis=0)


@pytest.mark.parametrize("name", ["mean", "var", "std", "squeeze", "fft.fftn"])
def test_an_axis_that_is_not_there_is_named(name):
    options = {"axes": (0,)} if "fft" in name else {"axis": 0}
    x = strict.asarray(1j if "fft" in name else 1.0)
    with nnx.Tape() as tape, pytest.raises((ValueError, IndexError), match=r"axis 0|empty axes"):
        named(nnx.namespace(Var(x)), name)(tape.watch(x), **options)
