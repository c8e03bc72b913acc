"""Whether a target is classes or values, and which: names in sorted order, numbered from 0."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnx import data
from nnx.cli.arrays import Source

__all__ = ["classes_of", "numbered"]

RARE = 8
"""Samples of a class: with fewer a tenth may be none."""


def classes_of(source: Source, task: str) -> tuple[str, ...] | None:
    """The classes' names in sorted order; None for a regression. Raises ValueError for a target that does not fit."""
    y = np.asarray(source.y)
    if source.classes is not None:
        if task == "regression":
            raise ValueError(
                f"{source.name}: --task regression fits numbers, got names such as '{source.classes[0]}': name another "
                "column with --target"
            )
        _check_common(source, source.classes, np.bincount(y, minlength=len(source.classes)), task)
        return source.classes
    data.check_finite(y, f"{source.name}'s target")
    whole = y.dtype.kind in "biu"
    if task == "regression" or (task == "auto" and not whole):
        return None
    values, counts = np.unique(y, return_counts=True)
    names = tuple(str(v) for v in values.tolist())
    _check_common(source, names, counts, task)
    return names


def _check_common(source: Source, classes: tuple[str, ...], counts: Any, task: str) -> None:
    """Raises ValueError for classes that are too rare to have some in each part, which a regression's values are."""
    name = source.name
    rare: Any = np.flatnonzero(counts < RARE) if source.test is None else []
    if len(rare):
        numbers = task != "regression" and source.classes is None
        way = ", or fit them as numbers: --task regression" if numbers else ""
        raise ValueError(
            f"{name}: expected {RARE} samples at least of each of its {len(classes)} classes, got "
            f"{int(counts[rare[0]])} of '{classes[rare[0]]}' ({len(rare)} such classes): merge rare classes or leave "
            f"them out{way}"
        )
    if len(classes) < 2:
        raise ValueError(f"{name}: expected two classes at least, got '{classes[0]}' alone: is it the right target?")


def numbered(source: Source, classes: tuple[str, ...]) -> Any:
    """The labels of a source as numbers of these classes. Raises ValueError for a label that is none of them."""
    y = np.asarray(source.y)
    if source.classes is not None:
        names, place = list(source.classes), y
    else:
        values, place = np.unique(y, return_inverse=True)
        names = [str(v) for v in values.tolist()]
    number = {name: k for k, name in enumerate(classes)}
    names = [_spelt(str(name), number) for name in names]
    if unknown := [name for name in names if name not in number]:
        shown = ", ".join(classes[:10]) + (", ..." if len(classes) > 10 else "")
        raise ValueError(f"{source.name}: expected labels among {shown}, as the run was trained on, got '{unknown[0]}'")
    return np.asarray([number[name] for name in names], dtype=np.int64)[place]


def _spelt(name: str, known: Mapping[str, int]) -> str:
    """A label as the classes have it: 01, read as text, is the class 1 of those that were read as numbers."""
    try:
        return name if name in known else str(int(name))
    except ValueError:
        return name
