"""Ctrl-C during a training keeps what was saved and says where; --resume goes on from there, bit for bit."""

import json
import signal
import subprocess
import time

import pytest

import nnx
from nnx.io import load_safetensors
from tests.cli.runs import SMALL, command, metrics, train, without_time


def interrupt(cwd, when, *args):
    """Send SIGINT to `nnx train` as soon as `when(run folder)` holds."""
    # started in the background (`pytest &`) a process ignores SIGINT, and so would its children
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            **command("train", *SMALL, "--name", "a", "--epochs", "100000", *args),
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        deadline = time.monotonic() + 60.0
        while not when(cwd / "runs" / "a") and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()  # nothing if it has ended
    return process.returncode, out, err


def lines_of(file):
    return file.read_text().count("\n") if file.exists() else 0


def test_ctrl_c_keeps_what_was_saved(tmp_path):
    code, _, err = interrupt(tmp_path, lambda folder: lines_of(folder / "metrics.jsonl") >= 3)
    assert code == 130
    assert "Traceback" not in err
    folder = tmp_path / "runs" / "a"
    assert "nnx train: interrupted; runs/a keeps the weights of epoch" in err
    assert "nnx train --resume runs/a" in err
    assert {file.name for file in folder.iterdir()} == {
        "checkpoint.safetensors",
        "config.json",
        "metrics.jsonl",
        "model.safetensors",
    }, "no temporary file is left"
    json.loads((folder / "config.json").read_text())
    records = metrics(folder)
    assert [record["epoch"] for record in records] == list(range(1, len(records) + 1))
    _, metadata = load_safetensors(folder / "model.safetensors")
    assert f"the weights of epoch {metadata['epoch']}" in err
    _, metadata = load_safetensors(folder / "checkpoint.safetensors")
    assert f"the state after epoch {metadata['epoch']}:" in err


def test_ctrl_c_between_two_files(tmp_path, monkeypatch, capsys):
    """What is said is what the files hold, not how far the training had come."""

    def pressed(self, trainer, record):
        raise KeyboardInterrupt

    monkeypatch.setattr("nnx.train.MetricsLog.on_epoch_end", pressed)
    assert train("--out", tmp_path, "--name", "a") == 130
    assert (
        capsys.readouterr().err
        == f"\nnnx train: interrupted; {tmp_path / 'a'} keeps the weights of epoch 1, the best\n"
    )


def test_ctrl_c_before_the_first_epoch_leaves_nothing(tmp_path, monkeypatch, capsys):
    def pressed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("nnx.train.Trainer._train_batch", pressed)
    assert train("--out", tmp_path, "--name", "a") == 130
    assert "interrupted; no epoch was done, and nothing is kept" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_anywhere_else(tmp_path, monkeypatch, capsys):
    def pressed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("nnx.cli.sources.read", pressed)
    assert train("--out", tmp_path) == 130
    assert capsys.readouterr().err == "\nnnx train: interrupted\n"


@pytest.fixture
def whole(tmp_path, capsys):
    """A run of four epochs that nothing interrupted."""
    assert train("--out", tmp_path, "--name", "whole", "--epochs", 4) == 0
    return tmp_path / "whole"


def test_resume_is_the_same_run(whole, tmp_path, capsys):
    folder = tmp_path / "a"
    assert train("--out", tmp_path, "--name", "a", "--epochs", 2) == 0
    nnx.seed(12345)  # whatever the process draws in between
    capsys.readouterr()
    assert nnx.cli.main(["train", "--resume", str(folder), "--epochs", "4"]) == 0
    done = [line[:9] for line in capsys.readouterr().out.splitlines() if line.startswith("epoch")]
    assert done == ["epoch   3", "epoch   4"], "what was done is not done again"
    for name in ("model.safetensors", "checkpoint.safetensors"):
        arrays, _ = load_safetensors(folder / name)
        expected, _ = load_safetensors(whole / name)
        assert arrays.keys() == expected.keys()
        assert all(arrays[key].tobytes() == expected[key].tobytes() for key in expected), name
    assert without_time(metrics(folder)) == without_time(metrics(whole))
    assert (folder / "config.json").read_text() == (whole / "config.json").read_text()


def test_resume_after_a_kill_between_two_files(whole, tmp_path, capsys):
    """The line of an epoch is written before its checkpoint: when it is done again, it is written once."""
    folder = tmp_path / "a"
    assert train("--out", tmp_path, "--name", "a", "--epochs", 2) == 0
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "loss": 7.0}\n{"epoch": 4, "lo')
    assert nnx.cli.main(["train", "--resume", str(folder), "--epochs", "4"]) == 0
    assert without_time(metrics(folder)) == without_time(metrics(whole))


def test_resume_on_another_backend(whole, tmp_path, capsys):
    folder = tmp_path / "a"
    assert train("--out", tmp_path, "--name", "a", "--epochs", 2) == 0
    assert nnx.cli.main(["train", "--resume", str(folder), "--epochs", "4", "--backend", "array_api_strict"]) == 0
    assert json.loads((folder / "config.json").read_text())["backend"] == "array_api_strict"
    for found, expected in zip(metrics(folder), metrics(whole), strict=True):
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)


def test_resume_keeps_its_backend(tmp_path, capsys):
    assert train("--out", tmp_path, "--name", "a", "--epochs", 1, "--backend", "array_api_strict") == 0
    assert nnx.cli.main(["train", "--resume", str(tmp_path / "a"), "--epochs", "2"]) == 0
    assert "on array_api_strict" in capsys.readouterr().out.splitlines()[-1]
