"""Sessions: tests by backend, lint, types, examples, benchmarks. `nox -l` lists them, `nox -t cpu` runs what needs no GPU."""

import os
from pathlib import Path

import nox

nox.options.sessions = ["tests-numpy", "lint", "types"]
nox.options.default_venv_backend = "virtualenv"  # pip finds local wheels that uv would not

TORCH = "torch==2.13.0"  # plain `torch` pulls CUDA
NEEDS = {
    "numpy": [],
    "strict": [],
    "torch": [TORCH],
    "jax": ["jax"],
    "cupy": ["cupy-cuda13x[ctk]"],
    "dpnp": ["dpnp"],
}
NAMES = {"strict": "array_api_strict"}


def _tests(name, needs):
    @nox.session(name=f"tests-{name}", tags=["tests"] + ([] if name in ("cupy", "dpnp") else ["cpu"]))
    def session(session):
        """The whole suite with this backend as a must."""
        if needs:
            session.install(*needs)
        session.install("-e", ".[test]")
        env = {"NNX_TEST_BACKENDS": NAMES.get(name, name)}
        if name == "cupy":
            env["NNX_TEST_CUPY"] = "require"
        if name == "dpnp":
            env["OCL_ICD_FILENAMES"] = str(next(Path(session.virtualenv.location).glob("lib/libintelocl.so"), ""))
        session.run("pytest", *session.posargs, env=env)


for _name, _needs in NEEDS.items():
    _tests(_name, _needs)


@nox.session(tags=["cpu"])
def tests(session):
    """The whole suite on every backend that runs without a GPU, as CI runs it."""
    session.install(TORCH)
    session.install("jax", "-e", ".[test]")
    env = {"NNX_TEST_BACKENDS": "numpy,array_api_strict,torch,jax"}
    session.run("pytest", "-n", str(min(4, os.cpu_count() or 1)), *session.posargs, env=env)


@nox.session(tags=["cpu"])
def lint(session):
    """ruff: style and format."""
    session.install("ruff>=0.9")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session(tags=["cpu"])
def types(session):
    """mypy in strict mode on nnx/."""
    session.install("mypy>=1.14", "-e", ".")
    session.run("mypy")


@nox.session(tags=["cpu"])
def examples(session):
    """Every example, as a user would run it."""
    session.install("-e", ".")
    for path in sorted(Path("examples").glob("*.py")):
        session.run("python", str(path))


@nox.session(tags=["cpu"])
def bench(session):
    """A training step against hand-written NumPy and PyTorch eager."""
    session.install(TORCH)
    session.install("-e", ".")
    session.run("python", "benchmarks/steps.py", *session.posargs)
