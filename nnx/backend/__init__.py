"""The backend selector: which array library new arrays are born in, and what is known of each library.

The only folder that names array libraries. Everything above asks `namespace(x)` and writes the standard.
"""

from nnx.backend.arrays import (
    are_mixed,
    asarray,
    backend_of,
    device_of,
    innermost,
    is_array,
    is_scalar,
    kernel,
    lasts,
    mixed,
    namespace,
    number_of,
    register_box,
    to_numpy,
)
from nnx.backend.base import Backend, BackendUnavailable, MixedBackends
from nnx.backend.select import get_backend, set_backend, use_backend
from nnx.backend.table import BackendInfo, backends, register

__all__ = [
    "Backend",
    "BackendInfo",
    "BackendUnavailable",
    "MixedBackends",
    "are_mixed",
    "asarray",
    "backend_of",
    "backends",
    "device_of",
    "get_backend",
    "innermost",
    "is_array",
    "is_scalar",
    "kernel",
    "lasts",
    "mixed",
    "namespace",
    "number_of",
    "register",
    "register_box",
    "set_backend",
    "to_numpy",
    "use_backend",
]
