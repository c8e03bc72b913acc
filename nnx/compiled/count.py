"""A number that goes up by itself from step to step: in a compiled program it is an argument and a known difference.

An optimizer's step count is a Python number in eager mode. In a trace it must not be baked in, and must not be read
back from the device afterwards either: so its start is traced, and by how much it has moved is known without reading.
"""

import operator
from collections.abc import Callable
from typing import Any

from nnx.typing import Array


class Count:
    """start + moved: `start` an array of no dimensions, `moved` a Python number. Sums with Python integers stay Counts.

    Any other arithmetic gives arrays; a branch on it raises, as on every traced value.
    """

    def __init__(self, start: Array, moved: int = 0) -> None:
        self.start, self.moved = start, moved

    @property
    def array(self) -> Array:
        """The number itself."""
        return self.start + self.moved if self.moved else self.start

    def __add__(self, other: Any) -> Any:
        if type(other) is int:
            return Count(self.start, self.moved + other)
        return self.array + plain(other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if type(other) is int:
            return Count(self.start, self.moved - other)
        return self.array - plain(other)

    def __bool__(self) -> bool:
        return bool(self.array)

    def __index__(self) -> int:
        return operator.index(self.array)

    def __float__(self) -> float:
        return float(self.array)


def plain(x: Any) -> Any:
    """A Count as an array, anything else as it is."""
    return x.array if type(x) is Count else x


def _delegated(name: str) -> Callable[..., Any]:
    function = getattr(operator, name.strip("_"))

    def call(self: Count, other: Any) -> Any:
        return function(self.array, plain(other))

    return call


def _reflected(name: str) -> Callable[..., Any]:
    function = getattr(operator, name.strip("_"))

    def call(self: Count, other: Any) -> Any:
        return function(plain(other), self.array)

    return call


for _name in ("mul", "truediv", "floordiv", "mod", "pow"):
    setattr(Count, f"__{_name}__", _delegated(_name))
    setattr(Count, f"__r{_name}__", _reflected(_name))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Count, f"__{_name}__", _delegated(_name))
setattr(Count, "__rsub__", _reflected("sub"))  # noqa: B010 - beside its like
setattr(Count, "__neg__", lambda self: -self.array)  # noqa: B010
