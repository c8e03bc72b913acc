"""`cp`: CuPy under the emulator. Skips where it cannot run; with NNX_TEST_CUPY=emulated that is an error instead."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import cuda_emulator

HERE = Path(__file__).parent


def _unavailable(session: pytest.Session) -> str | None:
    if cuda_emulator.active():
        return None
    if reason := cuda_emulator.missing():
        return reason
    if "cupy" in sys.modules:
        return "cupy was imported without the emulator"
    if any(HERE not in item.path.parents for item in session.items):
        return "the emulator holds for a whole process, and other tests run in it: set NNX_TEST_CUPY=emulated"
    return None


@pytest.fixture
def cp(request: pytest.FixtureRequest) -> Any:
    """The module cupy, emulated."""
    must = os.environ.get("NNX_TEST_CUPY") == "emulated"
    if not must and (reason := _unavailable(request.session)):
        pytest.skip(reason)
    cuda_emulator.activate()
    import cupy

    return cupy


@pytest.fixture
def python(cp: Any) -> Callable[..., subprocess.CompletedProcess[str]]:
    """python(code, NAME=value, ...): runs code in a process of its own, with these environment variables."""

    def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        ours = ("CUDA_PATH", "CUPY_EMU_FAIL", "CUPY_EMU_MEMORY", "CUPY_EMU_RECORD")
        variables = {name: value for name, value in os.environ.items() if name not in ours}
        variables |= {"PYTHONPATH": str(HERE.parents[1]), **environment}
        command = [sys.executable, "-W", "error", "-c", code]
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)

    return run
