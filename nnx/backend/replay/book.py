"""The book in which a step's calls are written down while it runs on stand-ins."""

import functools
import operator
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, NamedTuple

from nnx.backend.arrays import is_array

NUMBERS = frozenset((bool, int, float, complex))


class ValueRead(TypeError):
    """A value was asked of an array whose values differ from step to step."""


class Ref(NamedTuple):
    """In the arguments of a line, the variable of that number."""

    at: int


class Line(NamedTuple):
    """Variable `result` = function(*args, **kwargs); with result None the call changes its first argument in place."""

    result: int | None
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    fresh: bool
    """Whether the result shares no memory with the arguments."""


class StandIn:
    """The place of an array, a number or a pullback in a trace. value: what it is in the run that is written down."""

    __slots__ = ("at", "book", "value")

    def __init__(self, book: "Book", at: int, value: Any) -> None:
        self.book, self.at, self.value = book, at, value


class Book:
    """Lines; and what each variable was in the run that was written down.

    kind, number: the stand-ins of an array and of a Python number   inputs: what the program takes, the first variables
    """

    def __init__(self, kind: type[StandIn], number: type[StandIn], inputs: list[Any]) -> None:
        self.kind, self.number = kind, number
        self.lines: list[Line] = []
        self.values: list[Any] = []
        self.inputs = [self._new(x) for x in inputs]

    def _new(self, value: Any) -> StandIn:
        self.values.append(value)
        kind = self.number if type(value) in NUMBERS else self.kind
        return kind(self, len(self.values) - 1, value)

    def call(
        self,
        function: Callable[..., Any],
        args: Any,
        kwargs: Any = None,
        noted: Callable[..., Any] | None = None,
        new: bool = False,
    ) -> Any:
        """function(*args, **kwargs), some of which are stand-ins; what comes out is one, too.

        The call is noted, as one of `noted` if that is given. new: it promises arrays in memory of their own
        """
        given = list(stand_ins((args, kwargs)))
        if any(x.book is not self for x in given):
            raise ValueRead("an array of another trace was met: the step had kept it from an earlier one")
        result = function(*plain(args), **plain(kwargs or {}))
        if hasattr(result, "item") and all(type(x.value) in NUMBERS for x in given):
            # Python's numbers stay such: the library's own, of 64 bits, would widen what they meet
            function, result = as_number(function), result.item()
        fresh = new or _is_array_of_its_own(result, plain((args, kwargs)))
        return self._noted(result, noted or function, referred(args), referred(kwargs or {}), fresh)

    def change(self, function: Callable[..., Any], *args: Any) -> None:
        """A call that changes its first argument in place. Raises TypeError if that is not the step's own."""
        whole = owner(args[0].value)
        if any(owner(x.value) is whole for x in self.inputs):
            raise TypeError(
                "an assignment would change an array that the step was given: assign to a copy of it, "
                "xp.asarray(x, copy=True)"
            )
        function(*plain(args))
        self.lines.append(Line(None, function, referred(args), {}, False))

    def _noted(self, result: Any, function: Callable[..., Any], args: Any, kwargs: Any, fresh: bool) -> Any:
        if not _varies(result):
            return result
        x = self._new(result)
        self.lines.append(Line(x.at, function, args, kwargs, fresh))
        if isinstance(result, tuple | list):
            own = fresh  # also of what holds it: nobody looks there any more
            parts = [self._noted(part, operator.getitem, (Ref(x.at), k), {}, own) for k, part in enumerate(result)]
            return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
        if type(result) is FunctionType:
            return lambda *args: self.call(_called, (x, *args))
        return x


def _is_array_of_its_own(result: Any, given: Any) -> bool:
    """Whether a result shares no memory with what it was computed from, as far as the library tells."""
    if not is_array(result) or not hasattr(result, "base") or any(type(x) is FunctionType for x in leaves(given)):
        return False  # a pullback may return what it keeps
    return all(owner(x) is not owner(result) for x in leaves(given) if is_array(x))


def owner(x: Any) -> Any:
    """The array in whose memory x lies."""
    while getattr(x, "base", None) is not None:
        x = x.base
    return x


def _varies(result: Any) -> bool:
    """Whether this may be another one at the next step: arrays, numbers, pullbacks; not None, dtypes and devices."""
    if isinstance(result, tuple | list):
        return any(map(_varies, result))
    return type(result) in NUMBERS or type(result) is FunctionType or is_array(result)


def _called(function: Callable[..., Any], *args: Any) -> Any:
    """The pullback that a kernel has returned."""
    return function(*args)


@functools.cache
def as_number(function: Callable[..., Any]) -> Callable[..., Any]:
    """function, whose array of no dimension becomes a Python number."""
    return functools.wraps(function)(lambda *args, **kwargs: function(*args, **kwargs).item())


def stand_ins(nest: Any) -> Iterator[StandIn]:
    """Those in the arguments of a call."""
    return (x for x in leaves(nest) if isinstance(x, StandIn))


def leaves(nest: Any) -> Iterator[Any]:
    """Everything in the arguments of a call that is no nest itself."""
    if isinstance(nest, tuple | list) and type(nest) is not Ref:
        for x in nest:
            yield from leaves(x)
    elif isinstance(nest, dict):
        yield from leaves(list(nest.values()))
    elif isinstance(nest, slice):
        yield from leaves((nest.start, nest.stop, nest.step))
    else:
        yield nest


def mapped(f: Callable[[Any], Any], nest: Any) -> Any:
    """The nest with every leaf x replaced by f(x)."""
    if isinstance(nest, tuple | list) and not isinstance(nest, Ref):
        found = [mapped(f, x) for x in nest]
        return type(nest)(*found) if hasattr(nest, "_fields") else type(nest)(found)
    if isinstance(nest, dict):
        return {name: mapped(f, x) for name, x in nest.items()}
    if isinstance(nest, slice):
        return slice(mapped(f, nest.start), mapped(f, nest.stop), mapped(f, nest.step))
    return f(nest)


def plain(nest: Any) -> Any:
    """The nest with what the stand-ins stand for."""
    return mapped(lambda x: x.value if isinstance(x, StandIn) else x, nest)


def referred(nest: Any) -> Any:
    """The nest with the numbers of the variables."""
    return mapped(lambda x: Ref(x.at) if isinstance(x, StandIn) else x, nest)
