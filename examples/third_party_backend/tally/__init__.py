"""A small array library: NumPy's arrays in a box that counts the multiplications of matrix products.

It knows nothing of nnx. It follows the Array API standard: an array says where its functions are, and this module,
being that place, takes them from NumPy, the boxes off on the way in and on again on the way out.
"""

import functools
import operator

import numpy as np

__version__ = "1.0"
multiplications = 0


class Array:
    """An array of this library."""

    __array_ufunc__ = None  # or NumPy would compute with the box as with an object

    def __init__(self, data):
        self.data = np.asarray(data)

    shape, dtype, ndim, size = (
        property(operator.attrgetter(f"data.{name}")) for name in ["shape", "dtype", "ndim", "size"]
    )
    device = property(lambda self: "cpu")
    T = property(lambda self: Array(self.data.T))
    mT = property(lambda self: Array(self.data.mT))

    def __array_namespace__(self, api_version=None):
        """The standard's answer to: where are this array's functions?"""
        import tally

        return tally

    def __getitem__(self, key):
        return Array(self.data[_out(key)])

    def __setitem__(self, key, value):
        self.data[_out(key)] = _out(value)

    # one number, as Python's
    __bool__ = lambda self: bool(self.data)
    __int__ = __index__ = lambda self: int(self.data)
    __float__ = lambda self: float(self.data)

    def __repr__(self):
        return f"tally.Array({self.data.tolist()})"


def _out(x):
    if isinstance(x, tuple | list):
        return type(x)(map(_out, x))
    return x.data if isinstance(x, Array) else x


def _in(x):
    if isinstance(x, tuple | list):
        return tuple(map(_in, x))
    return Array(x) if isinstance(x, np.ndarray | np.generic) else x


def matmul(a, b, /):
    """The matrix product of two arrays, counted."""
    global multiplications
    c = np.matmul(a.data, b.data)
    multiplications += c.size * a.shape[-1]
    return Array(c)


def __getattr__(name):
    """Every other function of the standard, and its dtypes and constants: NumPy's."""
    found = getattr(np, name)
    if isinstance(found, type) or not callable(found):
        return found

    @functools.wraps(found)
    def call(*args, device=None, **kwargs):
        return _in(found(*map(_out, args), **{key: _out(value) for key, value in kwargs.items()}))

    return call


def _operators():
    """Array's operators. What is not this library's is left to the other side: an array that is watched, say."""
    known = (Array, int, float, complex)

    def defined(name):
        def call(self, other):
            if not isinstance(other, known):
                return NotImplemented
            return Array(getattr(self.data, name)(_out(other)))

        return call

    both = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift"]
    names = [*both, *(f"r{name}" for name in both), *["eq", "ne", "lt", "le", "gt", "ge"]]
    for name in [f"__{name}__" for name in names]:
        setattr(Array, name, defined(name))
    Array.__neg__ = lambda self: Array(-self.data)
    Array.__invert__ = lambda self: Array(~self.data)
    Array.__matmul__ = lambda self, other: matmul(self, other) if isinstance(other, Array) else NotImplemented


_operators()
