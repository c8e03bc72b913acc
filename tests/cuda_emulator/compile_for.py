"""Recorded CUDA sources through the real NVRTC, for real architectures, on a machine without a GPU.

    CUPY_EMU_RECORD=sources python -m pytest ...
    python -m tests.cuda_emulator.compile_for sources --arch 75 80 86 89 90 100 120

NVRTC needs neither a driver nor a device: `pip install 'cuda-toolkit[nvrtc]==13.*'`.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import recording
from .nvrtc import compile_cubin
from .recording import Source

ARCHITECTURES = ("75", "80", "86", "89", "90", "100", "120")


@dataclasses.dataclass(frozen=True)
class Failure:
    """A source that NVRTC refused for an architecture, and its messages."""

    source: Source
    arch: str
    message: str


def compile_all(sources: Iterable[Source], architectures: Sequence[str] = ARCHITECTURES) -> list[Failure]:
    """Compiles each source for each architecture, and returns what failed."""
    from cupy.cuda.compiler import CompileException

    failures = []
    for source in sources:
        for arch in architectures:
            try:
                compile_cubin(source, arch)
            except CompileException as error:
                failures.append(Failure(source, arch, str(error)))
    return failures


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="compile_for", description="Compile recorded CUDA sources with NVRTC.")
    parser.add_argument("folder", type=Path, help="what CUPY_EMU_RECORD named")
    parser.add_argument("--arch", nargs="+", default=list(ARCHITECTURES), help="compute capabilities, e.g. 75 90")
    options = parser.parse_args(arguments)
    sources = list(recording.read(options.folder))
    if not sources:
        print(f"no recorded sources in {options.folder}: set CUPY_EMU_RECORD while the tests run", file=sys.stderr)
        return 2
    failures = compile_all(sources, options.arch)
    for failure in failures:
        print(f"sm_{failure.arch} {failure.source.key()}.json\n{failure.message}", file=sys.stderr)
    print(f"{len(sources)} sources for sm_{' sm_'.join(options.arch)}: {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
