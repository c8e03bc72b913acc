"""Sizes that are not known before a graph runs, as numbers that Python can reckon with.

Code that computes with shapes (n * heads, math.prod(shape), 1 / n) wants numbers. So the batch has a size while a model
is traced, a large prime, and what is a multiple of it in a shape belongs to the batch. What Python makes of it
remembers how it was made, so that the graph can compute it from the real size. Comparisons see the prime.
"""

import operator
from collections.abc import Callable
from typing import Any, Never

from nnx.backend.onnx.library import ndx


class NotTraceable(TypeError):
    """A model does what no ONNX graph can hold, such as a branch on a number that it has computed."""


Sizes = tuple[Any, ...]
"""A shape: numbers, and Sizes where the batch is."""


class Size:
    """A number that was made of the size of the batch.

    value: what it is for the stand-in   write: makes it a number of the graph, int64 or float64
    compares: if false, a comparison raises: what it decides would be the same at every run
    """

    __slots__ = ("compares", "value", "write")

    def __init__(self, value: int | float, write: Callable[[], Any], compares: bool = True) -> None:
        self.value, self.write, self.compares = value, write, compares

    def __index__(self) -> int:
        return operator.index(self.value)  # type: ignore[arg-type]  # a float raises Python's own TypeError

    def __int__(self) -> int:
        return int(self.value)

    def __float__(self) -> Never:
        raise NotTraceable(
            "a function of the size of the batch, or of the count of steps (math.sqrt(n), float(n)) would be the same "
            "at every run of an ONNX graph: use + - * / ** alone, or fix the size of the batch by batch=None"
        )

    def __repr__(self) -> str:
        return f"batch:{self.value}"

    def __hash__(self) -> int:
        return hash(self.value)

    def __neg__(self) -> "Size":
        return Size(-self.value, lambda: -self.write(), self.compares)

    def __bool__(self) -> bool:
        return self.__ne__(0) is True

    def graph(self, dtype: Any) -> Any:
        """It, as a number of the graph of that dtype."""
        return ndx().astype(self.write(), dtype)


def _reckoned(name: str, function: Callable[[Any, Any], Any]) -> None:
    def made(a: Any, b: Any) -> Any:
        values = [x.value if type(x) is Size else x for x in (a, b)]
        value = function(*values)
        fractional = type(value) is float

        def write() -> Any:
            return function(*(_written(x, fractional) for x in (a, b)))

        return Size(value, write, all(x.compares for x in (a, b) if type(x) is Size))

    def call(self: Size, other: Any) -> Any:
        return made(self, other) if isinstance(other, Size | int | float) else NotImplemented

    def reflected(self: Size, other: Any) -> Any:
        return made(other, self) if isinstance(other, int | float) else NotImplemented

    setattr(Size, f"__{name}__", call)
    setattr(Size, f"__r{name}__", reflected)


def _written(x: Any, fractional: bool) -> Any:
    if type(x) is not Size:
        return float(x) if fractional else x
    return x.graph(ndx().float64 if fractional else ndx().int64)


def _compared(name: str, function: Callable[[Any, Any], bool]) -> None:
    def call(self: Size, other: Any) -> Any:
        if not isinstance(other, Size | int | float):
            return NotImplemented
        if not self.compares or (type(other) is Size and not other.compares):
            raise NotTraceable("a branch on a number that changes from run to run (the count of steps)")
        return function(self.value, other.value if type(other) is Size else other)

    setattr(Size, f"__{name}__", call)


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    _reckoned(_name, getattr(operator, _name))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    _compared(_name, getattr(operator, _name))


def stand_in(sizes: list[int]) -> int:
    """A prime above 1000 that divides none of these sizes."""
    prime = 1009
    while any(size % prime == 0 for size in sizes if size) or any(prime % k == 0 for k in range(2, 64)):
        prime += 2
    return prime
