"""CuPy: NumPy on CUDA. What nnx exists for; its set-up can fail in more ways than others', and each has its message."""

from collections.abc import Callable
from functools import cache
from typing import Any

from nnx.backend import cupy_cross_entropy, cupy_kernels, cupy_namespace
from nnx.backend.base import Backend
from nnx.backend.cupy_streams import StreamFeeder
from nnx.backend.expressions import Fuser
from nnx.backend.feeding import Feeder
from nnx.typing import Array, Device, Namespace

_NO_DRIVER = 35
"""Of cudaErrorInsufficientDriver; it is what a machine without any driver answers, too."""
_NO_DEVICE = 100
_NO_MEMORY = 2


class CupyBackend(Backend):
    """CuPy on one CUDA device."""

    name = "cupy"
    package = "cupy"
    packed = 0  # to concatenate more than eight arrays, CuPy copies a table of pointers from the host
    updates_together = True
    install = "pip install 'cupy-cuda13x[ctk]'          (an older driver: 'cupy-cuda12x[ctk]'; never both)"

    @classmethod
    @cache
    def namespace(cls) -> Namespace:
        """See Backend.namespace."""
        return cupy_namespace.conforming()

    @classmethod
    def advice(cls, error: BaseException | None) -> str:
        """See Backend.advice: a missing driver, a missing device and a missing part of the toolkit are told apart."""
        status = getattr(error, "status", None)
        if status == _NO_DRIVER:
            return cls._driver_advice()
        if status == _NO_DEVICE:
            return f"the driver sees no CUDA device: check nvidia-smi and CUDA_VISIBLE_DEVICES\n{super().advice(None)}"
        if (isinstance(error, ImportError) and cls.installed()) or type(error).__name__ == "DynamicLibNotFoundError":
            return f"a part of the CUDA toolkit is missing: {cls.install}"
        if type(error).__name__ == "OutOfMemoryError" or status == _NO_MEMORY:
            return f"the device's memory is full{_memory_words()}: end what else uses it (nvidia-smi names it)"
        return super().advice(error)

    @classmethod
    def _driver_advice(cls) -> str:
        """Version 0 is the runtime's word for no driver at all."""
        import cupy

        try:
            driver, runtime = cupy.cuda.runtime.driverGetVersion(), cupy.cuda.runtime.runtimeGetVersion()
        except Exception:  # advice on one error must not end in another, whatever a broken driver raises
            driver, runtime = 0, 0
        if not driver:
            found = "no NVIDIA driver was found: install one (nvidia-smi must work), no toolkit is needed"
            return f"{found}\n{super().advice(None)}"
        return (
            f"the NVIDIA driver is too old: it knows CUDA {_dotted(driver)}, this CuPy is for {_dotted(runtime)}. "
            f"Update the driver, or install the CuPy that fits it: {cls.install}"
        )

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

    def feeder(self, pinned: bool) -> Feeder:
        """See Backend.feeder."""
        return StreamFeeder(self.asarray, self.device) if pinned else super().feeder(pinned)

    def synchronize(self) -> None:
        """See Backend.synchronize."""
        self.device.synchronize()

    def memory(self) -> dict[str, int]:
        """Bytes of the memory pool: in use, and held from the device (its peak, as the pool gives nothing back)."""
        import cupy

        with self.device:
            pool = cupy.get_default_memory_pool()
            return {"used": pool.used_bytes(), "peak": pool.total_bytes()}

    def facts(self) -> dict[str, str]:
        """See Backend.facts: device, driver and parts of the toolkit; each that cannot be asked says why."""
        return {title: _asked(ask) for title, ask in _FACTS.items()}

    @classmethod
    def kernels(cls) -> dict[str, Callable[..., Any]]:
        """See Backend.kernels."""
        own: dict[str, Callable[..., Any]] = {"pick": cupy_kernels.pick, "minus_one_hot": cupy_kernels.minus_one_hot}
        return {"erf": _erf, "words": cupy_kernels.words, **own, **cupy_cross_entropy.KERNELS}

    @classmethod
    def fuser(cls) -> Fuser:
        """See Backend.fuser."""
        from nnx.backend.cupy_fusion import fuser

        return fuser()

    @classmethod
    def index_add(cls, rows: int, index: Array, x: Array) -> Array:
        """See Backend.index_add."""
        import cupy

        if x.dtype.kind == "c":  # CUDA has no atomic addition of complex numbers
            return super().index_add(rows, index, x)
        y = cls.zeros((rows, *x.shape[1:]), x)
        cupy.add.at(y, index, x)
        return y


def _erf(x: Array) -> Array:
    """CuPy's, which would make float64 of float16."""
    import cupyx.scipy.special

    erf = cupyx.scipy.special.erf
    return erf(x) if x.dtype.itemsize > 2 else erf(x.astype("float32")).astype(x.dtype)


def _memory_words() -> str:
    """How much of it, if the driver still answers."""
    import cupy

    try:
        free, total = cupy.cuda.runtime.memGetInfo()
    except Exception:  # as above: the error that is being explained comes first
        return ""
    pool = cupy.get_default_memory_pool().total_bytes()
    return f" ({free / 2**20:,.0f} of {total / 2**20:,.0f} MiB are free, CuPy's own pool holds {pool / 2**20:,.0f})"


def _property(name: str) -> Any:
    import cupy

    return cupy.cuda.runtime.getDeviceProperties(cupy.cuda.runtime.getDevice())[name]


def _runtime(name: str) -> int:
    import cupy

    return int(getattr(cupy.cuda.runtime, name)())


def _cublas() -> str:
    import cupy

    return str(cupy.cuda.cublas.getVersion(cupy.cuda.Device().cublas_handle))


def _nvrtc() -> str:
    import cupy

    return ".".join(map(str, cupy.cuda.nvrtc.getVersion()))


_FACTS: dict[str, Callable[[], str]] = {
    "name": lambda: _property("name").decode(),
    "compute capability": lambda: f"{_property('major')}.{_property('minor')}",
    "memory": lambda: f"{_property('totalGlobalMem') / 2**20:,.0f} MiB",
    "driver": lambda: f"CUDA {_dotted(_runtime('driverGetVersion'))}",
    "runtime": lambda: f"CUDA {_dotted(_runtime('runtimeGetVersion'))}",
    "nvrtc": _nvrtc,
    "cublas": _cublas,
}


def _asked(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except Exception as error:  # a report is wanted most where something is missing
        return f"not known: {type(error).__name__}: {error}"


def _dotted(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"
