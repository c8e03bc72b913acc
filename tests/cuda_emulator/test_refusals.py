"""What only a GPU can do raises, and says so; nothing comes out of it silently."""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.cuda_emulator import NotEmulated, refusals, wheel


def _square(cp: Any) -> Any:
    return cp.eye(3) * 2


REFUSED: dict[str, Callable[[Any], object]] = {
    "fft": lambda cp: cp.fft.fft(cp.arange(8.0)),
    "rfft2": lambda cp: cp.fft.rfft2(_square(cp)),
    "solve": lambda cp: cp.linalg.solve(_square(cp), cp.ones(3)),
    "inv": lambda cp: cp.linalg.inv(_square(cp)),
    "svd": lambda cp: cp.linalg.svd(_square(cp)),
    "qr": lambda cp: cp.linalg.qr(_square(cp)),
    "cholesky": lambda cp: cp.linalg.cholesky(_square(cp)),
    "eigh": lambda cp: cp.linalg.eigh(_square(cp)),
    "pinv": lambda cp: cp.linalg.pinv(_square(cp)),
    "matrix_rank": lambda cp: cp.linalg.matrix_rank(_square(cp)),
    "default_rng": lambda cp: cp.random.default_rng(0),
    "generator": lambda cp: cp.random.Generator(None),
    "generator_by_its_module": lambda cp: cp.random._generator_api.Generator(None),
    "bit_generator": lambda cp: cp.random.XORWOW(1),
    "cub_reduce": lambda cp: cp.cuda.cub.device_reduce(cp.ones(3), 0, 0, None),
    "cub_accelerator": lambda cp: cp._core.set_reduction_accelerators(["cub"]),
    "cub_routines": lambda cp: cp._core.set_routine_accelerators(["cub"]),
    "sparse": lambda cp: importlib.import_module("cupyx.scipy.sparse").csr_matrix(_square(cp)) @ cp.ones(3),
    "nccl": lambda cp: importlib.import_module("cupy_backends.cuda.libs.nccl").get_version(),
    "async_pool": lambda cp: cp.cuda.MemoryAsyncPool().malloc(16),
    "texture": lambda cp: cp.cuda.texture.CUDAarray(cp.cuda.texture.ChannelFormatDescriptor(32, 0, 0, 0, 2), 4),
    "host_function": lambda cp: cp.cuda.Stream().launch_host_func(print, "hi"),
    "memcpy2D": lambda cp: cp.cuda.runtime.memcpy2D(0, 0, 0, 0, 0, 0, 3),
    "ipc": lambda cp: cp.cuda.runtime.ipcGetMemHandle(cp.ones(3).data.ptr),
    "nvcc": lambda cp: cp.RawModule(code='extern "C" __global__ void f() {}', backend="nvcc").get_function("f"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(cp: Any, name: str) -> None:
    with pytest.raises(NotEmulated, match=r"CUDA emulator .*GPU"):
        REFUSED[name](cp)


def test_an_unwritten_blas_routine_is_named(cp: Any) -> None:
    from cupy_backends.cuda.libs import cublas

    x, one = cp.eye(3), np.ones(1)
    handle = cp.cuda.Device().cublas_handle
    named = "CUBLAS_STATUS_NOT_SUPPORTED: the CUDA emulator cannot do cublas"
    with pytest.raises(cublas.CUBLASError, match=f"{named}DgetrfBatched: it needs a GPU"):
        cp.linalg.det(x)
    with pytest.raises(cublas.CUBLASError, match=f"{named}Dtrsm"):
        cublas.dtrsm(handle, 0, 0, 0, 0, 3, 3, one.ctypes.data, x.data.ptr, 3, x.data.ptr, 3)


def test_gpu_binaries_and_cooperative_launches_are_refused(cp: Any, tmp_path: Any) -> None:
    cubin = tmp_path / "kernel.cubin"
    cubin.write_bytes(b"\x7fELF")
    with pytest.raises(cp.cuda.driver.CUDADriverError, match="cannot run on a CPU"):
        cp.RawModule(path=str(cubin)).get_function("f")
    with pytest.raises(cp.cuda.driver.CUDADriverError, match="cannot run on a CPU"):
        cp.cuda.function.Module().load(b"\x7fELF binary")
    code = 'extern "C" __global__ void together() {}'
    with pytest.raises(cp.cuda.driver.CUDADriverError, match="cuLaunchCooperativeKernel needs a GPU"):
        cp.RawKernel(code, "together", enable_cooperative_groups=True)((1,), (1,), ())


def test_every_module_with_gpu_binaries_is_dealt_with(cp: Any) -> None:
    """nvcc leaves a section .nv_fatbin in a module: a new CuPy with one more such module must be looked at."""
    found = set()
    for path in wheel.site().glob("cupy*/**/*.so"):
        sections = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
        if "nv_fatbin" in sections:
            found.add(".".join(path.relative_to(wheel.site()).with_name(path.name.split(".")[0]).parts))
    assert found == {"cupy.cuda.cub", "cupy.cuda.thrust", "cupy.random._generator_api"}
    assert found - {"cupy.cuda.thrust"} <= refusals.BINARIES.keys()
    thrust = importlib.import_module("cupy.cuda.thrust")
    assert {f.__module__.split(".")[-1] for f in (thrust.sort, thrust.argsort, thrust.lexsort)} == {"thrust"}
    assert "cuda_emulator" in thrust.sort.__module__


def test_every_name_that_is_refused_exists(cp: Any) -> None:
    for module, names in refusals.BINARIES.items():
        for name in names:
            with pytest.raises(NotEmulated, match=name):
                getattr(importlib.import_module(module), name)()


def test_no_module_keeps_a_way_round(cp: Any) -> None:
    """Names that a module of CuPy imported from another one were replaced in it, too."""
    for module, name in ((cp.random, "Generator"), (cp.random._generator, "FeistelBijection")):
        with pytest.raises(NotEmulated, match=name):
            getattr(module, name)()


def test_device_ordinals(cp: Any) -> None:
    with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="cudaErrorInvalidDevice"):
        cp.cuda.Device(1).use()
    assert cp.cuda.runtime.getDeviceProperties(0)["name"] == b"CUDA emulator (not a GPU)"
    with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="cudaErrorInvalidValue"):
        cp.cuda.runtime.pointerGetAttributes(12345)
