"""What a command prints: words for people, or with --json exactly one JSON document on standard output.

With --json everything else goes to standard error.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any

__all__ = ["add_json", "examples", "finite", "said", "table_console", "words_elsewhere", "write_json"]


def add_json(command: argparse.ArgumentParser) -> None:
    """The option --json."""
    command.add_argument("--json", action="store_true", help="one JSON document on standard output, for machines")


def examples(*lines: str) -> dict[str, Any]:
    """The arguments of a parser that shows examples below its options, line by line."""
    text = "\n".join(["examples:", *(f"  {line}" for line in lines)])
    return {"epilog": text, "formatter_class": argparse.RawDescriptionHelpFormatter}


@contextmanager
def words_elsewhere(apply: bool) -> Iterator[None]:
    """Inside of the block what is printed goes to standard error, if `apply`."""
    if not apply:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def table_console() -> Any:
    """rich's Console on standard output, which leaves a closed pipe to nnx.cli.main: by itself it exits with 1."""
    from rich.console import Console

    def on_broken_pipe(self: Any) -> None:
        raise BrokenPipeError

    return type("Piped", (Console,), {"on_broken_pipe": on_broken_pipe})()


def write_json(document: Any) -> None:
    """Print the document. Numbers that JSON has not, nan and infinities, are null."""
    print(json.dumps(finite(document), indent=2, ensure_ascii=False, allow_nan=False))


def said(args: argparse.Namespace, document: Mapping[str, Any], words: str) -> None:
    """Print the words, or the document if it was asked for."""
    if args.json:
        write_json(document)
    else:
        print(words)


def finite(document: Any) -> Any:
    """The document with None in the place of numbers that JSON has not."""
    if isinstance(document, float):
        return document if document - document == 0 else None
    if isinstance(document, Mapping):
        return {str(name): finite(item) for name, item in document.items()}
    if isinstance(document, list | tuple):
        return [finite(item) for item in document]
    return document
