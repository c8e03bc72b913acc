"""Elementwise expressions as data, and what a backend makes of them (see nnx.fuse).

An expression is a list of steps in the order in which they are computed, each used by those after it. Values are
numbered: first the inputs, then the results of the steps.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nnx.typing import Array, DType

Kind = Any
"""The dtype of an array; `float`, `int` or `bool` for a Python number, which takes the dtype of what it meets."""


class Literal(NamedTuple):
    """A Python number that stands in the expression itself."""

    value: bool | int | float


Argument = int | Literal
"""Which value, or a number."""


class Step(NamedTuple):
    """One function of the standard, by name; "astype" and "full" (a number in a dtype) stand for a dtype alone."""

    name: str
    args: tuple[Argument, ...]
    kind: Kind


@dataclass(frozen=True)
class Expression:
    """What a fused function computes, elementwise.

    inputs: the kind of each   steps: see Step; those of a number's kind are of numbers alone: Python computes them
    outputs: which values are returned: never an input, never one twice
    """

    inputs: tuple[Kind, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]

    def kinds(self) -> list[Kind]:
        """The kind of every value."""
        return [*self.inputs, *(step.kind for step in self.steps)]


def is_number(kind: Kind) -> bool:
    """Whether a kind is a Python number's."""
    return kind is float or kind is int or kind is bool


Kernel = Callable[[Sequence[Any]], tuple[Array, ...]]
"""Arrays and numbers, in the order of the inputs -> new arrays, in the order of the outputs.

Arrays are stretched against each other, and every output has the shape of all of them together.
"""
Table = Callable[[Sequence[Sequence[Array]], Sequence[Any]], "list[tuple[Array, ...]]"]
"""Rows of arrays (all of a row of one shape), and numbers: the same expression for every row."""


class Fuser(ABC):
    """How a library makes kernels of expressions."""

    array: type
    """The type of the library's arrays. Others that pass for one (a subclass's, a recording's) are left alone."""
    functions: frozenset[str] = frozenset()
    """Functions beside the standard's that it knows, such as erf."""
    recomputed: float = 0.0
    """A backward pass computes a value of the forward pass anew if that takes at most so many cheap functions."""
    smallest: int = 0
    """Arrays of fewer elements than this are left to the plain function, unless somebody watches."""

    rules: bool = True
    """Whether kernels pay for rules, too, which make one record and a few passes as they are."""

    @abstractmethod
    def result(self, name: str, kinds: Sequence[Kind]) -> DType | None:
        """The dtype that the library's function gives for arguments of these kinds; None if it has none for them."""

    @abstractmethod
    def kernel(self, expression: Expression) -> Kernel | None:
        """The kernel; None for an expression that the library's own functions should compute."""

    def table(self, expression: Expression, rows: int) -> Table | None:
        """A kernel for many rows of arrays at once, where that is better than a call for each.

        rows: how many of the inputs, from the first on, are a row's own; the others are numbers
        """
        return None
