"""The tool itself, on a few mutants: what it makes, what it says of each, and that its list of accepted ones holds."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants import accepted, changes
from tests.mutants.__main__ import main, report

ROOT = Path(__file__).parents[2]


def test_every_accepted_mutant_is_one_and_has_a_reason():
    found = [mutant for module in changes.MODULES for mutant in changes.mutants(module)]
    assert len(found) > 2000
    assert accepted.stale(found, changes.MODULES) == []
    assert all(len(why) > 10 for why in accepted.ACCEPTED.values())


@pytest.mark.parametrize("module", ["sorting", "sets", "eigen"])
def test_a_mutant_is_the_file_with_one_change(module):
    whole = ast.unparse(ast.parse((changes.RULES / f"{module}.py").read_text("utf-8")))
    sources = set()
    for mutant in changes.mutants(module):
        before, after = mutant.what.split("  →  ")
        lines = [
            pair for pair in zip(whole.splitlines(), mutant.source.splitlines(), strict=True) if pair[0] != pair[1]
        ]
        assert len(lines) == 1, mutant
        assert before in lines[0][0]
        assert after in lines[0][1]
        compile(mutant.source, module, "exec")
        sources.add(mutant.source)
    assert len(sources) == len(list(changes.mutants(module)))


SCRIPT = """
import json
from tests.mutants import changes, run

class Given(changes.Mutant):
    text = ""
    source = property(lambda self: self.text)

def given(change):
    mutant = Given("sorting", 1, range(1), "sort", "given", 0, 0)
    text = (changes.RULES / "sorting.py").read_text("utf-8")
    object.__setattr__(mutant, "text", change(text))
    return mutant

run.TESTS[:] = ["autodiff/test_assignment.py"]
case = json.dumps(["tests.autodiff.test_rules", "sort"])
test = "tests/autodiff/test_assignment.py::test_gradient_of_the_gradient_of_what_was_written[numpy]"
order = 'axis=axis, descending=descending'
print(json.dumps({
    "as it is": run.fate(None, [case], []),
    "unchanged": run.fate(given(lambda text: text), [case], [test]),
    "another order": run.fate(given(lambda text: text.replace(order, order.replace("=d", "=not d"))), [case], []),
    "no module": run.fate(given(lambda text: "1 / 0"), [case], []),
    "found by a test": run.fate(given(lambda text: "1 / 0"), [], [test]),
    "dead": run.fate(given(lambda text: text + "import os; os._exit(3)"), [case], []),
    "endless": [setattr(run, "SECONDS", 3), run.fate(given(lambda text: text + "while True: pass"), [case], [])][1],
}))
"""


def test_fates():
    """In a process of its own: it forks, which a process that has loaded every library should not."""
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NNX_TEST_BACKENDS": "numpy"},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == {
        "as it is": "survived",
        "unchanged": "survived",
        "another order": "a case",
        "no module": "a case",
        "found by a test": "a test",
        "dead": "a case",
        "endless": "the clock",
    }


def test_counts(capsys):
    found = list(changes.mutants("sets"))
    fates = dict(zip(found, ["survived", "a case", "a test", "the clock", "survived"], strict=False))
    assert report(fates, 12.0) == pytest.approx(60.0)
    said = capsys.readouterr().out
    assert "sets: 3 of 5 killed" in said
    assert "3 of 5 mutants killed (60.0%) in 12 s: 1 by a case, 1 by a test, 1 by the clock" in said
    assert "survived: 2; accepted, changes nothing: " in said


def test_list_and_wrong_names(capsys):
    assert main(["sorting", "--list", "--only", "descending"]) == 0
    assert "sorting.py:" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "no file of rules is called nothing" in capsys.readouterr().err


def test_entry_that_is_no_mutant_is_reported(capsys, monkeypatch):
    monkeypatch.setitem(accepted.ACCEPTED, ("sorting", "sort", "a  →  b"), "it is not there")
    assert main(["sorting", "--list"]) == 1
    assert "accepted.py lists what is no mutant any more: ('sorting', 'sort', 'a  →  b')" in capsys.readouterr().out
    assert main(["sets", "--list"]) == 0
