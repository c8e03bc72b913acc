"""Data sets to begin with, as arrays: shipped inside of a package, found on disk, or fetched (see catalog.py)."""

import os
from pathlib import Path

import numpy as np

from nnx.data.catalog import IDX, entry, located
from nnx.data.checks import Array
from nnx.data.files import read_idx
from nnx.data.places import DatasetMissing
from nnx.data.table import read_csv

__all__ = ["abalone", "cifar10", "diabetes", "digits", "fashion_mnist", "iris", "kmnist", "mnist"]

Pair = tuple[Array, Array]
Root = str | os.PathLike[str] | None


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


# ---- images that are fetched -----------------------------------------------------------------------------------------


def mnist(root: Root = None, flatten: bool = True, download: bool = False) -> tuple[Pair, Pair]:
    """(images, labels) to train on (60,000) and to test on (10,000): handwritten digits, 28x28, ten classes.

    images: float32 in [0, 1], (n, 784), or (n, 1, 28, 28) with flatten=False   labels: (n,) int64 from 0 to 9
    root: the folder of the four IDX files; None: the first that has them of $NNX_DATA/mnist, $NNX_DATA, the cache
    (~/.cache/nnx/mnist). download: fetch what is missing into root, or the first of these (11 MB).
    Raises DatasetMissing, or ValueError if a file is not the original.
    Source: LeCun, Cortes, Burges 1998, http://yann.lecun.com/exdb/mnist/ (CC BY-SA 3.0).
    """
    return _idx_pairs("mnist", root, flatten, download)


def fashion_mnist(root: Root = None, flatten: bool = True, download: bool = False) -> tuple[Pair, Pair]:
    """Articles of clothing in MNIST's form; arguments and results are mnist's.

    root: the files may be unpacked (without .gz), too; None looks into /usr/share/datasets/fashion-mnist at last, where
    Debian's package dataset-fashion-mnist puts them. download: 31 MB.
    Source: Xiao, Rasul, Vollgraf 2017, https://github.com/zalandoresearch/fashion-mnist (MIT).
    """
    return _idx_pairs("fashion-mnist", root, flatten, download)


def kmnist(root: Root = None, flatten: bool = True, download: bool = False) -> tuple[Pair, Pair]:
    """Cursive Japanese characters in MNIST's form; arguments and results are mnist's. download: 21 MB.

    Source: Clanuwat et al. 2018, https://github.com/rois-codh/kmnist (CC BY-SA 4.0, CODH).
    """
    return _idx_pairs("kmnist", root, flatten, download)


def cifar10(root: Root = None, flatten: bool = False, download: bool = False) -> tuple[Pair, Pair]:
    """(images, labels) to train on (50,000) and to test on (10,000): photographs in colour, 32x32, ten classes.

    images: float32 in [0, 1], (n, 3, 32, 32), or (n, 3072) with flatten=True   labels: (n,) int64 from 0 to 9
    root: the folder of cifar-10-binary.tar.gz; None as for mnist. download: 170 MB.
    Raises DatasetMissing, or ValueError if the file is not the original.
    Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html (no licence is stated).
    """
    import tarfile

    row = entry("cifar10")
    with tarfile.open(row.path(row.folder(root, download), 0)) as archive:
        parts = {}
        for member in archive:
            name = Path(member.name).name
            if name.endswith("_batch.bin") or name.startswith("data_batch_"):
                file = archive.extractfile(member)
                assert file is not None
                parts[name] = np.frombuffer(file.read(), np.uint8).reshape(-1, 1 + 3072)
    train = np.concatenate([parts[f"data_batch_{k}.bin"] for k in range(1, 6)])
    return _cifar_pair(train, flatten), _cifar_pair(parts["test_batch.bin"], flatten)


def _cifar_pair(rows: Array, flatten: bool) -> Pair:
    """rows: (n, 1 + 3072), a label and an image each."""
    return _pair(rows[:, 1:].reshape(-1, 3, 32, 32), rows[:, 0], flatten)


def _idx_pairs(name: str, root: Root, flatten: bool, download: bool) -> tuple[Pair, Pair]:
    folder = entry(name).folder(root, download)
    x, y, x_test, y_test = (_idx_file(name, folder, number) for number in range(len(IDX)))
    return _pair(x[:, None], y, flatten), _pair(x_test[:, None], y_test, flatten)


def _idx_file(name: str, folder: Path, number: int) -> Array:
    """The array of one file, which is the original: the files of these sets bear the same names."""
    import hashlib

    row = entry(name)
    file = row.files[number]
    if not file.sum.unpacked:
        return read_idx(row.path(folder, number))
    path = located(folder, file) or folder / file.name
    array = read_idx(path)  # unpacked once: its sum is made of what was read
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    found = hashlib.sha256(header + array.tobytes()).hexdigest()
    if found != file.sum.value:
        raise row.another(path, f"expected sha256 {file.sum.value} of what it holds, got {found}")
    return array


def _pair(images: Array, labels: Array, flatten: bool) -> Pair:
    scaled = images.astype(np.float32)
    scaled /= np.float32(255)
    return scaled.reshape(len(scaled), -1) if flatten else scaled, labels.astype(np.int64)


# ---- tables ----------------------------------------------------------------------------------------------------------


def iris(root: Root = None, download: bool = False) -> Pair:
    """150 flowers of three species (setosa, versicolor, virginica), four lengths in cm: a table for a first classifier.

    returns (x, y): (150, 4) float32, (150,) int64 from 0 to 2   root, download: as for mnist (5 kB)
    Source: R. A. Fisher 1936, UCI Machine Learning Repository, https://doi.org/10.24432/C56C76 (CC BY 4.0).
    """
    row = entry("iris")
    table = read_csv(row.path(row.folder(root, download), 0), target=-1, header=False)
    assert table.y is not None
    return table.x, table.y


def abalone(root: Root = None, download: bool = False) -> Pair:
    """4,177 shells, whose rings (1 to 29, the age less a year and a half) are to be told from sex, lengths and weights.

    returns (x, y): (4177, 10) float32, the sex one-hot (female, infant, male) before the seven numbers (mm and grams,
    over 200); (4177,) float32   root, download: as for mnist (192 kB)
    Source: Nash et al. 1994, UCI Machine Learning Repository, https://doi.org/10.24432/C55C7W (CC BY 4.0).
    """
    row = entry("abalone")
    text = row.path(row.folder(root, download), 0).read_text("ascii")
    cells = np.array([line.split(",") for line in text.split()])
    numbers = cells[:, 1:].astype(np.float32)
    sex = (cells[:, :1] == np.array([["F", "I", "M"]])).astype(np.float32)
    return np.concatenate([sex, numbers[:, :-1]], axis=1), numbers[:, -1]


def diabetes() -> Pair:
    """442 patients, whose illness a year later (25 to 346) is to be told from age, sex, body mass, pressure and blood.

    returns (x, y): (442, 10) float32, each column with mean 0 and a sum of squares of 1; (442,) float32
    Shipped inside of scikit-learn. Raises DatasetMissing where that is not installed.
    Source: Efron, Hastie, Johnstone, Tibshirani 2004, https://doi.org/10.1214/009053604000000067.
    """
    try:
        from sklearn.datasets import load_diabetes
    except ImportError as error:
        raise DatasetMissing(
            "expected scikit-learn, which ships the diabetes data, and it is not installed: pip install scikit-learn"
        ) from error
    x, y = load_diabetes(return_X_y=True)
    return x.astype(np.float32), y.astype(np.float32)
