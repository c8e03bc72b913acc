"""A kernel's CUDA source made C++ for the host: it needs few changes, for the headers in cpp/kernel define the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .cache import digest

_DYNAMIC_SHARED = re.compile(r"extern\s+__shared__\s+((?:__align__\(\d+\)\s+)?[\w:<>, ]+?)\s*(\w+)\s*\[\s*\]\s*;")
_BOUNDS = r"(?:__launch_bounds__\s*\([^)]*\)\s*)?"
_KERNEL = re.compile(rf"__global__\s+{_BOUNDS}void\s+{_BOUNDS}(\w+)\s*\(")
_WAITS = re.compile(r"__sync(threads|warp)|__shfl_|__ballot_sync|__any_sync|__all_sync")
_CUPY_HEADERS = "#include <cupy/carray.cuh>"


def translate(source: str, names: Sequence[str] = ()) -> str:
    """C++ that exports each kernel of the source, or the template instances that are asked for by name."""
    fibers = "true" if _WAITS.search(source) else "false"
    if names:
        exports = [f"EMU_KERNEL({fibers}, {alias(name)}, {name})" for name in names]
    else:
        exports = [f"EMU_KERNEL({fibers}, {name}, {name})" for name in kernels(source)]
    return "\n".join([f'#include "{header(source)}"', _shared(source), *exports, ""])


def kernels(source: str) -> list[str]:
    """Names of the kernels in a source.

    >>> kernels('extern "C" __global__ void __launch_bounds__(128) twice(float* x) {}')
    ['twice']
    """
    return list(dict.fromkeys(_KERNEL.findall(source)))


def alias(name: str) -> str:
    """What a template instance is exported as: its own name is no C identifier."""
    return f"instance_{digest(name)[:12]}"


def header(source: str) -> str:
    return "host_kernel_cupy.h" if _CUPY_HEADERS in source else "host_kernel.h"


def _shared(source: str) -> str:
    """Blocks run one after another, so one static array is every block's shared memory.

    >>> _shared("__shared__ float x[32]; extern __shared__ float y[];")
    'static float x[32]; static float* const y = (float*)emu_dynamic_shared;'
    """
    source = _DYNAMIC_SHARED.sub(r"static \1* const \2 = (\1*)emu_dynamic_shared;", source)
    return re.sub(r"\b(?:static\s+)?__shared__\b", "static", source)
