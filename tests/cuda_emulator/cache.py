"""The folder of compiled artefacts, shared by all processes and kept between runs.

An artefact is named by a hash of all that went into it, made under a temporary name and renamed when it is finished:
a reader finds all of it or nothing. A lock a key keeps two processes from making the same one twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


def root() -> Path:
    """`CUPY_EMU_CACHE`, by default ~/.cache/cupy_emu."""
    folder = Path(os.environ.get("CUPY_EMU_CACHE", "~/.cache/cupy_emu")).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def digest(*parts: str | bytes) -> str:
    """A name for what these parts make."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        sha.update(len(data).to_bytes(8, "little"))  # ("ab", "c") is not ("a", "bc")
        sha.update(data)
    return sha.hexdigest()[:32]


@functools.cache
def digest_of_files(*roots: Path) -> str:
    """A name for C++ sources: files, and folders with all below them."""
    files = sorted(path for root in roots for path in (root, *root.rglob("*")) if path.suffix in (".cpp", ".h"))
    return digest(*(part for path in files for part in (path.name, path.read_bytes())))


@contextlib.contextmanager
def lock(key: str) -> Iterator[None]:
    """Held by one process at a time; the system releases it when a process dies."""
    folder = root() / "locks"
    folder.mkdir(exist_ok=True)
    with (folder / key[:2]).open("w") as file:  # 256 files in all, not one an artefact
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def artefact(kind: str, key: str, make: Callable[[Path], None]) -> Path:
    """The finished folder `kind/key`; `make` fills an empty one if it is not there yet."""
    target = root() / kind / key
    if target.exists():
        return target
    with lock(key):
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=f"{key}.", suffix=".tmp", dir=target.parent))
            try:
                make(work)
                work.rename(target)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return target
