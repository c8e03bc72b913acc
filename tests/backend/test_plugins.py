"""A third party's backend, installed as pip would: found by its entry point, and harmless where it is broken.

Each test is a process of its own, with a folder of packages on its path.
"""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "third_party_backend.py"
ROW = """
import nnx

class Good(nnx.Backend):
    name, package, install = "good", "numpy", "pip install good"
    devices = classmethod(lambda cls: {"cpu": "cpu"})

class Nameless(nnx.Backend):
    package = "numpy"

class Misnamed(Good):
    name = "other"

class Failing(Good):
    name = "failing"
    def _probe(self):
        raise OSError("libgood.so.1: cannot open shared object file")

class Absent(Good):
    name, package = "absent", "no_such_package"

function = len
"""
# name of the entry point -> what it points to, what is said of it
BROKEN = {
    "missing": ("no_such_module:Backend", "ModuleNotFoundError: No module named 'no_such_module'"),
    "attribute": ("row:Nothing", "AttributeError: module 'row' has no attribute 'Nothing'"),
    "value": ("row Good", "ValueError: expected package.module:Class"),
    "empty": ("", "ValueError: expected package.module:Class"),
    "function": ("row:function", "TypeError: <built-in function len> is no subclass of nnx.Backend"),
    "nameless": ("row:Nameless", "TypeError: Nameless does not say its name and install: strings, in the class"),
    "misnamed": ("row:Misnamed", "ValueError: Misnamed.name is 'other': one name for both"),
    "syntax": ("syntax:Backend", "SyntaxError: "),
    "leaving": ("leaving:Backend", "SystemExit: this package needs a licence"),
    "raising": ("raising:Backend", "KeyError: 'HOME_OF_RAISING'"),
    "failing": ("row:Failing", "OSError: libgood.so.1: cannot open shared object file"),
    "absent": ("row:Absent", "no_such_package is not installed: ModuleNotFoundError"),
}
MODULES = {
    "row": ROW,
    "syntax": "class Backend(:\n",
    "leaving": "raise SystemExit('this package needs a licence')\n",
    "raising": "raise KeyError('HOME_OF_RAISING')\n",
    "torch": "raise ImportError('left out: seconds')\n",
    "jax": "raise ImportError('left out: seconds')\n",
}


def install(folder, name, points):
    """What pip leaves of a distribution: its metadata and its entry points (a text as it is, or a dict)."""
    note = folder / f"{name}-1.0.dist-info"
    note.mkdir()
    (note / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = points if isinstance(points, str) else "\n".join(f"{key} = {value}" for key, value in points.items())
    (note / "entry_points.txt").write_text(f"[nnx.backends]\n{lines}\n")


@pytest.fixture
def packages(tmp_path):
    for name, source in MODULES.items():
        (tmp_path / f"{name}.py").write_text(source)
    return tmp_path


def python(folder, *arguments, code=0, **environment):
    """What a fresh Python prints, with that folder among its packages."""
    path = os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])
    found = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path, "NNX_BACKEND": "", "NNX_DEVICE": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == code, found.stderr
    return found.stdout if code == 0 else found.stderr


def rows(folder):
    return {row["name"]: row for row in json.loads(python(folder, "-m", "nnx", "backends", "--json"))}


def test_a_good_one_is_a_backend_like_the_others(packages):
    install(packages, "good", {"good": "row:Good"})
    row = rows(packages)["good"]
    assert (row["usable"], row["devices"], row["reason"]) == (True, ["cpu"], None)
    assert "good" in python(packages, "-m", "nnx", "backends")
    train = "import nnx; print(nnx.get_backend(), type(nnx.Linear(2, 2).weight).__name__)"
    assert python(packages, "-c", train, NNX_BACKEND="good").endswith("on cpu> ndarray\n")


def test_broken_ones_are_rows_with_a_reason_and_break_nothing(packages):
    install(packages, "broken", {name: value for name, (value, _) in BROKEN.items()})
    install(packages, "good", {"good": "row:Good"})
    found = rows(packages)
    assert found["good"]["usable"]
    assert found["numpy"]["usable"]
    for name, (value, words) in BROKEN.items():
        assert not found[name]["usable"], name
        assert words in found[name]["reason"], name
        assert name in ("failing", "absent") or f"its entry point '{value}' cannot be loaded" in found[name]["reason"]
    assert "libgood.so.1" in python(packages, "-m", "nnx", "backends", COLUMNS="200")
    still = "import numpy, nnx; print(nnx.get_backend('auto').name, nnx.grad(lambda x: x * x)(numpy.asarray(2.0)))"
    assert python(packages, "-c", still, JAX_PLATFORMS="cpu").split()[-1] == "4.0"


def test_the_error_of_one_that_was_asked_for(packages):
    install(packages, "broken", {name: BROKEN[name][0] for name in ("leaving", "misnamed")})
    code = (
        "import nnx, pytest\n"
        "for name, words in [('leaving', 'SystemExit: this package needs'), ('misnamed', 'one name for both')]:\n"
        "    with pytest.raises(nnx.BackendUnavailable, match=words) as caught: nnx.get_backend(name)\n"
        "    assert 'installed here: numpy' in str(caught.value)\n"
        "with pytest.raises(nnx.BackendUnavailable, match='unknown backend .nonsense.: there is numpy.*leaving'):\n"
        "    nnx.get_backend('nonsense')\n"
    )
    python(packages, "-c", code)


def test_a_file_that_is_not_in_the_format_hides_no_other(packages):
    install(packages, "unreadable", "just words")
    install(packages, "good", {"good": "row:Good"})
    assert rows(packages)["good"]["usable"]


def test_a_name_that_nnx_has_stays_nnxs(packages):
    install(packages, "thief", {"numpy": "row:Good"})
    assert (
        python(packages, "-c", "import nnx; print(type(nnx.get_backend('numpy')).__module__)") == "nnx.backend.numpy\n"
    )


def test_the_example_passes_the_check_of_every_family(tmp_path):
    """`nnx backends --check`: what an author asks first."""
    runpy.run_path(str(EXAMPLE))["install"](tmp_path)
    printed = python(tmp_path, "-m", "nnx", "backends", "--check", "tally")
    assert "FAIL" not in printed
    assert "checks agree with NumPy" in printed
