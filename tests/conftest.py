"""One fixture runs a test on every backend that can run here.

`NNX_TEST_BACKENDS=numpy,torch` makes these backends a must: a missing one is an error. Without it every installed one
runs, and the others are skipped with the reason. array-api-strict runs on "device1", which refuses hidden conversion.
CuPy runs on a GPU with `NNX_TEST_CUPY=require`, under the CUDA emulator with `NNX_TEST_CUPY=emulated`.
`--must-run cupy` fails unless tests of that backend passed and none of them was skipped: a skipped test is not a pass.
"""

import os
from collections import Counter
from pathlib import Path

# before anybody imports jax
os.environ.setdefault("JAX_ENABLE_X64", "1")  # gradients are checked in float64
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# JAX compiles every operation of every shape, which took most of the suite's time: workers, processes that a test
# starts and later runs find there what one of them has compiled
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

import pytest

import nnx
from nnx.backend import torch_compiler
from tests import narrow, support

CUPY = os.environ.get("NNX_TEST_CUPY", "")
if CUPY == "emulated":
    from tests import cuda_emulator

    cuda_emulator.activate()
if support.WITHOUT_FLOAT64:
    narrow.install()

ran: Counter[str] = Counter()
skipped: Counter[str] = Counter()
refused: Counter[str] = Counter()
EXCUSES = ("not emulated:", "no float64:")
# skipped by what a test or a library is, not by what this machine lacks
HARMLESS = ("slow:", "one library", "one side", "no float16", "no bfloat16", "no data-dependent shapes")


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests marked slow, too")
    parser.addoption("--must-run", metavar="BACKEND", help="fail unless its tests passed and none of them was skipped")


def pytest_configure(config):
    config.addinivalue_line("markers", "float64(why): cannot be run in float32 in its place, where there is no float64")


def pytest_collection_modifyitems(config, items):
    for item in items:
        if "backend" in item.fixturenames or item.nodeid.startswith(("tests/cuda_emulator/", "tests/portability/")):
            item.add_marker("on_backend")
        if "backend" in item.fixturenames and support.WITHOUT_FLOAT64 and (reason := narrow.subject(item)):
            item.add_marker(pytest.mark.skip(reason=f"no float64: {reason}"))
        if "slow" in item.keywords and not config.getoption("--slow"):
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


@pytest.fixture
def inductor():
    """The test's programs are compiled on torch, too; skipped where no C++ compiler is."""
    if not torch_compiler.works():
        pytest.skip("torch finds no C++ compiler")


@pytest.fixture(autouse=True)
def _graphs(request, monkeypatch):
    """On torch a traced graph runs as it is, unless the test asks for `inductor`: to compile C++ takes seconds each."""
    if "inductor" not in request.fixturenames:
        monkeypatch.setattr(torch_compiler, "built", lambda graph, inputs: graph)
        monkeypatch.setattr(torch_compiler, "works", lambda: True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    try:
        return (yield)
    except Exception as error:
        if CUPY == "emulated" and (refused := support.needs_a_gpu(error)):
            pytest.skip(f"not emulated: {refused}")
        if support.WITHOUT_FLOAT64 and (reason := narrow.excuse(error)):
            pytest.skip(f"no float64: {reason}")
        raise


def pytest_runtest_logreport(report):
    if "[" not in report.nodeid:
        return
    parameters = report.nodeid.rpartition("[")[2].rstrip("]").split("-")
    found = [name for name in support.BACKENDS if name in parameters][:1]
    if report.when == "call" and report.passed:
        ran.update(found)
    elif report.skipped and any(excuse in str(report.longrepr) for excuse in EXCUSES):
        refused.update(found)
    elif report.skipped and not hasattr(report, "wasxfail") and not any(r in str(report.longrepr) for r in HARMLESS):
        skipped.update(found)


def _missed(config):
    """Why the backend of --must-run has not been tested, or None."""
    name = config.getoption("--must-run")
    if not name or (ran[name] and not skipped[name]):
        return None
    return f"--must-run {name}: {ran[name]} of its tests passed, {skipped[name]} were skipped"


def pytest_sessionfinish(session):
    on_a_worker = hasattr(session.config, "workerinput")  # of xdist: the reports come together in the main process
    if not on_a_worker and not session.config.option.collectonly and _missed(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config):
    counts = ", ".join(f"{name} {ran[name]}" for name in support.BACKENDS if ran[name])
    emulated = narrowed = ""
    if support.WITHOUT_FLOAT64:
        narrowed = f" (on a device without float64, which {refused['array_api_strict']} more are about)"
    if CUPY == "emulated":
        emulated = (
            f" (cupy under CUDA emulation, not on a GPU; {refused['cupy']} more need cuSOLVER or cuFFT, which it lacks)"
        )
    terminalreporter.write_line(f"tests passed by backend: {counts or 'none is parametrized'}{emulated}{narrowed}")
    if reason := _missed(config):
        terminalreporter.write_line(reason, red=True)
