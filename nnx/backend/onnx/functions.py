"""The standard's functions on arrays of a graph: ndonnx writes the node, and the shape is reckoned in Python.

What ONNX has one operator for (a product, a maximum, a sum) is written as that one, where ndonnx writes several to be
right for every dtype and for empty arrays.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy

from nnx.backend.onnx.array import Traced
from nnx.backend.onnx.library import ndx, op
from nnx.backend.onnx.sizes import NotTraceable, Size, Sizes
from nnx.backend.onnx.trace import current

SAME = ("astype", "sort", "argsort", "flip", "roll", "tril", "triu", "cumulative_sum", "cumulative_prod")
"""Functions of one array that keep its shape."""
ELEMENTWISE = [
    "abs", "acos", "acosh", "add", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and", "bitwise_left_shift",
    "bitwise_invert", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "clip", "copysign", "cos", "cosh",
    "divide", "equal", "exp", "expm1", "floor", "floor_divide", "greater", "greater_equal", "hypot", "isfinite",
    "isinf", "isnan", "less", "less_equal", "log", "log1p", "log2", "log10", "logaddexp", "logical_and",
    "logical_not", "logical_or", "logical_xor", "maximum", "minimum", "multiply", "negative", "not_equal", "positive",
    "pow", "reciprocal", "remainder", "round", "sign", "signbit", "sin", "sinh", "sqrt", "square", "subtract", "tan",
    "tanh", "trunc", "where",
]  # fmt: skip
REDUCTIONS = ("sum", "prod", "max", "min", "mean", "any", "all", "argmax", "argmin", "var", "std")
DIRECT = {"sum": "reduce_sum", "max": "reduce_max", "min": "reduce_min", "mean": "reduce_mean"}
REFUSED = ("nonzero", "unique_all", "unique_counts", "unique_inverse", "unique_values")
CREATION = {"zeros": 0, "ones": 1, "empty": 0}


def bare(x: Any, dtype: Any = None) -> Any:
    """ndonnx's array of x; a number as it is. dtype: what a Size becomes"""
    if type(x) is Traced:
        return x.array
    if type(x) is Size:
        floating = dtype is not None and is_floating(dtype)
        return x.graph(dtype if floating else ndx().float32 if type(x.value) is float else ndx().int64)
    return ndx().asarray(numpy.asarray(x)) if hasattr(x, "__array__") else x


def is_floating(dtype: Any) -> bool:
    """Whether ONNX's operators take it as a floating number."""
    return dtype in (ndx().float32, ndx().float64, ndx().float16)


def shape_of(x: Any) -> Sizes:
    """() for a number."""
    return tuple(x.shape) if hasattr(x, "shape") else ()


def wrapped(var: Any, shape: Sizes) -> Traced:
    """What an operator of ONNX gave."""
    return Traced(ndx().asarray(var), shape)


def elementwise(name: str) -> Callable[..., Traced]:
    """A function of the standard over arrays that are stretched to one shape."""

    def call(*args: Any, **kwargs: Any) -> Traced:
        given = [x for x in (*args, *kwargs.values()) if x is not None]
        dtype = next((x.dtype for x in given if type(x) is Traced and is_floating(x.dtype)), None)
        arrays: list[Any] = [None if x is None else bare(x, dtype) for x in args]
        shape = numpy.broadcast_shapes(*map(shape_of, given))
        if name == "maximum" and type(args[1]) in (int, float) and not args[1] and dtype is not None:
            return wrapped(op().relu(arrays[0].unwrap_spox()), shape)
        direct = _DIRECT_PAIRS.get(name)
        if direct and all(type(x) is Traced and x.dtype == dtype and x.ndim for x in args):
            return wrapped(getattr(op(), direct)([x.unwrap_spox() for x in arrays]), shape)
        return Traced(getattr(ndx(), name)(*arrays, **{k: bare(v, dtype) for k, v in kwargs.items()}), shape)

    return call


_DIRECT_PAIRS = {"maximum": "max", "minimum": "min"}


def reduction(name: str) -> Callable[..., Traced]:
    """A function of the standard that takes axes away."""

    def call(x: Traced, /, *, axis: Any = None, keepdims: bool = False, **options: Any) -> Traced:
        axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        gone = {k % x.ndim for k in axes} if x.ndim else set()
        shape = tuple(1 if k in gone else n for k, n in enumerate(x.shape) if keepdims or k not in gone)
        if name in DIRECT and not options and is_floating(x.dtype) and gone:
            over = op().constant(value=numpy.asarray(sorted(gone), "int64"))
            return wrapped(getattr(op(), DIRECT[name])(x.array.unwrap_spox(), over, keepdims=keepdims), shape)
        return Traced(getattr(ndx(), name)(x.array, axis=axis, keepdims=keepdims, **options), shape)

    return call


def same(name: str) -> Callable[..., Traced]:
    """A function of one array that keeps its shape."""

    def call(x: Traced, *args: Any, **options: Any) -> Traced:
        options.pop("device", None)
        return Traced(getattr(ndx(), name)(x.array, *args, **options), x.shape)

    return call


def refused(name: str) -> Callable[..., Any]:
    """A function whose result's shape depends on values."""

    def call(*args: Any, **kwargs: Any) -> Any:
        raise NotTraceable(
            f"xp.{name} returns an array whose shape depends on values, which a traced ONNX graph cannot tell: "
            "use xp.where, or multiply by a mask"
        )

    return call


def created(value: int) -> Callable[..., Traced]:
    """zeros and ones."""

    def call(shape: Any, *, dtype: Any = None, device: Any = None) -> Traced:
        return full(shape, value, dtype=dtype or ndx().float32)

    return call


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Traced:
    """See the standard."""
    sizes = current().shape((shape,) if isinstance(shape, int) else shape)
    if dtype is None:
        dtype = ndx().asarray(bare(fill_value)).dtype if type(fill_value) is not float else ndx().float32
    one = ndx().asarray(bare(fill_value, dtype), dtype=dtype)
    if current().known(sizes):
        return Traced(ndx().broadcast_to(one, tuple(map(int, sizes))) if sizes else one, sizes)
    return Traced(ndx().broadcast_to(one, current().dynamic(sizes)), sizes)


def like(value: Any) -> Callable[..., Traced]:
    """zeros_like and ones_like."""

    def call(x: Traced, /, *, dtype: Any = None, device: Any = None) -> Traced:
        return full(x.shape, value, dtype=dtype or x.dtype)

    return call


def full_like(x: Traced, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Traced:
    """See the standard."""
    return full(x.shape, fill_value, dtype=dtype or x.dtype)


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Traced:
    """See the standard."""
    if stop is None:
        start, stop = 0, start
    length = max(math.ceil((stop - start) / step), 0) if type(stop) is not Size else stop
    if type(stop) is Size and (start or step != 1):
        raise NotTraceable("arange over the size of the batch must start at 0 and count by 1")
    return Traced(ndx().arange(start, bare(stop), step, dtype=dtype), (length,))


def asarray(x: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Traced:
    """See the standard; a NumPy array becomes a constant of the graph."""
    if type(x) is Traced:
        return Traced(ndx().asarray(x.array, dtype=dtype), x.shape)
    if type(x) is Size:
        return Traced(bare(x, dtype), ())
    host = numpy.asarray(x)
    if host.dtype == numpy.float64 and not hasattr(x, "dtype") and dtype is None:
        dtype = ndx().float32
    return Traced(ndx().asarray(host, dtype=dtype), host.shape)


def linspace(
    start: float, stop: float, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Traced:
    """See the standard."""
    return asarray(numpy.linspace(start, stop, num, endpoint=endpoint), dtype=dtype or ndx().float32)


def eye(rows: int, columns: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Traced:
    """See the standard."""
    return asarray(numpy.eye(int(rows), columns, k), dtype=dtype or ndx().float32)


def isdtype(dtype: Any, kind: Any) -> bool:
    """See the standard; ONNX's graphs have no complex numbers here."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return any(bool(ndx().isdtype(dtype, one)) for one in kinds if one != "complex floating")
