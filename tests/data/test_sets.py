"""The shipped digits are the original bytes; Fashion-MNIST is found, checked, or its absence explained."""

import gzip
import hashlib
import io
import urllib.error
from importlib.resources import files

import numpy as np
import pytest

from nnx.data import DatasetMissing, digits, fashion_mnist, sets, write_idx


def test_the_shipped_digits_are_the_original_bytes():
    packed = files("nnx.data").joinpath("assets", "digits.csv.gz").read_bytes()
    assert hashlib.sha256(packed).hexdigest() == "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"


def test_their_source_and_licence_are_beside_them():
    notice = files("nnx.data").joinpath("assets", "NOTICE.txt").read_text()
    for words in ("E. Alpaydin, C. Kaynak", "CC BY 4.0", "https://doi.org/10.24432/C50P49"):
        assert words in notice


def test_digits():
    images, labels = digits()
    assert (images.shape, images.dtype, labels.shape, labels.dtype) == ((1797, 64), "float32", (1797,), "int64")
    assert (images.min(), images.max()) == (0.0, 1.0)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (images[0, :8] * 16).tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    square, _ = digits(flatten=False)
    np.testing.assert_array_equal(square, images.reshape(1797, 1, 8, 8))


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A tiny set in Fashion-MNIST's form, whose sums are taken for the original's, and no other place to look."""
    random, sums = np.random.default_rng(0), {}
    folder = tmp_path / "small"
    folder.mkdir()
    for part, n in (("train", 5), ("t10k", 2)):
        for kind, shape in (("images-idx3", (n, 28, 28)), ("labels-idx1", (n,))):
            write_idx(folder / f"{part}-{kind}-ubyte.gz", random.integers(0, 10, shape).astype(np.uint8))
    for path in folder.iterdir():
        sums[path.stem] = hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
    monkeypatch.setattr(sets, "FASHION_MNIST", {name: sums[name] for name in sets.FASHION_MNIST})
    monkeypatch.setattr(sets, "DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NNX_DATA", raising=False)
    return folder


def check(found):
    (x_train, y_train), (x_test, y_test) = found
    assert (x_train.shape, y_train.shape, x_test.shape, y_test.shape) == ((5, 784), (5,), (2, 784), (2,))
    assert (x_train.dtype, y_train.dtype) == ("float32", "int64")
    assert x_train.max() == np.float32(9) / np.float32(255)


@pytest.mark.parametrize("place", ["root", "data", "data/fashion-mnist", "cache", "debian"])
def test_fashion_mnist_is_found(small, tmp_path, monkeypatch, place):
    if place.startswith("data"):
        monkeypatch.setenv("NNX_DATA", str(tmp_path / "data"))
    target = tmp_path / ("cache/nnx/fashion-mnist" if place == "cache" else place)
    target.parent.mkdir(parents=True, exist_ok=True)
    small.rename(target)
    check(fashion_mnist(target if place == "root" else None))


def test_fashion_mnist_plain_files_and_square_images(small):
    for path in list(small.iterdir()):
        (small / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    check(fashion_mnist(small))
    (x_train, _), _ = fashion_mnist(small, flatten=False)
    assert x_train.shape == (5, 1, 28, 28)


def test_a_missing_set_says_where_it_was_looked_for(small, tmp_path, monkeypatch):
    monkeypatch.setenv("NNX_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DatasetMissing) as caught:
        fashion_mnist()
    assert isinstance(caught.value, FileNotFoundError)
    for words in (
        str(tmp_path / "nowhere"),
        "debian",
        "apt install dataset-fashion-mnist",
        "NNX_DATA",
        "download=True",
    ):
        assert words in str(caught.value)
    (small / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DatasetMissing, match="small"):
        fashion_mnist(small)


def test_another_set_of_the_same_names_is_refused(small):
    """MNIST's files bear the same names."""
    write_idx(small / "t10k-images-idx3-ubyte.gz", np.zeros((2, 28, 28), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte.gz: expected Fashion-MNIST's file, sha256"):
        fashion_mnist(small)


def test_download(small, tmp_path, monkeypatch):
    asked = []

    def urlopen(url, timeout):
        asked.append(url)
        return io.BytesIO((small / url.rpartition("/")[2]).read_bytes())

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    check(fashion_mnist(tmp_path / "new", download=True))
    assert len(asked) == 4
    assert all(url.startswith("https://") for url in asked)
    check(fashion_mnist(tmp_path / "new", download=True))
    check(fashion_mnist(tmp_path / "new"))
    assert len(asked) == 4
    assert len(list((tmp_path / "new").iterdir())) == 4
    (tmp_path / "new" / "t10k-labels-idx1-ubyte.gz").unlink()
    check(fashion_mnist(tmp_path / "new", download=True))
    assert len(asked) == 5


@pytest.mark.parametrize(("answer", "words"), [
    (lambda: io.BytesIO(gzip.compress(b"something else")), "got .*: nothing was kept"),
    (lambda: io.BytesIO(b"<html>"), "expected to fetch https://.*Not a gzipped file"),
    (lambda: io.BytesIO(gzip.compress(b"cut short")[:-9]), "expected to fetch https://"),
    (lambda: (_ for _ in ()).throw(urllib.error.URLError("no route to host")), "no route to host"),
])  # fmt: skip
def test_download_that_fails_keeps_nothing(small, tmp_path, monkeypatch, answer, words):
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: answer())
    with pytest.raises(DatasetMissing, match=words):
        fashion_mnist(tmp_path / "new", download=True)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.skipif(
    not sets.DEBIAN.is_dir(), reason="Fashion-MNIST is not installed: apt install dataset-fashion-mnist"
)
def test_the_real_fashion_mnist():
    (x_train, y_train), (x_test, y_test) = fashion_mnist(sets.DEBIAN)
    assert (x_train.shape, x_test.shape) == ((60000, 784), (10000, 784))
    assert np.bincount(y_train).tolist() == [6000] * 10
    assert np.bincount(y_test).tolist() == [1000] * 10
    assert y_train[:5].tolist() == [9, 0, 0, 3, 0]
