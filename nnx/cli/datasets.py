"""`nnx datasets`: the built-in data sets, which of them are here, and how the others get here."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnx.cli.output import table_console

if TYPE_CHECKING:
    from nnx.data.catalog import BuiltIn

EPILOG = """examples:
  nnx datasets
  nnx datasets fetch mnist iris
  nnx datasets verify
  cp images.gz "$(nnx datasets path mnist)"

Data is looked for in $NNX_DATA, the cache ($XDG_CACHE_HOME/nnx or ~/.cache/nnx) and where packages put it; what is
fetched goes into the first of these. A fetch that was broken off goes on where it ended. NNX_OFFLINE=1 never asks the
network. verify ends with 1 if a file is missing or not the original, fetch with 1 if a set could not be had."""


def register(commands: Any) -> None:
    """Add the command, and its own commands, to the parser."""
    command = commands.add_parser(
        "datasets",
        help="the built-in data sets: list, fetch, verify, path",
        description="The built-in data sets: samples, shape, licence, source, and where they are on this machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--json", action="store_true", help="as JSON, for machines")
    actions = command.add_subparsers(dest="action", metavar="ACTION")
    for name, (many, what) in ACTIONS.items():
        action = actions.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
        action.add_argument(
            "names", nargs=many, metavar="NAME", help="of a set; none: all" if many == "*" else "of a set"
        )
        action.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as JSON, for machines")
        if name == "fetch":
            action.add_argument("--force", action="store_true", help="also what is there, in place of a damaged file")
            action.add_argument("--quiet", action="store_true", help="show no progress")
    command.set_defaults(run=run, action="list", names=[])


ACTIONS = {
    "list": ("*", "the table (also without an ACTION)"),
    "fetch": ("+", "fetch sets that are not here"),
    "verify": ("*", "read every file that is here, and compare its checksum"),
    "path": ("+", "print the folder that a set is in, or would go to"),
}


def run(args: argparse.Namespace) -> int:
    """Do what was asked; 1 if something is missing, damaged or could not be fetched."""
    from nnx.data.catalog import CATALOG, entry

    rows = [entry(name) for name in args.names]
    if args.action in ("list", "verify"):
        rows = rows or list(CATALOG.values())
    return {"list": _list, "fetch": _fetch, "verify": _verify, "path": _path}[args.action](rows, args)


def describe(row: "BuiltIn") -> dict[str, Any]:
    """A row of the table as plain values."""
    found = row.find()
    return {
        "name": row.name,
        "title": row.title,
        "kind": row.kind,
        "samples": list(row.sizes),
        "shape": list(row.shape),
        "classes": row.classes,
        "licence": row.licence,
        "source": row.home,
        "bytes": row.bytes,
        "within": row.within or None,
        "path": None if found is None else str(found),
    }


def _list(rows: "list[BuiltIn]", args: argparse.Namespace) -> int:
    found = [describe(row) for row in rows]
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE)
    for title in ("set", "samples", "licence and source", "where"):
        table.add_column(title, overflow="fold", no_wrap=title == "set")
    for row in found:
        table.add_row(*map(Text, _cells(row)))
    out = table_console()
    out.print(table)
    out.print("`nnx datasets fetch NAME` fetches what is not here", markup=False, highlight=False)
    return 0


def _cells(row: dict[str, Any]) -> list[str]:
    from nnx.data.showing import readable

    counts = " + ".join(f"{n:,}" for n in row["samples"])
    target = f"{row['classes']} classes" if row["classes"] else "a number each"
    what = " characters" if row["kind"] == "text" else f"\n{'x'.join(map(str, row['shape']))}, {target}"
    where = row["path"] or row["within"] or f"not here ({readable(row['bytes'])})"
    return [row["name"], counts + what, f"{row['licence']}\n{row['source'].partition('://')[2]}", where]


def _fetch(rows: "list[BuiltIn]", args: argparse.Namespace) -> int:
    from nnx.data import FetchError

    code, done = 0, []
    for row in rows:
        try:
            done.append(_fetched(row, args))
        except FetchError as error:  # the others may be had
            if os.environ.get("NNX_DEBUG"):
                raise
            print(f"nnx datasets: {error}", file=sys.stderr)
            code = 1
    if args.json:
        print(json.dumps(done, indent=2))
    return code


def _fetched(row: "BuiltIn", args: argparse.Namespace) -> dict[str, Any]:
    from nnx.data import FetchError

    found = row.find()
    if row.within or (found is not None and not args.force):
        wrong = [] if found is None else [(path, text) for path, text in row.verify(found) if text]
        if wrong:
            raise FetchError("{}: {}; `nnx datasets fetch --force {}` fetches it anew".format(*wrong[0], row.name))
        said = f"{row.name} is there already: {found or row.within}"
    else:
        found = row.fetch(overwrite=args.force, quiet=args.quiet)
        said = f"{row.name}: {found}"
    if not args.json and not args.quiet:
        print(said)
    return describe(row)


def _verify(rows: "list[BuiltIn]", args: argparse.Namespace) -> int:
    """Read every file of the sets that are here, or of those that are named."""
    found = [(row, row.find()) for row in rows]
    checked: list[dict[str, Any]] = []
    for row, folder in found:
        if row.within or (folder is None and not args.names):
            continue
        for path, wrong in row.verify(folder or row.places()[0]):
            checked.append({"name": row.name, "path": str(path), "wrong": wrong})
    if args.json:
        print(json.dumps(checked, indent=2))
    else:
        for file in checked:
            print(f"{file['path']}: {file['wrong'] or 'the original'}")
        if not checked:
            print("no set that was fetched is here: nnx datasets fetch NAME")
    return int(any(file["wrong"] for file in checked))


def _path(rows: "list[BuiltIn]", args: argparse.Namespace) -> int:
    """Where each set is, or where it would go, for scripts; 1 if one is not here."""
    paths: dict[str, Path] = {row.name: row.find() or row.places()[0] for row in rows}
    inside = [row for row in rows if row.within]
    if inside:
        raise ValueError(f"{inside[0].name} has no folder: it lies {inside[0].within}")
    if args.json:
        print(json.dumps({name: str(path) for name, path in paths.items()}, indent=2))
    else:
        print(*paths.values(), sep="\n")
    return int(any(row.find() is None for row in rows))
