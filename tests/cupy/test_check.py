"""`nnx backends --check cupy`: what it finds, what it writes, and what it says to each failure of setting up CUDA."""

import json
import os
import subprocess
import sys

import pytest

from nnx.backend import arrays, cupy_cross_entropy
from nnx.cli import check, main
from nnx.cli.families import Family

ENTRY = (
    "from tests import cuda_emulator; cuda_emulator.activate(); import sys; from nnx.cli import main; "
    "sys.exit(main(sys.argv[1:]))"
)


def test_everything_agrees_and_the_report_says_on_what(backend, tmp_path, capsys):
    file = tmp_path / "report.json"
    assert main(["backends", "--check", "cupy", "--report", str(file)]) == 0
    report = json.loads(file.read_text("utf-8"))
    printed = capsys.readouterr().out
    total = 3 * len(check.FAMILIES)
    assert f"{total} of {total} checks agree with NumPy" in printed
    assert [r["ok"] for r in report["results"]] == [True] * total
    assert all(r["ms"] > 0 and r["ms_numpy"] > 0 and r["difference"] <= r["tolerance"] for r in report["results"])
    assert {"name", "compute capability", "driver", "runtime", "nvrtc", "cublas", "memory"} <= report["facts"].keys()
    assert not any("not known" in text for text in report["facts"].values()), report["facts"]
    assert report["memory"]["peak"] > 0
    assert {"python", "platform", "numpy", "nnx", "environment", "version", "device"} <= report.keys()


def test_a_wrong_gradient_is_found(backend, monkeypatch, capsys):
    import cupy

    def wrong(x, target, factor):
        y, pullback = cupy_cross_entropy.cross_entropy(x, target, factor)
        return y, lambda dy: (pullback(dy)[0] * 1.01, None, None)

    monkeypatch.setitem(arrays._KERNELS, ("cross_entropy", cupy.ndarray), wrong)
    assert main(["backends", "--check", "cupy"]) == 1
    printed = capsys.readouterr().out
    assert "ok   linear            forward" in printed
    assert "FAIL linear            backward" in printed


def test_an_error_of_the_library_is_a_finding(backend, monkeypatch, capsys):
    def broken():
        raise RuntimeError("no kernel image is available for execution on the device")

    monkeypatch.setitem(check.FAMILIES, "dropout", Family((6,), broken))
    assert main(["backends", "--check", "cupy"]) == 1
    printed = capsys.readouterr().out
    assert "FAIL dropout           all" in printed
    assert "ok   linear            training" in printed
    assert "RuntimeError: no kernel image is available" in printed


@pytest.mark.parametrize("options", [["--report", "x.json"], ["--device", "cuda:0"]])
def test_options_that_belong_to_check(options, capsys):
    assert main(["backends", *options]) == 2
    assert "belong to --check" in capsys.readouterr().err


def test_numpy_agrees_with_itself(capsys):
    assert main(["backends", "--check", "numpy"]) == 0


# what goes wrong -> what the library says, what nnx says to it
FAILURES = {
    "no_driver": (
        {"CUPY_EMU_FAIL": "no_driver"},
        "cudaErrorInsufficientDriver",
        "no NVIDIA driver was found: install one",
    ),
    "old_driver": (
        {"CUPY_EMU_FAIL": "old_driver"},
        "cudaErrorInsufficientDriver",
        "driver is too old: it knows CUDA 11.4",
    ),
    "no_device": ({"CUPY_EMU_FAIL": "no_device"}, "cudaErrorNoDevice", "check nvidia-smi and CUDA_VISIBLE_DEVICES"),
    "no_cublas": ({"CUPY_EMU_FAIL": "no_cublas"}, "libcublas", "a part of the CUDA toolkit is missing: pip install"),
    "full": (
        {"CUPY_EMU_FAIL": "oom", "CUPY_EMU_MEMORY": "0"},
        "Out of memory allocating 512 bytes (allocated so far: 0 bytes)",
        "the device's memory is full (0 of 0 MiB are free, CuPy's own pool holds 0)",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_of_setting_up_has_its_message(emulated, tmp_path, name):
    environment, words, advice = FAILURES[name]
    file = tmp_path / "report.json"
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", ENTRY, "backends", "--check", "cupy", "--report", str(file)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2, found.stderr
    report = json.loads(file.read_text("utf-8"))
    for text in (found.stderr, report["error"]):
        assert words in text
        assert advice in text
    assert report["environment"].items() >= environment.items()


def test_the_messages_differ(emulated):
    assert len({advice for _, _, advice in FAILURES.values()}) == len(FAILURES)


def test_memory_that_ends_during_the_check(emulated, tmp_path):
    """The probe fits, a family does not: what failed names what was allocated."""
    code = ENTRY.replace(
        "cuda_emulator.activate();",
        "cuda_emulator.activate(); from nnx.cli import check; "
        "wide = lambda: [check.nnx.Linear(6, 200_000), check.nnx.Linear(200_000, 4)]; "
        "check.FAMILIES = {'wide': check.Family((6,), wide)};",
    )
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, "backends", "--check", "cupy"],
        env={**os.environ, "CUPY_EMU_FAIL": "oom", "CUPY_EMU_MEMORY": str(1 << 22)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1, found.stderr
    assert "FAIL wide" in found.stdout
    assert "OutOfMemoryError: Out of memory allocating" in found.stdout
    assert "allocated so far" in found.stdout
