"""`nnx report RUN`: one HTML page of a run, with pictures, that needs no other file and no network."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import nnx
from nnx.cli.output import add_json, examples, said
from nnx.cli.saved import add_backend

__all__ = ["register", "run"]


def register(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "report",
        help="one HTML page of a run, with pictures",
        description="Write a page with learning curves, what the model says of the test part, its network and weights, "
        "and how it was trained. It is one file that loads nothing; what a run lacks is left out, with a word on why.",
        **examples("nnx report runs/first", "nnx report runs/first -o first.html", "nnx report runs/first --json"),
    )
    command.add_argument("folder", metavar="RUN", help="the folder of a run", type=Path)
    command.add_argument("-o", "--output", metavar="FILE", help="where to write (RUN/report.html)", type=Path)
    add_backend(command)
    add_json(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the page and say where it is."""
    from rich.console import Console

    from nnx.cli.chapters import document
    from nnx.cli.findings import find
    from nnx.cli.pictures import pictures
    from nnx.io import write_atomically

    path = args.output or args.folder / "report.html"
    backend = nnx.get_backend(args.backend, args.device)
    console = Console(stderr=True)  # the moving line is seen in a terminal alone
    drawn = []
    with (
        nnx.use_backend(backend.name, backend.device),
        np.errstate(over="ignore", invalid="ignore"),
        console.status("reading the run") as status,
    ):
        found = find(args.folder)
        _check_place(path)
        for picture in pictures(found):
            drawn.append(picture)
            status.update(f"{len(drawn)} pictures")
    text = document(found, drawn).encode()
    write_atomically(path, text)
    left = {picture.name: picture.left_out for picture in drawn if picture.left_out}
    names = [picture.name for picture in drawn if not picture.left_out]
    facts = {
        "run": str(found.folder), "report": str(path), "bytes": len(text), "epochs": len(found.records),
        "best_epoch": found.best, "test": found.scores, "left_out": left,
        "pictures": names,
    }  # fmt: skip
    words = [f"{path}: {len(names)} pictures, {len(text) / 1e3:.0f} kB"]
    said(args, facts, "\n".join([*words, *(f"no {name}: {why}" for name, why in left.items())]))
    return 0


def _check_place(path: Path) -> None:
    """Raises OSError if no file can be there, before it is drawn."""
    if path.is_dir():
        raise IsADirectoryError(f"{path}: expected the name of a file, got a folder: {path / 'report.html'}, say")
    if not path.resolve().parent.is_dir():
        raise FileNotFoundError(f"{path}: its folder {path.parent} does not exist: make it first")
