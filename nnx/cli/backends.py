"""`nnx backends`: the table of every known backend, each tried."""

import argparse
from dataclasses import asdict
from typing import Any

import nnx
from nnx.cli import check
from nnx.cli.output import add_json, examples, table_console, words_elsewhere, write_json


def register(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "backends",
        help="which array libraries can be used here, and what the others lack",
        description="Every known backend: installed, usable, version, devices; or why not, and the install command.",
        **examples("nnx backends", "nnx backends --json", "nnx backends --check cupy --report cupy.json"),
    )
    add_json(command)
    check.add_options(command)
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table, or check one backend."""
    if args.check is not None:
        with words_elsewhere(args.json):
            code, report = check.run(args)
        if args.json:
            write_json(report)
        return code
    if args.report is not None or args.device is not None:
        raise ValueError("--report and --device belong to --check NAME")
    rows = nnx.backends()
    if args.json:
        write_json([asdict(row) for row in rows])
        return 0
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE)
    for title in ("backend", "installed", "usable", "version", "devices, or why not"):
        table.add_column(title, overflow="fold")
    for row in rows:
        why = ", ".join(row.devices) if row.usable else f"{row.reason}\n{row.install}".strip()
        yes_no = ["yes" if flag else "no" for flag in (row.installed, row.usable)]
        cells = [row.name, *yes_no, row.version or "-", why]
        table.add_row(*map(Text, cells))  # a Text is printed as it is: in markup the [ctk] of a command is a tag
    out = table_console()
    out.print(table)
    out.print(f"active: {nnx.get_backend()!r}", markup=False, highlight=False)
    return 0
