"""Weights of classes: how much a sample counts by its label."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from nnx.backend import asarray, innermost, namespace, to_numpy
from nnx.train.batches import Parts
from nnx.typing import Array

ClassWeight = Mapping[int, float] | str | None


def class_weights(given: ClassWeight, y: Any) -> dict[int, float]:
    """The weight of each class. "balanced": n / (classes · count), by which all classes count alike in y: (n,)."""
    if given is None:
        return {}
    if isinstance(given, str):
        if given != "balanced":
            raise ValueError(f"class_weight must be a dict or 'balanced', got '{given}'")
        if y is None:
            raise ValueError("class_weight='balanced' counts the labels of y, got a loader: pass {label: weight}")
        counts = Counter(_labels(y))
        return {label: len(y) / (len(counts) * count) for label, count in sorted(counts.items())}
    if not isinstance(given, Mapping):
        raise TypeError(f"class_weight must be a dict or 'balanced', got {type(given).__name__}: {{label: weight}}")
    found = {int(label): float(weight) for label, weight in given.items()}
    if wrong := {label: weight for label, weight in found.items() if not weight >= 0.0}:
        raise ValueError(f"class_weight must be >= 0 for each class, got {wrong}")
    if y is not None and (unknown := found.keys() - set(_labels(y))):
        raise ValueError(f"class_weight names {sorted(unknown)}, y holds {sorted(set(_labels(y)))}: labels as they are")
    return found


def _labels(y: Any) -> list[int]:
    labels = to_numpy(y).tolist() if hasattr(y, "shape") else list(y)
    if not all(type(label) is int for label in labels):
        raise TypeError(f"class_weight goes with labels y of shape (n,), got {_form(y)}: sample_weight, one a sample")
    return labels


def _form(y: Any) -> str:
    return f"shape {tuple(y.shape)}, dtype {y.dtype}" if hasattr(y, "shape") else type(y).__name__


def weighted(batch: Parts, classes: Mapping[int, float]) -> Parts:
    """The batch with the weight of its class for each sample, times its own; 1 for a class that has none.

    1 + Σ_c (w_c - 1) [y = c]: no label is out of range, and nothing is read.
    """
    if not classes:
        return batch
    y = innermost(batch.target)
    xp = namespace(y)
    labels = asarray([*classes], str(y.dtype).rpartition(".")[2])
    excess = asarray([w - 1.0 for w in classes.values()], "float32")
    is_class = xp.astype(xp.reshape(y, (-1, 1)) == xp.reshape(labels, (1, -1)), excess.dtype)
    weight: Array = xp.reshape(xp.matmul(is_class, excess), y.shape) + 1.0
    return batch._replace(weight=weight if batch.weight is None else weight * batch.weight)
