"""Mutants: each rule broken in one small way, and the tests of rules run on it. One that survives is a missing test.

    python -m tests.mutants                     all of them, in two processes
    python -m tests.mutants reductions --list   those of one file, shown only

A mutant is one change of the syntax tree: an operator exchanged, a factor or a summand dropped, a sign flipped, an
unbroadcast, a conjugate or a keyword forgotten, a comparison turned, a constant moved. It runs in a process of its
own, forked after the imports, on NumPy alone; one that does not end is killed by the clock. First come the cases of
the table that reach the changed line (a first pass noted which those are), and if all of them pass, every test of
rules. Only functions are changed, never annotations, docstrings and the messages of errors.
"""

import argparse
import ast
import contextlib
import copy
import importlib
import importlib.util
import io
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

RULES = Path(__file__).resolve().parent.parent / "nnx" / "autodiff" / "rules"
TESTS = [
    "test_conventions.py",
    "test_namespace.py",
    "test_tape.py",
    "test_transforms.py",
    "test_foreign.py",
    "test_checkpoint.py",
]
SECONDS = 60


SWAPPED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
TURNED = {
    ast.Lt: ast.GtE,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
FORGOTTEN = {
    "unbroadcast",
    "cast",
    "conj",
    "adjoint",
    "spread",
    "restored",
    "_diagonal",
    "flip",
    "astype",
    "abs",
    "where_zero",
}
"""Calls that a mutant replaces by their first (or last) array argument."""
EXCHANGED = {
    "tril": "triu",
    "triu": "tril",
    "cos": "sin",
    "sin": "cos",
    "cosh": "sinh",
    "sinh": "cosh",
    "max": "min",
    "min": "max",
}
EXCHANGED |= {
    "ones_like": "zeros_like",
    "zeros_like": "ones_like",
    "floor": "round",
    "real": "imag",
    "fft": "ifft",
    "ifft": "fft",
}


@dataclass(frozen=True)
class Mutant:
    """One change in one file."""

    module: str
    line: int
    last: int
    what: str
    source: str

    def __str__(self) -> str:
        return f"{self.module}.py:{self.line}: {self.what}"


def mutants(module: str) -> Iterator[Mutant]:
    """Every mutant of a file of rules."""
    tree = ast.parse((RULES / f"{module}.py").read_text())
    for place, node in enumerate(_changeable(tree)):
        for which, (what, _) in enumerate(_changes(node)):
            changed = copy.deepcopy(tree)
            target = list(_changeable(changed))[place]
            _, replacement = list(_changes(target))[which]
            _replace(changed, target, replacement)
            ast.fix_missing_locations(changed)
            yield Mutant(module, node.lineno, node.end_lineno or node.lineno, what, ast.unparse(changed))


def _changeable(tree: ast.AST) -> Iterator[ast.expr]:
    """The expressions in the bodies of functions and in tables of lambdas; not those in annotations and errors."""
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Raise | ast.Import | ast.ImportFrom | ast.JoinedStr):
            continue
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.istitle():
            continue  # a name for a type
        if isinstance(node, ast.keyword) and node.arg == "strict":  # of a zip whose lengths agree
            continue
        if isinstance(node, ast.expr):
            yield node
        if isinstance(node, ast.FunctionDef):
            stack += [*node.body, *node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]
        elif isinstance(node, ast.AnnAssign):
            stack += [node.value] if node.value is not None else []
        elif isinstance(node, ast.If) and isinstance(node.body[0], ast.Raise):
            stack += [node.test, *node.orelse]
        else:
            stack += list(ast.iter_child_nodes(node))


def _changes(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """What can be broken at this expression: in words, and what to put in its place."""
    text = ast.unparse(node)
    short = text if len(text) < 70 else text[:67] + "..."
    if isinstance(node, ast.BinOp) and type(node.op) in SWAPPED:
        new = ast.BinOp(node.left, SWAPPED[type(node.op)](), node.right)
        yield f"{short}  →  {ast.unparse(new)[:70]}", new
        yield f"{short}  →  its left side alone", node.left
        if isinstance(node.op, ast.Mult | ast.Add | ast.BitAnd | ast.BitOr):
            yield f"{short}  →  its right side alone", node.right
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not | ast.Invert):
        if not isinstance(node.operand, ast.Constant):
            yield f"{short}  →  without {type(node.op).__name__}", node.operand
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        new = ast.Compare(node.left, [TURNED[type(node.ops[0])]()], node.comparators)
        yield f"{short}  →  {ast.unparse(new)[:70]}", new
    elif isinstance(node, ast.BoolOp):
        new = ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        yield f"{short}  →  {ast.unparse(new)[:70]}", new
    elif isinstance(node, ast.IfExp):
        yield f"{short}  →  always the first", node.body
        yield f"{short}  →  always the second", node.orelse
    elif isinstance(node, ast.Call):
        yield from _changes_of_call(node, short)
    elif isinstance(node, ast.Constant):
        yield from ((f"{short}  →  {value!r}", ast.Constant(value)) for value in _other_values(node.value))
    elif isinstance(node, ast.Lambda) and not node.args.args and not node.args.posonlyargs:
        yield f"{short}  →  no gradient", ast.Lambda(node.args, ast.Constant(None))


def _other_values(value: object) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, complex):
        return [-value]
    return [value + 1] if isinstance(value, int | float) else []


def _changes_of_call(node: ast.Call, short: str) -> Iterator[tuple[str, ast.expr]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in FORGOTTEN and node.args:
        yield f"{short}  →  forgotten", node.args[-1] if name == "where_zero" else node.args[0]
    if name in EXCHANGED and isinstance(node.func, ast.Attribute):
        function = ast.Attribute(node.func.value, EXCHANGED[name], ast.Load())
        yield f"{short}  →  {EXCHANGED[name]}", ast.Call(function, node.args, node.keywords)
    if name == "where" and len(node.args) == 3:
        yield f"{short}  →  exchanged", ast.Call(node.func, [node.args[0], node.args[2], node.args[1]], node.keywords)
    for k, keyword in enumerate(node.keywords):
        if keyword.arg in ("axis", "keepdims", "offset", "k", "norm", "correction", "include_initial", "descending"):
            rest = node.keywords[:k] + node.keywords[k + 1 :]
            yield f"{short}  →  without {keyword.arg}", ast.Call(node.func, node.args, rest)


def _replace(tree: ast.AST, target: ast.AST, replacement: ast.AST) -> None:
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, field, replacement)
                return
            if isinstance(value, list):
                for i, item in enumerate(value):
                    if item is target:
                        value[i] = replacement
                        return


# ---- running --------------------------------------------------------------------------------------------------------


def _prepare() -> dict[tuple[str, int], list[str]]:
    """Import once what a mutant needs and does not change, and note which cases reach which lines of the rules."""
    os.environ["NNX_TEST_BACKENDS"] = "numpy"
    for name in ("pytest", "array_api_strict", "torch", "array_api_compat.torch", "array_api_extra"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    tests = importlib.import_module("tests.autodiff.test_rules")
    reached: dict[tuple[str, int], list[str]] = {}
    name = ""

    def line(frame: FrameType, event: str, argument: object) -> Any:
        cases = reached.setdefault((Path(frame.f_code.co_filename).stem, frame.f_lineno), [])
        if not cases or cases[-1] != name:
            cases.append(name)
        return line

    def call(frame: FrameType, event: str, argument: object) -> Any:
        return line(frame, event, argument) if frame.f_code.co_filename.startswith(str(RULES)) else None

    sys.settrace(call)
    for name in tests.CASES:
        _check(tests, name)
    sys.settrace(None)
    return reached


def _check(tests: Any, name: str) -> None:
    tests.test_gradient_and_its_gradient_are_those_of_differences(name)


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
        if name.partition(".")[0] == "nnx" or name in ("tests.autodiff.test_rules", "tests.support", "tests.conftest"):
            del sys.modules[name]


def _run(mutant: Mutant, cases: list[str], results: Connection) -> None:
    """In a process of its own: the cases, then the tests. Sends whether the mutant passed them all."""
    sys.meta_path.insert(0, _Finder(mutant))
    _forget_nnx()
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            tests = importlib.import_module("tests.autodiff.test_rules")
            for name in cases:
                _check(tests, name)
            survived = _all_tests_pass()
        except BaseException:  # a mutant may do anything
            survived = False
    results.send(survived)
    results.close()
    os._exit(0)


def _all_tests_pass() -> bool:
    import pytest

    _forget_nnx()
    here = Path(__file__).resolve().parent / "autodiff"
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--tb=no"]
    return int(pytest.main([*options, *(str(here / name) for name in TESTS)])) == 0


def survives(mutant: Mutant, cases: list[str]) -> bool:
    """Whether everything passes on the mutant within the time."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_run, args=(mutant, cases, sender))
    process.start()
    sender.close()
    survived = False
    if receiver.poll(SECONDS):
        with contextlib.suppress(EOFError):
            survived = receiver.recv()
    process.kill()
    process.join()
    return survived


def _cases(mutant: Mutant, reached: dict[tuple[str, int], list[str]]) -> list[str]:
    """The cases that reach the mutant's lines, or else its file."""
    lines = {name for k in range(mutant.line, mutant.last + 1) for name in reached.get((mutant.module, k), [])}
    file = {name for (module, _), names in reached.items() if module == mutant.module for name in names}
    return sorted(lines or file)


def main() -> int:
    """Counts on the last line; 1 if fewer than --least percent were killed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="*", default=sorted(p.stem for p in RULES.glob("[a-z]*.py")))
    parser.add_argument("--list", action="store_true", help="show the mutants, run nothing")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="one of N, for a quick look")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--least", type=float, default=97.0, metavar="PERCENT")
    options = parser.parse_args()
    chosen = [m for module in options.modules for m in mutants(module)][:: options.every]
    if options.list:
        print(*chosen, sep="\n")
        print(f"{len(chosen)} mutants")
        return 0
    reached = _prepare()
    start, alive = time.monotonic(), []
    unchanged = Mutant("common", 1, 1, "unchanged", (RULES / "common.py").read_text())
    if not survives(unchanged, _cases(unchanged, reached)):
        print("the tests fail on the rules as they are")
        return 2
    with ThreadPoolExecutor(options.processes) as pool:
        found = pool.map(lambda mutant: survives(mutant, _cases(mutant, reached)), chosen)
        for mutant, survived in zip(chosen, found, strict=True):
            if survived:
                alive.append(mutant)
                print(f"survived: {mutant}", flush=True)
    killed = len(chosen) - len(alive)
    share = 100.0 * killed / max(len(chosen), 1)
    print(f"{killed} of {len(chosen)} mutants killed ({share:.1f}%) in {time.monotonic() - start:.0f} s")
    return 0 if share >= options.least else 1


if __name__ == "__main__":
    sys.exit(main())
