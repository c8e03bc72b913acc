"""PyTorch's tensors as plain arrays: its autograd is off while nnx takes a gradient.

array-api-compat makes torch conform; where torch's own function already does, it takes the wrapper's place (through the
wrapper maximum costs 6.3 µs, its own 1.0; matmul 4.1 and 0.9).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from types import SimpleNamespace
from typing import Any

from nnx.backend.base import Backend
from nnx.typing import Array, Device, DType, Namespace

OWN = ("abs", "exp", "log", "log1p", "expm1", "sqrt", "square", "sin", "cos", "tanh", "sigmoid", "matmul")
"""Functions of one array (and matmul) that conform as they are."""


class TorchBackend(Backend):
    """torch on the CPU, CUDA, MPS or XPU."""

    name = "torch"
    package = "torch"
    install = "pip install torch          (the CPU build alone: --index-url of pytorch.org's cpu wheels)"
    counter = "int32"

    @classmethod
    @cache
    def namespace(cls) -> Namespace:
        """array_api_compat.torch with torch's own functions where they conform."""
        import array_api_compat.torch as compat
        import torch

        names = {name: getattr(compat, name) for name in dir(compat) if not name.startswith("__")}
        names.update({name: getattr(torch, name) for name in OWN if hasattr(compat, name)})
        names["__array_namespace_info__"] = compat.__array_namespace_info__
        names["__name__"] = compat.__name__
        names["maximum"] = _elementwise(torch.maximum, torch.clamp_min, compat.maximum)
        names["minimum"] = _elementwise(torch.minimum, torch.clamp_max, compat.minimum)
        names["where"] = torch.where
        return SimpleNamespace(**names)

    @classmethod
    def devices(cls) -> dict[str, Device]:
        """torch's default device first (set_default_device), then the CPU and every accelerator."""
        import torch

        found = [torch.get_default_device(), torch.device("cpu")]
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        if accelerator is not None:
            kind = accelerator.type
            found += [torch.device(kind, k) for k in range(torch.accelerator.device_count())] + [torch.device(kind)]
        return {str(device): device for device in found}

    @classmethod
    def is_gpu(cls, device: Device) -> bool:
        """See Backend.is_gpu."""
        return bool(device.type != "cpu")

    def asarray(self, x: Array, dtype: str | DType | None = None) -> Array:
        """See Backend.asarray. A NumPy array that is writable shares its memory with the tensor."""
        import numpy
        import torch

        x = self._import_host(x)
        if isinstance(x, numpy.ndarray):
            # from_numpy takes neither negative strides nor read-only memory
            x = torch.from_numpy(x if x.flags.writeable and min(x.strides, default=0) >= 0 else x.copy())
        dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
        return torch.as_tensor(x, dtype=dtype, device=self.device).detach()

    @classmethod
    def to_numpy(cls, x: Array) -> Array:
        """See Backend.to_numpy."""
        return x.detach().cpu().numpy()

    def synchronize(self) -> None:
        """See Backend.synchronize."""
        import torch

        if self.is_gpu(self.device):
            torch.accelerator.synchronize(self.device)

    def memory(self) -> dict[str, int]:
        """See Backend.memory."""
        import torch

        if self.device.type != "cuda":
            return super().memory()
        return {"used": torch.cuda.memory_allocated(self.device), "peak": torch.cuda.max_memory_allocated(self.device)}

    @classmethod
    def guard(cls) -> AbstractContextManager[Any]:
        """torch.no_grad(): nnx records, torch need not."""
        import torch

        return torch.no_grad()

    @classmethod
    def kernels(cls) -> dict[str, Callable[..., Any]]:
        """See Backend.kernels."""
        import torch

        return {"erf": torch.special.erf}

    @classmethod
    def index_add(cls, rows: int, index: Array, x: Array) -> Array:
        """See Backend.index_add."""
        return cls.zeros((rows, *x.shape[1:]), x).index_add_(0, index, x)


def _elementwise(own: Any, bounded: Any, wrapper: Any) -> Any:
    """torch's own functions for two tensors of one dtype, and for a floating tensor and a number; else the wrapper."""

    def function(x1: Array, x2: Array, /) -> Array:
        if type(x2) is float and getattr(x1, "is_floating_point", bool)():
            return bounded(x1, x2)
        if getattr(x1, "dtype", None) is getattr(x2, "dtype", False):
            return own(x1, x2)
        return wrapper(x1, x2)

    return function
