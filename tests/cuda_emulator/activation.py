"""The order in which a process is made to run CuPy without a GPU."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys

from . import build, failures, refusals, runtime, thrust, wheel
from .compiler import replace_nvrtc
from .errors import EmulatorError

_active = False


def active() -> bool:
    return _active


def activate() -> None:
    """From now on `import cupy` gives the official wheel, executing on this CPU. A second call does nothing.

    Raises EmulatorError if CuPy has already been imported, if the wheel, CUDA's headers or g++ are missing (with the
    line that installs them), or if the wheel is of a version that the emulator does not know.
    """
    global _active
    if _active:
        return
    if "cupy" in sys.modules or "cupy_backends.cuda.api.runtime" in sys.modules:
        raise EmulatorError("cupy has already been imported: call tests.cuda_emulator.activate() before `import cupy`")
    if reason := wheel.missing():
        raise EmulatorError(reason)
    _environment()
    without_blas = os.environ.get("CUPY_EMU_FAIL") == "no_cublas"
    runtime.load(skip=frozenset({"libcublas"}) if without_blas else frozenset())
    runtime.swap(importlib.import_module("cupy_backends.cuda.api.runtime"))
    refusals.refuse_libraries()
    importlib.import_module("cupy")
    _after_import(explain_blas=not without_blas)
    if not without_blas:
        failures.provoke_from_environment()
    _active = True


def _environment() -> None:
    os.environ["CUPY_ACCELERATORS"] = ""  # CUB and cuTENSOR are GPU binaries
    os.environ["CUPY_CACHE_IN_MEMORY"] = "1"  # CuPy's own disk cache would keep kernels from our compiler
    os.environ.setdefault("CUDA_PATH", "/nonexistent")  # a CUDA that is installed here has no part in this


def _after_import(*, explain_blas: bool) -> None:
    replace_nvrtc(importlib.import_module("cupy.cuda.compiler"))
    thrust.replace_thrust(importlib.import_module("cupy.cuda.thrust"))
    refusals.bind_libraries()
    refusals.refuse_binaries()
    refusals.refuse_accelerators(
        importlib.import_module("cupy._core"), importlib.import_module("cupy._core._accelerator")
    )
    if explain_blas:
        libs = importlib.import_module("cupy_backends.cuda.libs")
        refusals.explain_blas(libs.cublas, ctypes.CDLL(str(build.blas_library())))
