"""array_api_compat.cupy, with the three functions in which it, or CuPy, takes less than the standard gives."""

from types import ModuleType
from typing import Any

from nnx.typing import Array, Device, DType, Namespace


def conforming() -> Namespace:
    """The namespace that nnx computes with on CuPy."""
    import array_api_compat.cupy as compat

    fft = _with(compat.fft, fftfreq=_frequencies(compat.fft.fftfreq), rfftfreq=_frequencies(compat.fft.rfftfreq))
    return _with(compat, fft=fft, linalg=_with(compat.linalg, solve=_solve))


def _with(module: Any, **functions: Any) -> ModuleType:
    """A module like that one, with these functions in the place of its own."""
    found = ModuleType(module.__name__, module.__doc__)
    found.__dict__.update(vars(module))
    found.__dict__.update(functions)
    return found


def _frequencies(wrapped: Any) -> Any:
    """The wrapper (array-api-compat 1.16) knows no device but the CPU."""

    def frequencies(n: int, /, *, d: float = 1.0, dtype: DType | None = None, device: Device | None = None) -> Array:
        import cupy

        with device if device is not None else cupy.cuda.Device():
            return wrapped(n, d=d, dtype=dtype)

    return frequencies


def _solve(x1: Array, x2: Array, /) -> Array:
    """CuPy (14.2) does not broadcast a stack of matrices against one, or against a vector."""
    import array_api_compat.cupy as compat
    import cupy

    if x1.ndim == 2 and x2.ndim <= 2:
        return compat.linalg.solve(x1, x2)
    columns = x2[:, None] if x2.ndim == 1 else x2
    stack = cupy.broadcast_shapes(x1.shape[:-2], columns.shape[:-2])
    matrices = compat.broadcast_to(x1, (*stack, *x1.shape[-2:]))
    y = compat.linalg.solve(matrices, compat.broadcast_to(columns, (*stack, *columns.shape[-2:])))
    return y[..., 0] if x2.ndim == 1 else y
