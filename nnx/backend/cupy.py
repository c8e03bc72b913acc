"""CuPy: NumPy on CUDA. What nnx exists for; its set-up can fail in more ways than others', and each has its message."""

from collections.abc import Callable
from functools import cache
from typing import Any

from nnx.backend.base import Backend
from nnx.typing import Array, Device, Namespace

_NO_DRIVER = 35
_NO_DEVICE = 100


class CupyBackend(Backend):
    """CuPy on one CUDA device."""

    name = "cupy"
    package = "cupy"
    install = "pip install 'cupy-cuda13x[ctk]'          (an older driver: 'cupy-cuda12x[ctk]'; never both)"

    @classmethod
    @cache
    def namespace(cls) -> Namespace:
        """See Backend.namespace."""
        import array_api_compat.cupy

        return array_api_compat.cupy

    @classmethod
    def advice(cls, error: BaseException | None) -> str:
        """See Backend.advice: a missing driver, a missing device and a missing part of the toolkit are told apart."""
        status = getattr(error, "status", None)
        if status == _NO_DRIVER:
            return "no NVIDIA driver, or one too old for this CuPy: install the driver (nvidia-smi must work), no toolkit is needed"
        if status == _NO_DEVICE:
            return "the driver sees no CUDA device: check nvidia-smi and CUDA_VISIBLE_DEVICES"
        if isinstance(error, ImportError) and cls.installed() or type(error).__name__ == "DynamicLibNotFoundError":
            return f"a part of the CUDA toolkit is missing: {cls.install}"
        return super().advice(error)

    @classmethod
    def devices(cls) -> dict[str, Device]:
        """Every CUDA device, the current one first. Raises CUDARuntimeError without a driver or a device."""
        import cupy

        count = cupy.cuda.runtime.getDeviceCount()
        current = cupy.cuda.runtime.getDevice() if count else 0
        order = [current, *(k for k in range(count) if k != current)][:count]
        return {f"cuda:{k}": cupy.cuda.Device(k) for k in order}

    def _find(self, device: str | Device | None) -> Device:
        return super()._find("cuda:0" if device == "cuda" else device)

    @classmethod
    def is_gpu(cls, device: Device) -> bool:
        """See Backend.is_gpu."""
        return True

    @classmethod
    def to_numpy(cls, x: Array) -> Array:
        """See Backend.to_numpy."""
        import cupy

        return cupy.asnumpy(x)

    def synchronize(self) -> None:
        """See Backend.synchronize."""
        self.device.synchronize()

    def memory(self) -> dict[str, int]:
        """Bytes of the memory pool: in use, and held from the device (its peak, as the pool gives nothing back)."""
        import cupy

        with self.device:
            pool = cupy.get_default_memory_pool()
            return {"used": pool.used_bytes(), "peak": pool.total_bytes()}

    @classmethod
    def kernels(cls) -> dict[str, Callable[..., Any]]:
        """See Backend.kernels."""
        import cupyx.scipy.special

        return {"erf": cupyx.scipy.special.erf}

    @classmethod
    def index_add(cls, rows: int, index: Array, x: Array) -> Array:
        """See Backend.index_add."""
        import cupyx

        y: Any = cls.zeros((rows, *x.shape[1:]), x)
        cupyx.scatter_add(y, index, x)
        return y
