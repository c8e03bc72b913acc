"""A file from the network: asked for at one address after another, checked, kept, and never asked for twice.

The bytes come into a part file beside the place, which a later call goes on with; only a whole file whose sum is right
is renamed into it. One process fetches a file at a time, and the others wait for it.
"""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from nnx.data.locks import exclusive
from nnx.data.places import DatasetMissing, offline
from nnx.data.showing import Shown, readable, shown
from nnx.data.sums import Checksum, checksum
from nnx.data.transfer import Hopeless, Part, Passing, transfer

__all__ = ["FetchError", "fetch"]

PAUSE = 0.5  # seconds before the second attempt; twice as long before each further one


class FetchError(DatasetMissing):
    """A file could not be fetched: what was asked, where, what went wrong at each address, and the way out."""


def fetch(
    urls: str | Sequence[str],
    path: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    md5: str | None = None,
    unpacked: bool = False,
    size: int | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    attempts: int = 4,
    timeout: float = 30.0,
) -> Path:
    """The file at `path`, fetched from the first of `urls` that has it; one that is there needs no network.

    urls: http or https, tried in order   sha256, md5: what the file must be (md5 only where no other sum is known)
    unpacked: the sum is that of what the gzip file holds   size: bytes, if known   overwrite: fetch a new one even so
    quiet: show no progress   attempts: at each address, > 0; only such are counted that brought less than a megabyte
    timeout: seconds without a byte after which an attempt has failed

    A fetch that was broken off (Ctrl-C, a lost connection, a killed process) goes on where it ended at the next call. A
    file that is there is checked, too: ValueError if its sum is not the expected one. NNX_OFFLINE=1 never asks the
    network. Raises FetchError, which is a FileNotFoundError, if the file cannot be had; nothing is at `path` then but
    what was there before. Proxies are taken from HTTPS_PROXY and HTTP_PROXY.
    """
    sources = [urls] if isinstance(urls, str) else list(urls)
    _check_arguments(sources, attempts)
    target, wanted = Path(path), checksum(sha256, md5, unpacked)
    if not overwrite and _there(target, wanted):
        return target
    if offline():
        raise FetchError(
            f"expected {target}, which is not there, and NNX_OFFLINE={os.environ['NNX_OFFLINE']} forbids to ask the "
            f"network for it: fetch {sources[0]} elsewhere and put it there, or unset NNX_OFFLINE"
        )
    show = shown(quiet)
    fetching = _Fetch(target, wanted, size, attempts, timeout, show)
    lock = target.with_name(f"{target.name}.lock")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(lock, lambda: show.say(f"{target.name}: another process is fetching it; waiting for that one")):
            if overwrite or not _there(target, wanted):  # that one may have fetched it
                fetching.from_any(sources)
    except FetchError:
        raise
    except OSError as error:
        raise FetchError(
            f"expected to write {target}, got {error}: make room, or name another folder in NNX_DATA; {fetching.kept()}"
        ) from error
    return target


class _Fetch:
    """What one call of fetch is after."""

    def __init__(
        self, target: Path, wanted: Checksum | None, size: int | None, attempts: int, timeout: float, show: Shown
    ) -> None:
        self.target, self.wanted, self.size = target, wanted, size
        self.attempts, self.timeout, self.show, self.part = attempts, timeout, show, Part(target)

    def from_any(self, sources: list[str]) -> None:
        """From the first source that has it. Raises FetchError with what each of them answered."""
        if len(self.part) and self.wanted is not None and self._wrong() is None:
            self.part.finish(self.target)  # a process was killed between its last byte and the new name
            return
        failures = []
        try:
            for url in sources:
                failure = self.from_one(url)
                if failure is None:
                    return
                failures.append(f"{url}: {failure}")
                if url != sources[-1]:
                    self.show.say(f"{self.target.name}: {failures[-1]}; trying the next address")
        except KeyboardInterrupt:
            self.show.say(f"{self.target.name}: interrupted; {self.kept()}")
            raise
        raise FetchError(
            f"expected to fetch {self.target}, got from {'; from '.join(failures)}; {self.kept()}; or fetch "
            f"{sources[0]} by other means and put it there"
        )

    def from_one(self, url: str) -> str | None:
        """None when the file is in its place; else why it could not be had."""
        self.show.say(f"fetching {url}" + (f" from {readable(len(self.part))} on" if len(self.part) else ""))
        failed = 0
        while True:
            before = len(self.part)
            try:
                self.attempt(url)
                return None
            except Hopeless as error:
                if self.size is not None and len(self.part) > self.size:
                    self.part.discard()
                return str(error)
            except Passing as error:
                failed += len(self.part) - before < 1 << 20
                if failed >= self.attempts:
                    return f"{error} ({failed} attempt{'s' * (failed > 1)})"
                self.show.say(f"{self.target.name}: {error}; trying again")
            time.sleep(PAUSE * 2 ** max(0, failed - 1))

    def attempt(self, url: str) -> None:
        """Put the file in its place. Raises Hopeless or Passing."""
        begin = time.monotonic()
        resumed = transfer(url, self.part, self.size, self.wanted is not None, self.timeout, self.show)
        if wrong := self._wrong():
            self.part.discard()
            if resumed:
                raise Passing(f"{wrong}, put together of two parts; it is asked for anew")
            raise Hopeless(wrong)
        n = len(self.part)
        self.part.finish(self.target)
        self.show.say(f"{self.target}: {readable(n)} in {time.monotonic() - begin:.1f} s")

    def _wrong(self) -> str | None:
        if self.wanted is None:
            return None
        wrong = self.wanted.wrong(self.part.path)
        return wrong and wrong.replace(f"{self.part.path}: ", "")

    def kept(self) -> str:
        """What a later call finds, in words."""
        n = len(self.part)
        return f"{readable(n)} are kept, and the next call goes on with them" if n else "nothing is kept"


def _there(target: Path, wanted: Checksum | None) -> bool:
    """Whether the file is there. Raises ValueError if it is another one."""
    if not target.is_file():
        return False
    if wanted is not None and (wrong := wanted.wrong(target)):
        raise ValueError(
            f"{target}: {wrong.removeprefix(f'{target}: ')}: a damaged or another file; remove it to have it fetched "
            f"anew (overwrite=True, or `nnx datasets fetch --force`)"
        )
    return True


def _check_arguments(sources: list[str], attempts: int) -> None:
    bad = [url for url in sources if not url.startswith(("http://", "https://"))]
    if bad or not sources:
        raise ValueError(f"expected addresses that begin with http:// or https://, got {bad[0] if bad else 'none'}")
    if attempts < 1:
        raise ValueError(f"expected attempts of at least 1, got {attempts}")
