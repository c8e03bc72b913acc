"""A log as JSON Lines: one record a line, each in the file when `append` returns, whatever happens after."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnx.backend import is_array, to_numpy
from nnx.io.errors import CheckpointError

__all__ = ["JsonLines", "read_lines"]


class JsonLines:
    """Appends records to a file, one JSON line each; NaN and infinities, which JSON has not, become null.

    A line that a crash has cut short stays alone: the next record begins on a line of its own.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record: numbers, strings, None, arrays of any backend, and lists and dicts of them.

        Raises TypeError, with nothing written, for anything else.
        """
        line = json.dumps(_plain(record), ensure_ascii=False, allow_nan=False).encode()
        with self.path.open("ab+") as file:
            if file.tell() and _last_byte(file) != b"\n":
                line = b"\n" + line
            file.write(line + b"\n")


def read_lines(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The records of a file of JSON lines; a last line that a crash has cut short is left out.

    Raises CheckpointError, with the line, for any other line that is no JSON object, FileNotFoundError for no file.
    """
    lines = Path(path).read_bytes().split(b"\n")
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines):  # no newline behind it: cut short
                break
            raise CheckpointError(f"{path}, line {number}: expected a JSON object, got {error}: mend it") from error
        if not isinstance(record, dict):
            raise CheckpointError(
                f"{path}, line {number}: expected a JSON object, got {type(record).__name__}: mend it"
            )
        records.append(record)
    return records


def _last_byte(file: Any) -> bytes:
    file.seek(-1, os.SEEK_END)
    return bytes(file.read(1))


def _plain(value: Any) -> Any:
    """The value in JSON's own types."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if is_array(value):
        return _plain(to_numpy(value).tolist())
    raise TypeError(
        f"expected numbers, strings, arrays, lists or dicts in a record, got {type(value).__name__}: str(x)?"
    )
