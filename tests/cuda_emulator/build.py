"""The stand-ins for libcuda, libcublas and libcurand, built once for a wheel and kept in the cache."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from . import cache, wheel
from .errors import EmulatorError
from .toolchain import CPP, LIBRARY_FLAGS, compiler_version, run

DRIVER = "libcuda.so.1"
RANDOM = "libcurand.so.10"


@functools.cache
def libraries() -> dict[str, Path]:
    """Path of each stand-in by the name under which the wheel looks for it, in the order in which they are loaded."""
    binary = wheel.extension("cupy_backends.cuda.libs.cublas").read_bytes()
    blas = blas_name(binary)
    key = cache.digest(binary, cache.digest_of_files(CPP), compiler_version(), sys.version, *LIBRARY_FLAGS)
    folder = cache.artefact("libraries", key, lambda work: _build(work, binary, blas))
    return {name: folder / name for name in (DRIVER, _lt(blas), blas, RANDOM)}


def blas_library() -> Path:
    return next(path for name, path in libraries().items() if name.startswith("libcublas.so"))


def blas_name(binary: bytes) -> str:
    """The cuBLAS that this wheel was linked with, e.g. libcublas.so.13."""
    found = re.search(rb"libcublas\.so\.\d+", binary)
    if found is None:
        raise EmulatorError(f"{wheel.wheel_name()} does not link cuBLAS; the emulator knows {wheel.KNOWN}")
    return found.group().decode()


def _lt(blas: str) -> str:
    return blas.replace("cublas", "cublasLt")  # CuPy's loader wants it beside cuBLAS


def _build(folder: Path, binary: bytes, blas: str) -> None:
    include = "-I" + sysconfig.get_paths()["include"]
    runtime = sorted((CPP / "runtime").glob("*.cpp"))
    driver = _link(folder, DRIVER, [include, *runtime, "-ldl"])
    _link(folder, RANDOM, [CPP / "libraries" / "random.cpp", driver], versioned=True)
    objects = []
    for name in ("gemm", "blas_others"):
        objects.append(folder / f"{name}.o")
        run([*LIBRARY_FLAGS, "-c", CPP / "libraries" / f"{name}.cpp", "-o", objects[-1]])
    _link(folder, blas, [*objects, _stubs(folder, binary, objects), driver], versioned=True)
    (folder / "empty.cpp").write_text("")
    _link(folder, _lt(blas), [folder / "empty.cpp"])


def _link(folder: Path, name: str, inputs: list[str | Path], *, versioned: bool = False) -> Path:
    flags = ["-shared", f"-Wl,-soname,{name}", "-Wl,-rpath,$ORIGIN"]
    if versioned:  # the wheel asks for symbols of version "libcublas.so.13"
        script = folder / f"{name}.map"
        script.write_text(f"{name} {{ global: *; }};")
        flags.append(f"-Wl,--version-script={script}")
    run([*LIBRARY_FLAGS, *flags, *inputs, "-o", folder / name])
    return folder / name


def _stubs(folder: Path, binary: bytes, objects: list[Path]) -> Path:
    """A source that defines every cuBLAS routine the wheel names and we have not written, to refuse it by name."""
    table = subprocess.run(["nm", "--defined-only", *objects], capture_output=True, text=True, check=True).stdout
    written = set(re.findall(r"\bcublas\w+", table))
    named = {name.decode() for name in re.findall(rb"cublas[A-Z]\w*", binary)}
    lines = ['extern "C" int emu_blas_refuse(const char*);']
    lines += [f'extern "C" int {name}() {{ return emu_blas_refuse("{name}"); }}' for name in sorted(named - written)]
    path = folder / "stubs.cpp"
    path.write_text("\n".join(lines))
    return path
