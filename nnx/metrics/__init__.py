"""Metrics: how good the network is, in numbers for people.

As functions, metric(output, target) -> the number of one batch; as objects, update(output, target) at each batch and
compute() at the end, the number of all of them. Both equal scikit-learn's, whose arguments come in the other order.
Batches are added up where they were computed: the device is waited for when the result is read, not at each step.
"""

from nnx.metrics.base import Mean, Metric
from nnx.metrics.classes import Accuracy, ConfusionMatrix, accuracy, confusion_matrix
from nnx.metrics.numbers import (
    MeanAbsoluteError,
    MeanSquaredError,
    R2Score,
    RootMeanSquaredError,
    mean_absolute_error,
    mean_squared_error,
    r2_score,
    root_mean_squared_error,
)
from nnx.metrics.ranking import AUROC, AveragePrecision, auroc, average_precision
from nnx.metrics.scores import F1Score, FBetaScore, Precision, Recall, f1_score, fbeta_score, precision, recall

__all__ = [
    "AUROC",
    "Accuracy",
    "AveragePrecision",
    "ConfusionMatrix",
    "F1Score",
    "FBetaScore",
    "Mean",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Precision",
    "R2Score",
    "Recall",
    "RootMeanSquaredError",
    "accuracy",
    "auroc",
    "average_precision",
    "confusion_matrix",
    "f1_score",
    "fbeta_score",
    "mean_absolute_error",
    "mean_squared_error",
    "precision",
    "r2_score",
    "recall",
    "root_mean_squared_error",
]
