"""A CSV file as features and labels; every cell that is no number is named by its line and column."""

import csv
import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import chain, islice
from typing import NamedTuple, TextIO

import numpy as np

from nnx.data.checks import Array
from nnx.data.packed import Path, opened

__all__ = ["Table", "read_csv"]

BLOCK = 1024  # rows converted at once: as Python strings a whole file's cells would take ten times its size

Row = tuple[int, list[str]]  # the line it ends on, its cells


class Table(NamedTuple):
    """What a file held.

    x: (n, features) float32, or images (n, c, h, w)   y: (n,) int64 labels or float32 values, None without a target
    columns: the names of the features or channels ("column 0", ... without a header)   classes: names by label, if it
    has names
    """

    x: Array
    y: Array | None
    columns: tuple[str, ...]
    classes: tuple[str, ...] | None


def read_csv(
    path: Path | TextIO,
    target: str | int | None = None,
    delimiter: str = ",",
    header: bool | None = None,
    classes: bool | None = None,
    columns: Sequence[str] | None = None,
) -> Table:
    """A CSV file (plain or gzip'ed, UTF-8), or an open text file, as numeric features and a label.

    target: the label's column, by name or by index (negative: from the right); None: there is none.
    header: whether the first line names the columns; None: it does if the target is a name, or if a cell of it is no
    number where the second line has one, or if it is the only line and holds no number.
    classes: whether the target names classes, which are numbered in sorted order; None: unless it holds numbers
    (integers are then labels as they stand, int64; others are values, float32).
    columns: the features' names, in the order wanted; None: all but the target, as they come.
    Raises ValueError naming the file, the line and the column for a bad cell, a line of another length, no such target.
    """
    name: Path = path if isinstance(path, str | os.PathLike) else getattr(path, "name", "the file")
    try:
        with text_of(path) as text:
            rows = _rows(text, delimiter, name)
            first = list(islice(rows, 2))
            if not first:
                raise ValueError(f"{name}: expected a CSV file with rows, got an empty one")
            named = _has_header(first, target) if header is None else header
            names = first[0][1] if named else [f"column {i}" for i in range(len(first[0][1]))]
            label = position(name, names, target)
            features = chosen(name, names, label, columns)
            return _table(name, chain(first[named:], rows), names, features, label, classes)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{name}: expected a CSV file in UTF-8, got one that cannot be read ({error})") from error


@contextmanager
def text_of(path: Path | TextIO) -> Iterator[Iterable[str]]:
    """The lines of a file, gzip'ed or not, or of an open one."""
    if isinstance(path, str | os.PathLike):
        with opened(path) as file, TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
            yield text
    else:
        yield path


def _rows(text: Iterable[str], delimiter: str, path: Path) -> Iterator[Row]:
    """Line number and cells, blank lines left out; every row has as many cells as the first."""
    reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True)
    width = 0
    for cells in reader:
        if not cells:
            continue
        width = width or len(cells)
        if len(cells) != width:
            raise ValueError(
                f"{path}, line {reader.line_num}: expected {width} cells, as in the first line, got {len(cells)}: "
                f"is {delimiter!r} the delimiter?"
            )
        yield reader.line_num, cells


def _has_header(first: list[Row], target: str | int | None) -> bool:
    if isinstance(target, str):
        return True
    if len(first) < 2:
        return not any(map(_is_number, first[0][1]))
    return any(_is_number(below) and not _is_number(cell) for cell, below in zip(first[0][1], first[1][1], strict=True))


def position(path: Path, names: Sequence[str], target: str | int | None) -> int | None:
    """The place of the target among the columns. Raises ValueError if it is not there."""
    if target is None:
        return None
    if isinstance(target, str):
        if target not in names:
            raise ValueError(f"{path}: expected a target among the columns {', '.join(names)}, got {target!r}")
        return list(names).index(target)
    if not -len(names) <= target < len(names):
        raise ValueError(f"{path}: expected a target from {-len(names)} to {len(names) - 1}, got {target}")
    return target % len(names)


def chosen(path: Path, names: Sequence[str], label: int | None, columns: Sequence[str] | None) -> list[int]:
    """The places of the features. Raises ValueError for a name that is not there, is twice, or is the target's."""
    if columns is None:
        return [i for i in range(len(names)) if i != label]
    if missing := [name for name in columns if name not in names]:
        near = [difflib.get_close_matches(name, names, 1) for name in missing]
        hint = f" (is {near[0][0]!r} meant?)" if near[0] else ""
        raise ValueError(
            f"{path}: expected the columns {', '.join(columns)}, missing {', '.join(missing)}{hint}: there is "
            f"{', '.join(names)}"
        )
    if twice := [name for name in columns if list(names).count(name) > 1]:
        raise ValueError(f"{path}: expected one column {twice[0]!r}, got {list(names).count(twice[0])}: rename them")
    found = [list(names).index(name) for name in columns]
    if label in found:
        raise ValueError(f"{path}: the target {names[label]!r} is among the columns to learn from: leave it out")
    return found


def _table(
    path: Path, rows: Iterable[Row], names: list[str], features: list[int], label: int | None, classes: bool | None
) -> Table:
    blocks: list[Array] = []
    labels: list[tuple[int, str]] = []
    rows = iter(rows)
    while block := list(islice(rows, BLOCK)):
        blocks.append(_numbers(path, block, names, features))
        if label is not None:
            labels += [(line, cells[label].strip()) for line, cells in block]
    if not blocks:
        raise ValueError(f"{path}: expected rows below the header, got none: with header=False the first line is one")
    y, found = (None, None) if label is None else _target(path, labels, names[label], classes)
    return Table(np.concatenate(blocks), y, tuple(names[i] for i in features), found)


def _numbers(path: Path, block: list[Row], names: list[str], features: list[int]) -> Array:
    try:
        cells = [[cells[i] for i in features] for _, cells in block]
        with np.errstate(over="ignore"):  # beyond float32 a number is infinite, which check_finite reports
            return np.array(cells, dtype=np.float64).astype(np.float32)
    except ValueError:
        for line, row in block:
            for i in features:
                if not _is_number(row[i]):
                    way_out = ", or the column (columns; on the command line --columns names those to keep)"
                    raise _bad_cell(path, line, names[i], row[i], way_out) from None
        raise


def _target(
    path: Path, labels: Sequence[tuple[int, str]], name: str, classes: bool | None
) -> tuple[Array, tuple[str, ...] | None]:
    """The target column as integers or values, or as classes numbered in sorted order and their names."""
    for line, cell in labels:
        if not cell:
            raise _bad_cell(path, line, name, cell)
    numeric = [_is_number(cell) for _, cell in labels]
    if classes or (classes is None and not any(numeric)):
        names = sorted({cell for _, cell in labels}, key=float if all(numeric) else None)
        number = {cell: k for k, cell in enumerate(names)}
        return np.array([number[cell] for _, cell in labels], dtype=np.int64), tuple(names)
    if not all(numeric):
        line, cell = labels[numeric.index(False)]
        raise _bad_cell(path, line, name, cell, ", or use classes=True if the column names classes")
    try:
        return np.array([int(cell) for _, cell in labels], dtype=np.int64), None
    except (ValueError, OverflowError):
        return np.array([float(cell) for _, cell in labels]).astype(np.float32), None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _bad_cell(path: Path, line: int, column: str, cell: str, way_out: str = "") -> ValueError:
    found = repr(cell) if cell.strip() else "an empty cell"
    return ValueError(
        f"{path}, line {line}, column {column!r}: expected a number, got {found}: correct it, or leave the line out"
        f"{way_out}"
    )
