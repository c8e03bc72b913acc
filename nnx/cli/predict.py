"""`nnx predict RUN INPUT`: what a trained model says of new samples: CSV in, CSV out, or images in."""

import argparse
import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

from nnx.cli import sources
from nnx.cli.arrays import Source
from nnx.cli.builtin import BUILT_IN
from nnx.cli.output import add_json, examples, finite
from nnx.cli.saved import SavedRun, add_backend, opened

__all__ = ["register", "run"]


def register(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "predict",
        help="what a trained model says of new samples",
        description="CSV in, CSV out: a line a sample with its class and a probability for each class, or with the "
        "value. The input's columns are found by their names, in any order; those that the run did not learn from are "
        "left out. A Parquet, NPZ (x) or IDX file, an image or a folder of images do as well.",
        **examples(
            "nnx predict runs/flowers new.csv",
            "nnx predict runs/flowers new.csv -o found.csv",
            "cat new.csv | nnx predict runs/flowers - > found.csv",
            "nnx predict runs/photos holiday/ --json",
        ),
    )
    add = command.add_argument
    add("folder", metavar="RUN", help="the folder of a run")
    add("input", metavar="INPUT", help="the file of the samples; - for CSV on standard input")
    add("-o", "--output", default="-", metavar="FILE", help="where to write, whole or not at all (standard output)")
    add_backend(command)
    add_json(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the predictions."""
    with opened(args) as saved:
        source = _source(saved, args.input)
        x = saved.preparation.inputs(source.x, source.name)
        found = saved.predictions(x)
    text = _json(saved, source, found) if args.json else _csv(saved, source, found)
    if args.output == "-":
        print(text, end="")
        return 0
    from nnx.io import write_atomically

    write_atomically(args.output, text.encode())
    print(f"{len(x)} predictions written to {args.output}", file=sys.stderr)
    return 0


# ---- in --------------------------------------------------------------------------------------------------------------


def _source(saved: SavedRun, name: str) -> Source:
    """The samples of a file, without labels."""
    path = Path(name)
    if name == "-" or sources.table_suffix(path) == "csv":
        if name != "-" and not path.is_file():
            raise FileNotFoundError(f"{name}: there is no such file in {Path.cwd()}: give its whole path")
        return _csv_source(saved, name)
    if name in BUILT_IN:
        raise ValueError(f"{name}: expected a file of samples; for scores on a built-in set: nnx evaluate RUN")
    asked = saved.asking(name, target=None, task="auto")
    return sources.read(asked, labelled=False, channels=saved.channels)


def _csv_source(saved: SavedRun, name: str) -> Source:
    """Rows of numbers, the columns by name if the run's have names, else by their places."""
    from nnx import data

    text: Any = name
    if name == "-":
        raw = sys.stdin.buffer.read().decode("utf-8-sig") if hasattr(sys.stdin, "buffer") else sys.stdin.read()
        text = _named("standard input", raw)
    columns = saved.preparation.columns
    how: dict[str, Any] = {"delimiter": saved.settings.delimiter}
    if columns is not None and not all(column == f"column {column.rpartition(' ')[2]}" for column in columns):
        how |= {"header": True, "columns": columns}
    elif columns is not None and _width(text, saved.settings.delimiter) != len(columns):
        how |= {"header": False, "columns": columns}  # beside them there is the target, or more
    found = data.read_csv(text, **how)
    return Source("standard input" if name == "-" else name, found.x, columns=found.columns)


def _width(text: Any, delimiter: str) -> int:
    """How many cells the first line has."""
    from nnx.data.table import text_of

    with text_of(text) as lines:
        width = len(next(csv.reader(lines, delimiter=delimiter), []))
    if isinstance(text, io.StringIO):
        text.seek(0)
    return width


class _Text(io.StringIO):
    """Text with a name, for messages."""

    name = ""


def _named(name: str, text: str) -> _Text:
    found = _Text(text, newline="")
    found.name = name
    return found


# ---- out -------------------------------------------------------------------------------------------------------------


def _rows(saved: SavedRun, found: Any) -> list[list[Any]]:
    """The class and the probabilities of each sample, or its value alone."""
    classes = saved.preparation.classes
    if classes is None:
        return [[value] for value in found.tolist()]
    return [[classes[k], *row] for k, row in zip(found.argmax(axis=1).tolist(), found.tolist(), strict=True)]


def _csv(saved: SavedRun, source: Source, found: Any) -> str:
    classes = saved.preparation.classes
    header = ["value"] if classes is None else ["class", *(f"probability {name}" for name in classes)]
    digits = "{:.9g}" if classes is None else "{:.6g}"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", *header] if source.files else header)
    for k, row in enumerate(_rows(saved, found)):
        cells = [cell if isinstance(cell, str) else digits.format(cell) for cell in row]
        writer.writerow([source.files[k], *cells] if source.files else cells)
    return text.getvalue()


def _json(saved: SavedRun, source: Source, found: Any) -> str:
    classes = saved.preparation.classes
    records: list[dict[str, Any]] = []
    for k, (first, *rest) in enumerate(_rows(saved, found)):
        record = {"file": source.files[k]} if source.files else {}
        if classes is None:
            records.append({**record, "value": first})
        else:
            records.append({**record, "class": first, "probabilities": dict(zip(classes, rest, strict=True))})
    document = {"run": str(saved.folder), "task": saved.preparation.task, "predictions": records}
    return json.dumps(finite(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
