"""`nnx gradcheck`: right gradients are 0, wrong ones 1 and a report, what cannot be checked 2 and a line."""

import json
import re
import sys

import pytest

import nnx
from nnx.cli import gradcheck, main

SOURCE = """
import nnx

def energy(x, y):
    xp = nnx.namespace(x)
    return xp.sum(xp.sin(x) * y)

@nnx.op
def half(x):
    return x * x, lambda delta: (delta * x,)

def logarithm(x):
    return nnx.namespace(x).log(x)

def broken(x):
    raise KeyError("nothing")

class Layer(nnx.Module):
    def __init__(self):
        self.linear, self.dropout = nnx.Linear(4, 3), nnx.Dropout(0.5)

    def __call__(self, x):
        return self.dropout(nnx.functional.gelu(self.linear(x)))

class Sized(nnx.Module):
    def __init__(self, n):
        self.n = n

instance = Layer()
number = 3
"""


@pytest.fixture
def code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mymodule.py").write_text(SOURCE)
    yield tmp_path
    sys.modules.pop("mymodule", None)


def checked(capsys, *argv):
    code = main(["gradcheck", *map(str, argv), "--json"])
    return code, json.loads(capsys.readouterr().out)


RIGHT = {
    "function": (["mymodule:energy", "--shape", "3,4", "--shape", "4"], 4),
    "second order": (["mymodule:energy", "--shape", "2", "--shape", "()", "--order", "2"], 8),
    "full": (["mymodule:energy", "--shape", "2x3", "--shape", "3", "--full"], 9),
    "class": (["mymodule.py:Layer", "--shape", "2,4"], 6),
    "instance": (["mymodule:instance", "--shape", "2,4", "--directions", "1"], 3),
    "domain": (["mymodule:logarithm", "--shape", "5", "--uniform", "0.5", "2"], 2),
}


@pytest.mark.parametrize(("argv", "n"), RIGHT.values(), ids=RIGHT)
def test_right(argv, n, code, capsys):
    found, report = checked(capsys, *argv)
    assert found == 0
    assert report["ok"]
    assert len(report["comparisons"]) == n
    assert report["worst"] < 1e-6
    assert report["dtype"] == "float64"


def test_wrong(code, capsys):
    found, report = checked(capsys, "mymodule:half", "--shape", "3")
    assert found == 1
    assert not report["ok"]
    assert "Likely a forgotten factor of 2" in report["message"]
    assert main(["gradcheck", "mymodule:half", "--shape", "3"]) == 1
    assert capsys.readouterr().out.startswith("gradients differ: argument 0")


def test_outside_of_its_domain(code, capsys):
    found, report = checked(capsys, "mymodule:logarithm", "--shape", "5")
    assert found == 1
    assert "at the edge of the function's domain" in report["message"]


@pytest.mark.parametrize("name", ["classes", "values", "images"])
def test_a_run(name, runs, capsys):
    found, report = checked(capsys, runs / name)
    assert found == 0
    assert {row["argument"].partition("parameter ")[2] for row in report["comparisons"]} == {
        "'0.weight'",
        "'0.bias'",
        "'3.weight'",
        "'3.bias'",
    }


def test_a_wrong_run(runs, capsys, monkeypatch):
    """A gradient that is wrong is wrong at every place; a kink at one place is tried again at another."""
    tried = []

    def mismatch(f, arguments, args):
        tried.append(args.eps)
        raise nnx.GradientMismatch("Likely a kink" if len(tried) < 3 else "Likely a forgotten factor")

    monkeypatch.setattr(gradcheck, "_checked", mismatch)
    assert main(["gradcheck", str(runs / "classes")]) == 1
    assert "forgotten factor" in capsys.readouterr().out
    assert tried == [1e-7] * 3


MISTAKES = {
    "no shape": (["mymodule:energy"], r"mymodule:energy needs the shapes of its arguments: e\.g\. --shape 3,4"),
    "too few": (["mymodule:energy", "--shape", "3"], r"raised TypeError: .*'y' \(arguments of shape \(3,\), set by"),
    "raises": (["mymodule:broken", "--shape", "3"], r"mymodule:broken raised KeyError: 'nothing'"),
    "no name": (["mymodule:enrgy", "--shape", "3"], r"there is no enrgy in mymodule, but .*energy"),
    "no module": (["nomodule:f", "--shape", "3"], r"importing nomodule raised ModuleNotFoundError"),
    "no file": (["no.py:f", "--shape", "3"], r"no\.py:f: importing no\.py raised FileNotFoundError: there is no such"),
    "no colon": (
        ["mymodule", "--shape", "3"],
        r"mymodule: expected module:name, file\.py:name, or the folder",
    ),
    "a number": (["mymodule:number", "--shape", "3"], r"expected a function or a Module, got int"),
    "arguments": (["mymodule:Sized", "--shape", "3"], r"its class needs arguments \(.*'n'\): name an instance"),
}


@pytest.mark.parametrize(("argv", "words"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(argv, words, code, capsys):
    assert main(["gradcheck", *argv]) == 2
    err = capsys.readouterr().err
    assert re.search(words, err), err
    assert "Traceback" not in err


def test_mistakes_with_a_run(runs, tmp_path, capsys):
    assert main(["gradcheck", str(tmp_path)]) == 2
    assert main(["gradcheck", str(runs / "classes"), "--shape", "3"]) == 2
    assert main(["gradcheck", str(runs / "classes"), "--dtype", "float32"]) == 2
    err = capsys.readouterr().err.splitlines()
    assert "expected the folder of a run" in err[0]
    assert "--shape and --uniform belong to a function" in err[1]
    assert "the model of a run is checked in float64" in err[2]


def test_a_shape_that_is_none(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["gradcheck", "a:b", "--shape", "3,x"])
    assert "expected sizes such as 3,4, got '3,x'" in capsys.readouterr().err
