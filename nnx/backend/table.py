"""The table of known backends: a name and the class that holds its facts, imported when first asked for.

Others join it through the entry-point group `nnx.backends` (name = "package.module:Class") or `register`.
"""

import importlib
import importlib.metadata
import sys
from dataclasses import dataclass
from functools import cache

from nnx.backend.base import Backend, BackendUnavailable

_KNOWN = {
    "numpy": "nnx.backend.numpy:NumpyBackend",
    "cupy": "nnx.backend.cupy:CupyBackend",
    "torch": "nnx.backend.torch:TorchBackend",
    "jax": "nnx.backend.jax:JaxBackend",
    "dpnp": "nnx.backend.dpnp:DpnpBackend",
    "array_api_strict": "nnx.backend.strict:StrictBackend",
}
_REGISTERED: dict[str, type[Backend]] = {}


def register(cls: type[Backend]) -> type[Backend]:
    """Add a backend of one's own to the table (also usable as a decorator)."""
    _REGISTERED[cls.name] = cls
    return cls


@cache
def _entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group="nnx.backends")}


def names() -> list[str]:
    """Every known backend's name."""
    return list(dict.fromkeys([*_KNOWN, *_REGISTERED, *_entry_points()]))


def find(name: str) -> type[Backend]:
    """The class of that name. Raises BackendUnavailable for a name that nobody registered."""
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name in _KNOWN:
        module, _, attribute = _KNOWN[name].partition(":")
        return register(getattr(importlib.import_module(module), attribute))
    if name in _entry_points():
        return register(_entry_points()[name].load())
    raise BackendUnavailable(
        f"unknown backend '{name}': there is {', '.join(names())} and auto "
        "(NNX_BACKEND, nnx.set_backend or nnx.use_backend chooses)"
    )


def loaded() -> list[type[Backend]]:
    """The backends whose library this process has imported: an array of any other cannot exist."""
    return [cls for cls in map(find, names()) if any(module in sys.modules for module in cls.modules or (cls.package,))]


@dataclass(frozen=True)
class BackendInfo:
    """A row of `nnx backends`: what is known of a backend on this machine."""

    name: str
    installed: bool
    usable: bool
    version: str | None
    devices: tuple[str, ...]
    reason: str | None
    """Why it cannot be used, in the library's own words."""
    install: str


def backends() -> list[BackendInfo]:
    """Every known backend: is it installed, does it work, on which devices, and if not, why and how to get it."""
    return [_inspect(name) for name in names()]


def _inspect(name: str) -> BackendInfo:
    try:
        cls = find(name)
    except Exception as error:  # somebody else's entry point: whatever it raises is the reason
        return BackendInfo(name, False, False, None, (), f"{type(error).__name__}: {error}", "")
    installed = cls.installed()
    try:
        backend = cls.open()
    except BackendUnavailable as error:
        version = importlib.metadata.version(cls.package) if installed and _has_metadata(cls.package) else None
        return BackendInfo(name, installed, False, version, (), str(error).partition("\n")[0], cls.install)
    return BackendInfo(name, True, True, backend.version, tuple(cls.devices()), None, cls.install)


def _has_metadata(package: str) -> bool:
    return any(package in found for found in importlib.metadata.packages_distributions())
