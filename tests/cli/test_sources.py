"""Every kind of data trains, as classes or as values, and its run says the same of it afterwards."""

import json

import numpy as np
import pytest

from nnx.cli import main
from nnx.cli.arrays import images_of, resized
from nnx.cli.builtin import BUILT_IN
from nnx.data.catalog import entry
from tests.cli import files
from tests.cli.runs import train

NEEDS = {"parquet": "pyarrow", "photos": "PIL"}
SOURCES = {
    "csv": lambda p: [files.csv(p / "d.csv")],
    "csv with semicolons": lambda p: [files.csv(p / "d.csv", delimiter=";"), "--delimiter", ";"],
    "parquet": lambda p: [files.parquet(p / "d.parquet"), "--target", "kind"],
    "npz": lambda p: [files.npz(p / "d.npz")],
    "npz of names": lambda p: [
        files.npz(p / "d.npz", x=files.points()[0], y=np.asarray(files.KINDS)[files.points()[1]])
    ],
    "idx": lambda p: [files.idx(p)],
    "idx, labels named": lambda p: [files.idx(p), "--labels", p / "train-labels-idx1-ubyte.gz"],
    "photos": lambda p: [files.photos(p / "photos")],
    "photos, resized": lambda p: [files.photos(p / "photos"), "--image-size", "6", "4"],
}


def report(capsys):
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("kind", SOURCES)
def test_classes(kind, tmp_path, capsys):
    pytest.importorskip(NEEDS.get(kind.partition(",")[0], "numpy"))
    how = ["--lr", "0.05", "--epochs", "4", "--batch-size", "8", "--json", "--out", tmp_path / "runs", "--name", "a"]
    assert train("--data", *SOURCES[kind](tmp_path), *how) == 0
    trained = report(capsys)
    assert trained["task"] == "classification"
    assert trained["test"]["accuracy"] == 1.0
    assert main(["evaluate", str(tmp_path / "runs" / "a"), "--json"]) == 0
    again = report(capsys)
    assert again["loss"] == trained["test"]["loss"], "the same samples, prepared in the same way"
    assert again["samples"] == trained["samples"][2]


@pytest.mark.parametrize("kind", ["csv", "parquet", "whole numbers"])
def test_values(kind, tmp_path, capsys):
    """R² has no unit, and the errors are in the target's."""
    x, _ = files.points()
    y, options = 1000.5 + 20 * x[:, 0] - 3 * x[:, 1], []
    if kind == "parquet":
        arrow = pytest.importorskip("pyarrow")
        path = tmp_path / "d.parquet"
        pytest.importorskip("pyarrow.parquet").write_table(arrow.table({"a": x[:, 0], "b": x[:, 1], "y": y}), path)
    elif kind == "csv":
        path = files.values(tmp_path / "d.csv")
    else:
        options = ["--task", "regression"]
        path = files.npz(tmp_path / "d.npz", x=x, y=np.rint(y).astype("int32"))
    how = [
        "--lr",
        "0.03",
        "--epochs",
        "12",
        "--batch-size",
        "8",
        "--dropout",
        "0",
        "--json",
        "--out",
        tmp_path,
        "--name",
        "a",
    ]
    assert train("--data", path, *options, *how) == 0
    found = report(capsys)
    spread = float(np.std(y))
    assert found["task"] == "regression"
    assert 0.98 < found["test"]["r2"] <= 1.0
    assert 0.0 < found["test"]["rmse"] < 0.12 * spread
    # mean squared error of standardised values: the deviation is the training part's
    assert found["test"]["rmse"] == pytest.approx(spread * found["test"]["loss"] ** 0.5, rel=0.15)
    assert main(["evaluate", str(tmp_path / "a"), "--json"]) == 0
    again = report(capsys)
    assert {name: again[name] for name in found["test"]} == found["test"]
    assert again["mae"] <= again["rmse"]


def test_another_machine(tmp_path, capsys, monkeypatch):
    """The data is found from another folder; without it the message says what else there is to do."""
    monkeypatch.chdir(tmp_path)
    files.csv(tmp_path / "d.csv")
    assert train("--data", "d.csv", "--name", "a", "--quiet") == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["evaluate", "../runs/a"]) == 0
    assert main(["train", "--resume", "../runs/a", "--epochs", "3", "--quiet"]) == 0
    (tmp_path / "d.csv").unlink()
    capsys.readouterr()
    assert main(["evaluate", "../runs/a"]) == 2
    assert "evaluate another file: --data FILE" in capsys.readouterr().err
    files.csv(tmp_path / "d.csv", seed=1)
    assert main(["evaluate", "../runs/a"]) == 2
    assert "got other data, whose test part may hold samples that it was trained on" in capsys.readouterr().err
    assert main(["train", "--resume", "../runs/a", "--epochs", "4", "--quiet"]) == 2
    assert "expected the data that ../runs/a was begun with" in capsys.readouterr().err
    assert main(["evaluate", "../runs/a", "--data", "../d.csv", "--json"]) == 0
    assert report(capsys)["samples"] == 90


def test_columns_are_standardised_and_images_are_not(tmp_path, capsys):
    def scaling(*options):
        assert train("--out", tmp_path, "--name", str(len(list(tmp_path.iterdir()))), *options, "--epochs", 1) == 0
        newest = max(tmp_path.glob("*/config.json"), key=lambda file: file.stat().st_mtime_ns)
        return json.loads(newest.read_text())["preparation"]["x"]

    table = files.csv(tmp_path / "d.csv")
    found = scaling("--data", table)
    assert len(found["mean"]) == len(found["std"]) == 2
    assert found["mean"] == pytest.approx(files.points()[0].mean(axis=0), abs=2.0)
    assert scaling("--data", table, "--no-standardize") is None
    assert scaling() is None
    assert len(scaling("--standardize")["mean"]) == 1, "one a channel"


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((5, 4), "uint8", (5, 4)),
        ((5, 4, 6), "uint8", (5, 1, 4, 6)),
        ((5, 3, 4, 6), "float64", (5, 3, 4, 6)),
        ((5, 7, 6, 3), "uint8", (5, 3, 7, 6)),
    ],
)
def test_layouts(shape, dtype, expected):
    x = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    found = images_of("d.npz", x)
    assert found.shape == expected
    assert found.dtype == np.float32
    scale = 255.0 if dtype == "uint8" and len(shape) > 2 else 1.0
    back = np.moveaxis(found, 1, 3) if shape[-1] == 3 else found.reshape(shape)
    np.testing.assert_allclose(back * scale, x, rtol=1e-6)


def test_images_are_resized_by_the_mean():
    x = np.full((3, 1, 8, 8), 0.25, dtype="float32")
    found = resized(x, (4, 6))
    assert found.shape == (3, 1, 4, 6)
    np.testing.assert_allclose(found, 0.25)


def test_a_set_with_a_test_part_of_its_own(tmp_path, capsys, monkeypatch):
    x, y = files.pictures(60)
    images = (x[:, None] / np.float32(255)).astype("float32")
    parts = (images[:50], y[:50]), (images[50:], y[50:])
    monkeypatch.setattr("nnx.data.fashion_mnist", lambda flatten: parts)
    how = ["--lr", "0.05", "--epochs", "4", "--batch-size", "8", "--json", "--out", tmp_path, "--name", "a"]
    assert train("--data", "fashion-mnist", *how) == 0
    trained = report(capsys)
    assert trained["samples"] == [45, 5, 10]
    assert main(["evaluate", str(tmp_path / "a"), "--json"]) == 0
    found = report(capsys)
    assert found["loss"] == trained["test"]["loss"]
    assert found["classes"][:2] == ["t-shirt", "trouser"]
    assert len(found["confusion"]) == 10


@pytest.mark.parametrize("name", BUILT_IN)
def test_names_of_built_in_sets(name):
    """As many as the catalogue says: a class, or a column, each."""
    ours, theirs = BUILT_IN[name], entry(name)
    assert (None if ours.classes is None else len(ours.classes)) == theirs.classes
    assert (None if theirs.kind == "images" else theirs.shape) == (ours.columns and (len(ours.columns),))


def test_a_built_in_table(tmp_path, capsys):
    pytest.importorskip("sklearn", reason="scikit-learn ships it")
    assert train("--data", "diabetes", "--epochs", "20", "--json", "--out", tmp_path, "--name", "a") == 0
    assert report(capsys)["test"]["r2"] > 0.4
