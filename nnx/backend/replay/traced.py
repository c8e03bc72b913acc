"""Stand-ins for arrays, and the namespace of the standard over them: what they are asked for is computed and noted.

They behave as arrays of the standard, no more: NumPy's own functions and methods refuse them, so that nothing can be
computed behind the book's back. Shapes and dtypes can be read; a value that is read is an error, as in JAX.
"""

import math
import operator
from collections.abc import Callable
from functools import cache, wraps
from typing import Any, NoReturn

from nnx.backend import arrays
from nnx.backend.operators import BINARY, COMPARED, UNARY
from nnx.backend.replay.book import NUMBERS, StandIn, ValueRead, plain, stand_ins
from nnx.backend.replay.fuser import NotingFuser
from nnx.typing import Array, Device, DType, Namespace, Shape

BY_VALUE = frozenset("nonzero unique_all unique_counts unique_inverse unique_values".split())  # noqa: SIM905
"""Functions whose result has a shape that depends on values."""
BY_SHAPE = frozenset(("zeros_like", "ones_like", "empty_like"))
"""Functions of shapes and dtypes alone: what they return is a constant."""


class Traced(StandIn):
    """An array, or a number, in a step that is being written down."""

    __slots__ = ()
    library: Any
    __array_ufunc__ = None
    __hash__ = object.__hash__  # what is written down may be grouped by numbers

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Namespace:
        return self.library.namespace()

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ValueRead(
            "a function that knows only its own library's arrays was called in a step given to nnx.compile: use "
            "xp = x.__array_namespace__()"
        )

    def __repr__(self) -> str:
        return f"Traced({self.dtype}, shape {self.shape})"

    # ---- what does not change from step to step ------------------------------------------------------------------

    @property
    def dtype(self) -> DType:
        """The dtype; of a number the one that an array of it would have."""
        return self._array().dtype

    @property
    def shape(self) -> Shape:
        """The shape."""
        return tuple(getattr(self.value, "shape", ()))

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(self._array().size)

    @property
    def device(self) -> Device:
        """Where it lies."""
        return self._array().device

    def _array(self) -> Array:
        return self.library.below().asarray(self.value) if type(self.value) in NUMBERS else self.value

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("an array of no dimensions has no length")
        return self.shape[0]

    # ---- what does -----------------------------------------------------------------------------------------------

    def _unread(self, *args: Any) -> NoReturn:
        raise ValueRead("a value was read from an array")

    __bool__ = __int__ = __float__ = __complex__ = __index__ = _unread

    def __iter__(self) -> Any:
        return (self[k] for k in range(len(self)))

    @property
    def T(self) -> Any:
        """The transpose."""
        return self.book.call(transpose, (self,))

    @property
    def mT(self) -> Any:
        """The last two axes exchanged."""
        return self.book.call(self.library.below().matrix_transpose, (self,))

    def __getitem__(self, key: Any, /) -> Any:
        if any(getattr(x, "dtype", None) == self.library.below().bool for x in (key if type(key) is tuple else (key,))):
            raise ValueRead("a mask of booleans was used as an index: the result's shape would depend on its values")
        return self.book.call(item, (self, key))

    def __setitem__(self, key: Any, value: Any, /) -> None:
        self.book.change(_set, self, key, value)

    def to_device(self, device: Device, /, *, stream: Any = None) -> Any:
        """On another device."""
        return self.library.to_device(self, device)


class TracedNumber(Traced):
    """A Python number: a learning rate, a count."""

    __slots__ = ()

    @property
    def number(self) -> type:
        """Of which type."""
        return type(self.value)


def transpose(x: Array) -> Array:
    """The transpose."""
    return x.T


def item(x: Array, key: Any) -> Array:
    """What is at an index."""
    return x[key]


def _set(x: Array, key: Any, value: Array) -> None:
    x[key] = value


OPERATORS = BINARY | COMPARED | {"matmul": "matmul", "pow": ""}
"""Python's operators, and the functions that are noted in their place: these can write where they are told.

The power is noted as the operator: it knows squares and roots, the function does not.
"""


def _operator(name: str, standard: str, reflected: bool) -> Callable[..., Any]:
    symbol = _power if name == "pow" else getattr(operator, {"and": "and_", "or": "or_"}.get(name, name))

    def call(self: Traced, other: Any, /) -> Any:
        if not _meets(other):
            return NotImplemented
        pair = (other, self) if reflected else (self, other)
        numbers = all(type(x) in NUMBERS for x in plain(pair))
        function = symbol if numbers or not standard else getattr(self.library.below(), standard)
        return self.book.call(function, pair)

    return call


def _power(x: Any, y: Any) -> Any:
    """x ** y; the root of a negative number is not a number, as arrays have it, where Python has a complex one."""
    z = x**y
    return math.nan if type(z) is complex and not isinstance(x, complex) and not isinstance(y, complex) else z


def _unary(name: str, standard: str) -> Callable[..., Any]:
    symbol = getattr(operator, name)

    def call(self: Traced, /) -> Any:
        function = symbol if type(self.value) in NUMBERS else getattr(self.library.below(), standard)
        return self.book.call(function, (self,))

    return call


def _meets(other: Any) -> bool:
    return type(other) in NUMBERS or (arrays.innermost(other) is other and arrays.is_array(other))


for _name, _standard in OPERATORS.items():
    setattr(Traced, f"__{_name}__", _operator(_name, _standard, reflected=False))
    if _name not in COMPARED:
        setattr(Traced, f"__r{_name}__", _operator(_name, _standard, reflected=True))
for _name, _standard in UNARY.items():
    setattr(Traced, f"__{_name}__", _unary(_name, _standard))


OF_NUMBERS: dict[str, Callable[..., Any]] = {
    "where": lambda condition, yes, no: yes if condition else no,
    "maximum": max,
    "minimum": min,
    "sqrt": lambda x: _power(x, 0.5),
    "exp": math.exp,
    "log": math.log,
    "abs": abs,
}
"""Functions of Python numbers alone: not every library takes these, and its own results would be of 64 bits."""


class Recorder:
    """A library's namespace, whose functions take stand-ins, too."""

    def __init__(self, underneath: Namespace) -> None:
        self.underneath = underneath
        self.__name__ = underneath.__name__

    def __getattr__(self, name: str) -> Any:
        """Made at the first look, then an attribute like any other."""
        found = getattr(self.underneath, name)
        if name in ("linalg", "fft"):
            found = Recorder(found)
        elif callable(found) and not isinstance(found, type) and not hasattr(found, "itemsize"):
            found = _noting(found, name)
        setattr(self, name, found)
        return found

    def __dir__(self) -> list[str]:
        return dir(self.underneath)


def _noting(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The function, which notes its calls on stand-ins."""

    def call(*args: Any, **kwargs: Any) -> Any:
        x = next(stand_ins((args, kwargs)), None)
        if x is None:
            return function(*args, **kwargs)
        if name in OF_NUMBERS and all(type(v) in NUMBERS for v in plain(args)) and not kwargs:
            return x.book.call(OF_NUMBERS[name], args)
        if name in BY_SHAPE:
            return function(*plain(args), **kwargs)
        if name in BY_VALUE:
            raise ValueRead(f"{name}: the result's shape depends on values")
        return x.book.call(function, args, kwargs)

    call.__name__ = name
    return call


@cache
def opaque(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the backend's own, which is noted as one call: inside of it are the library's arrays."""

    def call(*args: Any, **kwargs: Any) -> Any:
        x = next(stand_ins((args, kwargs)), None)
        return function(*args, **kwargs) if x is None else x.book.call(function, args, kwargs, noted=_sure(function))

    return call


@cache
def _sure(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        y = function(*args, **kwargs)
        if y is None:
            raise ValueError(
                f"{function.__name__.strip('_')} refuses values of a kind that it took when the step was compiled: "
                "is a label out of range?"
            )
        return y

    return call


def _unread(x: Array) -> NoReturn:
    raise ValueRead("a value was read from an array")


@cache
def recording(library: Any) -> Any:
    """The backend of the stand-ins for a library's arrays."""
    recorder = Recorder(library.namespace())
    own = {name: opaque(function) for name, function in library.kernels().items()}
    facts: dict[str, Any] = {
        "host": False,
        "below": staticmethod(library.namespace),
        "namespace": staticmethod(lambda: recorder),
        "kernels": staticmethod(lambda: own),
        "kernel": staticmethod(own.get),
        "to_numpy": staticmethod(_unread),
        "compiler": staticmethod(lambda: None),
    }
    for name in ("index_add", "set_item", "to_device", "pack"):
        facts[name] = staticmethod(opaque(getattr(library, name)))
    found: Any = type(f"Recording{library.__name__}", (library,), facts)
    for name, base in (("kind", Traced), ("number", TracedNumber)):
        kind = type(base.__name__, (base,), {"__slots__": (), "library": found})
        arrays.register_kind(kind, found)
        setattr(found, name, kind)
    fuser = library.fuser()
    noting = None if fuser is None else NotingFuser(fuser, found.kind)
    found.fuser = staticmethod(lambda: noting)
    return found
