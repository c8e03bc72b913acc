"""From an array to its library: one dictionary look-up by type.

`namespace(*arrays)` is asked several times a training step, so the first look at a type finds the library by the module
that the type comes from, and every later one is a dictionary's. A `Var` answers for itself through the standard's
`__array_namespace__`, as do arrays of libraries that nnx has never heard of.
"""

import os
from collections.abc import Callable
from typing import Any

from nnx.backend import table
from nnx.backend.base import Backend, MixedBackends
from nnx.backend.foreign import ForeignBackend
from nnx.typing import Array, Device, DType, Namespace

_BACKENDS: dict[type, type[Backend] | None] = dict.fromkeys(
    (bool, int, float, complex, str, tuple, list, dict, type(None))
)
_NAMESPACES: dict[type, Namespace] = {}


def backend_of(x: Array) -> type[Backend]:
    """The backend whose array x is; works through a Var. Raises TypeError if x is no array."""
    x = innermost(x)
    found = _library(x)
    if found is None:
        raise TypeError(f"expected an array, got {type(x).__name__}: make one with nnx.asarray(x)")
    return found


def innermost(x: Array) -> Array:
    """The library's own array inside of x, however many tapes watch it."""
    while type(x) in _BOXES:
        x = x.value
    return x


_BOXES: set[type] = set()
"""The types that are a box around an array (Var registers itself here: this module stands below it)."""


def is_array(x: object) -> bool:
    """Whether x is an array of any library, a Var included; Python numbers are not."""
    kind = type(x)
    return kind in _NAMESPACES or kind in _BOXES or _library(x) is not None


def is_scalar(x: object) -> bool:
    """Whether x is a NumPy scalar such as np.float64(2.0): it has an array's attributes, but no places to assign to."""
    return is_array(x) and not hasattr(type(x), "__setitem__")


def number_of(x: object) -> type | None:
    """float or int, if x stands for a Python number in a step that is being written down; else None."""
    found: type | None = getattr(x, "number", None)
    return found if found is float or found is int else None


def _library(x: object) -> type[Backend] | None:
    try:
        return _BACKENDS[type(x)]
    except KeyError:
        found = _BACKENDS[type(x)] = _search(x)
        return found


def _search(x: Any) -> type[Backend] | None:
    kind = type(x)
    if not hasattr(kind, "shape") and not hasattr(kind, "__array_namespace__"):
        return None
    roots = {base.__module__.partition(".")[0] for base in kind.__mro__}
    for cls in table.loaded():
        if any(module.partition(".")[0] in roots for module in cls.modules or (cls.package,)):
            return cls if hasattr(kind, "dtype") and hasattr(kind, "ndim") else None
    return _foreign(x) if hasattr(kind, "__array_namespace__") and kind not in _BOXES else None


def _foreign(x: Any) -> type[Backend]:
    root = type(x).__module__.partition(".")[0]
    facts = {"name": root, "package": root, "install": f"pip install {root}", "own": x.__array_namespace__()}
    return type("ForeignBackend", (ForeignBackend,), facts)


def _forget() -> None:
    """A backend has joined: types that none claimed are looked up anew."""
    for kind, found in list(_BACKENDS.items()):
        if kind.__module__ != "builtins" and (found is None or issubclass(found, ForeignBackend)):
            del _BACKENDS[kind]
            _NAMESPACES.pop(kind, None)
    _KERNELS.clear()


table.on_register.append(_forget)


_NUMBERS = frozenset((bool, int, float, complex))


def namespace(x: Array, *others: Array) -> Namespace:
    """The Array API namespace of these arrays, watched or plain; Python numbers go with any.

    Raises MixedBackends if they come from two libraries, TypeError if there is no array among them.

    >>> import numpy as np
    >>> namespace(np.ones(3), 2.0).__name__
    'numpy'
    """
    kind = type(x)
    found = _NAMESPACES.get(kind)
    if found is not None:
        for other in others:
            if type(other) is not kind and type(other) not in _NUMBERS:
                return _namespace_of_all((x, *others))
        return found
    return _namespace_of_all((x, *others))


def _namespace_of_all(arrays: tuple[Array, ...]) -> Namespace:
    found = None
    for x in arrays:
        xp = _namespace_of(x)
        if xp is found or xp is None:
            continue
        found = xp if found is None else _common(found, xp, arrays)
    if found is None:
        names = ", ".join(type(x).__name__ for x in arrays) or "nothing"
        raise TypeError(f"expected an array, got {names}: make one with nnx.asarray(x)")
    return found


def _namespace_of(x: Array) -> Namespace | None:
    kind = type(x)
    if kind in _NAMESPACES:
        return _NAMESPACES[kind]
    if kind in _BOXES:
        return x.__array_namespace__()
    library = _library(x)
    if library is None:
        return None
    found = _NAMESPACES[kind] = library.namespace()
    return found


def _common(one: Namespace, other: Namespace, arrays: tuple[Array, ...]) -> Namespace:
    """Of a watched namespace and the plain one underneath, the watched one; else an error that names both."""
    (depth, under), (other_depth, other_under) = _depth(one), _depth(other)
    if under is other_under:
        return one if depth > other_depth else other
    raise mixed(*arrays)


def _depth(xp: Namespace) -> tuple[int, Namespace]:
    """How many namespaces this one stands on, and the library's own at the bottom."""
    depth = 0
    while hasattr(xp, "underneath"):
        xp, depth = xp.underneath, depth + 1
    return depth, xp


def mixed(*arrays: Array) -> MixedBackends:
    """The error for arrays that cannot meet in one call: it names each side and how to move one."""
    sides = list(dict.fromkeys(_side(x) for x in arrays if is_array(x)))
    where = " and ".join(f"'{name}' on {device}" for name, device in sides)
    name, device = sides[0]
    to = (name, device) if all(other == name for other, _ in sides) else (name,)
    return MixedBackends(
        f"arrays of {where} in one call: nothing is converted silently. Move one of them: nnx.asarray(x, "
        f"{', '.join(map('{}={!r}'.format, ('backend', 'device'), to))}) or model.to({', '.join(map(repr, to))})"
    )


def _side(x: Array) -> tuple[str, str]:
    x = innermost(x)
    library = backend_of(x)
    return library.name, library.device_name(getattr(x, "device", "cpu"))


def are_mixed(*arrays: Array) -> bool:
    """Whether these arrays come from more than one library or device."""
    return len({_side(x) for x in arrays if is_array(x)}) > 1


def kernel(name: str, x: Array) -> Callable[..., Any] | None:
    """The own function of x's library by that name, if it has one and x is not being watched.

    NNX_KERNELS=0, in the environment before the first call, turns all of them off: what is generic computes the same.
    """
    key = name, type(x)
    try:
        return _KERNELS[key]
    except KeyError:
        off = os.environ.get("NNX_KERNELS", "1") in ("0", "false", "off")
        found = _KERNELS[key] = None if off or type(x) in _BOXES else backend_of(x).kernel(name)
        return found


_KERNELS: dict[tuple[str, type], Callable[..., Any] | None] = {}


def device_of(x: Array) -> Device | None:
    """Where to put new arrays beside x: its device; None (anywhere) for a tracer of JAX, which has none yet."""
    return getattr(innermost(x), "device", None)


def lasts(x: Array) -> bool:
    """Whether an array may be kept for later steps: a compiler's tracer may not."""
    return backend_of(x).lasts(innermost(x))


def to_numpy(x: Array) -> Array:
    """x as a NumPy array in host memory; waits for the device. Raises TypeError for a watched array.

    >>> to_numpy(asarray([1.0, 2.0]))
    array([1., 2.])
    """
    x = _unwatched(x, "to_numpy")
    return backend_of(x).to_numpy(x)


def asarray(
    x: Array, dtype: str | DType | None = None, *, backend: str | None = None, device: str | Device | None = None
) -> Array:
    """x as an array of the active backend (or of the named one), on its device.

    x: numbers, nested lists, or an array of any library   dtype: "float32", ..., or the library's own; None keeps x's
    May share memory with x. Raises TypeError for a watched array.
    """
    from nnx.backend.select import get_backend

    return get_backend(backend, device).asarray(_unwatched(x, "asarray"), dtype)


def _unwatched(x: Array, name: str) -> Array:
    if type(x) in _BOXES and x.watched:
        raise TypeError(f"{name} of a watched array would lose its gradient: nnx.{name}(nnx.stop_gradient(x))")
    return innermost(x)


def register_box(kind: type[Any]) -> None:
    """Say that `kind` is a box: an object whose `.value` is an array."""
    _BOXES.add(kind)


def register_kind(kind: type[Any], library: type[Backend]) -> None:
    """Say that objects of that type are arrays of that backend."""
    _BACKENDS[kind] = library
