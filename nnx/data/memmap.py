"""Arrays on disk that are larger than memory: NPY files, read a batch at a time and written a batch at a time.

A file is mapped into the address space, so that what is read stays the operating system's to keep or to drop. Rows are
read in the order in which they lie, and asked for together before (the system's own guess at what comes next reads
eight times as much for rows of 64 kB here and there). The pages that a gather has touched are given back after some
megabytes of them: what the process holds is bounded, whatever the size of the file, and a second read still finds them
in the system's cache.
"""

import io
import math
import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from nnx.data.checks import Array, to_host
from nnx.data.dataset import Rows
from nnx.data.files import claimed

__all__ = ["MemmapDataset", "open_npy", "write_npy"]

HELD = 32 << 20
"""Bytes of touched pages after which they are given back."""

NEARBY = 1 << 16
"""Bytes that the system maps around a page that is touched, at the most (16 pages of 4 kB)."""


def open_npy(path: str | os.PathLike[str]) -> "np.memmap[Any, Any]":
    """The array in a .npy file, mapped and not read: it may be larger than memory. It cannot be written to.

    Raises ValueError for a file that is no .npy file, that holds Python objects, or that has fewer bytes than its
    header claims, or more: before anything of it is read.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_npy(f"{folder}/x.npy", ([[k, 2 * k]] for k in range(3)))
    ...     open_npy(f"{folder}/x.npy").sum(axis=0).tolist()
    3
    [3, 6]
    """
    place = Path(path)
    with place.open("rb") as file:
        try:
            shape, order, dtype = claimed(file, place.stat().st_size)
            if dtype.kind not in "biufc":
                raise ValueError(f"its header says {dtype}")
        except (ValueError, EOFError, OverflowError, RecursionError, MemoryError) as error:
            raise ValueError(
                f"{place}: expected a .npy file of plain numbers, got one that cannot be read ({error}): write it with "
                f"numpy.save or nnx.data.write_npy"
            ) from error
        offset, wanted = file.tell(), math.prod(shape) * dtype.itemsize
    there = place.stat().st_size - offset
    if there != wanted:
        raise ValueError(
            f"{place}: expected {wanted} bytes of {dtype} for the shape {shape} of its header, got {there}: it was cut "
            f"short or damaged; write it anew"
        )
    if not wanted:
        raise ValueError(f"{place}: expected numbers to map, got an array of shape {shape}, which holds none")
    return np.memmap(place, dtype, "r", offset, shape, order)


class MemmapDataset:
    """.npy files side by side, larger than memory: sample i is the tuple of their rows i, as for ArrayDataset.

    paths: .npy files (n, ...), or arrays of open_npy; C order, of one length. Raises ValueError for others, and for a
    file that has become shorter since it was opened. Batches are gathered in the order in which the rows lie on disk,
    and handed out in the order that was asked for; `DataLoader(..., shuffle=True, shuffle_block=4096)` reads whole
    stretches of the file. Between batches at most some tens of megabytes stay mapped (not on Windows, where the system
    alone decides); a sample by its index is a view of the file.
    """

    def __init__(self, *paths: "str | os.PathLike[str] | np.memmap[Any, Any]") -> None:
        self.arrays = tuple(a if isinstance(a, np.memmap) else open_npy(a) for a in paths)
        if not self.arrays:
            raise ValueError("expected at least one file, got none: MemmapDataset('x.npy', 'y.npy')")
        for a in self.arrays:
            if a.ndim == 0 or not a.flags.c_contiguous:
                raise ValueError(
                    f"{a.filename}: expected rows that lie one after the other (C order), got shape {a.shape}"
                    f"{'' if a.ndim == 0 else ' in Fortran order'}: write it with nnx.data.write_npy"
                )
        if len({len(a) for a in self.arrays}) > 1:
            found = ", ".join(f"{a.filename} {len(a)}" for a in self.arrays)
            raise ValueError(f"expected files of one length, got {found}: each row is one sample")
        self._mapped = [_Mapped(a) for a in self.arrays]
        self._touched = 0

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return tuple(a[index] for a in self.arrays)

    def gather(self, rows: Rows) -> tuple[Array, ...]:
        """The samples at `rows` as one batch in memory, a copy: an array (len(rows), ...) for each of the files."""
        order = np.argsort(rows, kind="stable")
        return tuple(self._gathered(mapped, rows, order) for mapped in self._mapped)

    def _gathered(self, mapped: "_Mapped", rows: Rows, order: Rows) -> Array:
        mapped.check_size()
        a = mapped.array
        found = np.empty((len(rows), *a.shape[1:]), a.dtype.newbyteorder("="))
        row = a.nbytes // len(a)
        most = max(1, HELD // (row + NEARBY))
        for step in range(0, len(rows), most):  # a batch may be larger than what is to be held
            places = order[step : step + most]
            wanted = rows[places]
            mapped.ask_for(wanted)
            if (np.diff(wanted) == 1).all():
                found[places] = a[wanted[0] : wanted[-1] + 1]
                self._touched += len(wanted) * row + NEARBY
            else:
                found[places] = a.take(wanted, axis=0)
                self._touched += len(wanted) * (row + NEARBY)
            if self._touched > HELD:
                self._touched = 0
                for each in self._mapped:
                    each.give_back()
        return found


class _Mapped:
    """A mapped array, and what the system is told about its pages; nothing where it cannot be told (Windows)."""

    def __init__(self, array: "np.memmap[Any, Any]") -> None:
        self.array = array
        found = getattr(array, "_mmap", None)
        self.map = found if isinstance(found, mmap.mmap) else None
        own = array.mode == "c"  # copy on write: what the user has written there would be given back, too
        self.advice = self.map if hasattr(mmap, "MADV_DONTNEED") and not own else None
        self.row = array.nbytes // len(array)
        if self.map is not None:
            self.start = array.ctypes.data - np.frombuffer(self.map, np.uint8).ctypes.data
        if self.advice is not None:
            self.advice.madvise(mmap.MADV_RANDOM)  # no guesses: what is read has been asked for

    def check_size(self) -> None:
        """Raises ValueError where the file has been cut since: to read what is gone would end the process."""
        if self.map is not None and self.map.size() < len(self.map):
            raise ValueError(
                f"{self.array.filename}: expected {len(self.map)} bytes, as when it was opened, got {self.map.size()}: "
                f"another process has written to it; open it again"
            )

    def ask_for(self, rows: Rows) -> None:
        """Have sorted rows read from the disk, all at once. Raises IndexError for one that is not there."""
        if len(rows) and not 0 <= rows[0] <= rows[-1] < len(self.array):
            raise IndexError(f"expected rows from 0 to {len(self.array) - 1}, got {rows[0]} to {rows[-1]}")
        if self.advice is None:
            return
        begins = np.flatnonzero(np.diff(rows, prepend=-2) > 1)
        ends = [*begins[1:].tolist(), len(rows)]
        for first, last in zip(begins.tolist(), ends, strict=False):
            start = self.start + int(rows[first]) * self.row
            page = start - start % mmap.PAGESIZE
            stop = self.start + (int(rows[last - 1]) + 1) * self.row
            self.advice.madvise(mmap.MADV_WILLNEED, page, stop - page)

    def give_back(self) -> None:
        """Unmap the pages; they are clean, and stay in the system's cache."""
        if self.advice is not None:
            self.advice.madvise(mmap.MADV_DONTNEED)


def write_npy(path: str | os.PathLike[str], batches: Iterable[Any], dtype: str | None = None) -> int:
    """Write arrays one after the other into one .npy file, as if they were concatenated; how many rows there are.

    batches: arrays (n, ...) of any backend, all with the same shape behind n; one is in memory at a time
    dtype: None for the first one's; none may change its kind (float to int, say)
    The file is there whole or not at all: it is written beside its place, forced to disk, and renamed into it.
    Raises ValueError for no batches, or for one that does not fit the first; what was at `path` is then as it was.
    """
    place = Path(path).resolve()
    part = place.with_name(f".{place.name[:100]}.{os.urandom(4).hex()}.part")
    try:
        with part.open("xb") as file:
            rows = _append(file, batches, dtype, place)
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)
    except BaseException:  # a KeyboardInterrupt too must leave nothing behind
        part.unlink(missing_ok=True)
        raise
    return rows


def _append(file: Any, batches: Iterable[Any], dtype: str | None, place: Path) -> int:
    rows, kind, inner, start = 0, None, (), 0
    for number, batch in enumerate(batches):
        array = to_host(batch)
        if array.ndim == 0 or array.dtype.kind in "OUSMmV":
            raise ValueError(f"{place}: expected batches (n, ...) of numbers, got {array.dtype} of shape {array.shape}")
        if kind is None:
            kind, inner = np.dtype(dtype or array.dtype).newbyteorder("="), array.shape[1:]
            start = file.write(_header(kind, 0, inner))
        if array.shape[1:] != inner or not np.can_cast(array.dtype, kind, "same_kind"):
            raise ValueError(
                f"{place}: expected each batch as the first, (n, {', '.join(map(str, inner))}) of {kind}, got batch "
                f"{number} of shape {array.shape}, {array.dtype}"
            )
        file.write(np.ascontiguousarray(array, kind).data if array.size else b"")
        rows += len(array)
    if kind is None:
        raise ValueError(f"{place}: expected at least one batch to write, got none")
    header = _header(kind, rows, inner)
    assert len(header) == start, "NumPy leaves room for a growing first axis"
    file.seek(0)
    file.write(header)
    return rows


def _header(dtype: "np.dtype[Any]", rows: int, inner: tuple[int, ...]) -> bytes:
    held = io.BytesIO()
    description = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (rows, *inner)}
    np.lib.format.write_array_header_1_0(held, description)
    return held.getvalue()
