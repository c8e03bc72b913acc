"""PyTorch's tensors as plain arrays: its autograd is off while nnx takes a gradient.

array-api-compat makes torch conform; where torch's own function already does, it takes the wrapper's place (through the
wrapper maximum costs 6.3 µs, its own 1.0; matmul 4.1 and 0.9).
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from types import ModuleType
from typing import Any

from nnx.backend import threefry, torch_compiler, torch_conv, torch_gelu, torch_sequences
from nnx.backend.base import Backend
from nnx.backend.compiler import Compiler
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
        names["maximum"] = _elementwise(torch.maximum, torch.clamp_min, compat.maximum)
        names["minimum"] = _elementwise(torch.minimum, torch.clamp_max, compat.minimum)
        names["where"] = torch.where
        conforming = ModuleType(compat.__name__, "array_api_compat.torch, torch's own functions where they conform.")
        conforming.__dict__.update(names)
        return conforming

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

        x = self._taken(x)
        if isinstance(x, numpy.ndarray):
            # from_numpy takes neither negative strides nor read-only memory
            x = torch.from_numpy(x if x.flags.writeable and min(x.strides, default=0) >= 0 else x.copy())
        return torch.as_tensor(x, dtype=self.dtype(dtype), device=self.device).detach()

    @classmethod
    def bare(cls, x: Array) -> Array:
        """See Backend.bare."""
        return x.detach()

    @classmethod
    def to_numpy(cls, x: Array) -> Array:
        """See Backend.to_numpy; NumPy has no bfloat16, which becomes float32."""
        if str(x.dtype) == "torch.bfloat16":
            x = x.float()
        # torch keeps a conjugate, and the sign of its imaginary part, as a promise
        return x.detach().cpu().resolve_conj().resolve_neg().numpy()

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

        off: AbstractContextManager[Any] = torch.no_grad()
        return off

    @classmethod
    @contextmanager
    def one_thread(cls) -> Iterator[None]:
        """See Backend.one_thread. Between small products torch's threads spin, and wait for a core that others have."""
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)

    @classmethod
    def kernels(cls) -> dict[str, Callable[..., Any]]:
        """See Backend.kernels."""
        import torch

        own = {"erf": torch.special.erf, "words": _words}
        return {**own, **torch_conv.KERNELS, **torch_gelu.KERNELS, **torch_sequences.KERNELS}

    @classmethod
    def lasts(cls, x: Array) -> bool:
        """See Backend.lasts: traces run on tensors of a kind of their own, without numbers."""
        import torch

        return type(x) is torch.Tensor

    @classmethod
    def compiler(cls) -> Compiler | None:
        """See Backend.compiler: TorchInductor, if it can compile here."""
        own = torch_compiler
        return Compiler(own.form, own.number, True, own.unread, own.trace, slow=True) if own.works() else None

    @classmethod
    def index_add(cls, rows: int, index: Array, x: Array) -> Array:
        """See Backend.index_add."""
        index = index if index.dtype.itemsize >= 4 else index.to(dtype=cls.namespace().int64)
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


def _words(n: int, key: threefry.Key, draw: int, like: Array) -> Array:
    """threefry.words; on the CPU NumPy makes them in the tensor's memory: 130 calls of torch's cost ten times that."""
    import torch

    if isinstance(draw, torch.Tensor):  # of a compiled step: a number of the state
        counters = torch.arange((n + 1) // 2, dtype=torch.int32, device=like.device)
        draws = _wrapped(draw).to(like.device).expand(counters.shape)
        return torch.cat(threefry.threefry2x32(torch, key, counters, draws, signed=True))[:n]
    if like.device.type == "cpu" and not torch.compiler.is_compiling():
        return torch.from_numpy(threefry.words_in_blocks(n, key, draw).view("int32"))
    return threefry.words(TorchBackend.namespace(), torch.int32, n, key, draw, like.device, signed=True)


def _wrapped(draw: Array) -> Array:
    """A whole number modulo 2³², as int32."""
    import torch

    low = torch.remainder(draw, 2.0**32)
    return torch.where(low >= 2.0**31, low - 2.0**32, low).to(torch.int32)
