"""Parquet files as tables: types say what CSV says by how a cell looks."""

import datetime
import importlib

import numpy as np
import pytest

from nnx.data import read_csv, read_parquet

arrow = pytest.importorskip("pyarrow", reason="pyarrow, which reads Parquet, is not installed")
parquet = pytest.importorskip("pyarrow.parquet")


def written(path, **columns):
    parquet.write_table(arrow.table(columns), path)
    return path


def test_numbers_of_every_type(tmp_path):
    halves = arrow.array(np.asarray([0.5, 1.5], dtype="float16"))
    path = written(tmp_path / "d.parquet", a=[1, 2], b=[0.5, 1e300], c=[True, False], d=halves, e=[3, 4])
    with np.errstate(over="raise"):
        table = read_parquet(path, columns=["c", "a", "d", "b"])
    assert table.columns == ("c", "a", "d", "b")
    assert table.x.dtype == np.float32
    assert table.x.tolist() == [[1.0, 1.0, 0.5, 0.5], [0.0, 2.0, 1.5, float("inf")]]
    assert table.y is None
    assert table.classes is None


TARGETS = {
    "whole": ([3, 1, 3], None, [3, 1, 3], None),
    "values": ([0.5, 1.0, 2.0], None, [0.5, 1.0, 2.0], None),
    "names": (["b", "a", "b"], None, [1, 0, 1], ("a", "b")),
    "bool": ([True, False, True], None, [1, 0, 1], ("false", "true")),
    "whole as classes": ([10, 9, 10], True, [1, 0, 1], ("9", "10")),
}


@pytest.mark.parametrize(("target", "classes", "y", "names"), TARGETS.values(), ids=TARGETS)
def test_targets(tmp_path, target, classes, y, names):
    table = read_parquet(written(tmp_path / "d.parquet", y=target, a=[1, 2, 3]), "y", classes)
    assert table.y.tolist() == y
    assert table.y.dtype == ("float32" if isinstance(y[0], float) else "int64")
    assert table.classes == names
    assert table.columns == ("a",)


def test_categories(tmp_path):
    kinds = arrow.array(["q", "p", "q"]).dictionary_encode()
    table = read_parquet(written(tmp_path / "d.parquet", a=[1, 2, 3], k=kinds), target=-1)
    assert (table.y.tolist(), table.classes) == ([1, 0, 1], ("p", "q"))


def test_a_name_with_a_dot_is_one_column(tmp_path):
    table = read_parquet(written(tmp_path / "d.parquet", **{"a.b": [1, 2], "a": [3, 4], "y": [0, 1]}), target="y")
    assert table.columns == ("a.b", "a")
    assert table.x.tolist() == [[1.0, 3.0], [2.0, 4.0]]


def test_it_is_the_table_that_csv_gives(tmp_path):
    (tmp_path / "d.csv").write_text("a,k,b\n1.5,u,2\n-1,v,3\n")
    path = written(tmp_path / "d.parquet", a=[1.5, -1.0], k=["u", "v"], b=[2, 3])
    for one, other in zip(read_csv(tmp_path / "d.csv", "k"), read_parquet(path, "k"), strict=True):
        np.testing.assert_array_equal(one, other)


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])
    return path


def text(path):
    path.write_text("a,b\n1,2\n")
    return path


MISTAKES = {
    "text": (lambda p: text(p), {}, r"d\.parquet: expected a whole Parquet file, got one that cannot be read"),
    "truncated": (lambda p: cut(written(p, a=[1])), {}, "expected a whole Parquet file"),
    "names": (lambda p: written(p, a=["u"], b=[1]), {}, "column 'a': expected numbers, got string"),
    "dates": (lambda p: written(p, a=[datetime.date(2020, 1, 1)]), {}, "column 'a': expected numbers, got date"),
    "empty value": (lambda p: written(p, a=[1, None, 3]), {}, r"row 1, column 'a': expected a value, got an empty one"),
    "no label": (
        lambda p: written(p, a=[1, 2], y=["u", None]),
        {"target": "y"},
        r"row 1, column 'y': expected a value",
    ),
    "no such target": (lambda p: written(p, a=[1]), {"target": "y"}, "expected a target among the columns a, got 'y'"),
    "no such column": (lambda p: written(p, age=[1]), {"columns": ["aeg"]}, r"missing aeg \(is 'age' meant\?\)"),
    "target alone": (lambda p: written(p, y=[1]), {"target": "y"}, "expected columns to learn from"),
    "no rows": (lambda p: written(p, a=arrow.array([], "int64")), {}, "expected rows, got a Parquet file without any"),
    "target twice": (lambda p: written(p, y=[1]), {"target": "y", "columns": ["y"]}, "the target 'y' is among the col"),
}


@pytest.mark.parametrize(("make", "how", "words"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(make, how, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        read_parquet(make(tmp_path / "d.parquet"), **how)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.parquet"):
        read_parquet(tmp_path / "no.parquet")


def test_without_pyarrow(monkeypatch, tmp_path):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'nnx-array\[parquet\]', or write CSV"):
        read_parquet(tmp_path / "d.parquet")


def test_damaged_files_are_named(tmp_path):
    """Some bytes flipped, cut out or made huge: the error names the file, or the table is read."""
    rng, path = np.random.default_rng(0), tmp_path / "d.parquet"
    whole = written(path, a=[1.5, 2.0, 3.0], b=[1, 2, 3], y=["u", "v", "ü"]).read_bytes()
    refused = []
    for _ in range(100):
        damaged, at = bytearray(whole), int(rng.integers(len(whole)))
        damaged[at : at + int(rng.integers(1, 9))] = rng.bytes(int(rng.integers(0, 9)))
        path.write_bytes(damaged)
        try:
            read_parquet(path, "y")
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > 50
    assert all(str(path) in words for words in refused)
