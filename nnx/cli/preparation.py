"""What is done to data before a model sees it, and to what the model says: kept in config.json, so that a run needs no
data to be used.

Columns are standardised by the training part's means and deviations, the target of a regression, too; classes are
numbered by their names in sorted order.
"""

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnx import data
from nnx.cli.arrays import Source
from nnx.cli.labels import classes_of, numbered
from nnx.cli.models import FAMILIES
from nnx.cli.task import Splits, Task, task_of

__all__ = ["Preparation", "prepare"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Preparation:
    """task: "classification" or "regression"   shape: of a sample, (features,) or (c, h, w)   flat: for rows

    columns, target: their names, of a table   x, y: how they are standardised, if they are
    """

    task: str
    shape: Shape
    flat: bool
    classes: tuple[str, ...] | None
    columns: tuple[str, ...] | None
    target: str | None
    x: data.Standardize | None
    y: data.Standardize | None

    @property
    def outputs(self) -> int:
        """How many numbers the model gives for a sample."""
        return 1 if self.classes is None else len(self.classes)

    @property
    def model_shape(self) -> Shape:
        """Of a sample as the model takes it."""
        return (math.prod(self.shape),) if self.flat else self.shape

    def measured(self) -> Task:
        """The task: its loss, metrics, words."""
        return task_of(self.task, self.outputs, 1.0 if self.y is None else float(_state(self.y)["std"].item()))

    def inputs(self, x: Any, name: str) -> Any:
        """Samples as the model takes them, float32. Raises ValueError for NaN, or samples of another shape."""
        data.check_finite(x, name)
        if x.shape[1:] != self.shape:
            if math.prod(x.shape[1:]) != math.prod(self.shape) or 2 not in (x.ndim, len(self.shape) + 1):
                raise ValueError(
                    f"{name}: expected samples of shape {self.shape}, as the run was trained on, got {x.shape[1:]}"
                )
            x = x.reshape(len(x), *self.shape)
        x = x if self.x is None else self.x(x)
        return x.reshape(len(x), *self.model_shape)

    def targets(self, source: Source) -> Any:
        """The labels' numbers, int64 (n,), or standardised values, float32 (n, 1). Raises ValueError for others."""
        if source.y is None:
            raise ValueError(f"{source.name}: expected labels beside the samples, got none")
        if self.classes is None:
            if source.classes is not None:
                raise ValueError(f"{source.name}: expected numbers, as the run fits, got names: {source.classes[0]}")
            data.check_finite(source.y, f"{source.name}'s target")
            y = np.asarray(source.y, dtype=np.float64)[:, None]
            return y.astype(np.float32) if self.y is None else self.y(y)
        return numbered(source, self.classes)

    def values(self, outputs: Any) -> Any:
        """A model's outputs (n, 1) in the target's units, (n,) float64."""
        state = {"mean": 0.0, "std": 1.0} if self.y is None else _state(self.y)
        return (np.asarray(outputs, dtype=np.float64) * state["std"] + state["mean"])[:, 0]

    def to_json(self) -> dict[str, Any]:
        """What config.json keeps."""
        return {
            "task": self.task,
            "shape": list(self.shape),
            "flat": self.flat,
            "classes": self.classes,
            "columns": self.columns,
            "target": self.target,
            "x": None if self.x is None else {name: v.ravel().tolist() for name, v in _state(self.x).items()},
            "y": None if self.y is None else {name: v.ravel().tolist() for name, v in _state(self.y).items()},
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Preparation":
        """What to_json gave. Raises KeyError, TypeError or ValueError for anything else."""
        shape = tuple(int(n) for n in found["shape"])
        names = {name: None if found[name] is None else tuple(map(str, found[name])) for name in ("classes", "columns")}
        if found["task"] not in ("classification", "regression"):
            raise ValueError(f"its task is {found['task']!r}")
        if (found["task"] == "classification") != (names["classes"] is not None):
            raise ValueError("its task and its classes do not fit together")
        x, y = _standardize(found["x"], shape), _standardize(found["y"], (1,))
        return cls(found["task"], shape, bool(found["flat"]), names["classes"], names["columns"], found["target"], x, y)


def prepare(source: Source, args: argparse.Namespace) -> tuple[Splits, Preparation]:
    """The splits as the model takes them, and how they came to be so. Raises ValueError for data that cannot be."""
    check_lengths(source)
    if not source.x.size:
        raise ValueError(f"{source.name}: expected columns to learn from, got the target alone: is it --delimiter ';'?")
    data.check_finite(source.x, source.name)
    classes = classes_of(source, args.task)
    table = source.x.ndim == 2
    scaled = table if args.standardize is None else args.standardize
    flat = not FAMILIES[args.model["type"]].images
    raw = _split(source, None if classes is None else numbered(source, classes), args.seed)
    (x, y), *_ = raw
    found = Preparation(
        "regression" if classes is None else "classification",
        tuple(int(n) for n in source.x.shape[1:]),
        flat,
        classes,
        source.columns,
        source.target,
        data.Standardize(0 if table else (0, 2, 3)).fit(x) if scaled else None,
        data.Standardize().fit(y) if classes is None else None,
    )
    if found.y is not None:
        return [(found.inputs(x, source.name), found.y(y)) for x, y in raw], found
    return [(found.inputs(x, source.name), y) for x, y in raw], found


def check_lengths(source: Source) -> None:
    """Raises ValueError unless there is a label for each sample."""
    if len(source.x) != len(source.y):
        raise ValueError(
            f"{source.name}: expected as many labels as rows of x, got {len(source.y)} labels and {len(source.x)} rows"
        )


def _split(source: Source, labels: Any, seed: int) -> Splits:
    """To train on, to validate and to test, of the target in its own units (n, 1), or of the labels (n,)."""
    y = np.asarray(source.y, dtype=np.float64)[:, None] if labels is None else labels
    if source.test is not None:
        parts = data.random_split(data.ArrayDataset(source.x, y), [0.9, 0.1], seed=seed)
        return [*((source.x[part.indices], y[part.indices]) for part in parts), source.test]
    return list(data.train_val_test_split(source.x, y, seed=seed, stratify=labels is not None))


# ---- deviations ------------------------------------------------------------------------------------------------------


def _state(scale: data.Standardize) -> dict[str, Any]:
    return scale.state_dict()


def _standardize(found: Mapping[str, Any] | None, shape: Shape) -> data.Standardize | None:
    """A Standardize of the numbers of config.json."""
    if found is None:
        return None
    scale = data.Standardize(0 if len(shape) == 1 else (0, 2, 3))
    per = (1, shape[0], *(1 for _ in shape[1:]))
    arrays = {name: np.asarray(found[name], dtype=np.float64).reshape(per) for name in ("mean", "std")}
    if not all(np.isfinite(a).all() for a in arrays.values()) or not (arrays["std"] > 0).all():
        raise ValueError("its means and deviations are not finite numbers")
    scale.load_state_dict(arrays)
    return scale
