"""The command line: train, evaluate, predict, export, gradcheck, backends, bench, datasets.

Exit codes: 0; 1 if a check failed or a training diverged; 2 for a user's mistake (an unknown option, a backend that
cannot be used, a damaged file), which is one line on standard error (`NNX_DEBUG=1` shows the traceback); 130 after
Ctrl-C, when a training says what it kept.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

import nnx

COMMANDS = (
    "train",
    "evaluate",
    "predict",
    "export",
    "gradcheck",
    "backends",
    "report",
    "bench",
    "datasets",
)
"""Modules of this package, a command each: register(commands) adds its parser, run(args) returns the exit code."""

USER_ERRORS = (
    nnx.BackendUnavailable,
    nnx.MixedBackends,
    OSError,
    MemoryError,
    ValueError,
    FloatingPointError,
    ModuleNotFoundError,  # an extra that is not installed
)


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands, or of one: the others' modules need not be loaded then."""
    top = argparse.ArgumentParser(
        prog="nnx",
        description="Neural networks on any array library (NNX_BACKEND, NNX_DEVICE choose it).",
        epilog="exit codes: 0 done, 1 a check failed or a training diverged, 2 a mistake, 130 interrupted",
    )
    top.add_argument("--version", action="version", version=f"nnx {nnx.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in (only,) if only in COMMANDS else COMMANDS:
        importlib.import_module(f"nnx.cli.{name}").register(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    given = sys.argv[1:] if argv is None else list(argv)
    args = parser(given[0] if given else None).parse_args(given)
    try:
        code: int = args.run(args)
        sys.stdout.flush()  # what a closed pipe says is said here
    except KeyboardInterrupt:
        print(f"\nnnx {args.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except USER_ERRORS as error:
        if os.environ.get("NNX_DEBUG"):
            raise
        print(f"nnx {args.command}: {error}", file=sys.stderr)
        return 2
    return code


def console() -> None:
    """The entry point of the script. A stream that whoever started it has closed is an empty one."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - until the end
    sys.exit(main())
