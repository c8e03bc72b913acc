"""What the tests here train: a small network and its batch, and a step taken apart into its phases."""

import numpy as np

import nnx


def mlp(dropout=0.0):
    """20-64-64-5, three linear layers with ReLU between them."""
    nnx.seed(0)
    drop = [nnx.Dropout(dropout)] if dropout else []
    hidden = [nnx.Linear(20, 64), nnx.ReLU(), *drop, nnx.Linear(64, 64), nnx.ReLU(), *drop]
    return nnx.Sequential(*hidden, nnx.Linear(64, 5))


def batch(n=32):
    rng = np.random.default_rng(0)
    return nnx.asarray(rng.random((n, 20), dtype="float32")), nnx.asarray(rng.integers(0, 5, n))


def loss_of(model, x, y):
    return nnx.losses.cross_entropy(model(x), y)


def accuracy(output, target):
    xp = nnx.namespace(output)
    return xp.mean(xp.astype(xp.argmax(output, axis=1) == target, output.dtype))
