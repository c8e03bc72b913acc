"""Planted portability bugs: each is a line that somebody writes against one library, and that another does not take.

A bug is a function of (xp, x, w, index, device) that returns what the line made, or raises. x, w: (3, 3) float32,
index: (3,) int64, all on the device. RIGHT says what was meant, where a library gives something else and says nothing.
CLEAN are the lines that should have been written: no rung may catch them.
"""

import numpy as np


def _in_place_on_a_view(xp, x, w, index, device):
    y = xp.reshape(x, (9,))
    y += 1.0
    return x


def _repeated(xp, x, w, index, device):
    y = xp.zeros((3,), dtype=xp.float32, device=device)
    y[xp.asarray([0, 0, 2], device=device)] += 1.0
    return y


def _fancy_assignment(xp, x, w, index, device):
    y = xp.asarray(x, copy=True)
    y[index, index] = 0.0
    return y


BUGS = {
    # hidden conversion and transfer
    "np.asarray(x)": lambda xp, x, w, index, device: xp.asarray(np.asarray(x)),
    "np.exp(x)": lambda xp, x, w, index, device: xp.asarray(np.asarray(np.exp(x)), device=device),
    "np.matmul(x, w)": lambda xp, x, w, index, device: xp.asarray(np.asarray(np.matmul(x, w)), device=device),
    "x + a NumPy array": lambda xp, x, w, index, device: x + np.ones((3, 3), "float32"),
    "np.from_dlpack(x)": lambda xp, x, w, index, device: xp.asarray(np.from_dlpack(x)),
    "a NumPy array as an index": lambda xp, x, w, index, device: x[np.asarray([2, 0, 1]), ...],
    "constants moved in each step": lambda xp, x, w, index, device: (
        x * xp.asarray(np.ones((3, 3), "f4"), device=device)
    ),
    "a forgotten device": lambda xp, x, w, index, device: x + xp.ones((3, 3), dtype=xp.float32),
    "a result brought home": lambda xp, x, w, index, device: xp.asarray([float(v) for v in x[0, :]], device=device),
    # scalars and dtypes
    "np.float64 scalar": lambda xp, x, w, index, device: x * np.float64(2.5),
    "np.sqrt of a number": lambda xp, x, w, index, device: x / np.sqrt(3.0),
    "int + float arrays": lambda xp, x, w, index, device: x + index,
    "constants of float64": lambda xp, x, w, index, device: (
        x * xp.asarray([1.0, 2.0, 3.0], dtype=xp.float64, device=device)
    ),
    "true division of integers": lambda xp, x, w, index, device: index / 2,
    "sum of booleans": lambda xp, x, w, index, device: xp.sum(x > 0.0),
    "mean of integers": lambda xp, x, w, index, device: xp.mean(index),
    "sqrt of integers": lambda xp, x, w, index, device: xp.sqrt(index),
    "a dtype by name": lambda xp, x, w, index, device: xp.zeros((3, 3), dtype="float32", device=device) + x,
    # methods and what is not in the standard
    "a method": lambda xp, x, w, index, device: x.sum(),
    "x.reshape": lambda xp, x, w, index, device: x.reshape(9),
    "x.astype": lambda xp, x, w, index, device: x.astype(xp.float32),
    "xp.dot": lambda xp, x, w, index, device: xp.dot(x, w),
    "xp.add.at": lambda xp, x, w, index, device: xp.add.at(x, index, 1.0),
    "axis by position": lambda xp, x, w, index, device: xp.sum(x, 0),
    "len(x)": lambda xp, x, w, index, device: xp.ones((len(x),), dtype=xp.float32, device=device),
    "x.T of three axes": lambda xp, x, w, index, device: xp.reshape(x, (1, 3, 3)).T,
    # indices and shapes
    "a list as an index": lambda xp, x, w, index, device: x[[0, 2]],
    "fewer indices than axes": lambda xp, x, w, index, device: x[0],
    "range(0-d)": lambda xp, x, w, index, device: xp.asarray(list(range(xp.max(index))), device=device),
    "out-of-range take": lambda xp, x, w, index, device: xp.take(x, index + 2, axis=0),
    "out-of-range index": lambda xp, x, w, index, device: x[5, ...],
    "x[mask]": lambda xp, x, w, index, device: x[x > 0.0],
    "nonzero": lambda xp, x, w, index, device: xp.nonzero(x)[0],
    "unique": lambda xp, x, w, index, device: xp.unique_values(index),
    # a value that decides
    "bool of an array": lambda xp, x, w, index, device: x if xp.any(x > 100.0) else x * 2.0,
    "float(loss)": lambda xp, x, w, index, device: x * float(xp.sum(x)),
    # writing
    "+= at repeated indices": _repeated,
    "x[index, index] = 0": _fancy_assignment,
    "in place on a view": _in_place_on_a_view,
}

RIGHT = {
    "np.float64 scalar": lambda x, index: x * np.float32(2.5),
    "np.sqrt of a number": lambda x, index: x / np.float32(np.sqrt(3.0)),
    "int + float arrays": lambda x, index: x + index.astype("float32"),
    "constants of float64": lambda x, index: x * np.asarray([1, 2, 3], "float32"),
    "+= at repeated indices": lambda x, index: np.asarray([2, 0, 1], "float32"),
    "in place on a view": lambda x, index: x,
}

CLEAN = {
    "numbers": lambda xp, x, w, index, device: x * 2.5 + 1.0,
    "a matrix product": lambda xp, x, w, index, device: xp.matmul(x, xp.matrix_transpose(w)),
    "a new array": lambda xp, x, w, index, device: x + xp.ones((3, 3), dtype=x.dtype, device=device),
    "astype": lambda xp, x, w, index, device: x + xp.astype(index, x.dtype),
    "where": lambda xp, x, w, index, device: xp.where(x > 0.0, x, xp.zeros_like(x)),
    "take": lambda xp, x, w, index, device: xp.take(x, index, axis=0),
    "a slice": lambda xp, x, w, index, device: x[1:, :] + x[:-1, :],
    "reductions": lambda xp, x, w, index, device: xp.max(x, axis=1, keepdims=True) - xp.sum(x, axis=0),
    "reshape": lambda xp, x, w, index, device: xp.reshape(x, (-1,)),
}
