"""Layers that put numbers around their input, under PyTorch's names."""

from typing import ClassVar

from nnx import functional as F
from nnx.layers.module import Module
from nnx.typing import Array

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]

Padding = int | tuple[int, ...]


class _Pad(Module):
    """padding: one number for all ends, or (before, after) of the last axis, then of the one before it, ..."""

    dims: ClassVar[int]
    mode: ClassVar[str] = "constant"
    value: float | None = None

    def __init__(self, padding: Padding) -> None:
        given = (padding,) * (2 * self.dims) if isinstance(padding, int) else tuple(padding)
        if len(given) != 2 * self.dims:
            raise ValueError(
                f"{type(self).__name__}: padding must be an integer or {2 * self.dims} of them, got {padding!r}"
            )
        self.padding = given

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.pad."""
        if x.ndim not in (self.dims + 1, self.dims + 2):
            raise ValueError(
                f"{type(self).__name__}: expected x of {self.dims + 1} or {self.dims + 2} axes, (n, c, ...) or "
                f"(c, ...), got shape {tuple(x.shape)}"
            )
        return F.pad(x, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"{self.padding}" if self.value is None else f"padding={self.padding}, value={self.value}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Padding, value: float) -> None:
        super().__init__(padding)
        self.value = value


class ConstantPad1d(_ConstantPad):
    """One value around one axis; see nnx.functional.pad.   x: (n, c, l) or (c, l)"""

    dims = 1


class ConstantPad2d(_ConstantPad):
    """One value around an image; see nnx.functional.pad.   x: (n, c, h, w) or (c, h, w)"""

    dims = 2


class ConstantPad3d(_ConstantPad):
    """One value around a volume; see nnx.functional.pad.   x: (n, c, d, h, w) or (c, d, h, w)"""

    dims = 3


class ZeroPad1d(_Pad):
    """Zeros around one axis; see nnx.functional.pad.   x: (n, c, l) or (c, l)"""

    dims = 1


class ZeroPad2d(_Pad):
    """Zeros around an image; see nnx.functional.pad.   x: (n, c, h, w) or (c, h, w)"""

    dims = 2


class ZeroPad3d(_Pad):
    """Zeros around a volume; see nnx.functional.pad.   x: (n, c, d, h, w) or (c, d, h, w)"""

    dims = 3


class ReflectionPad1d(_Pad):
    """A mirror image of the inside around one axis; see nnx.functional.pad.   x: (n, c, l) or (c, l)"""

    dims = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """A mirror image of the inside around an image; see nnx.functional.pad.   x: (n, c, h, w) or (c, h, w)"""

    dims = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """A mirror image of the inside around a volume; see nnx.functional.pad.   x: (n, c, d, h, w) or (c, d, h, w)"""

    dims = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """The edge again around one axis; see nnx.functional.pad.   x: (n, c, l) or (c, l)"""

    dims = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """The edge again around an image; see nnx.functional.pad.   x: (n, c, h, w) or (c, h, w)"""

    dims = 2
    mode = "replicate"


class ReplicationPad3d(_Pad):
    """The edge again around a volume; see nnx.functional.pad.   x: (n, c, d, h, w) or (c, d, h, w)"""

    dims = 3
    mode = "replicate"


class CircularPad1d(_Pad):
    """What stands at the other end around one axis; see nnx.functional.pad.   x: (n, c, l) or (c, l)"""

    dims = 1
    mode = "circular"


class CircularPad2d(_Pad):
    """What stands at the other end around an image; see nnx.functional.pad.   x: (n, c, h, w) or (c, h, w)"""

    dims = 2
    mode = "circular"


class CircularPad3d(_Pad):
    """What stands at the other end around a volume; see nnx.functional.pad.   x: (n, c, d, h, w) or (c, d, h, w)"""

    dims = 3
    mode = "circular"
