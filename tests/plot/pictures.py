"""Small data, and each picture of it, that the tests of pictures share."""

import numpy as np

import nnx
from nnx import plot
from nnx.train import History

RECORDS = [
    {"epoch": k, "step": 3 * k, "loss": loss, "seconds": 0.1, "val_loss": val_loss, "grad_norm/0.weight": norm}
    | {"grad_norm/0.bias": 9.0}
    for k, loss, val_loss, norm in ((1, 2.0, 1.5, 0.5), (2, 1.0, 0.5, 0.0), (3, 0.5, None, 0.1), (4, 0.25, 0.75, 0.2))
]
SCORES = np.asarray([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.5, 0.3], [0.0, 0.1, 0.9]])
LABELS = np.asarray([0, 1, 2, 2])


def network():
    return nnx.Sequential(nnx.Linear(2, 4), nnx.Tanh(), nnx.Dropout(0.5), nnx.Linear(4, 3))


def points(n=12):
    """(n, 2) float32 and (n,) labels of three classes."""
    y = np.arange(n) % 3
    x = np.random.default_rng(0).normal(size=(n, 2)) + 3.0 * np.stack([np.cos(2 * y), np.sin(2 * y)], 1)
    return x.astype("float32"), y


PICTURES = {
    "learning_curves": lambda ax: plot.learning_curves(History(RECORDS), ax),
    "gradient_flow": lambda ax: plot.gradient_flow(RECORDS, ax),
    "confusion_matrix": lambda ax: plot.confusion_matrix(SCORES, LABELS, ax),
    "reliability_curve": lambda ax: plot.reliability_curve(SCORES, LABELS, ax),
    "prediction_error": lambda ax: plot.prediction_error([1.0, 2.0, 3.0], [1.5, 2.0, 2.5], ax),
    "decision_boundary": lambda ax: plot.decision_boundary(network(), *points(), ax, steps=12),
    "weight_images": lambda ax: plot.weight_images(nnx.Linear(16, 6), ax),
    "network_diagram": lambda ax: plot.network_diagram(network(), ax),
    "loss_surface": lambda ax: plot.loss_surface(network(), nnx.losses.cross_entropy, *points(), ax, steps=5),
}
"""Each on axes, or on None."""
