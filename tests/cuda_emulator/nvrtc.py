"""The real NVRTC, which compiles for a GPU where there is none: it needs neither a driver nor a device."""

from __future__ import annotations

from . import recording, wheel
from .recording import Source


def compile_cubin(source: Source, arch: str) -> bytes:
    """The machine code of a source for sm_<arch>. Raises cupy.cuda.compiler.CompileException."""
    from cupy.cuda import compiler

    options = tuple(option.replace(recording.SITE, str(wheel.site())) for option in source.options)
    program = compiler._NVRTCProgram(
        source.code, "kernel.cu", name_expressions=list(source.names) or None, method="cubin"
    )
    cubin, _ = program.compile((*options, f"-arch=sm_{arch}", "--device-as-default-execution-space"))
    assert isinstance(cubin, bytes), f"NVRTC gave no machine code for sm_{arch}"
    return cubin
