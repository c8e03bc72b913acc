"""The table of known backends: a name and the class that holds its facts, imported when first asked for.

Others join it through the entry-point group `nnx.backends` (name = "package.module:Class") or `register`; a name that
is known here stays what it is, whatever entry points say. examples/third_party_backend.py shows how it is done.
"""

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from nnx.backend.base import Backend, BackendUnavailable

if TYPE_CHECKING:  # it is a fifth of the time that `import nnx` takes
    from importlib.metadata import Distribution, EntryPoint

_KNOWN = {
    "numpy": "nnx.backend.numpy:NumpyBackend",
    "cupy": "nnx.backend.cupy:CupyBackend",
    "torch": "nnx.backend.torch:TorchBackend",
    "jax": "nnx.backend.jax:JaxBackend",
    "dpnp": "nnx.backend.dpnp:DpnpBackend",
    "array_api_strict": "nnx.backend.strict:StrictBackend",
}
_REGISTERED: dict[str, type[Backend]] = {}
_GROUP = "nnx.backends"
_VALUE = re.compile(r"[\w.]+:[\w.]+")
_FACTS = ("name", "package", "install")
"""What every backend's class says of itself."""


on_register: list[Callable[[], None]] = []
"""Called when a backend has joined: those who keep answers drop the ones that may have changed."""


def register(cls: type[Backend]) -> type[Backend]:
    """Add a backend of one's own to the table (also usable as a decorator); it takes the place of one with its name."""
    _REGISTERED[cls.name] = cls
    for forget in on_register:
        forget()
    return cls


@cache
def _entry_points() -> "dict[str, EntryPoint]":
    import importlib.metadata

    try:
        found = list(importlib.metadata.entry_points(group=_GROUP))
    except Exception:  # some package's file is not in the format: that package has none, the others do
        found = [point for distribution in importlib.metadata.distributions() for point in _readable(distribution)]
    return {point.name: point for point in found}


def _readable(distribution: "Distribution") -> "list[EntryPoint]":
    try:
        return list(distribution.entry_points.select(group=_GROUP))
    except Exception:  # somebody else's file
        return []


def names() -> list[str]:
    """Every known backend's name."""
    return list(dict.fromkeys([*_KNOWN, *_REGISTERED, *_entry_points()]))


def find(name: str) -> type[Backend]:
    """The class of that name. Raises BackendUnavailable for a name that nobody registered."""
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name in _KNOWN:
        return _known(name)
    if name in _entry_points():
        return _loaded(_entry_points()[name])
    raise BackendUnavailable(
        f"unknown backend '{name}': there is {', '.join(names())} and auto "
        "(NNX_BACKEND, nnx.set_backend or nnx.use_backend chooses)"
    )


@cache
def _known(name: str) -> type[Backend]:
    module, _, attribute = _KNOWN[name].partition(":")
    found: type[Backend] = getattr(importlib.import_module(module), attribute)
    return found


@cache
def _loaded(point: "EntryPoint") -> type[Backend]:
    try:
        if not _VALUE.fullmatch(point.value):
            raise ValueError("expected package.module:Class")
        found = point.load()
        if not (isinstance(found, type) and issubclass(found, Backend)):
            raise TypeError(f"{found!r} is no subclass of nnx.Backend")
        missing = [fact for fact in _FACTS if not isinstance(getattr(found, fact, None), str)]
        if missing:
            raise TypeError(f"{found.__name__} does not say its {' and '.join(missing)}: strings, in the class")
        if found.name != point.name:
            raise ValueError(f"{found.__name__}.name is '{found.name}': one name for both, or nobody finds it again")
    except (Exception, SystemExit) as error:  # somebody else's code: whatever it raises is the reason
        raise BackendUnavailable(
            f"backend '{point.name}': its entry point '{point.value}' cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    return found


def installed(name: str) -> bool:
    """Whether that backend's library can be found; False for one that cannot even be asked."""
    try:
        return find(name).installed()
    except Exception:  # somebody else's code
        return False


def loaded() -> Iterator[type[Backend]]:
    """The backends whose library this process has imported: an array of any other cannot exist."""
    for name in names():
        try:
            cls = find(name)
        except BackendUnavailable:  # a broken entry point
            continue
        if any(module in sys.modules for module in cls.modules or (cls.package,)):
            yield cls


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
    except BackendUnavailable as error:
        return BackendInfo(name, False, False, None, (), str(error), "")
    try:
        backend = cls.open()
        return BackendInfo(name, True, True, backend.version, tuple(cls.devices()), None, cls.install)
    except Exception as error:  # a third party's may raise anything
        reason = (
            str(error).partition("\n")[0]
            if isinstance(error, BackendUnavailable)
            else f"{type(error).__name__}: {error}"
        )
        return BackendInfo(name, installed(name), False, _version_on_disk(cls.package), (), reason, cls.install)


def _version_on_disk(package: str) -> str | None:
    """The version of the distribution that brings the package (cupy comes in cupy-cuda13x), without importing it."""
    import importlib.metadata

    distributions = importlib.metadata.packages_distributions().get(package)
    return importlib.metadata.version(distributions[0]) if distributions else None
