"""The part of an expression that is of numbers alone: Python computes it, once a call, as the plain function would."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

from nnx.backend.expressions import Expression, Literal, is_number

ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "pow": operator.pow,
    "negative": operator.neg,
    "abs": operator.abs,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "equal": operator.eq,
    "not_equal": operator.ne,
}


def of_numbers(expression: Expression) -> list[int]:
    """Which values are numbers that have to be computed."""
    first = len(expression.inputs)
    return [first + k for k, step in enumerate(expression.steps) if is_number(step.kind)]


def compute(expression: Expression, order: Sequence[int], values: list[Any]) -> None:
    """Fill in those places of `values` (all values of the expression, of which the inputs are known)."""
    first = len(expression.inputs)
    for at in order:
        name, args, _ = expression.steps[at - first]
        values[at] = ARITHMETIC[name](*[a.value if isinstance(a, Literal) else values[a] for a in args])
