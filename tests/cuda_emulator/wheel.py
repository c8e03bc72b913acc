"""Where the official CuPy wheel lies, found without importing it, and what is missing to run it without a GPU."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import shutil
from pathlib import Path

from .errors import EmulatorError

WHEELS = ("cupy-cuda13x", "cupy-cuda12x")
KNOWN = "CuPy 14.x, cupy-cuda12x or cupy-cuda13x"
HEADER = "cuda_runtime_api.h"


def wheel() -> tuple[str, str] | None:
    """Name and version of the installed wheel, e.g. ("cupy-cuda13x", "14.2.0"); None if there is none."""
    for name in WHEELS:
        try:
            return name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def wheel_name() -> str:
    found = wheel()
    return " ".join(found) if found else "an unknown CuPy"


@functools.cache
def site() -> Path:
    """The folder into which the wheel was installed."""
    spec = importlib.util.find_spec("cupy_backends")
    if spec is None or not spec.submodule_search_locations:
        raise EmulatorError(f"the CuPy wheel is not installed: {install_line()}")
    return Path(next(iter(spec.submodule_search_locations))).parent


def extension(module: str) -> Path:
    """The compiled file of a module of the wheel, e.g. "cupy_backends.cuda.libs.cublas"."""
    *folders, name = module.split(".")
    found = sorted(site().joinpath(*folders).glob(f"{name}.*.so"))
    if not found:
        raise EmulatorError(f"{wheel_name()} has no compiled module {module}; the emulator knows {KNOWN}")
    return found[0]


def cuda_headers() -> Path | None:
    """The folder of CUDA's runtime headers, from NVIDIA's wheel beside CuPy's."""
    found = sorted(site().glob(f"nvidia/*/include/{HEADER}"))
    return found[0].parent if found else None


def install_line() -> str:
    name = (wheel() or (WHEELS[0], ""))[0]
    major = "13" if name == "cupy-cuda13x" else "12"
    return f"pip install {name} 'cuda-toolkit[cudart]=={major}.*'"


def missing() -> str | None:
    """What keeps the emulator from working here, with the way out; None if nothing does.

    Neither imports CuPy nor builds anything.
    """
    if wheel() is None:
        return f"the CuPy wheel is not installed: {install_line()}"
    if cuda_headers() is None:
        return f"CUDA's runtime headers ({HEADER}) are not installed: {install_line()}"
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        return f"the C++ compiler {compiler} is not installed, e.g. apt-get install g++"
    return None
