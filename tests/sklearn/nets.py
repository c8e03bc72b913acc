"""What these tests share: small data, and a module to wrap."""

import numpy as np
import pytest

import nnx

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed, nnx.sklearn is made for it")


def digits(n=400, dtype="float64"):
    """Images of digits (n, 64) in [0, 1] and their labels."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return (x[:n] / 16.0).astype(dtype), y[:n]


def numbers(n=120, outputs=1, seed=0):
    """A smooth function of three numbers, with `outputs` values."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    y = np.stack([np.sin(x[:, 0]) + k * x[:, 1] for k in range(1, outputs + 1)], axis=1)
    return x, y[:, 0] if outputs == 1 else y


def net(n_features_in, n_outputs, width=16, p=0.0):
    """Two layers."""
    layers = nnx.Linear(n_features_in, width), nnx.ReLU(), nnx.Dropout(p), nnx.Linear(width, n_outputs)
    return nnx.Sequential(*layers)


class Net(nnx.Module):
    """The same as a class, which pickles."""

    def __init__(self, n_features_in, n_outputs, width=16):
        self.layers = net(n_features_in, n_outputs, width)

    def __call__(self, x):
        return self.layers(x)
