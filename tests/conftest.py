"""One fixture runs a test on every backend that can run here.

`NNX_TEST_BACKENDS=numpy,torch` makes these backends a must: a missing one is an error. Without it every installed one
runs, and the others are skipped with the reason. array-api-strict runs on "device1", which refuses hidden conversion.
CuPy runs on a GPU with `NNX_TEST_CUPY=require`, under the CUDA emulator with `NNX_TEST_CUPY=emulated`.
"""

import os
from collections import Counter

os.environ.setdefault("JAX_ENABLE_X64", "1")  # before anybody imports jax: gradients are checked in float64
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import pytest

import nnx
from tests import support

CUPY = os.environ.get("NNX_TEST_CUPY", "")
if CUPY == "emulated":
    from tests import cuda_emulator

    cuda_emulator.activate()

ran: Counter[str] = Counter()


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, too")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))


@pytest.fixture(params=support.BACKENDS)
def backend(request):
    """The active backend of the test: every test that asks for it runs once on each."""
    name = request.param
    try:
        opened = support.open_backend(name)
    except nnx.BackendUnavailable as error:
        if name in support.REQUIRED:
            raise
        pytest.skip(str(error).partition("\n")[0])
    with nnx.use_backend(name, opened.device) as active:
        yield active


@pytest.fixture
def xp(backend):
    """The namespace of the active backend."""
    return backend.xp


@pytest.fixture(autouse=True)
def _fresh_seed():
    nnx.seed(0)


def pytest_runtest_logreport(report):
    if report.when == "call" and report.passed and "[" in report.nodeid:
        found = [name for name in support.BACKENDS if name in report.nodeid.rpartition("[")[2].rstrip("]").split("-")]
        ran.update(found[:1])


def pytest_terminal_summary(terminalreporter):
    counts = ", ".join(f"{name} {ran[name]}" for name in support.BACKENDS if ran[name])
    emulated = " (cupy under CUDA emulation, not on a GPU)" if CUPY == "emulated" else ""
    terminalreporter.write_line(f"tests passed by backend: {counts or 'none is parametrized'}{emulated}")
