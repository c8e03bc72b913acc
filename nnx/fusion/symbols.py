"""Symbols: what a function sees while it is traced. Arrays are symbolic scalars, numbers are symbolic numbers.

A symbol is an array of the standard to any code that computes elementwise, nnx's own rules of differentiation included.
Whatever asks for more than that (a shape, a value, a sum over an axis) gets an error that says so.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Never

from nnx.autodiff.var import Var
from nnx.backend import is_array, is_scalar
from nnx.backend.expressions import Argument, Kind, Literal, is_number
from nnx.backend.operators import BINARY, COMPARED, UNARY
from nnx.fusion.graph import CannotBeFused, Graph
from nnx.typing import DType, Namespace


class NotElementwise(TypeError):
    """A function that is fused asked for more than one element at a time, or for a value: the message says how else."""


class _NoAttribute(NotElementwise, AttributeError):
    """hasattr(symbol, name) is False."""


OUTSIDE = "compute it outside of the fused function, and fuse what is elementwise before and after it"


class HiddenShape(tuple[int, ...]):
    """(), and nobody may look into it: shapes are not known when a function is traced."""

    def _refuse(self, *_: Any) -> Never:
        raise NotElementwise(
            "nnx.fuse: shapes are not known while a function is traced: compute what depends on one outside of the "
            "fused function, and pass it as a number or an array"
        )

    __iter__ = __getitem__ = __len__ = _refuse


class Value:
    """What symbols of both kinds share: a place in a graph, arithmetic (attached below), and no value."""

    __slots__ = ("at", "graph")
    __array_ufunc__ = None

    def __init__(self, graph: Graph, at: int) -> None:
        self.graph, self.at = graph, at

    @property
    def kind(self) -> Kind:
        """Its dtype, or the type of a number."""
        return self.graph.kinds[self.at]


class Number(Value):
    """A Python number that is not known yet. It has no shape and no namespace: to nnx's rules it is a number."""

    __slots__ = ()


class Symbol(Value):
    """An array, as its elements see it. Each library has a class of its own, with its namespace."""

    __slots__ = ()
    xp: ClassVar[Namespace]
    device: ClassVar[None] = None
    shape: ClassVar[HiddenShape] = HiddenShape()

    def __array_namespace__(self, /, *, api_version: str | None = None) -> Namespace:
        return self.xp

    @property
    def dtype(self) -> DType:
        """The data type."""
        return self.kind

    def __getattr__(self, name: str) -> Never:
        if name[:2] == "__":
            raise AttributeError(name)
        raise _NoAttribute(f"nnx.fuse: x.{name} is not known while a function is traced: {OUTSIDE}")


def wrap(graph: Graph, at: int) -> Any:
    """The value at that place, as a symbol of its kind."""
    return Number(graph, at) if is_number(graph.kinds[at]) else graph.array(graph, at)


def argument(graph: Graph, x: Any) -> Argument:
    """x as an argument of a step. Raises NotElementwise for what is no argument, TypeError for what is no number."""
    kind = type(x)
    if kind is float or kind is int or kind is bool:
        return Literal(x)
    if isinstance(x, Value):
        if x.graph is not graph:
            raise NotElementwise("nnx.fuse: a value of another trace was kept and used again: return it in its place")
        return x.at
    if is_scalar(x):
        return graph.full(Literal(x.item()), x.dtype)
    if is_array(x):
        raise NotElementwise(
            f"nnx.fuse: the function uses an array of shape {tuple(x.shape)} that is not one of its arguments: pass it"
        )
    if kind is complex:
        raise CannotBeFused("complex numbers")
    raise TypeError(f"expected an array or a number, got {kind.__name__}")


def apply(name: str, *args: Any) -> Any:
    """A function of the standard, of symbols and numbers."""
    graph = next(a.graph for a in args if isinstance(a, Value))
    return wrap(graph, graph.apply(name, [argument(graph, a) for a in args]))


# ---- operators -------------------------------------------------------------------------------------------------------

REFUSED = {
    "bool": "a branch on",
    "float": "float() of",
    "int": "int() of",
    "complex": "complex() of",
    "index": "an index made of",
    "len": "len() of",
    "iter": "a loop over",
    "getitem": "a part of",
    "setitem": "assignment to places of",
    "matmul": "a matrix product of",
    "rmatmul": "a matrix product of",
}


def _binary(name: str) -> Callable[..., Any]:
    return lambda self, other: NotImplemented if isinstance(other, Var) else apply(name, self, other)


def _reflected(name: str) -> Callable[..., Any]:
    return lambda self, other: apply(name, other, self)


def _unary(name: str) -> Callable[..., Any]:
    return lambda self: apply(name, self)


def _refusing(what: str) -> Callable[..., Any]:
    def refuse(self: Value, *_: Any) -> Never:
        raise NotElementwise(
            f"nnx.fuse: {what} a value that is being traced, once for all numbers. By element: xp.where(condition, "
            "a, b). What chooses between two programs is a bool, a string or None, which are static; what is made of "
            f"numbers alone belongs before the call. Otherwise, {OUTSIDE}"
        )

    return refuse


for _name, _function in BINARY.items():
    setattr(Value, f"__{_name}__", _binary(_function))
    setattr(Value, f"__r{_name}__", _reflected(_function))
for _name, _function in COMPARED.items():
    setattr(Value, f"__{_name}__", _binary(_function))
for _name, _function in UNARY.items():
    setattr(Value, f"__{_name}__", _unary(_function))
for _name, _function in REFUSED.items():
    setattr(Value, f"__{_name}__", _refusing(_function))
