"""`nnx bench`: times anywhere; counts need a module that counts."""

import sys
import types

import pytest

from nnx.cli import bench, main

SMALL = ["--layers", "4", "3", "2", "--batch-size", "5"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(bench, "WARM_UP", 1)
    monkeypatch.setattr(bench, "REPEATS", 2)
    monkeypatch.delenv("NNX_COUNTERS", raising=False)


def test_times_by_phase(backend, capsys):
    assert main(["bench", "--backend", backend.name, *SMALL, "--optimizer", "sgd", "--dropout", "0.5"]) == 0
    head, title, *rows = capsys.readouterr().out.splitlines()
    assert head == f"4-3-2, batch 5, sgd, {backend.name} {backend.version}"
    assert title.split() == ["µs"]
    assert [row.split()[0] for row in rows] == list(bench.PHASES)
    assert all(int(row.split()[1].replace(",", "")) > 0 for row in rows)


class Cost:
    """Counters that have seen one of everything, and so much memory."""

    peak_bytes = 512

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def __getattr__(self, name):
        return 1


@pytest.fixture
def counters(monkeypatch):
    module = types.ModuleType("some_counters")
    module.active, module.counting = [], Cost
    module.activate = lambda: module.active.append(True)
    monkeypatch.setitem(sys.modules, "some_counters", module)
    return module


@pytest.mark.parametrize("how", ["option", "environment"])
def test_counts_by_phase(counters, capsys, monkeypatch, how):
    monkeypatch.setenv("NNX_COUNTERS", "some_counters" if how == "environment" else "no_such_module")
    assert main(["bench", "--count", *SMALL, *(["--counters", "some_counters"] if how == "option" else [])]) == 0
    assert counters.active == [True]
    _, titles, *rows = capsys.readouterr().out.splitlines()
    assert titles.split() == " ".join(bench.COLUMNS).split()
    # what is counted for both passes, less the forward pass; the peak is that of both
    assert [row.split() for row in rows] == [
        ["forward", "3", "1", "1", "1", "1", "1", "512"],
        ["backward", "0", "0", "0", "0", "0", "0", "512"],
        ["update", "3", "1", "1", "1", "1", "1", "512"],
    ]


MISTAKES = {
    "no counters": (["--count"], "--count needs a module that counts what reaches CUDA"),
    "unknown": (["--count", "--counters", "no_such_module"], "--counters no_such_module: No module named"),
    "one width": (["--layers", "4"], "--layers needs the width of the input and of the output, got [4]"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(capsys, name):
    options, words = MISTAKES[name]
    assert main(["bench", *options]) == 2
    assert words in capsys.readouterr().err


def test_suite_from_a_checkout(capsys):
    pytest.importorskip("torch", reason="torch, which is measured beside nnx, is not installed")
    assert main(["bench", "--suite", "inference:tiny", "--repeat", "1"]) == 0
    assert "inference:tiny" in capsys.readouterr().out


def test_suite_elsewhere(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "benchmarks.suite.__main__", None)
    assert main(["bench", "--suite"]) == 2
    assert "run it from a checkout" in capsys.readouterr().err
