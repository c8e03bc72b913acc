"""The namespace of symbols: the standard's elementwise functions, which write steps; the others say the way out."""

from collections.abc import Callable
from typing import Any, Never

from nnx.backend import Backend
from nnx.backend.arrays import register_kind
from nnx.backend.expressions import Fuser, Literal
from nnx.fusion.graph import CannotBeFused
from nnx.fusion.symbols import OUTSIDE, NotElementwise, Number, Symbol, Value, apply, argument, wrap
from nnx.typing import Array, Device, DType, Namespace

_NAMES = """abs acos acosh add asin asinh atan atan2 atanh bitwise_and bitwise_invert bitwise_left_shift bitwise_or
bitwise_right_shift bitwise_xor ceil copysign cos cosh divide equal exp expm1 floor floor_divide greater greater_equal
hypot isfinite isinf isnan less less_equal log log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor
maximum minimum multiply negative nextafter not_equal positive pow reciprocal remainder round sign signbit sin sinh sqrt
square subtract tan tanh trunc where"""
ELEMENTWISE = frozenset(_NAMES.split())
COMPLEX = ("conj", "real")


class SymbolicNamespace:
    """The standard over symbols of the arrays of one library."""

    def __init__(self, library: Namespace) -> None:
        self.library = library
        self.__name__ = f"nnx.fusion.over.{library.__name__}"

    def __repr__(self) -> str:
        return f"<namespace of symbols over {self.library.__name__}>"

    def __getattr__(self, name: str) -> Any:
        """Made at the first look, then an attribute like any other."""
        theirs = getattr(self.library, name)
        found: Any = theirs
        if name in ELEMENTWISE:
            found = _elementwise(name)
        elif name in COMPLEX:
            found = _complex
        elif name in ("linalg", "fft"):
            found = _Refusing(name)
        elif callable(theirs) and not isinstance(theirs, type) and name not in ABOUT_TYPES:
            found = _refusing(name)
        setattr(self, name, found)
        return found

    def astype(self, x: Symbol, dtype: DType, /, *, copy: bool = True, device: Device | None = None) -> Any:
        """x in another dtype."""
        return wrap(x.graph, x.graph.astype(x.at, _real(self.library, dtype)))

    def clip(self, x: Symbol, /, min: Any = None, max: Any = None) -> Any:
        """x, moved into [min, max]."""
        for name, bound in (("maximum", min), ("minimum", max)):
            x = x if bound is None else apply(name, x, bound)
        return x

    def full_like(
        self, x: Symbol, /, fill_value: Any, *, dtype: DType | None = None, device: Device | None = None
    ) -> Any:
        """One number in x's place, or in x's shape an array's."""
        to = x.dtype if dtype is None else _real(self.library, dtype)
        value = argument(x.graph, fill_value)
        if not isinstance(value, Literal) and not isinstance(fill_value, Number):
            raise NotElementwise("nnx.fuse: full_like takes a number: add an array to zeros_like(x) in its place")
        return wrap(x.graph, x.graph.full(value, to, x.graph.reach[x.at]))

    def zeros_like(self, x: Symbol, /, *, dtype: DType | None = None, device: Device | None = None) -> Any:
        """Zeros in x's place."""
        return self.full_like(x, 0, dtype=dtype)

    def ones_like(self, x: Symbol, /, *, dtype: DType | None = None, device: Device | None = None) -> Any:
        """Ones in x's place."""
        return self.full_like(x, 1, dtype=dtype)

    def asarray(
        self, obj: Any, /, *, dtype: DType | None = None, device: Device | None = None, copy: bool | None = None
    ) -> Any:
        """A symbol as it is, or in another dtype."""
        if not isinstance(obj, Symbol):
            raise NotElementwise(f"nnx.fuse: asarray makes an array: {OUTSIDE}, or use the number as it is")
        return obj if dtype is None else self.astype(obj, dtype)

    def result_type(self, *arrays_and_dtypes: Any) -> DType:
        """The dtype that arrays, dtypes and numbers have together."""
        plain = [x.kind() if isinstance(x, Number) else getattr(x, "dtype", x) for x in arrays_and_dtypes]
        return self.library.result_type(*plain)

    def finfo(self, type: Any, /) -> Any:
        """What there is to know of a floating dtype."""
        return self.library.finfo(getattr(type, "dtype", type))

    def iinfo(self, type: Any, /) -> Any:
        """What there is to know of an integer dtype."""
        return self.library.iinfo(getattr(type, "dtype", type))

    def can_cast(self, from_: Any, to: DType, /) -> bool:
        """Whether one dtype can be cast to the other."""
        return bool(self.library.can_cast(getattr(from_, "dtype", from_), to))


ABOUT_TYPES = ("isdtype", "__array_namespace_info__")


class _Refusing:
    """linalg or fft: nothing in them is elementwise."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return _refusing(f"{self._name}.{name}")


def _refusing(name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Never:
        raise NotElementwise(f"nnx.fuse: {name} is not elementwise: {OUTSIDE}")

    return call


def _elementwise(name: str) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        if not any(isinstance(a, Symbol) for a in args):
            kinds = " and ".join(type(a).__name__ for a in args)
            raise TypeError(f"xp.{name} takes an array, got {kinds}: what is made of numbers belongs before the call")
        return apply(name, *args)

    call.__name__ = name
    return call


def _complex(x: Any, /) -> Any:
    if not isinstance(x, Value):
        raise TypeError(f"expected an array, got {type(x).__name__}")
    return x  # of a real array: complex ones are not fused


def _real(xp: Namespace, dtype: DType) -> DType:
    if xp.isdtype(dtype, "complex floating"):
        raise CannotBeFused("complex numbers")
    return xp.empty(0, dtype=dtype).dtype  # the type object np.float32 is its dtype


_KINDS: dict[type[Backend], type[Symbol]] = {}


def symbols_of(library: type[Backend], fuser: Fuser) -> type[Symbol]:
    """The class of symbols that stand for a library's arrays: `nnx.namespace(symbol)` is their namespace."""
    if library not in _KINDS:
        _KINDS[library] = _made(library, fuser)
    return _KINDS[library]


def _made(library: type[Backend], fuser: Fuser) -> type[Symbol]:
    xp = SymbolicNamespace(library.namespace())
    own = {name: _elementwise(name) for name in fuser.functions}
    facts = {"namespace": classmethod(lambda cls: xp), "kernels": classmethod(lambda cls: own)}
    names = {"name": f"symbols of {library.name}", "package": "nnx", "install": library.install}
    kind = type("Symbol", (Symbol,), {"__slots__": (), "__module__": "nnx.fusion", "xp": xp})
    register_kind(kind, type("SymbolicBackend", (Backend,), {**names, **facts}))
    return kind


def is_real(x: Array) -> bool:
    """Whether an array holds numbers that can be fused: real, integral or bool."""
    return getattr(x.dtype, "kind", "") in "fiub" and bool(x.dtype.isnative)
