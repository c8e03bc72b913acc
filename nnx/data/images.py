"""A folder of images, one subfolder a class (torchvision's ImageFolder), read by Pillow (extra `images`)."""

import importlib
import pathlib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.data.checks import Array
from nnx.data.packed import Path
from nnx.data.table import Table

__all__ = ["read_image_folder", "read_images"]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
CHANNELS = {1: ("gray",), 3: ("red", "green", "blue")}
DEEP = ("I;16", "I;16B", "I;16L", "I")
"""Modes of 16 bits a pixel, of gray."""


def read_image_folder(path: Path, size: tuple[int, int] | None = None, channels: int | None = None) -> Table:
    """The images below `path`, whose subfolders are the classes, in sorted order; y numbers these.

    size: (h, w) that every image is resized to (bilinear, antialiased); None: all must have one size
    channels: 1 (gray) or 3 (RGB); None: 1 if all are gray, else 3
    Returns x (n, c, h, w) float32 in [0, 1]. A photo's own note on how it was held (EXIF) is followed; transparency is
    dropped; files and folders whose name begins with a dot, and files that are no images by name, are left out.
    Raises ModuleNotFoundError without Pillow, ValueError for a folder without classes, a class without images, a
    damaged image, images of several sizes.
    """
    root = pathlib.Path(path)
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not folders:
        raise ValueError(f"{path}: expected one subfolder a class with its images in it, got a folder without any")
    files = [images_in(folder) for folder in folders]
    if empty := [folder.name for folder, found in zip(folders, files, strict=True) if not found]:
        raise ValueError(
            f"{path}: expected images ({', '.join(SUFFIXES)}) in every subfolder, got none in {', '.join(empty)}"
        )
    x = read_images([file for found in files for file in found], size, channels)
    y = np.repeat(np.arange(len(folders), dtype=np.int64), [len(found) for found in files])
    return Table(x, y, CHANNELS[x.shape[1]], tuple(folder.name for folder in folders))


def images_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """The images in a folder and those below it, in sorted order."""
    found = (file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    return sorted(f for f in found if f.is_file() and not any(p.startswith(".") for p in f.relative_to(folder).parts))


def read_images(files: Sequence[Path], size: tuple[int, int] | None = None, channels: int | None = None) -> Array:
    """Images as one array (n, c, h, w), float32 in [0, 1]: see read_image_folder."""
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1 (gray) or 3 (RGB), got {channels}")
    if not files:
        raise ValueError("expected at least one image, got no file")
    read = [_image(file, size, channels) for file in files]
    shapes = {image.shape[1:]: file for file, image in zip(files, read, strict=True)}
    if len(shapes) > 1:
        (one, first), (other, second) = list(shapes.items())[:2]
        raise ValueError(
            f"expected images of one size, got {one[0]} × {one[1]} ({first}) and {other[0]} × {other[1]} ({second}), "
            f"{len(shapes)} sizes in all (height × width): choose one, size=(h, w), on the command line --image-size"
        )
    most = max(image.shape[0] for image in read)
    x = np.empty((len(read), most, *read[0].shape[1:]), dtype=np.float32)
    for place, image in zip(x, read, strict=True):
        place[...] = image  # a gray one among coloured ones has three channels alike
        place /= np.float32(65535 if image.dtype == np.uint16 else 255)
    return x


def _image(file: Path, size: tuple[int, int] | None, channels: int | None) -> Array:
    """One image as whole numbers (c, h, w)."""
    pillow, ops = _pillow("PIL.Image"), _pillow("PIL.ImageOps")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            warnings.simplefilter("ignore", UserWarning)  # of metadata that nobody asked for
            with pillow.open(file) as opened:
                image = ops.exif_transpose(opened)
                image.load()
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # of damaged bytes each format makes errors of its own
        raise ValueError(f"{file}: expected an image, got a file that cannot be read ({error}): remove it") from error
    if image.mode == "F":
        raise ValueError(f"{file}: expected 8 or 16 bits a pixel, got floating numbers: scale and save it as PNG")
    if image.mode in DEEP and channels != 3:
        image = _resized(pillow, image.convert("I").convert("F"), size)
        deep: Array = np.clip(np.rint(np.asarray(image)), 0, 65535).astype(np.uint16)
        return deep[None]
    gray = channels == 1 or (channels is None and image.mode in ("1", "L", "LA"))
    if image.mode == "P" and isinstance(image.info.get("transparency"), bytes):
        image = image.convert("RGBA")  # as Pillow asks for with a warning
    image = _resized(pillow, _without_depth(pillow, image).convert("L" if gray else "RGB"), size)
    pixels: Array = np.asarray(image, dtype=np.uint8)
    return pixels[None] if gray else np.moveaxis(pixels, -1, 0)


def _without_depth(pillow: Any, image: Any) -> Any:
    """8 bits of 16: Pillow's own conversion cuts off above 255."""
    if image.mode not in DEEP:
        return image
    return pillow.fromarray((np.asarray(image.convert("I")).clip(0, 65535) // 257).astype(np.uint8))


def _resized(pillow: Any, image: Any, size: tuple[int, int] | None) -> Any:
    if size is None or (image.height, image.width) == tuple(size):
        return image
    return image.resize((size[1], size[0]), pillow.Resampling.BILINEAR)


def _pillow(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "images are read by Pillow, which is not installed: pip install 'nnx-array[images]'"
        ) from error
