"""One launch for many arrays: a kernel that takes a table of pointers by value, as an argument.

A block of threads moves CHUNK elements of one row; where the rows begin, counted in blocks, is in the table, too. CUDA
takes 4 KB of arguments: more rows than fit are more launches (of Adam, whose rows are four arrays and three new ones,
some sixty a launch). Nothing is copied, but for a row whose arrays lie in memory in different orders, which has a
launch of its own. All results are new arrays.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from nnx.backend.cuda_code import PREAMBLE, Code, c_type
from nnx.typing import Array

ARGUMENTS = 4000
"""Bytes of a kernel's arguments: CUDA's limit is 4096."""
CHUNK, THREADS = 1024, 256

SOURCE = """{include}
{preamble}
struct Table {{
  unsigned long long at[{capacity}][{width}];
  long long size[{capacity}];
  int first[{capacity}];
  int rows;
}};
extern "C" __global__ void nnx_table(const Table t{numbers}) {{
  int low = 0, high = t.rows - 1;  // the last row that begins at this block or before
  while (low < high) {{
    const int middle = (low + high + 1) / 2;
    if (t.first[middle] <= static_cast<int>(blockIdx.x)) low = middle; else high = middle - 1;
  }}
  const unsigned long long* at = t.at[low];
  const long long begin = static_cast<long long>(blockIdx.x - t.first[low]) * {chunk};
  const long long end = t.size[low] < begin + {chunk} ? t.size[low] : begin + {chunk};
  for (long long i = begin + threadIdx.x; i < end; i += {threads}) {{
    {loads}
    {lines}
  }}
}}
"""


class Rows:
    """See Table."""

    def __init__(self, code: Code, one: Callable[[Sequence[Any]], tuple[Array, ...]]) -> None:
        self.code, self.one = code, one
        self.inputs = [code.expression.inputs[k] for k in code.arrays]
        self.outputs = [code.kinds[at] for at in code.expression.outputs]
        self.width = len(self.inputs) + len(self.outputs)
        self.capacity = (ARGUMENTS - 8 - 8 * len(code.numbers)) // (8 * self.width + 12)
        fields = [("at", "u8", (self.capacity, self.width)), ("size", "i8", self.capacity)]
        self.table = np.dtype([*fields, ("first", "i4", self.capacity), ("rows", "i4")], align=True)

    @cached_property
    def kernel(self) -> Any:
        """The kernel, compiled at its first launch on each device."""
        import cupy

        half = any(dtype == np.float16 for dtype in self.code.kinds)
        types = {"float64": "double", "int64": "long long"}
        scalars = zip(self.code.number_types(), self.code.numbers.values(), strict=True)
        loads = [
            f"const {c_type(dtype)}& x{k} = reinterpret_cast<const {c_type(dtype)}*>(at[{j}])[i];"
            for j, (k, dtype) in enumerate(zip(self.code.arrays, self.inputs, strict=True))
        ]
        loads += [
            f"{c_type(dtype)}& y{k} = reinterpret_cast<{c_type(dtype)}*>(at[{len(self.inputs) + k}])[i];"
            for k, dtype in enumerate(self.outputs)
        ]
        source = SOURCE.format(
            include="#include <cupy/carray.cuh>\n#include <cupy/float16.cuh>" if half else "",
            preamble=PREAMBLE,
            capacity=self.capacity,
            width=self.width,
            numbers="".join(f", {types[kind]} {name}" for kind, name in scalars),
            chunk=CHUNK,
            threads=THREADS,
            loads="\n    ".join(loads),
            lines="\n    ".join(self.code.lines),
        )
        return cupy.RawKernel(source, "nnx_table")

    def __call__(self, rows: Sequence[Sequence[Array]], others: Sequence[Any]) -> list[tuple[Array, ...]]:
        """New arrays for every row."""
        found: list[Any] = [None] * len(rows)
        together: dict[int, list[int]] = {}
        for k, row in enumerate(rows):
            order = _order(row)
            if order is None:
                found[k] = self.one([*row, *others])
            else:
                found[k] = self._new(row[0], order)
                if row[0].size:
                    together.setdefault(row[0].device.id, []).append(k)
        values = self.code.values([*rows[0], *others]) if together else []
        for indices in together.values():
            for start in range(0, len(indices), self.capacity):
                self._launch([(*rows[k], *found[k]) for k in indices[start : start + self.capacity]], values)
        return found

    def _new(self, like: Array, order: str) -> tuple[Array, ...]:
        import cupy

        with like.device:
            return tuple([cupy.empty(like.shape, dtype, order) for dtype in self.outputs])

    def _launch(self, rows: list[tuple[Array, ...]], values: list[Any]) -> None:
        table = np.zeros((), self.table)
        sizes = [row[0].size for row in rows]
        blocks = [-(-size // CHUNK) for size in sizes]
        firsts = [sum(blocks[:k]) for k in range(len(blocks))]
        table["at"][: len(rows)] = [[x.data.ptr for x in row] for row in rows]
        table["size"][: len(rows)], table["first"][: len(rows)], table["rows"] = sizes, firsts, len(rows)
        numbers = [
            np.float64(v) if k == "float64" else np.int64(v)
            for k, v in zip(self.code.number_types(), values, strict=True)
        ]
        with rows[0][0].device:
            self.kernel((sum(blocks),), (THREADS,), (table, *numbers))


def _order(row: Sequence[Array]) -> str | None:
    """In which order the arrays of a row all lie in memory, one number behind the other; None if they do not."""
    first = row[0]
    if all(x.flags.c_contiguous and x.shape == first.shape for x in row):
        return "C"
    return "F" if all(x.flags.f_contiguous and x.shape == first.shape for x in row) else None
