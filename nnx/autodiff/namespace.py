"""The differentiable namespace: the standard's functions over Vars, one object for each library underneath.

Three kinds of functions. Those with a rule record themselves. Those without a derivative (comparisons, argmax, floor,
creation) are the library's own: Vars are unwrapped on the way in, and what comes out is a constant. The rest raises and
says so, rather than losing a gradient silently. Constants alone go to the library's own functions: where nothing is
watched, results, rounding and errors are its own.
"""

import functools
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from nnx.autodiff.constants import ABOUT_TYPES, CONSTANT, INSTEAD, SIGNATURES
from nnx.autodiff.rules import RULES
from nnx.autodiff.rules.common import COMPOSED
from nnx.autodiff.rules.manipulation import astype, broadcast_to, to_device
from nnx.autodiff.tape import lift
from nnx.autodiff.tree import tree_map
from nnx.autodiff.var import Var
from nnx.backend import MixedBackends, are_mixed, innermost, is_array, mixed, namespace
from nnx.typing import Array, Device, DType, Namespace, Shape

VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")


class DifferentiableNamespace:
    """The standard over Vars whose arrays belong to the library `underneath`."""

    def __init__(self, underneath: Namespace) -> None:
        self.underneath = underneath
        self.__name__ = f"nnx.over.{underneath.__name__}"
        for name in RULES:
            if "." not in name and hasattr(underneath, name) and not hasattr(type(self), name):
                setattr(self, name, _ruled(name, getattr(underneath, name)))

    def __repr__(self) -> str:
        return f"<differentiable namespace over {self.underneath.__name__}>"

    def __getattr__(self, name: str) -> Any:
        """What is not a rule: made at the first look, then an attribute like any other."""
        found = getattr(self.underneath, name)
        if name == "__array_api_version__":  # array-api-strict's may change
            return found
        if name in ("linalg", "fft"):
            found = Extension(self, name)
        elif name in ("finfo", "iinfo"):
            found = _limits(found, self.underneath)
        elif callable(found) and not isinstance(found, type) and not _is_dtype(found):
            found = _served(name, found)
        setattr(self, name, found)
        return found

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *dir(self.underneath)})

    @property
    def special(self) -> SimpleNamespace:
        """Special functions: no part of the standard yet, but SciPy looks here for them. Needs SciPy."""
        from nnx.autodiff.rules.special import SPECIAL

        return SPECIAL

    def asarray(
        self, obj: Any, /, *, dtype: DType | None = None, device: Device | None = None, copy: bool | None = None
    ) -> Var:
        """obj as a Var: one that is a Var stays watched, anything else becomes a constant."""
        if type(obj) is Var:
            return self._moved(obj, dtype, device, copy)
        if isinstance(obj, list | tuple) and _any_of(obj):
            raise TypeError("asarray of a list of watched arrays would lose their gradients: use xp.stack(arrays)")
        found: Var = lift(self.underneath.asarray(_plain(obj), dtype=dtype, device=device, copy=copy))
        return found

    def _moved(self, x: Var, dtype: DType | None, device: Device | None, copy: bool | None) -> Var:
        """x in that dtype and on that device; x itself, if it is there and need not be copied."""
        same = (dtype is None or dtype == x.dtype) and (device is None or device == x.device)
        if same and not copy:
            return x
        if not x.watched:
            found: Var = lift(self.underneath.asarray(innermost(x), dtype=dtype, device=device, copy=copy))
            return found
        if copy is False:
            raise ValueError(f"a copy is needed to make {dtype or x.dtype} on {device or x.device} of {x!r}: copy=None")
        moved: Var = x if device is None or device == x.device else to_device(x, device)
        if dtype is not None and dtype != moved.dtype:
            moved = astype(moved, dtype)
        return RULES["positive"](moved) if copy and moved is x else moved

    def from_dlpack(self, x: Any, /, *, device: Device | None = None, copy: bool | None = None) -> Var:
        """The array of another library, as a constant; a Var is taken as it is, and stays watched."""
        if type(x) is Var and x.watched:
            return self._moved(x, None, device, copy)
        options = {name: v for name, v in (("device", device), ("copy", copy)) if v is not None}
        found: Var = lift(self.underneath.from_dlpack(innermost(x), **options))
        return found

    def full(
        self, shape: int | Shape, fill_value: Any, *, dtype: DType | None = None, device: Device | None = None
    ) -> Var:
        """An array of one number; of a watched one, that one stretched."""
        if type(fill_value) is not Var:
            found: Var = lift(self.underneath.full(shape, fill_value, dtype=dtype, device=device))
            return found
        size = (shape,) if isinstance(shape, int) else tuple(shape)
        return self.asarray(broadcast_to(fill_value, size), dtype=dtype, device=device)

    def full_like(
        self, x: Array, /, fill_value: Any, *, dtype: DType | None = None, device: Device | None = None
    ) -> Var:
        """An array like x of one number; of a watched one, that one stretched."""
        if type(fill_value) is not Var:
            found: Var = lift(self.underneath.full_like(innermost(x), fill_value, dtype=dtype, device=device))
            return found
        return self.full(x.shape, fill_value, dtype=x.dtype if dtype is None else dtype, device=device)


class Extension:
    """linalg or fft over Vars."""

    def __init__(self, parent: DifferentiableNamespace, name: str) -> None:
        self.underneath = getattr(parent.underneath, name)
        self.__name__ = f"{parent.__name__}.{name}"
        self._name = name

    def __getattr__(self, name: str) -> Any:
        function = getattr(self.underneath, name)
        own = f"{self._name}.{name}"
        rule = own if own in RULES else name if self._name == "linalg" and name in RULES else None
        found = _served(own, function) if rule is None else _ruled(rule, function)
        setattr(self, name, found)
        return found

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *dir(self.underneath)})


def _ruled(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A rule; one that is made of several leaves constants to the library's own function."""
    rule = RULES[name]
    if name not in COMPOSED:
        return rule
    constant = _constant(name, function)

    @functools.wraps(rule)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not (_any_of(args) or (kwargs and _any_of(kwargs.values()))):
            return constant(*args, **kwargs)
        try:
            return rule(*args, **kwargs)
        except (NotImplementedError, MixedBackends):  # ours, which name both sides and the way out
            raise
        except Exception as error:
            _as_the_library(error, constant, args, kwargs)
            raise

    return call


def _as_the_library(error: Exception, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    """Raise the library's own error in a wrong call, unless who catches that would catch ours, too."""
    try:
        function(*args, **kwargs)
    except Exception as theirs:
        known = tuple(kind for kind in type(theirs).__mro__ if kind in _KINDS)
        if not isinstance(error, known):
            raise theirs from None


_KINDS = (TypeError, ValueError, IndexError, RuntimeError, OverflowError, ZeroDivisionError, AttributeError)


def _any_of(arrays: Iterable[Any]) -> bool:
    """Whether one of these arrays, or of those in a list of them, is watched."""
    for x in arrays:
        if type(x) is Var:
            if x.watched:
                return True
        elif type(x) in (list, tuple) and _any_of(x):
            return True
    return False


def _served(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the library, as a watched array may use it."""
    if name in ABOUT_TYPES:
        return _named(name, function, _unwrapping(function))
    return _constant(name, function) if name in CONSTANT else _refusing(name, function)


def _named(name: str, function: Callable[..., Any], call: Callable[..., Any]) -> Callable[..., Any]:
    """call, by the library's name and with the standard's signature (the library's, outside of the standard)."""
    call.__name__ = call.__qualname__ = name.rpartition(".")[2]
    call.__doc__ = getattr(function, "__doc__", None)
    if name in SIGNATURES:
        call.__dict__["__signature__"] = SIGNATURES[name]
    else:
        call.__dict__["__wrapped__"] = function
    return call


def _is_dtype(x: Any) -> bool:
    return hasattr(x, "itemsize") or hasattr(x, "dtype")


def _plain(x: Any) -> Any:
    """x with every Var in it unwrapped."""
    if type(x) is Var:
        return innermost(x)
    return tree_map(innermost, x) if isinstance(x, list | tuple) else x


def _unwrapping(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()})

    return call


def _limits(function: Callable[..., Any], xp: Namespace) -> Callable[..., Any]:
    """finfo or iinfo with Python numbers, as the standard has it: some libraries give NumPy scalars."""

    def call(type: Any, /) -> Any:
        found = function(type.dtype if is_array(type) else type)
        as_number = float if hasattr(found, "eps") else int
        known = [name for name in ("eps", "max", "min", "smallest_normal") if hasattr(found, name)]
        dtype = getattr(xp, found.dtype) if isinstance(found.dtype, str) else found.dtype
        return SimpleNamespace(
            bits=found.bits, dtype=dtype, **{name: as_number(getattr(found, name)) for name in known}
        )

    return call


def _constant(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The library's function with constant results: nothing flows back through it."""
    plain = _unwrapping(function)

    def call(*args: Any, **kwargs: Any) -> Any:
        if len(args) > 1 and type(innermost(args[0])) is not type(innermost(args[1])) and are_mixed(*args[:2]):
            raise mixed(*args[:2])  # some libraries compare with anything, and call it unequal
        return tree_map(lift, plain(*args, **kwargs))

    return _named(name, function, call)


def _refusing(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that nnx has no rule for: constants pass, a watched array is an error."""
    constant = _constant(name, function)
    instead = INSTEAD.get(name, "write one with nnx.op, or take nnx.stop_gradient(x) if no gradient is wanted")

    def call(*args: Any, **kwargs: Any) -> Any:
        if _any_of(args) or _any_of(kwargs.values()):
            raise NotImplementedError(f"{name} has no rule of differentiation in nnx: {instead}")
        return constant(*args, **kwargs)

    return _named(name, function, call)


_OVER: dict[int, DifferentiableNamespace] = {}
_BY_TYPE: dict[type, DifferentiableNamespace] = {}


def over(x: Array, api_version: str | None = None) -> DifferentiableNamespace:
    """The differentiable namespace over the library of the plain array x: the same object at every level."""
    kind = type(x)
    found = _BY_TYPE.get(kind)
    if found is None:
        if not is_array(x):
            raise TypeError(f"expected an array, got {kind.__name__}")
        underneath = namespace(x)
        found = _OVER.setdefault(id(underneath), DifferentiableNamespace(underneath))
        _BY_TYPE[kind] = found
    if api_version is not None and api_version not in VERSIONS:
        raise ValueError(f"array API version {api_version} is not served: use one of {', '.join(VERSIONS)}")
    return found
