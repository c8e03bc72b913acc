"""Every CUDA source that was compiled: in memory, and in a folder if `CUPY_EMU_RECORD` names one.

The folder collects a whole run, of several processes too; compile_for.py takes it to the real compiler.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import wheel
from .cache import digest

SITE = "{site}"  # stands for the folder of installed packages, which differs from machine to machine


@dataclasses.dataclass(frozen=True)
class Source:
    """What NVRTC was given. names: the template instances asked for, if any."""

    code: str
    options: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def key(self) -> str:
        return digest(self.code, *self.options, "names", *self.names)


_seen: dict[Source, None] = {}


def sources() -> list[Source]:
    """Each source that was compiled since activate(), once, in order."""
    return list(_seen)


def record(code: str, options: Sequence[str], names: Sequence[str]) -> None:
    source = Source(code, tuple(option.replace(str(wheel.site()), SITE) for option in options), tuple(names))
    if source in _seen:
        return
    _seen[source] = None
    if folder := os.environ.get("CUPY_EMU_RECORD"):
        write(source, Path(folder))


def write(source: Source, folder: Path) -> None:
    """Writes `<key>.json`; written in one go, so a reader or a second process sees all of it or nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".tmp", delete=False) as file:
        json.dump(dataclasses.asdict(source), file, indent=1)
    Path(file.name).replace(folder / f"{source.key()}.json")


def read(folder: Path) -> Iterator[Source]:
    for path in sorted(folder.glob("*.json")):
        fields = json.loads(path.read_text())
        yield Source(fields["code"], tuple(fields["options"]), tuple(fields["names"]))
