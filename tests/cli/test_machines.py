"""For machines: one JSON document on standard output, everything else on standard error, and the exit codes."""

import importlib
import json
import os
import subprocess
import sys

import pytest

from nnx.cli import COMMANDS, bench, main, output
from tests.cli import files
from tests.cli.runs import command, train


def test_train(tmp_path, capsys):
    assert train("--out", tmp_path, "--name", "a", "--json") == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found["run"] == str(tmp_path / "a")
    assert found["task"] == "classification"
    assert found["samples"] == [1438, 180, 179]
    assert found["best_epoch"] == 2
    assert set(found["test"]) == {"loss", "accuracy"}
    assert [line[:9] for line in printed.err.splitlines() if line.startswith("epoch")] == ["epoch   1", "epoch   2"]
    assert "test accuracy" in printed.err


def test_a_training_that_diverges(tmp_path, capsys):
    assert train("--out", tmp_path, "--optimizer", "sgd", "--lr", "1e38", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["run"] is None
    assert "lower lr" in found["diverged"]


def test_bench(capsys, monkeypatch):
    monkeypatch.setattr(bench, "WARM_UP", 1)
    monkeypatch.setattr(bench, "REPEATS", 2)
    assert main(["bench", "--layers", "4", "3", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["phases"]) == ["forward", "backward", "update"]
    assert found["layers"] == [4, 3, 2]
    assert all(phase["µs"] > 0 for phase in found["phases"].values())


@pytest.mark.slow
def test_the_suite(capsys):
    pytest.importorskip("torch", reason="torch, which is measured beside nnx, is not installed")
    assert main(["bench", "--suite", "inference:tiny", "--repeat", "1", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)
    assert "inference:tiny" in printed.err


def test_the_check_of_a_backend(capsys, monkeypatch):
    monkeypatch.setattr("nnx.cli.check.FAMILIES", {})
    assert main(["backends", "--check", "numpy", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["results"] == []
    assert "checks agree with NumPy" in printed.err


def test_numbers_that_json_has_not(capsys):
    output.write_json({"a": [float("nan"), 1.5], "b": {"c": float("inf")}, "d": (1, None, "ü")})
    assert json.loads(capsys.readouterr().out) == {"a": [None, 1.5], "b": {"c": None}, "d": [1, None, "ü"]}


def test_mistakes_print_no_document(tmp_path, capsys):
    assert train("--data", "no.csv", "--json") == 2
    assert main(["evaluate", str(tmp_path), "--json"]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_examples(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    out = capsys.readouterr().out
    assert f"  nnx {name}" in out.partition("examples:")[2]
    assert "--json" in out


def test_the_list_of_commands(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    out = capsys.readouterr().out
    assert all(f"\n    {name}" in out for name in COMMANDS)
    with pytest.raises(SystemExit, match="2"):
        main(["trian"])
    err = capsys.readouterr().err
    assert "invalid choice: 'trian'" in err
    assert all(name in err for name in COMMANDS)


def test_whoever_reads_has_enough(runs, tmp_path):
    """`nnx predict ... | head`: no traceback, and no message."""
    path = files.csv(tmp_path / "d.csv", 5000)  # more than a pipe holds
    process = subprocess.Popen(
        **command("predict", runs / "classes", path, PYTHONUNBUFFERED=""),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline().startswith("class")
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(60) == 141


@pytest.mark.parametrize("command", ["datasets", "backends"])
def test_whoever_reads_a_table_has_enough(command, monkeypatch):
    """rich by itself would exit with 1, which says that a check failed."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        assert main([command]) == 141


@pytest.mark.parametrize("closed", ["<", ">", "2>"])
def test_a_stream_that_is_closed(closed, runs):
    """`nnx predict ... >&-`, as daemons start their programs: it is an empty one, and no traceback."""
    how = command(*(["predict", runs / "classes", "-"] if closed == "<" else ["datasets", "list", "digits"]))
    shell = ["sh", "-c", f'exec "$@" {closed}&-', "sh", *how["args"]]
    done = subprocess.run(**how | {"args": shell}, capture_output=True, check=False, timeout=60)
    assert done.returncode == (2 if closed == "<" else 0)
    assert "Traceback" not in done.stderr


def test_an_extra_that_is_missing(tmp_path, monkeypatch, capsys):
    real = importlib.import_module

    def missing(name, *rest):
        if name.startswith("pyarrow"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    (tmp_path / "d.parquet").write_text("")
    assert train("--data", tmp_path / "d.parquet") == 2
    assert "pip install 'nnx-array[parquet]'" in capsys.readouterr().err


def test_a_command_loads_no_other(tmp_path):
    """`nnx train` waits for none of what other commands need."""
    argv = ["train", "--epochs", "1", "--quiet", "--out", str(tmp_path)]
    code = f"import sys; from nnx.cli import main; main({argv}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    loaded = set(done.stdout.split())
    assert "nnx.cli.train" in loaded
    assert not loaded & {"nnx.cli.bench", "nnx.cli.export", "nnx.models", "rich", "PIL", "pyarrow", "onnx", "tomllib"}
