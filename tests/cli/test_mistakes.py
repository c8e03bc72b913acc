"""A mistake: exit code 2, one message that names both sides and the way out, no traceback, nothing half written."""

import re

import numpy as np
import pytest

from nnx.cli import main
from tests.cli.runs import run, train

REGRESSION = ("--task", "regression")
DIGITS = "a,b,y\n" + "".join(f"{k},{-k},{k % 2}\n" for k in range(40))


def write(path, text):
    path.write_text(text)
    return str(path)


def npz(path, **arrays):
    np.savez(path, **arrays)
    return str(path)


# the option of the mistake, and what standard error must say
REFUSED = {
    "unknown option": (["--epoch5", "3"], "unrecognized arguments: --epoch5"),
    "no number": (["--epochs", "many"], r"--epochs: expected a whole number of at least 1, got 'many'"),
    "epochs 0": (["--epochs", "0"], r"--epochs: expected a whole number of at least 1, got 0"),
    "batch of none": (["--batch-size", "-1"], r"--batch-size: expected a whole number of at least 1, got -1"),
    "width 0": (["--hidden", "8", "0"], r"--hidden: expected a whole number of at least 1, got 0"),
    "dropout 1": (["--dropout", "1"], r"--dropout: expected a number in \[0, 1\), got 1"),
    "lr 0": (["--lr", "0"], r"--lr: expected a number above 0, got 0"),
    "lr nan": (["--lr", "nan"], r"--lr: expected a number above 0, got nan"),
    "weight decay": (["--weight-decay", "-1"], r"--weight-decay: expected a number of at least 0, got -1"),
    "seed": (["--seed", "-1"], r"--seed: expected a whole number in \[0, 2\*\*64\), got -1"),
    "name with a path": (["--name", "../a"], r"--name: expected the name of a folder, got '\.\./a'"),
    "activation": (["--activation", "step"], r"--activation: invalid choice: 'step' \(choose from .*relu"),
    "optimizer": (["--optimizer", "lion"], r"--optimizer: invalid choice: 'lion'"),
}

FAILED = {
    "unknown data": (
        lambda p: ["--data", "letters"],
        r"--data letters: expected digits, mnist, .* diabetes, a \.csv, .* folder of images: there is none",
    ),
    "missing file": (lambda p: ["--data", p / "no.csv"], r"no\.csv: there is no such file in .*: give its whole path"),
    "unknown backend": (lambda p: ["--backend", "tensorflow"], r"tensorflow.*(\n.*)*numpy"),
    "unknown device": (lambda p: ["--device", "cuda:7"], r"backend 'numpy': no device 'cuda:7'; there is cpu"),
    "nan in a csv": (
        lambda p: ["--data", write(p / "d.csv", DIGITS + "nan,1,0\n")],
        r"d\.csv holds nan at row 40, column 0 .*drop such rows",
    ),
    "text in a csv": (
        lambda p: ["--data", write(p / "d.csv", DIGITS + "oops,1,0\n")],
        r"d\.csv, line 42, column 'a': expected a number, got 'oops'",
    ),
    "ragged csv": (
        lambda p: ["--data", write(p / "d.csv", DIGITS + "1,0\n")],
        r"d\.csv, line 42: expected 3 cells.*got 2",
    ),
    "no such column": (
        lambda p: ["--data", write(p / "d.csv", DIGITS), "--target", "label"],
        r"d\.csv: expected a target among the columns a, b, y, got 'label'",
    ),
    "column out of range": (
        lambda p: ["--data", write(p / "d.csv", DIGITS), "--target", "5"],
        r"d\.csv: expected a target from -3 to 2, got 5",
    ),
    "a regression of names": (
        lambda p: ["--data", write(p / "d.csv", DIGITS.replace("1\n", "x\n").replace("0\n", "y\n")), *REGRESSION],
        r"d\.csv: --task regression fits numbers, got names such as 'x': name another column with --target",
    ),
    "empty csv": (
        lambda p: ["--data", write(p / "d.csv", "")],
        r"d\.csv: expected a CSV file with rows, got an empty one",
    ),
    "negative labels": (
        lambda p: ["--data", write(p / "d.csv", DIGITS + "1,2,-3\n")],
        r"d\.csv: expected 8 samples at least of each of its 3 classes, got 1 of '-3'",
    ),
    "values that look like classes": (
        lambda p: ["--data", write(p / "d.csv", "a,y\n" + "".join(f"{k},{k * k}\n" for k in range(40)))],
        r"8 samples at least of each of its 40 classes, got 1 of '0' \(40 such.* or fit them .*: --task regression",
    ),
    "words that no regression fits": (
        lambda p: ["--data", write(p / "d.csv", "a,y\n" + "".join(f"{k},id{k}\n" for k in range(40)))],
        r"got 1 of 'id0' \(40 such classes\): merge rare classes or leave them out$",
    ),
    "one class": (
        lambda p: ["--data", write(p / "d.csv", "a,y\n" + "1,7\n" * 40)],
        r"d\.csv: expected two classes at least, got '7' alone: is it the right target\?",
    ),
    "too rare a class": (
        lambda p: ["--data", write(p / "d.csv", DIGITS + "1,2,2\n")],
        r"d\.csv: expected 8 samples at least of each of its 3 classes, got 1 of '2' .*merge rare classes",
    ),
    "no npz": (lambda p: ["--data", write(p / "d.npz", "x")], r"d\.npz: expected an .npz file"),
    "npz without y": (
        lambda p: ["--data", npz(p / "d.npz", x=np.ones((5, 2)), labels=np.ones(5))],
        r"d\.npz: expected arrays x and y, missing \['y'\], found \['labels', 'x'\]",
    ),
    "npz with labels in rows": (
        lambda p: ["--data", npz(p / "d.npz", x=np.ones((5, 2)), y=np.ones((5, 3)))],
        r"d\.npz: expected y \(n,\) of whole numbers or names, .* got y \(5, 3\) of float64",
    ),
    "lengths": (
        lambda p: ["--data", npz(p / "d.npz", x=np.ones((5, 2)), y=np.arange(4))],
        r"expected as many labels as rows of x, got 4 labels and 5 rows",
    ),
    "out is a file": (lambda p: ["--out", write(p / "file", "")], r"file"),
    "resume what is no run": (
        lambda p: ["--resume", p / "nothing"],
        r"--resume .*nothing: expected the folder of a run, with config.json and checkpoint.safetensors",
    ),
}


def assert_one_message(printed, pattern):
    assert "Traceback" not in printed
    assert re.search(pattern, printed), printed
    assert len(re.findall(r"^nnx( train)?: ", printed, re.MULTILINE)) == 1


@pytest.mark.parametrize(("options", "pattern"), REFUSED.values(), ids=REFUSED)
def test_refused_by_the_parser(options, pattern, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["train", *options])
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert_one_message(printed.err, pattern)
    assert printed.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("options", "pattern"), FAILED.values(), ids=FAILED)
def test_found_before_the_first_file(options, pattern, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = options(tmp_path)
    before = {path: path.stat().st_size for path in tmp_path.rglob("*")}
    assert train(*arguments) == 2
    printed = capsys.readouterr()
    assert_one_message(printed.err, pattern)
    assert {path: path.stat().st_size for path in tmp_path.rglob("*")} == before


def test_a_name_that_is_taken(tmp_path, capsys):
    assert train("--out", tmp_path, "--name", "a", "--quiet") == 0
    before = {file: file.read_bytes() for file in (tmp_path / "a").iterdir()}
    assert train("--out", tmp_path, "--name", "a", "--quiet") == 2
    assert_one_message(capsys.readouterr().err, r"run folder .*a exists already: take another --name")
    assert {file: file.read_bytes() for file in (tmp_path / "a").iterdir()} == before


RESUMED = {
    "truncated weights": (
        lambda f: cut(f / "checkpoint.safetensors"),
        [],
        r"expected a whole safetensors file, got \d+ oth",
    ),
    "foreign weights": (
        lambda f: (f / "model.safetensors").replace(f / "checkpoint.safetensors"),
        [],
        r"expected a checkpoint of Trainer.save, got weights only",
    ),
    "damaged config": (lambda f: cut(f / "config.json"), [], r"config\.json: expected JSON, got something else"),
    "edited config": (
        lambda f: write(f / "config.json", (f / "config.json").read_text().replace('"relu"', '"step"')),
        [],
        r"config\.json: expected the settings of a run: model\.activation: expected one of .*relu.*, got 'step'",
    ),
    "config without the data": (
        lambda f: write(f / "config.json", (f / "config.json").read_text().replace('"data"', '"dat"')),
        [],
        r"config\.json: expected the settings of a run, missing data",
    ),
    "other data": (lambda f: None, ["--lr", "0.5"], r"--lr 0\.5 with --resume .*whose run had None: .*leave out --lr"),
    "nothing to do": (lambda f: None, ["--epochs", "1"], r"--epochs 1: the run in .* has done 2: ask for more"),
}


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(("damage", "options", "pattern"), RESUMED.values(), ids=RESUMED)
def test_a_run_that_cannot_go_on(damage, options, pattern, tmp_path, capsys):
    assert train("--out", tmp_path, "--name", "a", "--quiet") == 0
    damage(tmp_path / "a")
    before = {file: file.read_bytes() for file in (tmp_path / "a").iterdir()}
    assert main(["train", "--resume", str(tmp_path / "a"), "--epochs", "3", *options]) == 2
    assert_one_message(capsys.readouterr().err, pattern)
    assert {file: file.read_bytes() for file in (tmp_path / "a").iterdir()} == before


def test_a_loss_that_diverges_at_once_leaves_nothing(tmp_path, capsys):
    assert train("--out", tmp_path, "--optimizer", "sgd", "--lr", "1e38") == 1
    assert_one_message(capsys.readouterr().err, r"the loss of epoch 1 is (nan|inf): lower lr .*; no epoch was done")
    assert list(tmp_path.iterdir()) == []


def test_one_process_one_message(tmp_path):
    done = run("train", "--data", "no.csv", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_message(done.stderr, r"^nnx train: --data no\.csv: there is no such file")
    assert len(done.stderr.splitlines()) == 1


def test_debug_shows_the_traceback(tmp_path, monkeypatch):
    monkeypatch.setenv("NNX_DEBUG", "1")
    with pytest.raises(ValueError, match="--data letters"):
        main(["train", "--data", "letters"])


def test_no_command(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert "COMMAND" in capsys.readouterr().err
