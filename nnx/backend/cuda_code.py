"""The CUDA source of an elementwise expression: a line a step.

Each is computed in the dtypes in which NumPy's own function would be (float16 in float, rounded after every step, as
CuPy's functions do), so that the plain function differs by rounding alone: a GPU may contract a · b + c.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnx.backend import numbers, ufuncs
from nnx.backend.expressions import Argument, Expression, Kind, Literal, Step, is_number
from nnx.typing import DType

C_TYPES = {
    "float16": "float16",
    "float32": "float",
    "float64": "double",
    "bool": "bool",
    "int8": "signed char",
    "int16": "short",
    "int32": "int",
    "int64": "long long",
    "uint8": "unsigned char",
    "uint16": "unsigned short",
    "uint32": "unsigned int",
    "uint64": "unsigned long long",
}
FUNCTIONS = """acos acosh asin asinh atan atan2 atanh ceil copysign cos cosh erf exp expm1 floor hypot log log10 log1p
log2 sin sinh sqrt tan tanh trunc""".split()  # noqa: SIM905
REAL = {
    **{
        name: f"{name}({{0}}, {{1}})" if name in ("atan2", "copysign", "hypot") else f"{name}({{0}})"
        for name in FUNCTIONS
    },
    "abs": "fabs({0})",
    "divide": "{0} / {1}",
    "logaddexp": "nnx_logaddexp({0}, {1})",
    "pow": "pow({0}, {1})",
    "reciprocal": "1 / {0}",
    "round": "rint({0})",
    "sign": "({0} != {0} ? {0} : ({0} > 0) - ({0} < 0))",
    "isfinite": "isfinite({0})",
    "isinf": "isinf({0})",
    "isnan": "({0} != {0})",
    "signbit": "signbit({0})",
    "maximum": "({0} > {1} || {0} != {0} ? {0} : {1})",
    "minimum": "({0} < {1} || {0} != {0} ? {0} : {1})",
}
"""By name, what is computed of floating numbers alone; in C's float or double.

Not here: remainder and floor_divide, whose edges are CuPy's own."""
INTEGER = {
    "abs": "({0} < 0 ? -{0} : {0})",
    "bitwise_and": "{0} & {1}",
    "bitwise_invert": "~{0}",
    "bitwise_or": "{0} | {1}",
    "bitwise_xor": "{0} ^ {1}",
    "maximum": "({0} > {1} ? {0} : {1})",
    "minimum": "({0} < {1} ? {0} : {1})",
    "sign": "({0} > 0) - ({0} < 0)",
    "ceil": "{0}",
    "floor": "{0}",
    "round": "{0}",
    "trunc": "{0}",
}
BOTH = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "negative": "-{0}",
    "positive": "{0}",
    "square": "{0} * {0}",
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
    "logical_and": "{0} && {1}",
    "logical_or": "{0} || {1}",
    "logical_not": "!{0}",
    "logical_xor": "!{0} != !{1}",
    "where": "{0} ? {1} : {2}",
}
BOOL = {
    "bitwise_and": "{0} && {1}",
    "bitwise_or": "{0} || {1}",
    "bitwise_xor": "{0} != {1}",
    "bitwise_invert": "!{0}",
    "logical_not": "!{0}",
    "add": "{0} || {1}",
    "multiply": "{0} && {1}",
    "maximum": "{0} || {1}",
    "minimum": "{0} && {1}",
}
PREAMBLE = r"""
template <typename T> __device__ inline T nnx_logaddexp(T a, T b) {
  if (a == b) return a + log(T(2));
  const T d = a - b;
  return d > 0 ? a + log1p(exp(-d)) : d <= 0 ? b + log1p(exp(d)) : d;
}
"""


class Code:
    """The lines of an expression: x{k} are its inputs, n{k} its numbers (double or long long), y{k} its outputs."""

    def __init__(self, expression: Expression) -> None:
        self.expression = expression
        self.kinds = expression.kinds()
        self.computed = numbers.of_numbers(expression)
        self.arrays = [k for k, kind in enumerate(expression.inputs) if not is_number(kind)]
        self.numbers: dict[Argument, str] = {}
        first, lines = len(expression.inputs), list[str]()
        for k, step in enumerate(expression.steps):
            if not is_number(step.kind):
                lines.append(f"const {c_type(step.kind)} v{first + k} = {self._computed(step)};")
        lines += [f"y{k} = v{at};" for k, at in enumerate(expression.outputs)]
        self.lines = [f"const {c_type(expression.inputs[k])} v{k} = x{k};" for k in self.arrays] + lines

    @classmethod
    def of(cls, expression: Expression) -> "Code | None":
        """The code; None if a function has no CUDA for its dtypes."""
        try:
            return cls(expression)
        except LookupError:
            return None

    def _computed(self, step: Step) -> str:
        to = c_type(step.kind)
        if step.name in ("astype", "full"):
            return cast(to, self._operand(step.args[0], step.kind))
        kinds = tuple(type(a.value) if isinstance(a, Literal) else self.kinds[a] for a in step.args)
        dtypes = ufuncs.resolved("exp" if step.name == "erf" else step.name, kinds)
        if (
            dtypes is None or len(set(dtypes[step.name == "where" : -1])) > 1
        ):  # C compares signed with unsigned otherwise
            raise LookupError(step.name)
        operands = [self._operand(a, dtype, dtype) for a, dtype in zip(step.args, dtypes, strict=False)]
        return cast(to, template(step.name, dtypes[-2]).format(*operands))

    def _operand(self, argument: Argument, dtype: DType, working: DType | None = None) -> str:
        """An argument in a dtype; working: as C computes with it, half precision as float."""
        kind = type(argument.value) if isinstance(argument, Literal) else self.kinds[argument]
        to = "float" if working is not None and dtype == np.float16 else c_type(dtype)
        if not is_number(kind):
            return f"v{argument}" if kind == dtype and to == c_type(kind) else cast(to, f"v{argument}")
        if isinstance(argument, Literal) and math.isfinite(argument.value):
            text = literal(dtype.type(argument.value).item(), to)
            return text
        return cast(to, self.numbers.setdefault(argument, f"n{len(self.numbers)}"))

    def number_types(self) -> list[str]:
        """float64 or int64, for each number."""
        return ["float64" if self._kind(argument) is float else "int64" for argument in self.numbers]

    def _kind(self, argument: Argument) -> Kind:
        return type(argument.value) if isinstance(argument, Literal) else self.kinds[argument]

    def values(self, given: Sequence[Any]) -> list[Any]:
        """The numbers of a call."""
        if not self.numbers:
            return []
        values = [*given, *[None] * len(self.expression.steps)]
        numbers.compute(self.expression, self.computed, values)
        return [a.value if isinstance(a, Literal) else values[a] for a in self.numbers]


def c_type(dtype: DType) -> str:
    """What C calls it."""
    return C_TYPES[dtype.name]


def cast(to: str, text: str) -> str:
    """A C expression in another type."""
    return f"static_cast<{to}>({text})"


def literal(value: Any, to: str) -> str:
    """A finite number in C."""
    if to in ("float", "double", "float16"):
        text = repr(float(value))
        return f"({text}{'f' if to == 'float' else ''})" if to != "float16" else f"float16({text}f)"
    return cast(to, f"{int(value)}ull" if value > 2**63 - 1 else f"{int(value)}ll" if value > -(2**63) else "1ll << 63")


def template(name: str, dtype: DType) -> str:
    """What C writes for the function of arguments of this dtype. Raises KeyError if there is nothing."""
    if dtype.kind == "b" and name in BOOL:
        return BOOL[name]
    own = REAL if dtype.kind == "f" else INTEGER if dtype.kind in "iu" else {}
    if dtype.kind == "u" and name == "bitwise_right_shift":
        return f"({{1}} < {8 * dtype.itemsize} ? {{0}} >> {{1}} : 0)"
    if name in BOTH and not (dtype.kind == "b" and name in ("subtract", "negative", "square")):
        return BOTH[name]
    return own[name]
