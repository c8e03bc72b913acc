"""What the tests here train: small networks and their batches, and a step taken apart into its phases."""

import numpy as np

import nnx


def mlp(dropout=0.0):
    """20-64-64-5, three linear layers with ReLU between them."""
    nnx.seed(0)
    drop = [nnx.Dropout(dropout)] if dropout else []
    hidden = [nnx.Linear(20, 64), nnx.ReLU(), *drop, nnx.Linear(64, 64), nnx.ReLU(), *drop]
    return nnx.Sequential(*hidden, nnx.Linear(64, 5))


def lenet():
    """Two convolutions and two linear layers, for images of 20 × 20."""
    nnx.seed(0)
    first = [nnx.Conv2d(1, 6, 5, padding=2), nnx.ReLU(), nnx.MaxPool2d(2)]
    second = [nnx.Conv2d(6, 16, 3), nnx.ReLU(), nnx.MaxPool2d(2), nnx.Flatten()]
    return nnx.Sequential(*first, *second, nnx.Linear(256, 32), nnx.ReLU(), nnx.Linear(32, 5))


def images(n=8):
    rng = np.random.default_rng(0)
    return nnx.asarray(rng.random((n, 1, 20, 20), dtype="float32")), nnx.asarray(rng.integers(0, 5, n))


def batch(n=32):
    rng = np.random.default_rng(0)
    return nnx.asarray(rng.random((n, 20), dtype="float32")), nnx.asarray(rng.integers(0, 5, n))


def loss_of(model, x, y):
    return nnx.losses.cross_entropy(model(x), y)


def accuracy(output, target):
    xp = nnx.namespace(output)
    return xp.mean(xp.astype(xp.argmax(output, axis=1) == target, output.dtype))
