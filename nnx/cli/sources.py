"""Where data comes from: built-in sets, tables, arrays, IDX files and folders of images, all as one kind of Source."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnx.cli.arrays import Source, idx, is_idx, npz, size_of, sized

__all__ = ["BUILT_IN", "Source", "read", "table_suffix"]

TABLES = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}


def digits() -> Source:
    """Images 8 × 8."""
    from nnx import data

    return Source("digits", *data.digits(flatten=False), classes=tuple("0123456789"), target="digit")


def fashion_mnist() -> Source:
    """Images 28 × 28, and a test part of their own."""
    from nnx import data

    (x, y), test = data.fashion_mnist(flatten=False)
    names = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
    return Source("fashion-mnist", x, y, classes=tuple(names), target="article", test=test)


BUILT_IN: dict[str, Callable[[], Source]] = {"digits": digits, "fashion-mnist": fashion_mnist}
"""The sets that have a name."""


def read(args: argparse.Namespace, labelled: bool = True, channels: int | None = None) -> Source:
    """The data of some settings (data, labels, target, columns, task, image_size, files).

    labelled: whether it must have a target; else there may be none   channels: that images are made
    Raises ValueError, FileNotFoundError, ModuleNotFoundError: each message names the file.
    """
    if args.data in BUILT_IN:
        return sized(BUILT_IN[args.data](), args.image_size)
    path = place(args, "data")
    if path.is_dir():
        return _folder(path, args, labelled, channels)
    kind = table_suffix(path)
    if kind is not None:
        return _table(kind, path, args, labelled)
    if path.suffix == ".npz":
        return sized(npz(path, labelled), args.image_size)
    if path.is_file() and is_idx(path):
        return sized(idx(path, _labels_of(path, args) if labelled else None), args.image_size)
    if path.is_file() and not labelled:
        return _images([path], args, channels)
    raise ValueError(
        f"--data {args.data}: expected {', '.join(BUILT_IN)}, a .csv, .parquet or .npz file, an IDX file of images, "
        "or a folder of images with a subfolder for each class"
    )


def table_suffix(path: Path) -> str | None:
    """csv or parquet, by the file's name; x.csv.gz is csv."""
    return TABLES.get(Path(path.stem).suffix if path.suffix == ".gz" else path.suffix)


def place(args: argparse.Namespace, option: str) -> Path:
    """The file of an option: where it was when the run began, or where it is now. Raises FileNotFoundError."""
    given = Path(vars(args)[option])
    places = [Path(args.files[option])] if option in args.files else []
    for path in (*places, given):
        if path.exists():
            return path
    known = table_suffix(given) is not None or given.suffix in (".npz", ".gz") or len(given.parts) > 1
    if option == "data" and not known:
        raise ValueError(
            f"--data {given}: expected {', '.join(BUILT_IN)}, a .csv, .parquet or .npz file, an IDX file or a "
            f"folder of images: there is none of that name in {Path.cwd()}"
        )
    raise FileNotFoundError(f"--{option} {given}: there is no such file in {Path.cwd()}: give its whole path")


# ---- tables ----------------------------------------------------------------------------------------------------------


def _table(kind: str, path: Path, args: argparse.Namespace, labelled: bool) -> Source:
    from nnx import data

    given = args.target
    column: Any = (-1 if labelled else None) if given is None else int(given) if given.lstrip("-").isdigit() else given
    how = {"target": column, "classes": True if args.task == "classification" else None, "columns": args.columns}
    found = data.read_csv(path, **how) if kind == "csv" else data.read_parquet(path, **how)
    name = given if isinstance(column, str) else None
    return Source(str(path), found.x, found.y, found.columns, found.classes, name)


def _labels_of(path: Path, args: argparse.Namespace) -> Path:
    """The IDX file of the labels. Raises ValueError if it is neither named nor beside the images' one."""
    if args.labels is not None:
        return place(args, "labels")
    beside = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
    if beside == path or not beside.is_file():
        raise ValueError(f"{path}: an IDX file of images has its labels in another one: name it with --labels")
    return beside


# ---- images ----------------------------------------------------------------------------------------------------------


def _folder(path: Path, args: argparse.Namespace, labelled: bool, channels: int | None) -> Source:
    from nnx import data
    from nnx.data.images import images_in

    if not labelled:
        return _images(images_in(path), args, channels, path)
    found = data.read_image_folder(path, size_of(args.image_size), channels)
    return Source(str(path), found.x, found.y, classes=found.classes, target="class")


def _images(files: list[Path], args: argparse.Namespace, channels: int | None, folder: Path | None = None) -> Source:
    """Images without labels, by name."""
    from nnx import data

    if not files:
        raise ValueError(f"{folder}: expected images, got a folder without any")
    names = tuple(str(file if folder is None else file.relative_to(folder)) for file in files)
    return Source(str(folder or files[0]), data.read_images(files, size_of(args.image_size), channels), files=names)
