"""Every example runs, and says what it claims."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_runs_and_prints(path, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [str(path)])
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.strip()


def test_four_equations_by_hand_and_numeric():
    names = runpy.run_path(str(EXAMPLES[0].parent / "four_equations.py"))
    by_hand, numeric = names["main"]()
    assert by_hand < 1e-12
    assert 0 < numeric < 1e-8
