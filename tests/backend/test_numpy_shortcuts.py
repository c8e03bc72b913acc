"""NumPy's functions with fewer wrappers around them give what NumPy's own give, errors and views included."""

import numpy as np
import pytest

import nnx

xp = nnx.get_backend("numpy").xp
M, COLUMN, NUMBER = np.arange(12.0).reshape(3, 4), np.ones((3, 1)), np.asarray(2.0)
STRETCHED = {
    "a number": (NUMBER, (2, 3)),
    "NumPy's scalar": (np.float32(2.0), (4,)),
    "a number to itself": (NUMBER, ()),
    "a number to nothing": (NUMBER, (0, 3)),
    "whole numbers": (np.asarray(3), (2,)),
    "a column": (COLUMN, (3, 4)),
    "a column, more axes": (COLUMN, (2, 3, 4)),
    "nothing": (np.zeros((0, 1)), (0, 4)),
    "not in a row": (M[:, ::2][:, :1], (3, 5)),
    "to itself": (M, (3, 4)),
    "a shape as a list": (COLUMN, [3, 4]),
}


@pytest.mark.parametrize("name", STRETCHED)
def test_broadcast_to(name):
    x, shape = STRETCHED[name]
    y, expected = xp.broadcast_to(x, shape), np.broadcast_to(x, shape)
    np.testing.assert_array_equal(y, expected)
    assert (type(y), y.dtype, y.shape, y.strides) == (np.ndarray, expected.dtype, expected.shape, expected.strides)
    assert not y.flags.writeable
    if y.size and isinstance(x, np.ndarray):
        assert np.shares_memory(x, y)


@pytest.mark.parametrize("shape", [(4, 3), (4,), (-1, 4), ()])
def test_broadcast_to_a_shape_that_does_not_fit(shape):
    with pytest.raises(ValueError, match=r"broadcast|dimensions|element"):
        np.broadcast_to(M, shape)
    with pytest.raises(ValueError, match=r"broadcast|dimensions|element"):
        xp.broadcast_to(M, shape)


def test_reshape():
    for x, shape in ((M, (4, 3)), (M, (-1,)), (M[:, ::2], (6,)), (np.float64(1.0), (1, 1)), (M[:0], (0, 7))):
        np.testing.assert_array_equal(xp.reshape(x, shape), np.reshape(x, shape))
    assert np.shares_memory(xp.reshape(M, (12,)), M)
    assert not np.shares_memory(xp.reshape(M, (12,), copy=True), M)
    with pytest.raises(ValueError, match="copy"):
        xp.reshape(M.T, (12,), copy=False)
    with pytest.raises(ValueError, match="reshape"):
        xp.reshape(M, (5,))


def test_matrix_transpose():
    stack = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(xp.matrix_transpose(stack), np.matrix_transpose(stack))
    with pytest.raises(ValueError, match=r"2-dimensional|two"):
        xp.matrix_transpose(np.ones(3))
