"""CuPy's CUDA runtime, swapped for the stand-in: the C table that its compiled modules import, and the Python names."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

from . import build, table, wheel
from .errors import EmulatorError, NotEmulated

C_TYPES: dict[str, Any] = {
    "PyObject *": ctypes.py_object,
    "struct PointerAttributes *": ctypes.py_object,
    "intptr_t": ctypes.c_ssize_t,
    "size_t": ctypes.c_size_t,
    "int": ctypes.c_int,
    "unsigned int": ctypes.c_uint,
    "float": ctypes.c_float,
}

_library: ctypes.PyDLL | None = None


def library() -> ctypes.PyDLL:
    """The stand-in for libcuda; its functions hold Python's lock. Raises EmulatorError before activate()."""
    if _library is None:
        raise EmulatorError("the CUDA emulator is not active: call tests.cuda_emulator.activate() first")
    return _library


def load(skip: frozenset[str] = frozenset()) -> ctypes.PyDLL:
    """Loads the stand-ins under the names by which the wheel will look for them, but those in `skip`."""
    global _library
    paths = build.libraries()
    for name, path in paths.items():
        if not any(name.startswith(prefix) for prefix in skip):
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    _library = ctypes.PyDLL(str(paths[build.DRIVER]), mode=ctypes.RTLD_GLOBAL)
    _library.emu_capsule_name.restype = ctypes.c_char_p
    _library.emu_capsule_name.argtypes = [ctypes.py_object]
    _library.emu_capsule.restype = ctypes.py_object
    _library.emu_capsule.argtypes = [ctypes.c_void_p, ctypes.py_object]
    return _library


def swap(runtime: ModuleType) -> None:
    """Replaces CUDA in `cupy_backends.cuda.api.runtime`, before any other module of CuPy is imported."""
    lib = library()
    capsules: dict[str, Any] | None = getattr(runtime, "__pyx_capi__", None)
    if capsules is None:
        raise EmulatorError(f"{wheel.wheel_name()} has no table of CUDA functions; the emulator knows {wheel.KNOWN}")
    found = {name: lib.emu_capsule_name(capsule).decode() for name, capsule in capsules.items()}
    table.check(found, wheel.wheel_name())
    _set_classes(lib, runtime)
    ctypes.c_int.in_dll(lib, "emu_driver_version").value = runtime.runtimeGetVersion()
    for name in found:
        if name in table.HOST_ONLY:
            continue
        ours = getattr(lib, f"emu_{name}", None)
        if ours is not None:
            address = ctypes.cast(ours, ctypes.c_void_p)
            capsules[name] = lib.emu_capsule(address, capsules[name])
        known = name in table.SIGNATURES
        setattr(runtime, name, _callable(ours, table.SIGNATURES[name]) if known else refusing(name))
    for name in _only_in_python(runtime, found):
        setattr(runtime, name, refusing(name))


def _set_classes(lib: ctypes.PyDLL, runtime: ModuleType) -> None:
    lib.emu_set_classes.argtypes = [ctypes.py_object, ctypes.py_object]
    lib.emu_set_classes(runtime.CUDARuntimeError, NotEmulated)
    lib.emu_set_attributes_class.argtypes = [ctypes.py_object]
    lib.emu_set_attributes_class(runtime.PointerAttributes)


def _callable(function: Any, signature: str) -> Callable[..., Any]:
    """A Python function that calls ours as Cython would: with the arguments that it adds."""
    match = re.fullmatch(r"(.+?) ?\((.*)\)", signature)
    assert match is not None, signature
    result, arguments = match[1], [a.strip() for a in match[2].split(",") if a.strip()]
    fixed = [C_TYPES[a] for a in arguments if a not in ("...", "void")]
    function.restype = C_TYPES[result]
    added: list[Any] = [] if "void" in arguments else [ctypes.c_int]
    if "..." in arguments:
        added.append(ctypes.c_void_p)
    function.argtypes = fixed + added

    def call(*given: Any) -> Any:
        more = given[len(fixed) :]
        option = (ctypes.c_int * 2)(len(more), *more)  # Cython's struct: how many optional arguments, and the one
        extra = [0, ctypes.addressof(option)][: len(added)]
        return function(*given[: len(fixed)], *extra)

    return call


def refusing(name: str) -> Callable[..., Any]:
    """A function that raises NotEmulated in the name of this one."""

    def refuse(*args: object, **kwargs: object) -> Any:
        raise NotEmulated(f"the CUDA emulator cannot do {name}: it needs a GPU")

    return refuse


def _only_in_python(runtime: ModuleType, found: dict[str, str]) -> list[str]:
    """Functions that CuPy calls from Python alone: ipcGetMemHandle and the like."""
    return [name for name in dir(runtime) if re.match(r"ipc[A-Z]|deviceDisable", name) and name not in found]
