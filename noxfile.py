"""Sessions: tests by backend, lint, types, examples. `nox -l` lists them, `nox -t cpu` runs what needs no GPU."""

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
    "dpnp": [TORCH, "dpnp"],
}
NAMES = {"strict": "array_api_strict"}
EMULATOR = ["cupy-cuda13x>=14", "cuda-toolkit[cudart,nvrtc]==13.*"]  # and g++: no driver, no GPU
EMULATOR_12 = ["cupy-cuda12x>=14", "cuda-toolkit[cudart,nvrtc]==12.*"]
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""For runs in several processes: the threads of their libraries would wait for each other."""
ARCHITECTURES = ["75", "80", "86", "89", "90", "100", "120"]


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
            runtime = Path(session.virtualenv.location).resolve() / "lib" / "libintelocl.so"  # for CPUs
            env["OCL_ICD_FILENAMES"] = str(runtime)
        session.run("pytest", *session.posargs, env=env)


for _name, _needs in NEEDS.items():
    _tests(_name, _needs)


@nox.session(tags=["cpu"])
def tests(session):
    """The whole suite on every backend that runs without a GPU, as CI runs it."""
    session.install(TORCH)
    session.install("jax", "-e", ".[test,oracles]")
    env = {"NNX_TEST_BACKENDS": "numpy,array_api_strict,torch,jax"} | ONE_THREAD
    session.run("pytest", "-n", str(min(4, os.cpu_count() or 1)), *session.posargs, env=env)


@nox.session(name="tests-no-float64", tags=["tests", "cpu"])
def tests_no_float64(session):
    """What a backend can change, on array-api-strict's device without float64 (tests/narrow.py says how)."""
    session.install(TORCH)  # the oracle
    session.install("-e", ".[test]")
    env = {"NNX_TEST_BACKENDS": "array_api_strict", "NNX_TEST_STRICT_DEVICE": "no_float64"}
    which = ["-m", "on_backend", "--must-run", "array_api_strict", "--ignore=tests/cuda_emulator", "tests"]
    session.run("pytest", *which, *session.posargs, env=env)


def _tests_emulated(name, wheel):
    @nox.session(name=name, tags=["tests", "cpu"])
    def session(session):
        """The whole suite on CuPy, whose official wheel runs under the CUDA emulator: no GPU is involved."""
        session.install(TORCH)  # the oracle
        session.install(*wheel, "jax", "-e", ".[test]")
        env = {"NNX_TEST_BACKENDS": "cupy", "NNX_TEST_CUPY": "emulated"} | ONE_THREAD
        session.run("pytest", "-n", "2", "--must-run", "cupy", *session.posargs, env=env)
        session.log("CuPy was EMULATED on the CPU (tests/cuda_emulator/README.md); on a GPU: nox -s tests-cupy")


_tests_emulated("tests-cupy-emulated", EMULATOR)
_tests_emulated("tests-cupy-emulated-12", EMULATOR_12)


@nox.session
def kernels(session):
    """Every CUDA source that the suite makes CuPy generate, compiled by NVRTC for real architectures; needs no GPU."""
    session.install(TORCH)
    session.install(*EMULATOR, "-e", ".[test]")
    folder = Path(session.create_tmp()).resolve() / "sources"
    env = {"NNX_TEST_BACKENDS": "cupy", "NNX_TEST_CUPY": "emulated", "CUPY_EMU_RECORD": str(folder)}
    session.run(
        "pytest", "-n", "2", "-q", "-m", "on_backend", "--ignore=tests/cuda_emulator", *session.posargs, env=env
    )
    session.run("python", "-m", "tests.cuda_emulator.compile_for", str(folder), "--arch", *ARCHITECTURES)


@nox.session(name="tests-portability", tags=["tests", "cpu"])
def tests_portability(session):
    """The planted bugs on every rung, and training on array-api-strict with its doors shut."""
    session.install(*EMULATOR, "-e", ".[test]")
    session.run("pytest", "tests/portability", *session.posargs, env={"NNX_TEST_CUPY": "emulated"})


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


@nox.session(tags=["cpu"])
def docs(session):
    """The site, in build/site: a warning is an error, every link leads somewhere, nothing comes from other hosts."""
    session.install("-e", ".[docs]")
    session.run("python", "-m", "docs.make")


@nox.session(name="docs-array-api", tags=["cpu"])
def docs_array_api(session):
    """docs/array-api.md, written anew from the tables of rules and cases, which a test compares with it."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "tests.conformance.page")


@nox.session
def conformance(session):
    """How many calls of the standard's functions equal the library's underneath: a table. Minutes."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "tests.conformance", *session.posargs)


@nox.session
def mutants(session):
    """Every rule of differentiation broken in small ways: a mutant that survives is a missing test. Minutes."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "tests.mutants", *session.posargs)
