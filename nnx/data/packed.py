"""Files that may be gzip'ed, opened by what they hold and not by what they are called."""

import os
import pathlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

__all__ = ["Path", "opened"]

Path = str | os.PathLike[str]


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, decompressed if they are gzip'ed. Raises ValueError where a gzip file is damaged."""
    import gzip

    with pathlib.Path(path).open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            yield file
            return
        try:
            with gzip.open(file) as stream:
                yield cast(IO[bytes], stream)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"{path}: expected a whole gzip file, got a damaged one ({error}): fetch it again"
            ) from error
