"""Arithmetic as one loop that numba compiles, where numba is installed: each number is read once and written once.

Ten of NumPy's passes over a block in cache take eight times as long (measured: Adam of 670,000 on one thread, 283 µs
and 2,300). Numbers are the same, bit for bit, as no step is reordered or contracted. Only for arithmetic, roots,
comparisons and choices: PyPI's numba computes exp, tanh and log one by one, where NumPy's own are vectorised. To
compile takes a second, so it is done for what has computed a lot. NNX_FUSE_NUMBA=0 turns it off, NNX_FUSE_NUMBA=now
compiles at the first call: for trainings that will be long, and for benchmarks.
"""

import importlib.util
import math
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from nnx.backend import numbers, ufuncs
from nnx.backend.expressions import Argument, Expression, Literal, Step, is_number
from nnx.typing import Array, DType

AFTER = 0 if os.environ.get("NNX_FUSE_NUMBA") == "now" else 1 << 29
"""Elements that a kernel computes in blocks before its loop is compiled: that takes a second or two, and saves about
1.5 ns an element (measured: Adam), so that a short training does without."""
SOURCES = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "negative": "-{0}",
    "square": "{0} * {0}",
    "abs": "abs({0})",
    "sqrt": "sqrt({0})",
    "maximum": "{0} if {0} > {1} or {0} != {0} else {1}",
    "minimum": "{0} if {0} < {1} or {0} != {0} else {1}",
    "where": "{1} if {0} else {2}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
    "logical_and": "{0} and {1}",
    "logical_or": "{0} or {1}",
    "logical_not": "not {0}",
}
Over = tuple[int | None, ...]
"""For each output None, or which of the arrays it is written over."""
NAMES = {"float32": "float32", "float64": "float64", "bool": "bool"}


@cache
def available() -> bool:
    """Whether numba is installed, and nobody has turned it off."""
    off = os.environ.get("NNX_FUSE_NUMBA", "1") in ("0", "false", "off")
    return not off and importlib.util.find_spec("numba") is not None


class Loop:
    """An expression as a loop over flat arrays. Raises LookupError for one with other functions, or other dtypes."""

    def __init__(self, expression: Expression) -> None:
        self.expression, self.kinds = expression, expression.kinds()
        self.order = numbers.of_numbers(expression)
        self.arrays = [k for k, kind in enumerate(expression.inputs) if not is_number(kind)]
        self.constants: dict[tuple[Argument, DType], str] = {}
        first, lines = len(expression.inputs), [f"v{k} = x{k}[i]" for k in self.arrays]
        for kind in self.kinds:
            if not is_number(kind) and kind.name not in NAMES:
                raise LookupError(kind)
        for k, step in enumerate(expression.steps):
            if not is_number(step.kind):
                lines.append(f"v{first + k} = {self._computed(step)}")
        self.lines, self.runs = lines, dict[Over, Callable[..., None]]()

    def source(self, over: Over) -> str:
        """The loop's text. An output that is written over an input is that argument, so that LLVM knows that it is."""
        inputs, expression = [f"x{k}" for k in self.arrays], self.expression
        names = [f"y{j}" if k is None else inputs[k] for j, k in enumerate(over)]
        stores = [f"{name}[i] = v{at}" for name, at in zip(names, expression.outputs, strict=True)]
        outputs = [name for name, k in zip(names, over, strict=True) if k is None]
        header = f"def loop({', '.join([*inputs, *self.constants.values(), *outputs])}):"
        return "\n        ".join([f"{header}\n    for i in range({inputs[0]}.size):", *self.lines, *stores])

    def _computed(self, step: Step) -> str:
        if step.name in ("astype", "full"):
            return self._operand(step.args[0], step.kind)
        kinds = tuple(type(a.value) if isinstance(a, Literal) else self.kinds[a] for a in step.args)
        dtypes = ufuncs.resolved(step.name, kinds)
        if dtypes is None or (step.kind.kind == "b" and step.name in ("add", "multiply", "maximum", "minimum")):
            raise LookupError(step.name)
        text = SOURCES[step.name].format(*map(self._operand, step.args, dtypes[:-1]))
        return f"{NAMES[step.kind.name]}({text})" if step.kind.kind == "f" else text

    def _operand(self, argument: Argument, dtype: DType) -> str:
        if not isinstance(argument, Literal) and not is_number(self.kinds[argument]):
            value = f"v{argument}"
            return value if self.kinds[argument] == dtype else f"{NAMES[dtype.name]}({value})"
        return self.constants.setdefault((argument, dtype), f"n{len(self.constants)}")

    def values(self, given: Sequence[Any]) -> list[Any]:
        """The numbers of a call, each in the dtype in which it is used."""
        found = [*given, *[None] * len(self.expression.steps)]
        numbers.compute(self.expression, self.order, found)
        return [d.type(a.value if isinstance(a, Literal) else found[a]) for a, d in self.constants]

    def __call__(self, arrays: list[Array], values: list[Any], made: list[Array], over: Over) -> None:
        """Write the outputs."""
        run = self.runs.get(over)
        if run is None:
            run = self.runs[over] = self._compiled(over)
        run(*arrays, *values, *[y for y, k in zip(made, over, strict=True) if k is None])

    def _compiled(self, over: Over) -> Callable[..., None]:
        import numba

        known: dict[str, Any] = {"float32": np.float32, "float64": np.float64, "sqrt": math.sqrt}
        exec(self.source(over), known)
        found: Callable[..., None] = numba.njit(nogil=True, error_model="numpy")(known["loop"])
        return found


def loop(expression: Expression) -> Loop | None:
    """The loop; None where numba is missing, or NumPy's own functions are faster."""
    if not available():
        return None
    try:
        return Loop(expression)
    except LookupError:
        return None
