"""`nnx backends`: every known backend, and what the others lack."""

import importlib.util
import json

from nnx.cli import main
from tests.cli.runs import run

KNOWN = ["numpy", "cupy", "torch", "jax", "dpnp", "array_api_strict"]


def test_the_table(capsys, backend):
    assert main(["backends"]) == 0
    out = capsys.readouterr().out
    for name in KNOWN:
        assert f" {name} " in out
    assert f"active: <nnx backend {backend.name}" in out
    assert "numpy" in out.split("cupy")[0]


def test_install_commands_are_printed_as_they_are(capsys, monkeypatch):
    """rich would take the [ctk] of an install command for markup."""
    from nnx.backend import BackendInfo

    row = BackendInfo("cupy", False, False, None, (), "not [bold]there[/bold]", "pip install 'x[ctk]'")
    monkeypatch.setattr("nnx.backends", lambda: [row])
    assert main(["backends"]) == 0
    out = capsys.readouterr().out
    assert "[bold]there[/bold]" in out
    assert "'x[ctk]'" in out


def test_json(capsys):
    assert main(["backends", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == KNOWN
    assert rows["numpy"]["usable"]
    assert rows["numpy"]["devices"] == ["cpu"]
    for name, row in rows.items():
        assert row["installed"] == (importlib.util.find_spec(name) is not None)
        assert row["usable"] or (row["reason"] and row["install"].startswith("pip install"))
        assert bool(row["devices"]) == row["usable"]


def test_cupy_that_is_not_there(tmp_path):
    """A process of its own, in which cupy cannot be imported whatever is installed."""
    (tmp_path / "cupy.py").write_text("raise ModuleNotFoundError(\"No module named 'cupy'\")")
    done = run("train", "--epochs", "1", cwd=tmp_path, NNX_BACKEND="cupy")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.count("nnx train:") == 1
    assert "backend 'cupy'" in done.stderr
    assert "No module named 'cupy'" in done.stderr
    assert "pip install 'cupy-cuda13x[ctk]'" in done.stderr
    assert "numpy" in done.stderr, "what could be used in its place"
    assert done.stdout == ""
    assert not (tmp_path / "runs").exists()
