"""Trying a mutant, in a process of its own, forked after the imports: whether any test notices it.

First come the cases of the tables that reach the changed statement, the quickest first, and if all of them pass, every
test of rules that reaches it, on NumPy and on array-api-strict, which refuses what NumPy lets pass: a first pass noted
which those are (all, if none does: what runs when a module is imported). One that does not end is killed by the clock,
which counts the processor's time, and is counted.
"""

import contextlib
import importlib
import importlib.util
import io
import json
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from tests.mutants.changes import RULES, Mutant

HERE = Path(__file__).resolve().parents[1]
TESTS = [
    "autodiff/test_conventions.py",
    "autodiff/test_assignment.py",
    "autodiff/test_namespace.py",
    "autodiff/test_tape.py",
    "autodiff/test_transforms.py",
    "autodiff/test_jacobians.py",
    "autodiff/test_higher_orders.py",
    "autodiff/test_rules.py",
    "autodiff/test_foreign.py",
    "autodiff/test_checkpoint.py",
    "autodiff/test_rulecheck.py",
    "foreign/test_special.py",
]
TABLES = {
    "tests.autodiff.test_rules": "test_gradient_and_its_gradient_are_those_of_differences",
    "tests.foreign.test_special": "test_derivative_and_its_derivative",
}
"""Modules with a table of cases, and the test that tries one."""
SECONDS = 200
"""Of the processor, more than ten times what everything takes: the clock is for loops that never end."""
WAIT = 3600.0
"""Of the day: for one that waits for itself."""


class Reached:
    """Which cases and which tests reach which lines of the rules, and how long each takes."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, int], set[str]] = {}
        self.seconds: dict[str, float] = {}

    def by(self, mutant: Mutant) -> list[str]:
        """Those that reach the mutant's statement, the quickest first."""
        found = set().union(*(self.lines.get((mutant.module, line), set()) for line in mutant.lines))
        return sorted(found, key=lambda name: (self.seconds[name], name))

    @contextlib.contextmanager
    def noting(self, name: str) -> Iterator[None]:
        """Note which lines the block reaches, in any thread."""

        def line(frame: FrameType, event: str, argument: object) -> Any:
            self.lines.setdefault((Path(frame.f_code.co_filename).stem, frame.f_lineno), set()).add(name)
            return line

        def call(frame: FrameType, event: str, argument: object) -> Any:
            return line(frame, event, argument) if frame.f_code.co_filename.startswith(str(RULES)) else None

        start = time.perf_counter()
        threading.settrace(call)
        sys.settrace(call)
        try:
            yield
        finally:
            sys.settrace(None)
            threading.settrace(None)
            self.seconds[name] = time.perf_counter() - start

    def pytest_runtest_protocol(self, item: Any, nextitem: Any) -> None:
        """As a plug-in of pytest: around each test, until pytest_runtest_logfinish."""
        self.block = self.noting(item.nodeid)
        self.block.__enter__()

    def pytest_runtest_logfinish(self, nodeid: str, location: Any) -> None:
        """See pytest_runtest_protocol."""
        self.block.__exit__(None, None, None)


def prepare() -> tuple[Reached, Reached]:
    """Import once what a mutant needs and does not change; which cases and which tests reach which lines."""
    os.environ["NNX_TEST_BACKENDS"] = "numpy,array_api_strict"
    for name in ("pytest", "array_api_strict", "torch", "array_api_compat.torch", "array_api_extra", "scipy.special"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    return in_a_fork(_noted_cases), in_a_fork(_noted_tests)


def _noted_cases() -> Reached:
    reached = Reached()
    for table in TABLES:
        module = importlib.import_module(table)
        for name in module.CASES if hasattr(module, "CASES") else (*module.ONE, *module.MORE):
            case = json.dumps([table, name])
            with reached.noting(case):
                check(case)
    return reached


def _noted_tests() -> Reached:
    reached = Reached()
    run_tests(TESTS, reached)
    del reached.block
    return reached


def check(case: str) -> None:
    """Raises whatever the test of the case raises. case: the module with the table, and the name in it, as JSON."""
    table, name = json.loads(case)
    getattr(importlib.import_module(table), TABLES[table])(name)


class _Finder:
    """Gives one module its mutated source."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        if name != f"nnx.autodiff.rules.{self.mutant.module}":
            return None
        return importlib.util.spec_from_loader(name, self)

    def create_module(self, spec: object) -> None:
        return None

    def exec_module(self, module: object) -> None:
        file = str(RULES / f"{self.mutant.module}.py")
        module.__file__ = file
        exec(compile(self.mutant.source, file, "exec"), module.__dict__)


def _forget_nnx() -> None:
    for name in list(sys.modules):
        first, _, rest = name.partition(".")
        if first == "nnx" or (first == "tests" and rest and not rest.startswith("mutants")):
            del sys.modules[name]


class _Only:
    """A plug-in of pytest: these tests alone."""

    def __init__(self, wanted: set[str]) -> None:
        self.wanted = wanted

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = [item for item in items if item.nodeid in self.wanted]


def run_tests(files: list[str], plugin: object | None, *options: str) -> int:
    """pytest's exit status."""
    import pytest

    _forget_nnx()
    os.environ.pop("PYTEST_ADDOPTS", None)  # options of a run that this one is part of
    quiet = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--tb=no", f"--rootdir={HERE.parent}"]
    return int(
        pytest.main([*quiet, *options, *(str(HERE / name) for name in files)], plugins=[plugin] if plugin else [])
    )


def in_a_fork(call: Callable[[], Any]) -> Any:
    """What it returns, computed in a process of its own; that of the parent stays clean."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=lambda: (_silenced(), sender.send(call())))
    process.start()
    sender.close()
    found = receiver.recv()
    process.join()
    return found


def _silenced() -> None:
    sys.stdout = sys.stderr = io.StringIO()


def _run(mutant: Mutant | None, cases: list[str], tests: list[str], results: Connection) -> None:
    """In a process of its own: sends whether the mutant passed the cases and, if so, whether it passed the tests."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    if mutant is not None:
        sys.meta_path.insert(0, _Finder(mutant))
    _forget_nnx()
    _silenced()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results.send(_passes(lambda: [check(case) for case in cases]))
        results.send(_passes(lambda: _tests(tests)))
    results.close()
    os._exit(0)


def _passes(call: Callable[[], object]) -> bool:
    try:
        call()
    except BaseException:  # a mutant may do anything
        return False
    return True


def _tests(wanted: list[str]) -> None:
    """Raises unless these tests pass, or all of them if there are none."""
    files = sorted({name.partition("::")[0].removeprefix("tests/") for name in wanted}, key=TESTS.index)
    assert run_tests(files or TESTS, _Only(set(wanted)) if wanted else None, "-x") == 0


def fate(mutant: Mutant | None, cases: list[str], tests: list[str]) -> str:
    """Who killed it ("a case", "a test", "the clock"), or "survived". None: of the rules as they are."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_run, args=(mutant, cases, tests, sender))
    process.start()
    sender.close()
    try:
        for killer in ("a case", "a test"):
            if not receiver.poll(WAIT):
                return "the clock"
            try:
                passed = receiver.recv()
            except EOFError:  # it took its process with it
                process.join()
                return "the clock" if process.exitcode in (-signal.SIGXCPU, -signal.SIGKILL) else killer
            if not passed:
                return killer
        return "survived"
    finally:
        process.kill()
        process.join()
        receiver.close()
