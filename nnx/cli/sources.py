"""Where data comes from: built-in sets, tables, arrays, IDX files and folders of images, all as one kind of Source."""

import argparse
from pathlib import Path
from typing import Any

from nnx.cli.arrays import Source, idx, is_idx, npz, size_of, sized
from nnx.cli.builtin import BUILT_IN, load

__all__ = ["BUILT_IN", "Source", "read", "table_suffix"]

TABLES = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet"}


def read(args: argparse.Namespace, labelled: bool = True, channels: int | None = None) -> Source:
    """The data of some settings (data, labels, target, columns, task, image_size, files).

    labelled: whether it must have a target; else there may be none   channels: that images are made
    Raises ValueError, FileNotFoundError, ModuleNotFoundError: each message names the file.
    """
    if args.data in BUILT_IN:
        _check_used(args, f"the set {args.data}", "image_size")
        return sized(load(args.data), args.image_size)
    path = place(args, "data")
    if path.is_dir():
        _check_used(args, "folders of images", "image_size")
        return _folder(path, args, labelled, channels)
    kind = table_suffix(path)
    if kind is not None:
        _check_used(args, "tables", "target", "columns", "delimiter")
        return _table(kind, path, args, labelled)
    if path.suffix in (".npz", ".npy"):
        _check_used(args, ".npz files, whose arrays are x and y", "image_size")
        return sized(npz(path, labelled), args.image_size)
    if path.is_file() and is_idx(path):
        _check_used(args, "IDX files", "labels", "image_size")
        return sized(idx(path, _labels_of(path, args) if labelled else None), args.image_size)
    if path.is_file() and not labelled:
        return _images([path], args, channels)
    raise ValueError(
        f"--data {args.data}: expected {', '.join(BUILT_IN)}, a .csv, .parquet or .npz file, an IDX file of images, "
        "or a folder of images with a subfolder for each class"
    )


def _check_used(args: argparse.Namespace, kind: str, *used: str) -> None:
    """Raises ValueError for an option that this kind of data has no use for."""
    others = {"labels": None, "target": None, "columns": None, "delimiter": ",", "image_size": None}
    for name, unset in others.items():
        if name not in used and vars(args)[name] != unset:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"--data {args.data}: {option} is not for {kind}: leave it out")


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
    column: Any = given
    if given is None:
        column = -1 if labelled else None
    elif given.lstrip("-").isdigit():
        column = int(given)
    how: dict[str, Any] = {"target": column, "columns": args.columns}
    how["classes"] = True if args.task == "classification" else None
    if kind == "csv":
        found = data.read_csv(path, delimiter=args.delimiter, **how)
    else:
        found = data.read_parquet(path, **how)
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
