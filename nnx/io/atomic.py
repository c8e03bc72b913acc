"""A file is there whole or not at all: written beside its place, forced to disk, then renamed into it."""

import os
from pathlib import Path

__all__ = ["check_place", "remove_parts", "write_atomically"]


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path`; after a crash at any moment the file holds all of its old bytes or all of the new.

    The mode is that of any new file (0666 less the umask); a symbolic link is followed. Raises OSError if the folder
    does not exist or cannot be written to; then, as after any exception, `path` is as it was, with nothing beside it.
    What is no file (a pipe, a device such as /dev/stdout) is written to, never replaced.
    """
    check_place(path)
    place = Path(path).resolve()
    if place.exists() and not place.is_file():
        place.write_bytes(data)
        return
    part = place.with_name(f".{place.name[:100]}.{os.urandom(4).hex()}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)
    except BaseException as error:  # a KeyboardInterrupt too must leave nothing behind
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:  # a full disk, say
            raise OSError(error.errno, f"{error.strerror} ({len(data):,} bytes; it is as it was)", str(path)) from error
        raise
    _sync_folder(place.parent)


def check_place(path: str | os.PathLike[str]) -> None:
    """Raises OSError if a file could not be written there: for a long work, before it begins."""
    place = Path(path).resolve()
    if not place.parent.is_dir():
        raise FileNotFoundError(f"{path}: its folder {place.parent} does not exist: make it first")
    if place.is_dir():
        raise IsADirectoryError(f"{path} is a directory: expected the name of a file, in it perhaps")
    if not os.access(place.parent, os.W_OK) and not (place.exists() and not place.is_file()):
        raise PermissionError(f"{path}: its folder {place.parent} may not be written to: choose another one")


def remove_parts(path: str | os.PathLike[str]) -> None:
    """Remove what a process that was killed while it wrote `path` has left beside it. Nobody may be writing it now.

    A `*` in the file's name is any text.
    """
    place = Path(path).resolve()
    name = place.name.replace("[", "[[]")[:100]
    for part in place.parent.glob(f".{name}.????????.part"):
        part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Force the rename itself to disk; Windows has no handle on a folder and orders renames by its journal."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
