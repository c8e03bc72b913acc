"""A Parquet file as features and labels, read by pyarrow (extra `parquet`); every bad value is named by row and column.

What CSV says by how a cell looks, Parquet says by its column's type: words and categories are classes, whole numbers
labels, other numbers values.
"""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnx.data.checks import Array
from nnx.data.packed import Path
from nnx.data.table import Table, chosen, position

__all__ = ["read_parquet"]


def read_parquet(
    path: Path, target: str | int | None = None, classes: bool | None = None, columns: Sequence[str] | None = None
) -> Table:
    """A Parquet file as numeric features and a label: see read_csv for target, classes and columns.

    Features are numbers or bool; a target is numbers, bool, text or categories. Only the columns asked for are read.
    Raises ModuleNotFoundError without pyarrow, ValueError for what is no whole Parquet file, a column of another type,
    an empty value (named by its row from 0), no such column.
    """
    arrow, parquet = _pyarrow("pyarrow"), _pyarrow("pyarrow.parquet")
    with open(path, "rb") as file:  # noqa: PTH123 - the system's own words for what is missing
        with _readable(path):
            reader = parquet.ParquetFile(file)
            names = [str(name) for name in reader.schema_arrow.names]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{path}: expected columns of different names, got {twice[0]!r} twice: rename one")
        label = position(path, names, target)
        features = chosen(path, names, label, columns)
        with _readable(path):
            table = reader.read(columns=[names[i] for i in features] + ([] if label is None else [names[label]]))
    if not table.num_rows:
        raise ValueError(f"{path}: expected rows, got a Parquet file without any")
    if not features:
        raise ValueError(f"{path}: expected columns to learn from, got the target alone")
    x = np.empty((table.num_rows, len(features)), dtype=np.float32)
    with np.errstate(over="ignore"):  # beyond float32 a number is infinite, which check_finite reports
        for k, i in enumerate(features):
            x[:, k] = _numbers(arrow, path, names[i], table.column(names[i]))
    kept = tuple(names[i] for i in features)
    if label is None:
        return Table(x, None, kept, None)
    y, found = _target(arrow, path, names[label], table.column(names[label]), classes)
    return Table(x, y, kept, found)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of damaged bytes pyarrow and Python's decoders make several kinds of errors
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"{path}: expected a whole Parquet file, got one that cannot be read ({reason}): write it again"
        ) from error


def _pyarrow(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Parquet files are read by pyarrow, which is not installed: pip install 'nnx-array[parquet]', or write CSV"
        ) from error


def _numbers(arrow: Any, path: Path, name: str, column: Any) -> Array:
    """The column's numbers, float64."""
    kind = column.type
    known = arrow.types
    if not (known.is_integer(kind) or known.is_floating(kind) or known.is_boolean(kind) or known.is_decimal(kind)):
        raise ValueError(
            f"{path}, column {name!r}: expected numbers, got {kind}: make it numbers, or leave it out (columns)"
        )
    _no_empty(path, name, column)
    if known.is_float16(kind):
        return np.asarray(column.to_numpy()).astype(np.float64)
    return np.asarray(column.cast(arrow.float64(), safe=False).to_numpy())


def _target(
    arrow: Any, path: Path, name: str, column: Any, classes: bool | None
) -> tuple[Array, tuple[str, ...] | None]:
    _no_empty(path, name, column)
    known, kind = arrow.types, column.type
    if known.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    text = known.is_string(kind) or known.is_large_string(kind) or known.is_boolean(kind)
    whole = known.is_integer(kind)
    if classes or (classes is None and text):
        with _readable(path):
            values = column.to_pylist()
        names = sorted(set(values))
        number = {value: k for k, value in enumerate(names)}
        return np.array([number[v] for v in values], dtype=np.int64), tuple(_spelt(value) for value in names)
    if whole:
        return np.asarray(column.cast(arrow.int64()).to_numpy()), None
    return _numbers(arrow, path, name, column).astype(np.float32), None


def _spelt(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _no_empty(path: Path, name: str, column: Any) -> None:
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise ValueError(
            f"{path}, row {row}, column {name!r}: expected a value, got an empty one ({column.null_count} of "
            f"{len(column)}): fill them, or leave such rows out"
        )
