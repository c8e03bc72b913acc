"""kill -9 at any moment loses the updates since the last checkpoint, nothing else: the end is the same, in bytes."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnx.io import load_safetensors, read_lines
from tests.train.killed import EPOCHS, EVERY

ROOT = Path(__file__).parent.parent.parent
UPDATES = 4 * EPOCHS  # 7 batches, 2 an update

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")


def started(folder, *options):
    environment = {**os.environ, "NNX_BACKEND": "numpy", "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.train.killed", str(folder), *options],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(process, count):
    """Read lines until `count` were read, or the process ends. Returns (resumed, saved, done)."""
    resumed, saved, done = 0, 0, False
    for line in process.stdout:
        word, number = line.split()
        if word == "resumed":
            resumed = saved = int(number)
        elif word == "saved":
            saved = int(number)
        done = word == "done"
        count -= 1
        if count <= 0 or done:
            break
    return resumed, saved, done


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    process = started(folder)
    _, saved, done = wait_for(process, 10**6)
    assert done
    process.wait()
    process.stdout.close()
    assert saved >= UPDATES - EVERY
    return folder


def files(folder):
    """All that is in it: names, arrays' bytes and metadata, but for the seconds that were measured."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".safetensors":
            arrays, meta = load_safetensors(path)
            meta = _timeless(meta)
            found[path.name] = {name: (str(x.dtype), x.shape, x.tobytes()) for name, x in arrays.items()}, meta
        elif path.suffix == ".csv":
            with path.open(newline="") as file:
                found[path.name] = [_timeless(row) for row in csv.DictReader(file)]
        else:
            found[path.name] = _timeless(read_lines(path))
    return found


def _timeless(x):
    if isinstance(x, dict):
        return {key: _timeless(value) for key, value in x.items() if key not in ("seconds", "kept")}
    return [_timeless(value) for value in x] if isinstance(x, list) else x


@pytest.mark.parametrize("kills", [6, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_and_resumed_is_never_killed(kills, whole, tmp_path):
    rng = random.Random(kills)
    before, killed, state = 0, 0, tmp_path / "state.safetensors"
    while killed < kills:
        process = started(tmp_path, "--resume")
        last = max(1, (UPDATES - before) // EVERY // 2)  # so that there is something left for the others
        resumed, saved, done = wait_for(process, rng.randint(1, min(last, 1 + UPDATES // EVERY // kills * 2)))
        time.sleep(rng.random() * 4e-3)  # somewhere between two lines: in a step, or while a file is written
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert process.returncode == -signal.SIGKILL or done
        assert resumed >= before, "what was on the disk is not lost"
        before = saved
        killed += 1
        if state.exists():
            assert load_safetensors(state)[1]["step"] >= saved, "a file is whole, and holds what was said"
        for path in tmp_path.glob("*.safetensors"):
            load_safetensors(path)
    process = started(tmp_path, "--resume")
    _, _, done = wait_for(process, 10**6)
    assert done
    process.wait()
    process.stdout.close()
    names = {path.name for path in tmp_path.iterdir()}
    assert {path.name for path in whole.iterdir()} == names, "nor is anything left beside the files"
    found, expected = files(tmp_path), files(whole)
    for name, held in expected.items():
        assert found[name] == held, name
