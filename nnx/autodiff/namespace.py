"""The differentiable namespace: the standard's functions over Vars, one object for each library underneath.

Three kinds of functions. Those with a rule record themselves. Those without a derivative (comparisons, argmax, floor,
creation) are the library's own: Vars are unwrapped on the way in, and what comes out is a constant. The rest raises and
says so, rather than losing a gradient silently.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from nnx.autodiff.rules import RULES
from nnx.autodiff.rules.manipulation import astype, broadcast_to, to_device
from nnx.autodiff.tape import lift
from nnx.autodiff.tree import leaves, tree_map
from nnx.autodiff.var import Var
from nnx.backend import are_mixed, innermost, is_array, mixed, namespace
from nnx.typing import Array, Device, DType, Namespace, Shape

_CONSTANT = frozenset(
    """empty empty_like eye from_dlpack ones ones_like zeros zeros_like
    all any argmax argmin argsort bitwise_and bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift
    bitwise_xor ceil count_nonzero equal floor floor_divide greater greater_equal isfinite isin isinf isnan less
    less_equal logical_and logical_not logical_or logical_xor nonzero not_equal round searchsorted signbit trunc
    linalg.matrix_rank fft.fftfreq fft.rfftfreq""".split()  # noqa: SIM905
)
"""Creation, and functions that are constant almost everywhere."""

_ABOUT_TYPES = frozenset("__array_namespace_info__ can_cast isdtype result_type broadcast_shapes".split())  # noqa: SIM905

_INSTEAD = {
    "arange": "compute with xp.arange of numbers, e.g. start + step * xp.arange(n)",
    "linspace": "compute with numbers, e.g. start + (stop - start) * xp.linspace(0.0, 1.0, n)",
    "unique_all": "use its indices: xp.take(x, xp.unique_all(nnx.stop_gradient(x)).indices)",
    "unique_counts": "take nnx.stop_gradient(x), and the values with xp.sort",
    "unique_inverse": "take nnx.stop_gradient(x), and the values with xp.sort",
    "unique_values": "use xp.sort, or take nnx.stop_gradient(x)",
}
"""What to do in place of a function that has no rule."""

VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")


class DifferentiableNamespace:
    """The standard over Vars whose arrays belong to the library `underneath`."""

    def __init__(self, underneath: Namespace) -> None:
        self.underneath = underneath
        self.__name__ = f"nnx.over.{underneath.__name__}"
        for name, function in RULES.items():
            if "." not in name and hasattr(underneath, name):
                setattr(self, name, function)

    def __repr__(self) -> str:
        return f"<differentiable namespace over {self.underneath.__name__}>"

    def __getattr__(self, name: str) -> Any:
        """What is not a rule: made at the first look, then an attribute like any other."""
        found = getattr(self.underneath, name)
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

    def asarray(
        self, obj: Any, /, *, dtype: DType | None = None, device: Device | None = None, copy: bool | None = None
    ) -> Var:
        """obj as a Var: one that is a Var stays watched, anything else becomes a constant."""
        if type(obj) is Var:
            moved: Var = obj if device is None or device == obj.device else to_device(obj, device)
            if dtype is not None and dtype != moved.dtype:
                moved = astype(moved, dtype)
            return RULES["positive"](moved) if copy and moved is obj else moved
        if isinstance(obj, list | tuple) and _any_watched(obj):
            raise TypeError("asarray of a list of watched arrays would lose their gradients: use xp.stack(arrays)")
        found: Var = lift(self.underneath.asarray(_plain(obj), dtype=dtype, device=device, copy=copy))
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
        found = RULES.get(own) or (RULES.get(name) if self._name == "linalg" else None) or _served(own, function)
        setattr(self, name, found)
        return found

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *dir(self.underneath)})


def _served(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the library, as a watched array may use it."""
    if name in _ABOUT_TYPES:
        return _unwrapping(function)
    return _constant(function) if name in _CONSTANT else _refusing(name, function)


def _is_dtype(x: Any) -> bool:
    return hasattr(x, "itemsize") or hasattr(x, "dtype")


def _any_watched(tree: Any) -> bool:
    return any(type(x) is Var and x.watched for x in leaves(tree))


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
        found = function(_plain(type))
        as_number = float if hasattr(found, "eps") else int
        known = [name for name in ("eps", "max", "min", "smallest_normal") if hasattr(found, name)]
        dtype = getattr(xp, found.dtype) if isinstance(found.dtype, str) else found.dtype
        return SimpleNamespace(
            bits=found.bits, dtype=dtype, **{name: as_number(getattr(found, name)) for name in known}
        )

    return call


def _constant(function: Callable[..., Any]) -> Callable[..., Any]:
    """The library's function with constant results: nothing flows back through it."""
    plain = _unwrapping(function)

    def call(*args: Any, **kwargs: Any) -> Any:
        if len(args) > 1 and type(innermost(args[0])) is not type(innermost(args[1])) and are_mixed(*args[:2]):
            raise mixed(*args[:2])  # some libraries compare with anything, and call it unequal
        return tree_map(lift, plain(*args, **kwargs))

    call.__name__ = getattr(function, "__name__", "function")
    call.__doc__ = getattr(function, "__doc__", None)
    return call


def _refusing(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that nnx has no rule for: constants pass, a watched array is an error."""
    constant = _constant(function)
    instead = _INSTEAD.get(name, "write one with nnx.op, or take nnx.stop_gradient(x) if no gradient is wanted")

    def call(*args: Any, **kwargs: Any) -> Any:
        if _any_watched([list(args), list(kwargs.values())]):
            raise NotImplementedError(f"{name} has no rule of differentiation in nnx: {instead}")
        return constant(*args, **kwargs)

    return call


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
