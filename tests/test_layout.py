"""How the house is built: who may import whom, who may name an array library, and how cheap `import nnx` is."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import nnx

ROOT = Path(nnx.__file__).parent
TESTS = Path(__file__).parent

ORDER = [
    {"typing", "lazy"},
    {"backend"},
    {"autodiff"},
    {"fusion"},
    {"random", "init"},
    {"functional"},
    {"layers"},
    {"losses", "metrics"},
    {"models"},
    {"optim"},
    {"data"},
    {"io"},
    {"compiled", "precision", "interop"},
    {"train"},
    {"sklearn", "plot", "cli"},
]
"""A module imports from its own row and the rows above it."""

LIBRARIES = {
    "numpy", "scipy", "cupy", "cupyx", "torch", "jax", "jaxlib", "dpnp", "dpctl", "numba", "ndonnx",
    "ml_dtypes", "array_api_compat", "array_api_strict", "array_api_extra",
}  # fmt: skip
EDGES = {name: {"numpy"} for name in ("random", "init", "data", "sklearn", "plot", "cli")}
EDGES["io"] = {"numpy", "ndonnx", "ml_dtypes"}
EDGES["backend"] = LIBRARIES

HEAVY = {
    "safetensors",
    "rich",
    "array_api_compat",
    "array_api_strict",
    "torch",
    "jax",
    "cupy",
    "scipy",
    "argparse",
    "onnx",
}
HEAVY |= {"matplotlib", "nnx.cli", "nnx.data", "nnx.io", "nnx.plot", "nnx.train", "importlib.metadata", "numpy.random"}

FILES = sorted(path for path in ROOT.rglob("*.py"))
LONGEST = 320  # about 300 is what is wanted


def part(path):
    """The row's name: the folder or module right below nnx; None for nnx itself."""
    name = path.relative_to(ROOT).parts[0].removesuffix(".py")
    return None if name in ("__init__", "__main__") else name


def row(name):
    return next((k for k, names in enumerate(ORDER) if name in names), None)


def imported(path):
    """The modules that a file imports anywhere, in functions too."""
    package = ["nnx", *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            yield module
            if module == "nnx":
                yield from (f"nnx.{alias.name}" for alias in node.names)


def ids(path):
    return str(path.relative_to(ROOT.parent))


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_a_module_imports_what_stands_above_it(path):
    own = part(path)
    if own is None:
        return
    assert row(own) is not None, f"nnx/{own} has no place in the order"
    for module in imported(path):
        if module.partition(".")[0] != "nnx" or module == "nnx":
            continue
        other = module.split(".")[1]
        place = row(other)
        if place is not None:  # else a name like nnx.Linear, which only the edges may take from the top
            assert place < row(own) or other == own or other in ORDER[row(own)], f"{ids(path)} imports {module}"
        else:
            assert row(own) >= row("train"), f"{ids(path)} imports {module} from the top"


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_the_math_names_no_array_library(path):
    allowed = EDGES.get(part(path), set())
    named = {module.partition(".")[0] for module in imported(path)} & LIBRARIES
    assert named <= allowed, f"{ids(path)} imports {', '.join(sorted(named - allowed))}"


def test_no_submodule_bears_the_name_of_a_public_function():
    for name in nnx.__all__:
        value = getattr(nnx, name)
        if not isinstance(value, type(nnx)):
            assert not (ROOT / f"{name}.py").exists(), name
            assert not (ROOT / name).exists(), name


@pytest.mark.parametrize("package", sorted({p.parent for p in FILES if p.name == "__init__.py"}), ids=ids)
def test_what_a_package_exports_is_there(package):
    name = ".".join(package.relative_to(ROOT.parent).parts)
    module = importlib.import_module(name)
    for public in getattr(module, "__all__", []):
        value = getattr(module, public)
        if isinstance(value, type(nnx)) and name != "nnx.autodiff.rules":  # whose chapters are modules
            assert not callable(getattr(value, public, None)), f"{name}.{public} is the module, not what is in it"


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_types_are_silenced_in_backends_alone(path):
    if ROOT / "backend" not in path.parents:
        assert "type: ignore" not in path.read_text(), "say what it is: a typed local, typing.cast"


@pytest.mark.parametrize("path", [*FILES, *sorted(TESTS.rglob("*.py"))], ids=ids)
def test_every_file_opens_with_a_sentence(path):
    text = path.read_text("utf-8")
    if path.is_relative_to(TESTS) and not text.strip():
        return  # a package of tests
    assert ast.get_docstring(ast.parse(text)), f"{ids(path)} has no docstring"


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_no_file_is_long(path):
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST


# ---- import nnx ------------------------------------------------------------------------------------------------------


def run(code, **environment):
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.split()


def test_importing_nnx_loads_little():
    loaded = set(run("import numpy, sys; before = set(sys.modules); import nnx; print(*(set(sys.modules) - before))"))
    assert not {name for name in loaded if any(name == heavy or name.startswith(f"{heavy}.") for heavy in HEAVY)}


def test_what_loads_late_is_there(monkeypatch):
    assert run("import nnx; print(nnx.data.__name__, nnx.io.__name__, nnx.train.__name__)") == [
        "nnx.data",
        "nnx.io",
        "nnx.train",
    ]
    with pytest.raises(AttributeError, match="module 'nnx' has no attribute 'nothing'"):
        nnx.nothing  # noqa: B018


def test_importing_nnx_is_quick(tmp_path):
    """At most 0.1 s more than NumPy: compiled once, as when installed; the best of several, as machines are shared."""
    code = "import time, numpy; start = time.perf_counter(); import nnx; print(time.perf_counter() - start)"
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    best = min(float(run(code, **compiled)[0]) for _ in range(7))
    assert best < 0.1


@pytest.mark.parametrize("package", ["functional", "layers", "losses", "models", "optim"])
def test_no_lazy_module_bears_the_name_of_what_it_gives(package):
    """Whichever of the two were loaded last would hide the other; and no name is given twice."""
    loaded = importlib.import_module(f"nnx.{package}")
    assert len(loaded.__all__) == len(set(loaded.__all__))
    assert not set(loaded.MODULES) & set(loaded.__all__)
    assert all(getattr(loaded, name) is not None for name in loaded.__all__)
