"""x[key] = value on a watched array: which of the two each place's gradient goes to."""

import numpy as np
import pytest

import nnx
from tests.support import assert_close, assert_same

LONGER = {
    "one axis": ((4,), slice(1, 4), (1, 3)),
    "two axes": ((4,), slice(1, 4), (1, 1, 3)),
    "one number": ((4,), slice(1, 4), (1, 1, 1)),
    "a row": ((3, 4), (0, slice(None)), (1, 4)),
    "a column for all": ((3, 4), (slice(None), slice(1, 3)), (1, 3, 1)),
}
"""Values with more axes than the place has, in front, of length one: shape, key, shape of the value."""


def assigned(key):
    def f(x, v):
        y = x * 3.0
        y[key] = v * v
        return y

    return f


@pytest.mark.parametrize("name", LONGER)
def test_value_with_more_axes_than_its_place(backend, name):
    shape, key, of_value = LONGER[name]
    rng = np.random.default_rng(0)
    x, v, dy = (rng.normal(size=s) for s in (shape, of_value, shape))
    y, pullback = nnx.vjp(assigned(key), backend.asarray(x), backend.asarray(v))
    dx, dv = pullback(backend.asarray(dy))
    expected, kept = x * 3.0, dy * 3.0
    expected[key] = v * v
    kept[key] = 0.0
    assert_close(y, expected)
    assert_close(dx, kept)
    stretched = np.broadcast_to(dy[key], np.broadcast_shapes(dy[key].shape, of_value))
    axes = tuple(k for k, n in enumerate(of_value) if n == 1)
    assert_close(dv, 2 * v * np.sum(stretched, axis=axes, keepdims=True), rtol=1e-12)


REPEATED = {
    "a list": ((4,), [0, 2, 0, 1], (4,)),
    "pairs": ((3, 4), ([0, 0, 2], [1, 1, 0]), (3,)),
    "rows": ((3, 4), [2, 1, 2], (3, 4)),
    "one number for all": ((4,), [0, 2, 0], ()),
}


@pytest.mark.parametrize("name", REPEATED)
def test_place_that_is_written_twice_has_one_gradient(name):
    shape, key, of_value = REPEATED[name]
    rng = np.random.default_rng(0)
    nnx.gradcheck(assigned(key), rng.normal(size=shape), rng.normal(size=of_value), order=2)


def test_place_that_is_written_twice_in_a_library_that_keeps_the_last(backend):
    if backend.name == "array_api_strict":
        pytest.skip("one library: device1 takes no assignment to integer arrays")
    index = backend.asarray(np.asarray([0, 2, 0]))
    v, dy = np.asarray([1.0, 2.0, 5.0]), np.asarray([1.0, 10.0, 100.0])
    y, pullback = nnx.vjp(assigned(index), backend.asarray(np.zeros(3)), backend.asarray(v))
    assert nnx.to_numpy(y)[0] in (1.0, 25.0)
    assert_same(pullback(backend.asarray(dy))[1], [2.0 if y[0] == 1.0 else 0.0, 400.0, 10.0 if y[0] == 25.0 else 0.0])


def test_number_and_integer_array_have_no_gradient(backend):
    def f(x, n):
        y = x * 1.0
        y[0] = 2.0
        y[1] = n
        return y

    (dx,) = nnx.vjp(lambda x: f(x, backend.asarray(np.asarray(3.0))), backend.asarray(np.zeros(3)))[1](
        backend.asarray(np.ones(3))
    )
    assert_same(dx, [0.0, 0.0, 1.0])


def test_gradient_of_the_gradient_of_what_was_written(backend):
    def f(x):
        y = x * x
        y[1:] = y[:1] * x[1:]
        return nnx.namespace(x).sum(y * y)

    h = nnx.hessian(f)(backend.asarray(np.asarray([0.5, 2.0])))
    x0, x1 = 0.5, 2.0  # x0⁴ + x0⁴x1²
    assert_close(h, [[12 * x0**2 * (1 + x1**2), 8 * x0**3 * x1], [8 * x0**3 * x1, 2 * x0**4]])
