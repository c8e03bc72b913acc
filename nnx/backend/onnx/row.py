"""Arrays of a graph as a backend: not one to choose, as nothing is computed on it, but one that all functions know."""

from collections.abc import Callable
from functools import cache
from typing import Any

from nnx.backend.arrays import register_kind
from nnx.backend.base import Backend
from nnx.backend.onnx.array import Traced
from nnx.backend.onnx.library import ndx
from nnx.typing import Array, DType, Namespace, Shape


class OnnxBackend(Backend):
    """See the module."""

    name = "onnx"
    package = "ndonnx"
    install = "pip install 'nnx-array[onnx]'"
    packed = 0

    @classmethod
    @cache
    def namespace(cls) -> Namespace:
        """See Backend.namespace."""
        from nnx.backend.onnx.namespace import NAMESPACE

        return NAMESPACE

    @classmethod
    @cache
    def is_inexact(cls, dtype: DType) -> bool:
        """See Backend.is_inexact."""
        return dtype in (ndx().float16, ndx().float32, ndx().float64)

    @classmethod
    def device_name(cls, device: object) -> str:
        """See Backend.device_name."""
        return "a graph"

    @classmethod
    def kernels(cls) -> dict[str, Callable[..., Any]]:
        """See Backend.kernels."""
        from nnx.backend.onnx.kernels import KERNELS

        return KERNELS

    @classmethod
    def set_item(cls, x: Array, key: Any, value: Array) -> Array:
        """See Backend.set_item."""
        return cls.namespace().with_item(x, key, value)

    @classmethod
    def zeros(cls, shape: Shape, like: Array) -> Array:
        """See Backend.zeros."""
        return cls.namespace().zeros(shape, dtype=like.dtype)

    @classmethod
    def to_numpy(cls, x: Array) -> Array:
        """See Backend.to_numpy: there are no numbers yet."""
        return x._refuse()


register_kind(Traced, OnnxBackend)
