"""Arrays as data: NPZ and IDX files, images of any layout as (n, c, h, w), and the Source that all data becomes."""

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Source", "fingerprint", "idx", "images_of", "is_idx", "npz", "size_of", "sized"]


@dataclass(frozen=True)
class Source:
    """Data as it was read.

    x: (n, features) or images (n, c, h, w), float32   y: (n,) numbers; labels if there are `classes`; None
    columns: the features' names, of a table   target: the label's name   test: (x, y) that come as a test part
    files: the names of the images, of a folder
    """

    name: str
    x: Any
    y: Any = None
    columns: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    target: str | None = None
    test: tuple[Any, Any] | None = None
    files: tuple[str, ...] | None = None


def fingerprint(source: Source) -> int:
    """A number that tells data apart: the CRC-32 of x and y."""
    crc = 0
    for name, array in (("x", source.x), ("y", source.y)):
        crc = zlib.crc32(f"{name} {array.shape} {array.dtype}".encode(), crc)
        crc = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data, crc)
    return crc


def npz(path: Path, labelled: bool) -> Source:
    """x and y of an .npz file; without labels x alone, or the array of an .npy file. Raises ValueError."""
    from nnx import data

    arrays = data.read_npz(path)
    if "array" in arrays and not labelled:
        arrays = {"x": arrays["array"]}
    if missing := ({"x", "y"} if labelled else {"x"}) - arrays.keys():
        raise ValueError(f"{path}: expected arrays x and y, missing {sorted(missing)}, found {sorted(arrays)}")
    x, y = arrays["x"], arrays.get("y")
    if x.ndim < 2 or x.dtype.kind not in "biuf" or not len(x):
        raise ValueError(f"{path}: expected x (n, ...) of real numbers, got x {x.shape} of {x.dtype}: one row a sample")
    if y is not None and y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y is not None and (y.ndim != 1 or not len(y) or y.dtype.kind not in "biufU"):
        raise ValueError(
            f"{path}: expected y (n,) of whole numbers or names, which are classes, or of other real numbers, got y "
            f"{y.shape} of {y.dtype}: one label or value a sample"
        )
    if y is not None and y.dtype.kind == "U":
        names, y = np.unique(y, return_inverse=True)
        return Source(str(path), images_of(path, x), y.astype("int64"), classes=tuple(map(str, names)))
    return Source(str(path), images_of(path, x), y)


def images_of(path: Path, x: Any) -> Any:
    """Rows as they are; more axes as images (n, c, h, w), bytes from 0 to 255 as numbers from 0 to 1."""
    if x.ndim == 4 and x.shape[1] not in (1, 3, 4) and x.shape[3] in (1, 3, 4):
        x = np.moveaxis(x, 3, 1)
    x = x[:, None] if x.ndim == 3 else x
    if x.ndim not in (2, 4):
        raise ValueError(f"{path}: expected rows (n, features) or images (n, h, w), (n, c, h, w), got {x.shape}")
    scaled = np.ascontiguousarray(x, dtype=np.float32)
    return scaled / np.float32(255) if x.ndim == 4 and x.dtype == np.uint8 else scaled


def is_idx(path: Path) -> bool:
    """Whether the file begins as an IDX file does, gzip'ed or not."""
    with path.open("rb") as file:
        first = file.read(2)
        file.seek(0)
        if first == b"\x1f\x8b":
            try:
                with gzip.open(file) as stream:
                    first = stream.read(2)
            except (OSError, EOFError, zlib.error):
                return True  # whose reader says what is wrong
    return first == b"\0\0"


def idx(path: Path, labels: Path | None) -> Source:
    """An IDX file of images; with a file of labels, their numbers. Raises ValueError."""
    from nnx import data

    x = data.read_idx(path)
    if x.ndim < 2 or not len(x):
        raise ValueError(f"{path}: expected an IDX file of images, got shape {x.shape}: is it that of the labels?")
    if labels is None:
        return Source(str(path), images_of(path, x))
    y = data.read_idx(labels)
    if y.ndim != 1 or y.dtype.kind not in "iuf":
        raise ValueError(f"{labels}: expected labels (n,), got shape {y.shape} of {y.dtype}: is it that of the images?")
    return Source(str(path), images_of(path, x), y)


def size_of(given: Sequence[int] | None) -> tuple[int, int] | None:
    """(h, w) of --image-size. Raises ValueError for more than two numbers."""
    if given is None:
        return None
    if len(given) not in (1, 2):
        raise ValueError(f"--image-size {' '.join(map(str, given))}: expected a side, or height and width, e.g. 28")
    return given[0], given[-1]


def sized(source: Source, given: Sequence[int] | None) -> Source:
    """Images of arrays, resized (bilinear). Raises ValueError for what are no images."""
    size = size_of(given)
    if size is None:
        return source
    if source.x.ndim != 4:
        raise ValueError(f"{source.name}: --image-size is for images, got rows of {source.x.shape[1]} features")
    test = None if source.test is None else (resized(source.test[0], size), source.test[1])
    return replace(source, x=resized(source.x, size), test=test)


def resized(x: Any, size: tuple[int, int]) -> Any:
    """Images (n, c, h, w) of another size, a thousand at a time."""
    from nnx.functional import interpolate

    if x.shape[2:] == size:
        return x
    parts = [interpolate(x[k : k + 1000], size, mode="bilinear") for k in range(0, len(x), 1000)]
    return np.concatenate(parts)
