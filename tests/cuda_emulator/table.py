"""The functions of CuPy's CUDA runtime table that the emulator replaces, with the C signatures it was written for.

CuPy's compiled modules call CUDA through function pointers in `cupy_backends.cuda.api.runtime.__pyx_capi__`, each in a
capsule that carries its signature. A call through the wrong signature would read garbage, so each is compared first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .errors import EmulatorError
from .wheel import KNOWN

# As in the wheel, without what Cython adds: `int __pyx_skip_dispatch` and, shown as "...", an optional argument.
SIGNATURES = {
    "_deviceEnsurePeerAccess": "PyObject *(int)",
    "_ensure_context": "PyObject *(void)",
    "deviceCanAccessPeer": "int (int, int)",
    "deviceEnablePeerAccess": "PyObject *(int)",
    "deviceGetAttribute": "int (int, int)",
    "deviceGetLimit": "size_t (int)",
    "deviceGetPCIBusId": "PyObject *(int)",
    "deviceSetLimit": "PyObject *(int, size_t)",
    "deviceSynchronize": "PyObject *()",
    "driverGetVersion": "int ()",
    "eventCreate": "intptr_t ()",
    "eventCreateWithFlags": "intptr_t (unsigned int)",
    "eventDestroy": "PyObject *(intptr_t)",
    "eventElapsedTime": "float (intptr_t, intptr_t)",
    "eventQuery": "PyObject *(intptr_t)",
    "eventRecord": "PyObject *(intptr_t, intptr_t)",
    "eventSynchronize": "PyObject *(intptr_t)",
    "free": "PyObject *(intptr_t)",
    "freeAsync": "PyObject *(intptr_t, intptr_t)",
    "freeHost": "PyObject *(intptr_t)",
    "getDevice": "int ()",
    "getDeviceCount": "int ()",
    "getDeviceProperties": "PyObject *(int)",
    "graphDestroy": "PyObject *(intptr_t)",
    "graphExecDestroy": "PyObject *(intptr_t)",
    "graphInstantiate": "intptr_t (intptr_t)",
    "graphLaunch": "PyObject *(intptr_t, intptr_t)",
    "graphUpload": "PyObject *(intptr_t, intptr_t)",
    "hostAlloc": "intptr_t (size_t, unsigned int)",
    "hostRegister": "PyObject *(intptr_t, size_t, unsigned int)",
    "hostUnregister": "PyObject *(intptr_t)",
    "malloc": "intptr_t (size_t)",
    "mallocAsync": "intptr_t (size_t, intptr_t)",
    "mallocManaged": "intptr_t (size_t, ...)",
    "memAdvise": "PyObject *(intptr_t, size_t, int, int)",
    "memGetInfo": "PyObject *()",
    "memPrefetchAsync": "PyObject *(intptr_t, size_t, int, intptr_t)",
    "memcpy": "PyObject *(intptr_t, intptr_t, size_t, int)",
    "memcpyAsync": "PyObject *(intptr_t, intptr_t, size_t, int, intptr_t)",
    "memcpyPeer": "PyObject *(intptr_t, int, intptr_t, int, size_t)",
    "memcpyPeerAsync": "PyObject *(intptr_t, int, intptr_t, int, size_t, intptr_t)",
    "memset": "PyObject *(intptr_t, int, size_t)",
    "memsetAsync": "PyObject *(intptr_t, int, size_t, intptr_t)",
    "pointerGetAttributes": "struct PointerAttributes *(intptr_t)",
    "pointerGetMemoryType": "int (intptr_t)",
    "profilerStart": "PyObject *()",
    "profilerStop": "PyObject *()",
    "setDevice": "PyObject *(int)",
    "streamBeginCapture": "PyObject *(intptr_t, ...)",
    "streamCreate": "intptr_t ()",
    "streamCreateWithFlags": "intptr_t (unsigned int)",
    "streamCreateWithPriority": "intptr_t (unsigned int, int)",
    "streamDestroy": "PyObject *(intptr_t)",
    "streamEndCapture": "intptr_t (intptr_t)",
    "streamGetFlags": "unsigned int (intptr_t)",
    "streamGetPriority": "int (intptr_t)",
    "streamIsCapturing": "int (intptr_t)",
    "streamQuery": "PyObject *(intptr_t)",
    "streamSynchronize": "PyObject *(intptr_t)",
    "streamWaitEvent": "PyObject *(intptr_t, intptr_t, ...)",
}

# Constants and helpers that need no device: CuPy's own stay.
HOST_ONLY = frozenset(
    {
        "_getCUDAMajorVersion",
        "_is_hip_environment",
        "check_status",
        "deviceAttributeComputeCapabilityMajor",
        "deviceAttributeComputeCapabilityMinor",
        "errorContextIsDestroyed",
        "errorInvalidResourceHandle",
        "errorInvalidValue",
        "errorMemoryAllocation",
        "errorPeerAccessAlreadyEnabled",
        "getChannelDesc",
        "getTextureObjectResourceDesc",
        "getTextureObjectTextureDesc",
        "make_Extent",
        "make_PitchedPtr",
        "make_Pos",
        "runtimeGetVersion",
    }
)


def plain(signature: str) -> str:
    """A capsule's signature without what Cython adds.

    >>> plain("intptr_t (size_t, int __pyx_skip_dispatch)")
    'intptr_t (size_t)'
    >>> plain("PyObject *(intptr_t, int __pyx_skip_dispatch, struct __pyx_opt_args_7runtime_f *__pyx_optional_args)")
    'PyObject *(intptr_t, ...)'
    """
    signature = re.sub(r"struct __pyx_opt_args_\w+ \*__pyx_optional_args", "...", signature)
    signature = re.sub(r"(, )?int __pyx_skip_dispatch", "", signature)
    return re.sub(r"__pyx_obj_\w+?_(PointerAttributes|MemPoolProps)\b", r"\1", signature)


def check(found: Mapping[str, str], name: str) -> None:
    """Raises EmulatorError if the table of the wheel `name` is not the one that the emulator was written for.

    found: the signature that each capsule of the wheel carries
    """
    moved = [
        f"{function} is {plain(found[function]) if function in found else 'gone'}, expected {signature}"
        for function, signature in SIGNATURES.items()
        if function not in found or plain(found[function]) != signature
    ]
    if moved:
        raise EmulatorError(
            f"{name} has moved its table of CUDA functions: {'; '.join(moved)}. The emulator knows {KNOWN}: "
            "install one of those, or bring tests/cuda_emulator/table.py and cpp/runtime/ up to date"
        )
