"""`nnx evaluate` and `nnx predict`: the run's folder alone, columns by name, CSV in and CSV out."""

import csv
import io
import json
import re
import shutil
import sys

import numpy as np
import pytest

from nnx.cli import main
from nnx.cli.saved import SavedRun
from tests.cli import files
from tests.cli.runs import run, train

HEADER = ["class", "probability x", "probability y", "probability z"]


def predicted(capsys, *argv):
    assert main(["predict", *map(str, argv)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return list(csv.reader(io.StringIO(printed.out)))


def test_classes(runs, tmp_path, capsys):
    header, *rows = predicted(capsys, runs / "classes", files.csv(tmp_path / "new.csv", 30, seed=3))
    assert header == HEADER
    assert [row[0] for row in rows] == [files.KINDS[k % 3] for k in range(30)]
    probabilities = np.asarray([row[1:] for row in rows], dtype=float)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    assert [files.KINDS[k] for k in probabilities.argmax(axis=1)] == [row[0] for row in rows]


def test_values_are_in_the_targets_units(runs, tmp_path, capsys):
    path = files.values(tmp_path / "new.csv", 30, seed=3)
    header, *rows = predicted(capsys, runs / "values", path)
    assert header == ["value"]
    x, _ = files.points(30, seed=3)
    np.testing.assert_allclose(np.asarray(rows, dtype=float)[:, 0], 1000.5 + 20 * x[:, 0] - 3 * x[:, 1], atol=60.0)


def test_columns_are_found_by_name(runs, tmp_path, capsys):
    x, _ = files.points(5)
    (tmp_path / "a.csv").write_text("a,b\n" + "".join(f"{p:.6f},{q:.6f}\n" for p, q in x))
    (tmp_path / "b.csv").write_text("id,b,a\n" + "".join(f"no {k},{q:.6f},{p:.6f}\n" for k, (p, q) in enumerate(x)))
    assert predicted(capsys, runs / "classes", tmp_path / "a.csv") == predicted(
        capsys, runs / "classes", tmp_path / "b.csv"
    )


def test_standard_input_and_a_file(runs, tmp_path, capsys, monkeypatch):
    path = files.csv(tmp_path / "new.csv", 6)
    expected = predicted(capsys, runs / "classes", path)
    monkeypatch.setattr(sys, "stdin", io.StringIO(path.read_text()))
    assert predicted(capsys, runs / "classes", "-") == expected
    assert main(["predict", str(runs / "classes"), str(path), "-o", str(tmp_path / "out.csv")]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"6 predictions written to {tmp_path / 'out.csv'}\n")
    assert list(csv.reader((tmp_path / "out.csv").read_text().splitlines())) == expected


def test_a_pipe(runs, tmp_path):
    """A process of its own, which reads bytes."""
    text = files.csv(tmp_path / "new.csv", 6).read_text()
    done = run("predict", runs / "classes", "-", cwd=tmp_path, input=text)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == ",".join(HEADER)


def test_json(runs, tmp_path, capsys):
    path = files.csv(tmp_path / "new.csv", 3)
    rows = predicted(capsys, runs / "classes", path)[1:]
    assert main(["predict", str(runs / "classes"), str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["predictions"]
    assert [record["class"] for record in found] == [row[0] for row in rows]
    for record, row in zip(found, rows, strict=True):
        assert list(record["probabilities"]) == list(files.KINDS)
        assert list(record["probabilities"].values()) == pytest.approx(list(map(float, row[1:])), rel=1e-5)


def test_images(runs, tmp_path, capsys):
    """An NPZ file, an IDX file, a table of pixels and a folder of photos say the same."""
    x, y = files.pictures(10)
    pixels = [",".join(map(str, (row / 255).ravel())) for row in x]
    (tmp_path / "p.csv").write_text("\n".join(pixels) + "\n")
    expected = predicted(capsys, runs / "images", files.npz(tmp_path / "x.npz", x=x))
    assert [row[0] for row in expected[1:]] == list(map(str, y))
    assert predicted(capsys, runs / "images", files.idx(tmp_path, 10)) == expected
    assert predicted(capsys, runs / "images", tmp_path / "p.csv") == expected
    pytest.importorskip("PIL", reason="Pillow, which reads images, is not installed")
    header, *rows = predicted(capsys, runs / "images", files.photos(tmp_path / "photos", 10))
    assert header[0] == "file"
    assert {row[0]: row[1] for row in rows}["above/000.png"] == "0"
    (one,) = predicted(capsys, runs / "images", tmp_path / "photos" / "below" / "001.png")[1:]
    assert one[1:] == {row[0]: row[1:] for row in rows}["below/001.png"]


def test_a_table_without_names(tmp_path, capsys):
    """By their places, with the label among them or without."""
    path = files.csv(tmp_path / "d.csv")
    lines = path.read_text().splitlines()[1:]
    path.write_text("\n".join(f"{kind},{a},{b}" for a, b, kind in (line.split(",") for line in lines)) + "\n")
    assert train("--data", path, "--target", "0", "--out", tmp_path, "--name", "a", "--quiet") == 0
    capsys.readouterr()
    expected = predicted(capsys, tmp_path / "a", path)
    path.write_text("\n".join(line.partition(",")[2] for line in path.read_text().splitlines()) + "\n")
    assert predicted(capsys, tmp_path / "a", path) == expected


def new(path, text):
    path.write_text(text)
    return path


MISTAKES = {
    "missing column": (
        lambda p: new(p / "n.csv", "a,c\n1,2\n"),
        r"n\.csv: expected the columns a, b, missing b: ",
    ),
    "near": (lambda p: new(p / "n.csv", "A,b\n1,2\n"), r"missing A?a?.*there is A, b"),
    "no header": (lambda p: new(p / "n.csv", "1,2\n3,4\n"), r"expected the columns a, b, missing a, b: there is 1, 2"),
    "no rows": (lambda p: new(p / "n.csv", "a,b\n"), r"n\.csv: expected rows below the header"),
    "empty": (lambda p: new(p / "n.csv", ""), r"n\.csv: expected a CSV file with rows, got an empty one"),
    "text": (lambda p: new(p / "n.csv", "a,b\n1,2\n1,u\n"), r"n\.csv, line 3, column 'b': expected a number, got 'u'"),
    "nan": (lambda p: new(p / "n.csv", "a,b\n1,nan\n"), r"n\.csv holds nan at row 0, column 1"),
    "twice": (lambda p: new(p / "n.csv", "a,b,a\n1,2,3\n"), r"expected one column 'a', got 2: rename them"),
    "no file": (lambda p: p / "no.csv", r"no\.csv: there is no such file"),
    "other kind": (lambda p: new(p / "n.txt", "a,b\n1,2\n"), r"n\.txt: expected"),
    "another shape": (lambda p: files.npz(p / "n.npz", x=np.ones((2, 3))), r"samples of shape \(2,\), .*got \(3,\)"),
    "a set": (
        lambda p: "digits",
        r"digits: expected a file of samples; for scores on a built-in set: nnx eval",
    ),
}


@pytest.mark.parametrize(("make", "words"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(make, words, runs, tmp_path, capsys):
    out = tmp_path / "out.csv"
    assert main(["predict", str(runs / "classes"), str(make(tmp_path)), "-o", str(out)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert re.search(words, printed.err), printed.err
    assert not out.exists()


def damaged(folder, change):
    """A copy of a run's folder, its config changed."""
    found = json.loads((folder / "config.json").read_text())
    change(found)
    (folder / "config.json").write_text(json.dumps(found))


DAMAGES = {
    "no preparation": (lambda c: c.pop("preparation"), "expected what is done to data, got something else"),
    "no deviations": (lambda c: c["preparation"]["x"].pop("std"), "expected what is done to data, got something else"),
    "zero": (lambda c: c["preparation"]["x"].update(std=[0.0, 1.0]), "means and deviations are not finite numbers"),
    "classes": (lambda c: c["preparation"].update(classes=None), "task and its classes do not fit together"),
    "another model": (lambda c: c["model"].update(hidden=[3]), "weight"),
    "no data": (lambda c: c.pop("data"), "expected the settings of a run, missing data"),
}


@pytest.mark.parametrize(("change", "words"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_run(change, words, runs, tmp_path, capsys):
    folder = tmp_path / "a"
    shutil.copytree(runs / "classes", folder)
    damaged(folder, change)
    path = files.csv(tmp_path / "new.csv", 3)
    assert main(["predict", str(folder), str(path)]) == 2
    assert words in capsys.readouterr().err


def test_no_run(tmp_path, capsys):
    for command in ("predict", "evaluate", "export"):
        assert main([command, str(tmp_path), *(["x.csv"] if command == "predict" else [])]) == 2
    assert capsys.readouterr().err.count("expected the folder of a run, with config.json and model.safetensors") == 2


def test_evaluate_another_file(runs, tmp_path, capsys):
    path = files.csv(tmp_path / "new.csv", 60, seed=5)
    text = path.read_text()
    path.write_text(text.replace(",x\n", ",z\n", 5))  # five samples that look like x, and are said to be z
    assert main(["evaluate", str(runs / "classes"), "--data", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    confusion = np.asarray(found["confusion"])
    assert (found["samples"], found["part"], found["classes"]) == (60, "all", list(files.KINDS))
    assert found["accuracy"] == pytest.approx(np.trace(confusion) / 60)
    assert confusion.sum(axis=1).tolist() == [15, 20, 25]
    assert confusion.tolist() == [[15, 0, 0], [0, 20, 0], [5, 0, 20]]
    assert main(["evaluate", str(runs / "classes"), "--data", str(path)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^class +samples +recall +precision +most taken for$", out, re.MULTILINE)
    assert re.search(r"^x +15 +1\.0000 +0\.7500  -\ny.*\nz +25 +0\.8000 +1\.0000  x \(5\)$", out, re.MULTILINE)
    path.write_text(path.read_text().replace(",y", ",w"))
    assert main(["evaluate", str(runs / "classes"), "--data", str(path)]) == 2
    assert "expected labels among x, y, z, as the run was trained on, got 'w'" in capsys.readouterr().err
    assert main(["evaluate", str(runs / "values"), "--data", str(path)]) == 2
    assert "expected numbers, as the run fits, got names" in capsys.readouterr().err


def test_a_run_on_each_backend(runs, backend, tmp_path, capsys):
    path = files.csv(tmp_path / "new.csv", 9)
    found = predicted(capsys, runs / "classes", path)
    expected = predicted(capsys, runs / "classes", path, "--backend", "numpy")
    assert [row[0] for row in found] == [row[0] for row in expected]
    got, wanted = (np.asarray([row[1:] for row in rows[1:]], dtype=float) for rows in (found, expected))
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_the_run_as_an_object(runs):
    saved = SavedRun(runs / "values")
    x = saved.preparation.inputs(files.points(4)[0], "points")
    assert saved.predictions(x).shape == (4,)
    assert saved.outputs(x).shape == (4, 1)
