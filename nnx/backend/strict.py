"""array-api-strict: the standard and nothing else, to prove that code is portable.

Its second device, "device1", refuses every hidden conversion: what runs there will run on a GPU.
"""

from contextlib import AbstractContextManager
from typing import Any

from nnx.backend.base import Backend
from nnx.backend.numpy import NumpyBackend
from nnx.typing import Array, Device


class StrictBackend(Backend):
    """array-api-strict, NumPy's arrays behind the narrow door of the standard."""

    name = "array_api_strict"
    package = "array_api_strict"
    install = "pip install array-api-strict"
    host = True

    @classmethod
    def devices(cls) -> dict[str, Device]:
        """Its devices by the names that it gives them: CPU_DEVICE, device1, ..."""
        found = cls.namespace().__array_namespace_info__().devices()
        return {str(device).split("'")[1]: device for device in found}

    @classmethod
    def one_thread(cls) -> AbstractContextManager[Any]:
        """See Backend.one_thread: its arrays are NumPy's."""
        return NumpyBackend.one_thread()

    @classmethod
    def overflowing(cls) -> AbstractContextManager[Any]:
        """See Backend.overflowing: its arrays are NumPy's."""
        return NumpyBackend.overflowing()

    @classmethod
    def to_numpy(cls, x: Array) -> Array:
        """See Backend.to_numpy: only its CPU device lets arrays out."""
        import numpy

        return numpy.asarray(x.to_device(cls.namespace().Device("CPU_DEVICE")))
