"""An array of a graph: ndonnx's, with a shape of Python numbers and the standard's operators."""

from typing import Any, Never

from nnx.backend.onnx.sizes import NotTraceable, Size, Sizes
from nnx.backend.onnx.trace import current
from nnx.typing import DType, Namespace


class Traced:
    """See the module.   array: ndonnx's   shape: Sizes stand where the batch is"""

    __slots__ = ("__weakref__", "array", "shape")
    __array_ufunc__ = None

    def __init__(self, array: Any, shape: Sizes) -> None:
        self.array = array
        self.shape = current().shape(shape)

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Namespace:
        """The standard's functions on arrays of a graph."""
        return functions()

    def __repr__(self) -> str:
        return f"Traced(shape={tuple(map(int, self.shape))}, dtype={self.dtype})"

    @property
    def dtype(self) -> DType:
        """ndonnx's dtype."""
        return self.array.dtype

    @property
    def device(self) -> None:
        """None: a graph runs anywhere."""
        return

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        n: int = 1
        for k in self.shape:
            n = k * n
        return n

    @property
    def T(self) -> "Traced":
        """A matrix, its axes exchanged."""
        found: Traced = functions().permute_dims(self, tuple(range(self.ndim))[::-1])
        return found

    @property
    def mT(self) -> "Traced":
        """The last two axes exchanged."""
        found: Traced = functions().matrix_transpose(self)
        return found

    def __getitem__(self, key: Any) -> "Traced":
        found: Traced = functions().getitem(self, key)
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        self.array = functions().with_item(self, key, value).array

    def _refuse(self, *args: Any) -> Never:
        raise NotTraceable(
            "a number of an array was asked for (float(x), if x > 0, a size that depends on values) while a model is "
            "traced for ONNX, when only shapes are known: use xp.where in place of a branch, and arrays for numbers"
        )

    __bool__ = __float__ = __int__ = __index__ = __complex__ = __iter__ = __array__ = _refuse
    __hash__ = None  # type: ignore[assignment]  # == gives an array: object's type says a method


def _operator(name: str, function: str, swapped: bool = False) -> None:
    def call(self: Traced, other: Any = None) -> Any:
        if not isinstance(other, Traced | bool | int | float | Size) and not hasattr(other, "__array__"):
            return NotImplemented
        pair = (other, self) if swapped else (self, other)
        return getattr(functions(), function)(*pair)

    setattr(Traced, name, call)


for _name, _function in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "pow", "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or",
    "xor": "bitwise_xor", "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
}.items():  # fmt: skip
    _operator(f"__{_name}__", _function)
    _operator(f"__r{_name}__", _function, swapped=True)
for _name, _function in {
    "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal",
}.items():  # fmt: skip
    _operator(f"__{_name}__", _function)


def _unary(name: str, function: str) -> None:
    setattr(Traced, name, lambda self: getattr(functions(), function)(self))


for _name, _function in {
    "__neg__": "negative", "__pos__": "positive", "__abs__": "abs", "__invert__": "bitwise_invert",
}.items():  # fmt: skip
    _unary(_name, _function)


def functions() -> Any:
    """The namespace (which stands on this module)."""
    from nnx.backend.onnx.namespace import NAMESPACE

    return NAMESPACE
