"""Which backend new arrays are born on: argument, context, `set_backend`, environment, NumPy, in this order.

`NNX_BACKEND` names it, `NNX_DEVICE` its device. The choice says nothing about existing arrays: functions take their
namespace from the arrays they are given, so that several backends work in one process.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from nnx.backend import table
from nnx.backend.base import Backend, BackendUnavailable
from nnx.typing import Device

_context: ContextVar[Backend | None] = ContextVar("nnx_backend", default=None)
_default: Backend | None = None


def get_backend(name: str | None = None, device: str | Device | None = None) -> Backend:
    """The active backend, or the named one.

    name: as in `NNX_BACKEND`; "auto" takes the first GPU that answers, else NumPy
    Raises BackendUnavailable, which says what went wrong, what is available and how to install it.

    >>> get_backend("numpy").xp.__name__
    'numpy'
    """
    if name is None:
        active = _context.get() or _default
        if active is None:
            name = os.environ.get("NNX_BACKEND") or "numpy"
            device = device or os.environ.get("NNX_DEVICE") or None
        elif device is None:
            return active
        else:
            name = active.name
    elif device is None and name == os.environ.get("NNX_BACKEND"):
        device = os.environ.get("NNX_DEVICE") or None
    if name == "auto":
        return _auto(device)
    try:
        return table.find(name).open(device)
    except BackendUnavailable as error:
        raise BackendUnavailable(f"{error}\n{_others(name)}") from error


def _others(name: str) -> str:
    """What could be used in its place (installed ones: to try them all would import gigabytes)."""
    installed = [other for other in table.names() if other != name and table.installed(other)]
    return f"installed here: {', '.join(installed)}; `nnx backends` tries each"


def _auto(device: str | Device | None) -> Backend:
    """The first backend with a GPU whose probe succeeds, else NumPy; with a device, the first that can open it."""
    refused = []
    for name in filter(table.installed, table.names()):
        try:
            cls = table.find(name)
            if gpus := [found for found in cls.devices().values() if cls.is_gpu(found)]:
                return cls.open(gpus[0] if device is None else device)
        except Exception as error:  # auto asks every library; one that cannot answer is not the one it looks for
            refused.append(str(error).partition("\n")[0])
    try:
        return table.find("numpy").open(device)
    except BackendUnavailable as error:
        raise BackendUnavailable(
            "\n".join([f"backend 'auto' found no device '{device}'", *refused, str(error)])
        ) from error


def set_backend(name: str, device: str | Device | None = None) -> Backend:
    """Make this backend the one that new arrays are born on, in the whole process. Returns it."""
    global _default
    _default = get_backend(name, device)
    return _default


@contextmanager
def use_backend(name: str, device: str | Device | None = None) -> Iterator[Backend]:
    """Inside of the block (of this thread or task) new arrays are born on this backend.

    >>> with use_backend("numpy") as backend:
    ...     backend.name
    'numpy'
    """
    backend = get_backend(name, device)
    token = _context.set(backend)
    try:
        yield backend
    finally:
        _context.reset(token)
