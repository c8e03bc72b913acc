"""Small models for the tests of Module."""

import numpy as np

import nnx


def total(y):
    return nnx.namespace(y).sum(y)


def squares(model, x):
    y = model(x)
    return total(y * y)


def batch(backend, n=4, width=3, dtype="float32"):
    return backend.asarray(np.random.default_rng(0).normal(size=(n, width)), dtype)


class Scale(nnx.Module):
    """One parameter."""

    def __init__(self, values=(1.0, 2.0, 3.0), dtype="float64"):
        self.weight = nnx.asarray(list(values), dtype)

    def __call__(self, x):
        return x * self.weight


class Counting(nnx.Module):
    """A parameter, a buffer of means, a counter of integers and a private memory."""

    def __init__(self):
        self.weight = nnx.asarray([1.0, 2.0], "float64")
        self.register_buffer("mean", nnx.asarray([0.0, 0.0], "float64"))
        self.steps = nnx.asarray([0], "int32")
        self._last = nnx.asarray([0.0, 0.0], "float64")

    def __call__(self, x):
        self.mean = x * 0.5 + self.mean * 0.5
        self.steps = self.steps + 1
        self._last = x * self.weight
        return self._last


def arrays(module):
    """Every array attribute of the tree as it is, by path."""
    return {
        f"{path}.{name}": value
        for path, child in module.named_modules()
        for name, value in vars(child).items()
        if nnx.backend.is_array(value)
    }


def same_objects(one, other):
    return one.keys() == other.keys() and all(one[k] is other[k] for k in one)
