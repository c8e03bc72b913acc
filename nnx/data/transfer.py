"""One request for one file, which goes on where the last one ended.

What has come lies in a part file, and beside it the server's name for that version (its ETag, or the time of its last
change): the rest is asked for by `Range` and `If-Range`, so that a file that has changed in between comes whole.
Without such a name the rest is asked for only if a checksum will judge the whole.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from nnx.data.showing import Shown

__all__ = ["Hopeless", "Part", "Passing", "transfer"]

PIECE = 1 << 16
PASSING = {408, 425, 429, 500, 502, 503, 504}
"""HTTP's codes for what may be over when it is tried once more."""


class Hopeless(Exception):
    """The source does not have it; another may."""


class Passing(Exception):
    """It may go better the next time."""


class Part:
    """What has come of a file, and from where."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")

    def __len__(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def source(self) -> tuple[str | None, str | None]:
        """The address that it came from, and that server's name for the version."""
        try:
            found = json.loads(self.note.read_text("utf-8"))
            return found["url"], found["version"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None, None

    def begin(self, url: str, version: str | None) -> None:
        """Note where the bytes that follow come from."""
        self.note.write_text(json.dumps({"url": url, "version": version}), "utf-8")

    def discard(self) -> None:
        """Forget it."""
        for path in (self.path, self.note):
            path.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        """Force it to disk, and rename it to what it is of: there whole, or not at all."""
        with self.path.open("r+b") as file:
            os.fsync(file.fileno())
        self.path.replace(target)
        self.note.unlink(missing_ok=True)


def transfer(url: str, part: Part, size: int | None, judged: bool, timeout: float, show: Shown) -> bool:
    """Fetch what is missing of the part; whether it went on with bytes that were there before.

    size: bytes of the whole, if known   judged: a checksum will tell whether the whole is right   timeout: seconds
    without a byte   Raises Hopeless, Passing, or OSError for a disk that cannot be written to.
    """
    have, asked = len(part), _request(url, part, judged)
    with _opened(asked, part, timeout) as answer:
        start = _start(answer, have)
        total = _total(answer, start)
        if size is not None and total is not None and total != size:
            raise Hopeless(f"expected {size} bytes, and it announces {total}: another version, or an error page")
        part.begin(url, _version(answer))
        show.begin(part.path.name.removesuffix(".part"), start, total or size)
        try:
            done = _write(answer, part, start, size, show)
        finally:
            show.end()
    if total is not None and done < total:
        raise Passing(f"the connection ended after {done} of {total} bytes")
    return start > 0


def _request(url: str, part: Part, judged: bool) -> Any:
    from urllib.request import Request

    headers = {"User-Agent": "nnx", "Accept-Encoding": "identity"}  # a file packed once more has another length
    if have := len(part):
        source, version = part.source()
        same = source == url and version is not None
        if same or judged:
            headers["Range"] = f"bytes={have}-"
        if same:
            headers["If-Range"] = str(version)
    return Request(url, headers=headers)


def _opened(asked: Any, part: Part, timeout: float) -> Any:
    import socket
    import ssl
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import urlopen

    try:
        return urlopen(asked, timeout=timeout)
    except HTTPError as error:
        with error:
            _refused(error.code, error.reason, part)
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise Hopeless(
                f"{reason}: is the clock right, and are the system's certificates (ca-certificates)?"
            ) from error
        if isinstance(reason, socket.gaierror):
            raise Hopeless(f"{reason}: there is no network, or no such host") from error
        raise Passing(_words(reason)) from error


def _refused(code: int, reason: str, part: Part) -> NoReturn:
    if code == 416:  # what was kept is longer than the file, or is all of it: asked for whole, it tells
        part.discard()
        raise Passing("it has nothing behind the bytes that were kept, which are asked for anew")
    raise (Passing if code in PASSING else Hopeless)(f"HTTP {code} {reason}")


def _start(answer: Any, have: int) -> int:
    """The place of the first byte that comes: 0 from a server that sends the whole, asked or not."""
    if answer.status != 206:
        return 0
    unit, _, rest = answer.headers.get("Content-Range", "").partition(" ")
    first = rest.partition("-")[0]
    if unit != "bytes" or not first.isdigit() or int(first) != have:
        raise Hopeless(f"asked for the bytes from {have} on, it sent {unit} {rest}".rstrip())
    return have


def _total(answer: Any, start: int) -> int | None:
    length = answer.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _version(answer: Any) -> str | None:
    """What If-Range takes: a strong ETag, or the time of the last change."""
    tag: str | None = answer.headers.get("ETag")
    changed: str | None = answer.headers.get("Last-Modified")
    return tag if tag and not tag.startswith("W/") else changed


def _write(answer: Any, part: Part, start: int, size: int | None, show: Shown) -> int:
    """Put what comes behind the first `start` bytes; how many there are then."""
    done, seen = start, time.monotonic()
    with part.path.open("r+b" if part.path.exists() else "w+b") as file:
        file.truncate(start)
        file.seek(start)
        for piece in _pieces(answer):
            file.write(piece)
            done += len(piece)
            if size is not None and done > size:
                raise Hopeless(f"expected {size} bytes, and more came")
            if time.monotonic() - seen > 0.1:
                seen = time.monotonic()
                show.move(done)
    show.move(done)
    return done


def _pieces(answer: Any) -> Iterator[bytes]:
    """What comes; trouble with the network is told from trouble with the disk."""
    from http.client import HTTPException, IncompleteRead

    while True:
        try:
            piece = answer.read1(PIECE)
        except IncompleteRead as error:
            raise Passing("the connection ended too early") from error
        except (OSError, HTTPException) as error:
            raise Passing(_words(error)) from error
        if not piece:
            return
        yield piece


def _words(error: object) -> str:
    """An error in its own words, or by its name if it has none."""
    with suppress(Exception):
        if str(error):
            return str(error)
    return type(error).__name__
