"""The differentiable namespace: the standard's functions over Vars, one object for each library underneath.

Three kinds of functions. Those with a rule record themselves. Those without a derivative (comparisons, argmax, floor,
creation) are the library's own: Vars are unwrapped on the way in, and what comes out is a constant. The rest raises and
says so, rather than losing a gradient silently.
"""

from collections.abc import Callable
from typing import Any

from nnx.autodiff.rules import RULES
from nnx.autodiff.rules.manipulation import astype
from nnx.autodiff.tape import lift
from nnx.autodiff.tree import tree_map
from nnx.autodiff.var import Var
from nnx.backend import backend_of, innermost, is_array
from nnx.typing import Array, Namespace

CREATION = """arange asarray empty empty_like eye from_dlpack full full_like linspace meshgrid ones ones_like tril triu
    zeros zeros_like"""
WITHOUT_GRADIENT = """all any argmax argmin argsort bitwise_and bitwise_invert bitwise_left_shift bitwise_or
    bitwise_right_shift bitwise_xor ceil count_nonzero equal floor floor_divide greater greater_equal isfinite isinf isnan
    less less_equal logical_and logical_not logical_or logical_xor nextafter nonzero not_equal round searchsorted sign
    signbit trunc unique_all unique_counts unique_inverse unique_values isin"""
ABOUT_TYPES = "__array_namespace_info__ can_cast finfo iinfo isdtype result_type broadcast_shapes"
CONSTANTS = "e inf nan newaxis pi"

_CONSTANT = frozenset((CREATION + " " + WITHOUT_GRADIENT).split()) - {"tril", "triu", "meshgrid"}
_ABOUT_TYPES = frozenset(ABOUT_TYPES.split())


class DifferentiableNamespace:
    """The standard over Vars whose arrays belong to the library `underneath`."""

    def __init__(self, underneath: Namespace) -> None:
        self.underneath = underneath
        self.__name__ = f"nnx.over.{underneath.__name__}"
        for name, function in RULES.items():
            setattr(self, name, function)
        self.asarray = self._asarray

    def __repr__(self) -> str:
        return f"<differentiable namespace over {self.underneath.__name__}>"

    def __getattr__(self, name: str) -> Any:
        """What is not a rule: made at the first look, then an attribute like any other."""
        if name in ("linalg", "fft") and hasattr(self.underneath, name):
            found: Any = Extension(self, name)
        elif name in _CONSTANT:
            found = _constant(getattr(self.underneath, name))
        elif name in _ABOUT_TYPES:
            found = _unwrapping(getattr(self.underneath, name))
        else:
            found = getattr(self.underneath, name)
            if callable(found) and not isinstance(found, type) and not _is_dtype(found):
                found = _refusing(name, found)
        setattr(self, name, found)
        return found

    def _asarray(self, obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Var:
        """obj as a Var: one that is a Var stays watched, anything else becomes a constant."""
        if type(obj) is Var:
            if dtype is not None and dtype != obj.dtype:
                return astype(obj, dtype)  # type: ignore[no-any-return]
            return +obj if copy else obj
        if isinstance(obj, list | tuple) and _holds_var(obj):
            raise TypeError("asarray of a list of watched arrays would lose their gradients: use xp.stack(arrays)")
        return lift(self.underneath.asarray(obj, dtype=dtype, device=device, copy=copy))  # type: ignore[no-any-return]


class Extension:
    """linalg or fft over Vars: functions with a rule, and an error for those without one."""

    def __init__(self, parent: DifferentiableNamespace, name: str) -> None:
        self.underneath = getattr(parent.underneath, name)
        self.__name__ = f"{parent.__name__}.{name}"

    def __getattr__(self, name: str) -> Any:
        extension = self.__name__.rpartition(".")[2]
        own = f"{extension}.{name}"
        found = RULES.get(own) or (RULES.get(name) if extension == "linalg" else None)
        if found is None:
            found = _refusing(own, getattr(self.underneath, name))
        setattr(self, name, found)
        return found


def _is_dtype(x: Any) -> bool:
    return hasattr(x, "itemsize") or hasattr(x, "dtype")


def _holds_var(x: Any) -> bool:
    return type(x) is Var or (isinstance(x, list | tuple) and any(map(_holds_var, x)))


def _plain(x: Any) -> Any:
    """x with every Var in it unwrapped."""
    if type(x) is Var:
        return innermost(x)
    return tree_map(innermost, x) if isinstance(x, list | tuple) else x


def _unwrapping(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()})

    return call


def _constant(function: Callable[..., Any]) -> Callable[..., Any]:
    """The library's function with constant results: nothing flows back through it."""
    plain = _unwrapping(function)

    def call(*args: Any, **kwargs: Any) -> Any:
        return tree_map(lift, plain(*args, **kwargs))

    call.__name__ = getattr(function, "__name__", "function")
    call.__doc__ = getattr(function, "__doc__", None)
    return call


def _refusing(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that nnx has no rule for: constants pass, a watched array is an error."""
    constant = _constant(function)

    def call(*args: Any, **kwargs: Any) -> Any:
        found: list[Any] = []
        tree_map(found.append, [list(args), list(kwargs.values())])
        if any(type(x) is Var and x.watched for x in found):
            raise NotImplementedError(
                f"{name} has no rule of differentiation in nnx: write one with nnx.op, or take nnx.stop_gradient(x) if "
                "no gradient is wanted"
            )
        return constant(*args, **kwargs)

    return call


_OVER: dict[int, DifferentiableNamespace] = {}


def over(x: Array, api_version: str | None = None) -> DifferentiableNamespace:
    """The differentiable namespace over the library of the plain array x: the same object at every level."""
    kind = type(x)
    found = _BY_TYPE.get(kind)
    if found is None:
        if not is_array(x):
            raise TypeError(f"expected an array, got {kind.__name__}")
        from nnx.backend import namespace

        underneath = namespace(x)
        found = _OVER.setdefault(id(underneath), DifferentiableNamespace(underneath))
        _BY_TYPE[kind] = found
    if api_version is not None and api_version not in VERSIONS:
        raise ValueError(f"array API version {api_version} is not served: use one of {', '.join(VERSIONS)}")
    return found


VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")
_BY_TYPE: dict[type, DifferentiableNamespace] = {}
