"""JAX: immutable arrays on any of its platforms; tracers pass through nnx, so `jax.jit` compiles what nnx wrote."""

from collections.abc import Callable
from functools import cache
from typing import Any

from nnx.backend import jax_compiler, jax_conv, jax_sequences, threefry
from nnx.backend.base import Backend
from nnx.backend.compiler import Compiler
from nnx.typing import Array, Device, DType, Namespace


class JaxBackend(Backend):
    """jax.numpy, eager or under a trace."""

    name = "jax"
    package = "jax"
    install = "pip install jax          (on a GPU: pip install 'jax[cuda13]')"
    modules = ("jax", "jaxlib")

    @classmethod
    @cache
    def namespace(cls) -> Namespace:
        """See Backend.namespace."""
        import jax.numpy

        return jax.numpy

    @classmethod
    def devices(cls) -> dict[str, Device]:
        """Those of the default platform, then the CPU's."""
        import jax

        found = list(jax.devices())
        if found[0].platform != "cpu":
            found += jax.devices("cpu")
        return {f"{device.platform}:{device.id}": device for device in found}

    def _find(self, device: str | Device | None) -> Device:
        return super()._find(f"{device}:0" if isinstance(device, str) and ":" not in device else device)

    @classmethod
    def is_gpu(cls, device: Device) -> bool:
        """See Backend.is_gpu."""
        return bool(device.platform != "cpu")

    def asarray(self, x: Array, dtype: str | DType | None = None) -> Array:
        """See Backend.asarray; without x64, 64-bit NumPy arrays become 32-bit ones, as everywhere in JAX."""
        import jax

        x = self._taken(x)
        wanted = getattr(x, "dtype", None) if dtype is None else self.dtype(dtype)
        if wanted is not None:
            wanted = jax.dtypes.canonicalize_dtype(wanted)
        return self.xp.asarray(x, dtype=wanted, device=self.device)

    def synchronize(self) -> None:
        """See Backend.synchronize."""
        import jax

        jax.device_put(0.0, self.device).block_until_ready()

    def memory(self) -> dict[str, int]:
        """See Backend.memory."""
        stats = self.device.memory_stats() or {}
        if "bytes_in_use" not in stats:
            return super().memory()
        return {"used": stats["bytes_in_use"], "peak": stats["peak_bytes_in_use"]}

    @classmethod
    def set_item(cls, x: Array, key: object, value: Array) -> Array:
        """See Backend.set_item."""
        return x.at[key].set(value)

    @classmethod
    def kernels(cls) -> dict[str, Callable[..., Any]]:
        """See Backend.kernels."""
        import jax.scipy.special

        own = {"erf": jax.scipy.special.erf, "words": _words, "barrier": jax.lax.optimization_barrier}
        return {**own, **jax_conv.KERNELS, **jax_sequences.KERNELS}

    @classmethod
    def compiler(cls) -> Compiler:
        """See Backend.compiler: jax.jit."""
        return Compiler(jax_compiler.form, jax_compiler.number, False, jax_compiler.unread, jax_compiler.trace)

    @classmethod
    def index_add(cls, rows: int, index: Array, x: Array) -> Array:
        """See Backend.index_add."""
        return cls.namespace().zeros((rows, *x.shape[1:]), dtype=x.dtype).at[index].add(x)


def _words(n: int, key: threefry.Key, draw: Any, like: Array) -> Array:
    """threefry.words, compiled once for each n: one call in place of 130."""
    import jax
    import numpy

    if isinstance(like, jax.core.Tracer) or isinstance(draw, jax.core.Tracer):
        # as words of 32 bits: without x64 a Python number above 2**31 does not fit JAX's default integer
        traced = isinstance(draw, jax.core.Tracer)
        draw = draw.astype("uint32") if traced else jax.numpy.uint32(draw & threefry.WORD)
        return _compiled_words().__wrapped__(n, *(jax.numpy.uint32(k & threefry.WORD) for k in key), draw)
    # three numbers, moved explicitly: a transfer guard tells them from what was moved by mistake
    numbers = jax.device_put(numpy.asarray([*key, draw & threefry.WORD], numpy.uint32), like.device)
    return _compiled_words()(n, *numbers)


@cache
def _compiled_words() -> Any:
    import jax

    def words(n: int, k0: Array, k1: Array, draw: Array) -> Array:
        return threefry.words(jax.numpy, jax.numpy.uint32, n, (k0, k1), draw)

    return jax.jit(words, static_argnums=0)
