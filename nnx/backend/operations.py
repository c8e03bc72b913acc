"""What libraries do differently: each operation on the standard alone, for a library's file to override.

`Backend` is made of these, and of how a library is opened and arrays get in and out (nnx/backend/base.py).
"""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from nnx.backend.expressions import Fuser
from nnx.typing import Array, Device, DType, Namespace, Shape

if TYPE_CHECKING:
    from nnx.backend.compiler import Compiler


class Operations:
    """Class methods about a library's arrays."""

    @classmethod
    def namespace(cls) -> Namespace:
        """The library's namespace."""
        raise NotImplementedError  # Backend has it: these operations are part of one

    @classmethod
    @cache
    def is_inexact(cls, dtype: DType) -> bool:
        """Whether numbers of this dtype have gradients: real or complex floating ones."""
        return bool(cls.namespace().isdtype(dtype, ("real floating", "complex floating")))

    @classmethod
    def lasts(cls, x: Array) -> bool:
        """Whether x outlives the call that made it: not so a compiler's tracer, which on JAX has no device."""
        return getattr(x, "device", None) is not None

    @classmethod
    def guard(cls) -> AbstractContextManager[Any] | None:
        """A context in which nnx computes gradients: the library's own recording is off in it."""
        return None

    @classmethod
    def overflowing(cls) -> AbstractContextManager[Any]:
        """Inside of the block the library says nothing of numbers that overflow: they are looked for, and expected."""
        return nullcontext()

    @classmethod
    def one_thread(cls) -> AbstractContextManager[Any]:
        """Inside of the block the library computes on one thread, if it can be told: for arrays too small to share.

        It changes the library in the whole process: for a program that owns it, such as the command line.
        """
        return nullcontext()

    @classmethod
    def set_item(cls, x: Array, key: Any, value: Array) -> Array:
        """A copy of x in which x[key] is value."""
        y = cls.namespace().asarray(x, copy=True)
        y[key] = value
        return y

    @classmethod
    def index_add(cls, rows: int, index: Array, x: Array) -> Array:
        """zeros(rows, ...) to whose row index[k] x[k] is added, for every k; repeated indices add up.

        index: (n,) integers in [0, rows)   x: (n, ...)   returns (rows, ...)
        """
        xp = cls.namespace()
        # a sum of one-hot rows: the standard has no += that adds repeated indices more than once
        one_hot = xp.arange(rows, dtype=index.dtype, device=x.device)[:, None] == index[None, :]
        flat = xp.reshape(x, (x.shape[0], math.prod(x.shape[1:])))
        return xp.reshape(xp.matmul(xp.astype(one_hot, x.dtype), flat), (rows, *x.shape[1:]))

    @classmethod
    def kernels(cls) -> dict[str, Callable[..., Any]]:
        """The library's own functions, by nnx's names, where it was measured to matter; the generic is its oracle."""
        return {}

    @classmethod
    @cache
    def kernel(cls, name: str) -> Callable[..., Any] | None:
        """The library's own function of that name, if it has one."""
        return cls.kernels().get(name)

    @classmethod
    def to_device(cls, x: Array, device: Device) -> Array:
        """x on another device of its library."""
        if hasattr(x, "to_device"):
            return x.to_device(device)
        import array_api_compat

        return array_api_compat.to_device(x, device)

    @classmethod
    def compiler(cls) -> "Compiler | None":
        """What nnx.compile gives a step to: the library's own compiler, or nnx's; None: the step runs as it is."""
        return None

    @classmethod
    def fuser(cls) -> Fuser | None:
        """What makes kernels of elementwise expressions (nnx.fuse); None if functions are to be called as they are."""
        return None

    packed: ClassVar[int] = 64
    """How many small parameters an optimizer lays one behind another at the most; 0 for none."""
    updates_together: ClassVar[bool] = False
    """Whether a kernel of its own updates many arrays at once (Fuser.table)."""

    @classmethod
    def pack(cls, arrays: list[Array]) -> Array:
        """The numbers of all arrays (of one dtype) as one vector."""
        xp = cls.namespace()
        return xp.concat([xp.reshape(x, (-1,)) for x in arrays])

    @classmethod
    def unpack(cls, vector: Array, places: list[tuple[int, int, Shape]]) -> list[Array]:
        """The arrays of a vector again. places: (start, stop, shape) of each"""
        xp = cls.namespace()
        return [xp.reshape(vector[start:stop], shape) for start, stop, shape in places]

    @classmethod
    def zeros(cls, shape: Shape, like: Array) -> Array:
        """Zeros of that shape, with the dtype and on the device of `like`."""
        # a tracer of JAX has no device
        return cls.namespace().zeros(shape, dtype=like.dtype, device=getattr(like, "device", None))
