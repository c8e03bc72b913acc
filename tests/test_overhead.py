"""The benchmark of what watching costs runs, and a watched call costs less than HIPS autograd's."""

import json
import runpy
from pathlib import Path

import pytest

BENCHMARK = str(Path(__file__).parent.parent / "benchmarks" / "overhead.py")


def test_runs_and_prints(capsys):
    main = runpy.run_path(BENCHMARK)["main"]
    main(["--repeat", "1", "--number", "3", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"add", "multiply", "exp", "tanh", "maximum", "pow", "sum", "matmul"}
    main(["--repeat", "1", "--number", "3"])
    assert "above plain" in capsys.readouterr().out


def test_watched_call_costs_less_than_autograds():
    pytest.importorskip("autograd", reason="autograd, which is measured beside nnx, is not installed")
    found = runpy.run_path(BENCHMARK)["measure"](("add", "exp"), 8, 10, 50)
    for row in found.values():
        plain = row["forward"]["plain"]
        assert row["forward"]["nnx"] - plain < row["forward"]["autograd"] - plain
        assert row["both"]["nnx"] < row["both"]["autograd"]
