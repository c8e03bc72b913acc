"""NVRTC replaced by g++: each kernel's CUDA source is compiled for the host, once, and found in the cache afterwards.

With `CUPY_EMU_NVRTC=1` the real NVRTC compiles each source as well (for compute capability 8.0), and may refuse it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from . import cache, wheel
from .errors import EmulatorError, NotEmulated
from .nvrtc import compile_cubin
from .recording import SITE, Source, record
from .runtime import refusing
from .toolchain import CPP, KERNEL_FLAGS, compiler_version, run
from .translate import alias, header, translate

HOOKS = (
    "CompileException",
    "_compile_using_nvrtc_no_warning",
    "_get_nvrtc_version",
    "_preprocess",
    "compile_using_nvcc",
)
# What every kernel sees of us.
HEADERS = (CPP / "kernel", CPP / "runtime" / "fibers.h")


def replace_nvrtc(compiler: ModuleType) -> None:
    """Takes the place of NVRTC in `cupy.cuda.compiler`. Raises EmulatorError if CuPy has renamed what we replace."""
    gone = [name for name in HOOKS if not hasattr(compiler, name)]
    if gone:
        raise EmulatorError(f"{wheel.wheel_name()} has no compiler.{gone[0]}; the emulator knows {wheel.KNOWN}")
    strict = os.environ.get("CUPY_EMU_NVRTC") == "1"

    def compile_kernel(
        source: str,
        options: tuple[str, ...] = (),
        arch: str | None = None,
        filename: str = "kern.cu",
        name_expressions: Sequence[str] | None = None,
        log_stream: Any = None,
        cache_in_memory: bool = False,
        jitify: bool | None = None,
        method: str | None = None,
    ) -> tuple[bytes, dict[str, str] | None]:
        names = tuple(name_expressions or ())
        if method == "lto":
            raise NotEmulated("the CUDA emulator cannot link LTO code: it needs a GPU")
        record(source, options, names)
        if strict:
            compile_cubin(Source(source, tuple(options), names), "80")
        try:
            path = host_kernel(source, options, names)
        except EmulatorError as error:
            raise compiler.CompileException(str(error), source, filename, options, "g++ (CUDA emulator)") from error
        mapping = {name: alias(name) for name in names} if names else None
        return b"HOSTSO:" + os.fsencode(path) + b"\0", mapping

    vars(compiler).update(
        _compile_using_nvrtc_no_warning=compile_kernel,
        compile_using_nvcc=refusing("backend='nvcc'"),
        _get_nvrtc_version=lambda: (12, 9),  # NVRTC need not be installed
        _preprocess=lambda *arguments: "cuda_emulator",
    )


def host_kernel(source: str, options: Sequence[str] = (), names: Sequence[str] = ()) -> Path:
    """Compiles a source for the host. Raises EmulatorError with g++'s messages if it does not compile.

    Only include paths and macros are taken from NVRTC's options: the rest speaks of a GPU.
    """
    chosen = [option for option in options if option.startswith(("-I", "-D"))]
    text = translate(source, names)
    key = cache.digest(text, _common_key(), *(o.replace(str(wheel.site()), SITE) for o in chosen))

    def make(folder: Path) -> None:
        (folder / "kernel.cpp").write_text(text)
        headers = precompiled(header(source), [o for o in chosen if o.startswith("-I")])
        include = [f"-I{headers}", f"-I{CPP / 'kernel'}"]
        run([*KERNEL_FLAGS, "-shared", *include, *chosen, folder / "kernel.cpp", "-o", folder / "kernel.so"])

    return cache.artefact("kernels", key, make) / "kernel.so"


def precompiled(name: str, includes: Sequence[str]) -> Path:
    """A folder with a precompiled header, which g++ takes in place of the header of that name.

    Where its macros or options do not fit g++ passes over it, and reads the header itself: slower, and right.
    """
    key = cache.digest(name, _common_key(), *includes)

    def make(folder: Path) -> None:
        flags = [*KERNEL_FLAGS, "-x", "c++-header", f"-I{CPP / 'kernel'}", *includes]
        run([*flags, CPP / "kernel" / name, "-o", folder / f"{name}.gch"])

    return cache.artefact("headers", key, make)


def _common_key() -> str:
    """What every kernel depends on: our headers, CuPy's, the compiler and its flags."""
    return cache.digest(cache.digest_of_files(*HEADERS), wheel.wheel_name(), compiler_version(), *KERNEL_FLAGS)
