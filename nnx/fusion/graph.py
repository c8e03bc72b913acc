"""A graph grows as a function is traced, each value in it once; then a part of it becomes an expression."""

from collections.abc import Iterable, Sequence
from typing import Any

from nnx.backend.expressions import Argument, Expression, Fuser, Kind, Literal, Step, is_number
from nnx.typing import DType


class CannotBeFused(Exception):
    """The library must compute this with its own functions: nobody's mistake, and the plain function is called."""


class Graph:
    """Values in the order in which they were computed, and for each which inputs it was stretched against (`reach`)."""

    def __init__(self, fuser: Fuser, array: type) -> None:
        self.fuser, self.array = fuser, array  # array: the class of symbols that stand for the library's arrays
        self.kinds: list[Kind] = []
        self.reach: list[frozenset[int]] = []
        self.steps: dict[int, Step] = {}
        self.known: dict[Any, int] = {}

    def input(self, kind: Kind) -> int:
        """One more input."""
        at = len(self.kinds)
        self.kinds.append(kind)
        self.reach.append(frozenset() if is_number(kind) else frozenset([at]))
        return at

    def apply(self, name: str, args: Sequence[Argument]) -> int:
        """The result of a function of the standard. Raises CannotBeFused if the library has none for these kinds."""
        kinds = [type(a.value) if isinstance(a, Literal) else self.kinds[a] for a in args]
        kind = _of_numbers(name, kinds) if all(map(is_number, kinds)) else self.fuser.result(name, kinds)
        if kind is None:
            raise CannotBeFused(f"{name} of {kinds}")
        same = _unchanged(name, args)
        return same if same is not None and self.kinds[same] == kind else self._step(name, args, kind)

    def astype(self, at: int, dtype: DType) -> int:
        """A value in another dtype."""
        return at if self.kinds[at] == dtype else self._step("astype", (at,), dtype)

    def full(self, number: Argument, dtype: DType, reach: Iterable[int] = ()) -> int:
        """A number in a dtype, in the place of an array that was made like one with that reach."""
        return self._step("full", (number,), dtype, frozenset(reach))

    def copy(self, at: int) -> int:
        """The same numbers as a value of its own: what is returned is new."""
        return self._add(Step("astype", (at,), self.kinds[at]), self.reach[at])

    def _step(self, name: str, args: Sequence[Argument], kind: Kind, reach: frozenset[int] = frozenset()) -> int:
        key = name, tuple((type(a.value), repr(a.value)) if isinstance(a, Literal) else a for a in args), kind, reach
        if key not in self.known:
            at = reach.union(*(self.reach[a] for a in args if not isinstance(a, Literal)))
            self.known[key] = self._add(Step(name, tuple(args), kind), at)
        return self.known[key]

    def _add(self, step: Step, reach: frozenset[int]) -> int:
        at = len(self.kinds)
        self.kinds.append(step.kind)
        self.reach.append(reach)
        self.steps[at] = step
        return at

    def needed(self, wanted: Iterable[int], given: Iterable[int]) -> set[int]:
        """The values that have to be known to compute the wanted ones, if those that are given need not be computed."""
        stop, found, ahead = set(given), set[int](), list(wanted)
        while ahead:
            at = ahead.pop()
            if at in found:
                continue
            found.add(at)
            if at not in stop and at in self.steps:
                ahead += [a for a in self.steps[at].args if not isinstance(a, Literal)]
        return found

    def expression(self, given: Sequence[int], wanted: Sequence[int]) -> tuple[Expression, list[int]]:
        """The expression of the wanted values, and which of the given ones are its inputs."""
        needed = self.needed(wanted, given)
        inputs = [at for at in given if at in needed]
        order = inputs + sorted(needed - set(given))
        place = {at: k for k, at in enumerate(order)}
        steps = [self.steps[at] for at in order[len(inputs) :]]
        moved = [
            Step(name, tuple(a if isinstance(a, Literal) else place[a] for a in args), kind)
            for name, args, kind in steps
        ]
        kinds = tuple(self.kinds[at] for at in inputs)
        return Expression(kinds, tuple(moved), tuple(place[at] for at in wanted)), inputs


def _unchanged(name: str, args: Sequence[Argument]) -> int | None:
    """The argument that a function gives back as it is, but for its dtype: of x · 1 and of +x."""
    if name == "positive":
        return args[0] if isinstance(args[0], int) else None
    if name == "multiply":
        for x, other in (args, args[::-1]):
            if isinstance(other, Literal) and other.value == 1 and isinstance(x, int):
                return x
    return None


def _of_numbers(name: str, kinds: Sequence[Kind]) -> Kind:
    """The kind that Python's arithmetic gives."""
    if name in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"):
        return bool
    if name == "divide" or (float in kinds and name in NUMBERS):
        return float
    return int if name in NUMBERS and name != "pow" else None


NUMBERS = frozenset(["add", "subtract", "multiply", "divide", "floor_divide", "remainder", "pow", "negative", "abs"])
"""Arithmetic that Python does with numbers alone."""
