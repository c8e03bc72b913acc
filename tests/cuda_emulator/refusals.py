"""What needs a GPU is refused by name, everywhere that CuPy can reach it: a wrong value must never come out silently.

Three kinds of GPU code are out of reach: binaries that nvcc compiled into the wheel (three modules carry them),
NVIDIA's libraries without a stand-in here, and functions of the CUDA runtime (cpp/runtime/refusals.cpp).
"""

from __future__ import annotations

import ctypes
import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .errors import NotEmulated
from .runtime import refusing

# Functions and classes that run GPU binaries of the wheel. A test compares the modules with the wheel's ELF sections.
BINARIES = {
    "cupy.cuda.cub": (
        "cub_histogram",
        "cub_reduction",
        "cub_scan",
        "device_histogram",
        "device_reduce",
        "device_scan",
        "device_segmented_reduce",
    ),
    "cupy.random._generator_api": ("Generator", "FeistelBijection", "init_curand", "random_raw"),
    "cupy.random._bit_generator": ("XORWOW", "MRG32k3a", "Philox4x3210"),  # fill their states by such a binary
    "cupy.random": ("default_rng",),
}

LIBRARIES = {
    "cupy.cuda.cufft": "cuFFT",
    "cupy_backends.cuda.libs.cusolver": "cuSOLVER",
    "cupy_backends.cuda.libs.cusparse": "cuSPARSE",
    "cupy_backends.cuda.libs.cusparselt": "cuSPARSELt",
    "cupy_backends.cuda.libs.cutensor": "cuTENSOR",
    "cupy_backends.cuda.libs.nccl": "NCCL",
    "cupyx._cusolver": "cuSOLVER",
    "cupyx._cutensor": "cuTENSOR",
}


class RefusedModule(ModuleType):
    """Stands for a module that needs one of NVIDIA's libraries: it imports, and each of its functions raises."""

    def __getattr__(self, name: str) -> Any:
        if name == "available":
            return False
        if name.startswith("__") and name != "__pyx_capi__":  # what import machinery and doctests look for
            raise AttributeError(name)
        raise NotEmulated(f"the CUDA emulator has no {LIBRARIES[self.__name__]}: {self.__name__}.{name} needs a GPU")


def refuse_libraries() -> None:
    """Must come before CuPy imports them; a library that is installed is refused, too, for it would find no device."""
    for name in LIBRARIES:
        sys.modules[name] = RefusedModule(name)


def bind_libraries() -> None:
    """Makes `from package import module` find the refused one, which the import of CuPy has left out."""
    for name in LIBRARIES:
        package, _, attribute = name.rpartition(".")
        if package in sys.modules:
            setattr(sys.modules[package], attribute, sys.modules[name])


def refuse_binaries() -> None:
    """Replaces each function that runs a GPU binary, wherever a module of CuPy has imported it."""
    replaced: dict[int, tuple[object, object]] = {}  # keeps the originals alive: an id may be used again
    for module_name, names in BINARIES.items():
        module = importlib.import_module(module_name)
        for name in names:
            original = getattr(module, name)
            refuse = _refusing_class if isinstance(original, type) else refusing
            replaced[id(original)] = (original, refuse(f"{module_name}.{name}"))
    for module in [m for n, m in list(sys.modules.items()) if n.split(".")[0] in ("cupy", "cupyx")]:
        for attribute, value in list(vars(module).items()):
            if id(value) in replaced:
                setattr(module, attribute, replaced[id(value)][1])


def _refusing_class(name: str) -> type:
    """Still a class, for CuPy asks isinstance() of it; making an instance raises."""
    return type(name.rpartition(".")[2], (), {"__new__": refusing(name)})


def refuse_accelerators(core: ModuleType, accelerator: ModuleType) -> None:
    """CUB and cuTENSOR were switched off before CuPy was imported; nobody may switch them on."""
    for name in ("set_reduction_accelerators", "set_routine_accelerators"):
        guarded = _no_accelerators(getattr(accelerator, name))
        for module in (core, accelerator):
            setattr(module, name, guarded)


def _no_accelerators(setter: Callable[[list[Any]], None]) -> Callable[[list[Any]], None]:
    def set_accelerators(accelerators: list[Any]) -> None:
        if accelerators:
            raise NotEmulated(f"the CUDA emulator cannot do the accelerators {accelerators}: they need a GPU")
        setter(accelerators)

    return set_accelerators


def explain_blas(cublas: ModuleType, lookup: ctypes.CDLL) -> None:
    """Adds to cuBLAS's "not supported" which routine it was."""
    lookup.emu_blas_refused.restype = ctypes.c_char_p
    plain: Callable[[BaseException], str] = cublas.CUBLASError.__str__
    not_supported = 15

    def explained(error: Any) -> str:
        if error.status != not_supported:
            return plain(error)
        return f"{plain(error)}: the CUDA emulator cannot do {lookup.emu_blas_refused().decode()}: it needs a GPU"

    cublas.CUBLASError.__str__ = explained
