"""Two data sets to begin with: digits, shipped inside of the package, and Fashion-MNIST, found on disk or fetched."""

import os
from pathlib import Path

import numpy as np

from nnx.data.checks import Array
from nnx.data.files import read_idx

__all__ = ["DatasetMissing", "digits", "fashion_mnist"]

Pair = tuple[Array, Array]

FASHION_MNIST = {  # sha256 of the decompressed files
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
FASHION_MNIST_URL = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


class DatasetMissing(FileNotFoundError):
    """A data set is on none of the places it is looked for; the message names them and says how to get it."""


def digits(flatten: bool = True) -> Pair:
    """1,797 handwritten digits of 8x8 pixels: images float32 in [0, 1], labels int64 from 0 to 9.

    images: (1797, 64), or (1797, 1, 8, 8) with flatten=False   labels: (1797,)
    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998,
    https://doi.org/10.24432/C50P49 (CC BY 4.0); its test part.

    >>> images, labels = digits()
    >>> images.shape, float(images.max()), labels[:3].tolist()
    ((1797, 64), 1.0, [0, 1, 2])
    """
    import gzip
    from importlib.resources import files

    packed = files("nnx.data").joinpath("assets", "digits.csv.gz").read_bytes()
    rows = gzip.decompress(packed).decode("ascii").split()
    table = np.array([row.split(",") for row in rows], dtype=np.float32)
    images = table[:, :-1] / np.float32(16)  # pixels are counts from 0 to 16
    return images if flatten else images.reshape(-1, 1, 8, 8), table[:, -1].astype(np.int64)


def fashion_mnist(
    root: str | os.PathLike[str] | None = None, flatten: bool = True, download: bool = False
) -> tuple[Pair, Pair]:
    """(images, labels) to train on (60,000) and to test on (10,000): articles of clothing, 28x28, ten classes.

    images: float32 in [0, 1], (n, 784), or (n, 1, 28, 28) with flatten=False   labels: (n,) int64 from 0 to 9
    root: the folder of the four IDX files (plain or .gz); None: the first of $NNX_DATA/fashion-mnist, $NNX_DATA, the
    cache (~/.cache/nnx/fashion-mnist), /usr/share/datasets/fashion-mnist. download: fetch what is missing into root,
    or the first of these. Raises DatasetMissing, or ValueError if a file is not the original.
    Source: Xiao, Rasul, Vollgraf 2017, https://github.com/zalandoresearch/fashion-mnist (MIT).
    """
    places = [Path(root)] if root is not None else _places()
    folder = next((place for place in places if all(_find(place, name) for name in FASHION_MNIST)), None)
    if folder is None and download:
        folder = places[0]
        _fetch(folder)
    if folder is None:
        raise DatasetMissing(
            f"expected Fashion-MNIST's files {', '.join(FASHION_MNIST)} (or .gz) in one of "
            f"{', '.join(map(str, places))}, found them in none: on Debian `apt install dataset-fashion-mnist`, or "
            f"name their folder in NNX_DATA, or use download=True (31 MB)"
        )
    images_train, labels_train, images_test, labels_test = (_verified(folder, name) for name in FASHION_MNIST)
    return _pair(images_train, labels_train, flatten), _pair(images_test, labels_test, flatten)


def _places() -> list[Path]:
    data = os.environ.get("NNX_DATA")
    own = [Path(data) / "fashion-mnist", Path(data)] if data else []
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [*own, cache / "nnx" / "fashion-mnist", DEBIAN]


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _verified(folder: Path, name: str) -> Array:
    """The array of one file, whose decompressed bytes are the original's: MNIST's files bear the same names."""
    import hashlib

    path = _find(folder, name)
    assert path is not None
    array = read_idx(path)
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    found = hashlib.sha256(header + array.tobytes()).hexdigest()
    if found != FASHION_MNIST[name]:
        raise ValueError(
            f"{path}: expected Fashion-MNIST's file, sha256 {FASHION_MNIST[name]}, got {found}: another data set, or a "
            f"damaged file; remove it, or name another folder in root or NNX_DATA"
        )
    return array


def _pair(images: Array, labels: Array, flatten: bool) -> Pair:
    scaled = images.astype(np.float32)
    scaled /= np.float32(255)
    n, height, width = images.shape
    return scaled.reshape((n, height * width) if flatten else (n, 1, height, width)), labels.astype(np.int64)


def _fetch(folder: Path) -> None:
    """The missing files from the set's home, each put in its place only when it is whole and its sum is right."""
    import gzip
    import hashlib
    import urllib.request
    import zlib

    folder.mkdir(parents=True, exist_ok=True)
    for name, expected in FASHION_MNIST.items():
        if _find(folder, name):
            continue
        url = f"{FASHION_MNIST_URL}{name}.gz"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                packed = answer.read()
            found = hashlib.sha256(gzip.decompress(packed)).hexdigest()
        except (OSError, EOFError, zlib.error) as error:
            raise DatasetMissing(f"expected to fetch {url}, got {error}: see fashion_mnist for other ways") from error
        if found != expected:
            raise DatasetMissing(f"expected sha256 {expected} of {url}, decompressed, got {found}: nothing was kept")
        part = folder / f"{name}.gz.{os.getpid()}.part"
        part.write_bytes(packed)
        part.replace(folder / f"{name}.gz")
