"""Libraries that nnx has no row for: an array that follows the standard says by itself where its functions are."""

import sys
from functools import cache
from typing import ClassVar

from nnx.backend.base import Backend
from nnx.typing import Array, Namespace


class ForeignBackend(Backend):
    """A library that nnx has no row for, known by the namespace that its arrays name: the standard's own answers."""

    own: ClassVar[Namespace]

    @classmethod
    @cache
    def namespace(cls) -> Namespace:
        """See Backend.namespace."""
        return cls.own

    @classmethod
    def library_version(cls) -> str:
        """See Backend.library_version."""
        return str(getattr(sys.modules.get(cls.package), "__version__", "unknown"))

    @classmethod
    def to_numpy(cls, x: Array) -> Array:
        """See Backend.to_numpy."""
        import numpy

        return numpy.asarray(x) if hasattr(x, "__array__") or hasattr(x, "__buffer__") else numpy.from_dlpack(x)
