"""The command line: `nnx train`, `nnx backends`, `nnx bench`.

A user's mistake (an unknown option, a backend that cannot be used, a damaged file) is one line on standard error and
exit code 2; `NNX_DEBUG=1` shows the traceback. Ctrl-C ends with 130; a training says what it kept.
"""

import argparse
import os
import sys
from collections.abc import Sequence

import nnx
from nnx.cli import backends, bench, datasets, train

USER_ERRORS = (nnx.BackendUnavailable, nnx.MixedBackends, OSError, MemoryError, ValueError, FloatingPointError)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = argparse.ArgumentParser(
        prog="nnx", description="Neural networks on any array library (NNX_BACKEND, NNX_DEVICE choose it)."
    )
    top.add_argument("--version", action="version", version=f"nnx {nnx.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (train, backends, bench, datasets):
        command.register(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    args = parser().parse_args(argv)
    try:
        code: int = args.run(args)
    except KeyboardInterrupt:
        print(f"\nnnx {args.command}: interrupted", file=sys.stderr)
        return 130
    except USER_ERRORS as error:
        if os.environ.get("NNX_DEBUG"):
            raise
        print(f"nnx {args.command}: {error}", file=sys.stderr)
        return 2
    return code


def console() -> None:
    """The entry point of the script."""
    sys.exit(main())
