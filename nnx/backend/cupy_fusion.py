"""Elementwise expressions on CuPy: one kernel, one launch, whatever is in them; and one for many arrays at once."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

from nnx.backend import cupy_tables, ufuncs
from nnx.backend.cuda_code import PREAMBLE, Code
from nnx.backend.expressions import Expression, Fuser, Kernel, Kind, Table
from nnx.typing import Array, DType


class CupyFuser(Fuser):
    """See Fuser."""

    functions = frozenset(["erf"])
    recomputed = math.inf  # arithmetic is free beside the memory's time

    def __init__(self) -> None:
        import cupy

        self.array = cupy.ndarray

    def result(self, name: str, kinds: Sequence[Kind]) -> DType | None:
        """See Fuser.result."""
        return ufuncs.result("exp" if name == "erf" else name, kinds)

    def kernel(self, expression: Expression) -> Kernel | None:
        """See Fuser.kernel."""
        code = Code.of(expression)
        return None if code is None else Elementwise(code)

    def table(self, expression: Expression, rows: int) -> Table | None:
        """See Fuser.table."""
        code = Code.of(expression)
        return None if code is None else cupy_tables.Rows(code, Elementwise(code))


class Elementwise:
    """CuPy's own ElementwiseKernel, which stretches arrays and takes any strides."""

    def __init__(self, code: Code) -> None:
        import cupy

        self.code = code
        inputs = [f"{code.expression.inputs[k].name} x{k}" for k in code.arrays]
        scalars = [f"{kind} {name}" for kind, name in zip(code.number_types(), code.numbers.values(), strict=True)]
        outputs = [f"{code.kinds[at].name} y{k}" for k, at in enumerate(code.expression.outputs)]
        self.run = cupy.ElementwiseKernel(
            ", ".join([*inputs, *scalars]), ", ".join(outputs), "\n".join(code.lines), "nnx_fused", preamble=PREAMBLE
        )

    def __call__(self, given: Sequence[Any]) -> tuple[Array, ...]:
        """See Kernel."""
        found = self.run(*[given[k] for k in self.code.arrays], *self.code.values(given))
        return found if type(found) is tuple else (found,)


@cache
def fuser() -> CupyFuser:
    """One for the process."""
    return CupyFuser()
