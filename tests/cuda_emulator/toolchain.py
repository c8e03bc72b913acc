"""The host's C++ compiler, run with one set of flags for kernels and one for the stand-in libraries."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .errors import EmulatorError

CPP = Path(__file__).parent / "cpp"

LIBRARY_FLAGS = ("-O3", "-std=c++17", "-fPIC", "-w", "-U_FORTIFY_SOURCE")
# CUDA's headers and kernels are sloppy C++ (-fpermissive, -w); no fused multiply-add, so that results repeat anywhere.
KERNEL_FLAGS = ("-O1", "-std=c++17", "-fPIC", "-w", "-fpermissive", "-fno-strict-aliasing", "-ffp-contract=off")


def compiler() -> str:
    return os.environ.get("CXX", "g++")


@functools.cache
def compiler_version() -> str:
    return run(["--version"])


def run(arguments: Sequence[str | Path]) -> str:
    """Runs the compiler. Raises EmulatorError with its messages if it fails."""
    command = [compiler(), *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise EmulatorError(f"cannot run the C++ compiler {command[0]}: {error}") from error
    if done.returncode:
        raise EmulatorError(f"{' '.join(command)}\n{done.stderr[:6000]}")
    return done.stdout
