"""The command line's own help, as a part of its page: what the parser knows is what the page says."""

import argparse
import os
from unittest import mock

from nnx.cli import parser

PLACE = "<!-- commands -->"


def subparsers() -> dict[str, argparse.ArgumentParser]:
    """Every command: its name -> its parser."""
    found = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(found[0].choices)


def filled_in(text: str) -> str:
    """The page, with a section for each command in its place. Raises ValueError if the page has no such place."""
    if PLACE not in text:
        raise ValueError(f"command-line.md has no line {PLACE}")
    with mock.patch.dict(os.environ, {"COLUMNS": "88", "NO_COLOR": "1"}):
        helps = {name: command.format_help() for name, command in subparsers().items()}
    sections = [f"### nnx {name}\n\n```text\n{said.rstrip()}\n```" for name, said in helps.items()]
    return text.replace(PLACE, "\n\n".join(sections))
