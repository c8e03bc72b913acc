"""Elementwise expressions in NumPy: its own functions, one after another, over blocks that stay in the cache.

A plan says for each step which function runs on which registers. Registers of the inputs and outputs are blocks of
their arrays; those of what lies in between are scratch, one block long, and used again as soon as nobody needs them.
A whole array's temporaries would go to memory and back once a step.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from threading import local
from typing import Any

import numpy as np

from nnx.backend import numba_fusion, numbers, numpy_memory, numpy_threads, ufuncs
from nnx.backend.expressions import Argument, Expression, Fuser, Kernel, Kind, Literal, Step, is_number
from nnx.typing import Array, DType, Shape

BLOCK = 1 << 15
"""Elements of a block: a handful of registers of four or eight bytes each stay in a core's second cache."""


class NumpyFuser(Fuser):
    """See Fuser."""

    array = np.ndarray
    recomputed = 3.0
    smallest = 1 << 15  # below, calls cost more than passes through memory (measured)
    rules = False  # a relu takes 356 µs in place of 298, a tanh 347 in place of 289 (measured, 800,000 numbers)

    def result(self, name: str, kinds: Sequence[Kind]) -> DType | None:
        """See Fuser.result."""
        return ufuncs.result(name, kinds)

    def kernel(self, expression: Expression) -> Kernel | None:
        """See Fuser.kernel."""
        return Plan(expression)


class Plan:
    """An expression as a Python function of one block, written anew for it, and what calls it block by block.

    block(*inputs, *constants, *scratch, *outputs): a line a step. constants: numbers of the call, in the dtype in which
    they are used   literals: those of the expression
    """

    def __init__(self, expression: Expression) -> None:
        self.expression = expression
        self.numbers = numbers.of_numbers(expression)
        self.kinds = expression.kinds()
        self.arrays = [k for k, kind in enumerate(expression.inputs) if not is_number(kind)]
        self.dtypes = [self.kinds[at] for at in expression.outputs]
        self.constants: dict[tuple[int, DType], str] = {}
        self.scratch: list[DType] = []
        self.globals: dict[str, Any] = {}
        self.block = self._written()
        self.loop, self.computed = numba_fusion.loop(expression), 0
        self.over = self._over()
        self.layout = _LAYOUTS.setdefault(tuple(self.scratch), len(_LAYOUTS))

    def _over(self) -> list[list[int]]:
        """For each output the inputs over which it may be written: of its dtype, and read no more once it is there."""
        first, last = len(self.expression.inputs), _last_uses(self.expression)
        return [
            [k for k in self.arrays if self.kinds[k] == self.kinds[at] and last.get(k, -1) <= at - first]
            for at in self.expression.outputs
        ]

    def _written(self) -> Callable[..., None]:
        first, lines = len(self.expression.inputs), list[str]()
        names = {k: f"x{k}" for k in self.arrays} | {at: f"y{k}" for k, at in enumerate(self.expression.outputs)}
        last, free = _last_uses(self.expression), dict[DType, list[str]]()
        for k, step in enumerate(self.expression.steps):
            at = first + k
            if is_number(step.kind):
                continue
            if step.name == "full" and at not in names:
                names[at] = self._constant(step.args[0], step.kind)
                continue
            given = [self._named(a, dtype, names) for a, dtype in zip(step.args, self._dtypes(step), strict=True)]
            for a in {a for a in step.args if isinstance(a, int) and last[a] == k and names.get(a, "")[:1] == "s"}:
                free.setdefault(self.kinds[a], []).append(names[a])  # before: a function may write where it reads
            if at not in names:
                waiting = free.get(step.kind)
                names[at] = waiting.pop() if waiting else self._new(step.kind)
            lines.append(f"    {self._function(step)}({', '.join(given)}, out={names[at]})")
        inputs = [f"x{k}" for k in self.arrays]
        scratch = [f"s{k}" for k in range(len(self.scratch))]
        outputs = [f"y{k}" for k in range(len(self.dtypes))]
        header = f"def block({', '.join([*inputs, *self.constants.values(), *scratch, *outputs])}):"
        exec("\n".join([header, *lines]), self.globals)
        found: Callable[..., None] = self.globals["block"]
        return found

    def _dtypes(self, step: Step) -> Sequence[DType]:
        """In which dtypes the function takes its arguments."""
        if step.name in ("astype", "full"):
            return [step.kind]
        kinds = tuple(type(a.value) if isinstance(a, Literal) else self.kinds[a] for a in step.args)
        found = ufuncs.resolved(step.name, kinds)
        if found is None:
            raise TypeError(f"{step.name} takes no {kinds}")
        return found[:-1]

    def _named(self, argument: Argument, dtype: DType, names: dict[int, str]) -> str:
        if isinstance(argument, Literal) or is_number(self.kinds[argument]):
            return self._constant(argument, dtype)
        return names[argument]

    def _constant(self, argument: Argument, dtype: DType) -> str:
        """The name of a number: one that is known is written into the function."""
        if isinstance(argument, Literal):
            name = f"c{len(self.globals)}"
            self.globals[name] = np.asarray(argument.value, dtype)
            return name
        return self.constants.setdefault((argument, dtype), f"n{len(self.constants)}")

    def _new(self, dtype: DType) -> str:
        self.scratch.append(dtype)
        return f"s{len(self.scratch) - 1}"

    def _function(self, step: Step) -> str:
        self.globals[f"f_{step.name}"] = _OTHERS.get(step.name) or ufuncs.UFUNCS[step.name]
        return f"f_{step.name}"

    # ---- a call --------------------------------------------------------------------------------------------------

    def __call__(self, given: Sequence[Any], out: Sequence[Array | None] = ()) -> tuple[Array, ...]:
        """See Kernel. Results lie in memory as the first array does: a convolution that comes next counts on that.

        out: for each output None, or one of the inputs in `over`, which it may write to
        """
        arrays = [given[k] for k in self.arrays]
        if not arrays[0].flags.c_contiguous and all(x.ndim == arrays[0].ndim for x in arrays):
            return self._turned(given, arrays[0])
        shape = arrays[0].shape
        if any(x.shape != shape for x in arrays):
            shape = np.broadcast_shapes(*[x.shape for x in arrays])
        places = [y if y is not None and y.shape == shape else None for y in out] or [None] * len(self.dtypes)
        pairs = zip(places, self.dtypes, strict=True)
        made = [numpy_memory.empty(shape, dtype) if y is None else y for y, dtype in pairs]
        size = math.prod(shape)
        if size > BLOCK and self._looped(given, arrays, made, size):
            return tuple(made)
        constants = self._constants(given) if self.constants else []
        if size <= BLOCK:
            self.block(*arrays, *constants, *self._buffers(shape), *made)
        else:
            self._blocks(arrays, constants, made, shape, size)
        return tuple(made)

    def _turned(self, given: Sequence[Any], first: Array) -> tuple[Array, ...]:
        """The same with the axes in the order in which the first array's lie."""
        order = sorted(range(first.ndim), key=lambda axis: -first.strides[axis])
        if order == list(range(first.ndim)):  # in order, but with gaps
            turned = [np.ascontiguousarray(x) if x is first else x for x in given]
            return self(turned)
        back = np.argsort(order)
        turned = [x.transpose(order) if k in self.arrays else x for k, x in enumerate(given)]
        return tuple([y.transpose(back) for y in self(turned)])

    def _constants(self, given: Sequence[Any]) -> list[Array]:
        values = [*given, *[None] * len(self.expression.steps)]
        numbers.compute(self.expression, self.numbers, values)
        return [np.asarray(values[at], dtype) for at, dtype in self.constants]

    def _looped(self, given: Sequence[Any], arrays: list[Array], made: list[Any], size: int) -> bool:
        """Let numba's loop do it, if there is one, and it is called often. It raises no floating-point errors."""
        if self.loop is None or not all(x.size == size and x.flags.c_contiguous for x in arrays):
            return False
        self.computed += size
        if self.computed <= numba_fusion.AFTER or "raise" in np.geterr().values():
            return False
        run, values = self.loop, self.loop.values(given)
        flat, outputs = [x.reshape(-1) for x in arrays], [y.reshape(-1) for y in made]
        over = tuple([next((k for k, x in enumerate(arrays) if x is y), None) for y in made])

        def part(key: Any) -> None:
            run([x[key] for x in flat], values, [y[key] for y in outputs], over)

        threads = numpy_threads.wanted(size)
        if threads < 2:
            run(flat, values, outputs, over)
        else:
            numpy_threads.each(part, [key[0] for key in _keys((size,), -(-size // threads))])
        return True

    def _blocks(self, arrays: list[Array], constants: list[Array], made: list[Any], shape: Shape, size: int) -> None:
        """Run over all blocks; of large arrays several at once."""
        if all(x.shape == shape and x.flags.c_contiguous for x in [*arrays, *made]):
            arrays, made, shape = [x.reshape(-1) for x in arrays], [y.reshape(-1) for y in made], (size,)
        else:
            arrays = [np.broadcast_to(x, shape) for x in arrays]
        threads = numpy_threads.wanted(size)

        def run(keys: Any) -> None:
            for key in keys:
                outputs = [y[key] for y in made]
                self.block(*[x[key] for x in arrays], *constants, *self._buffers(outputs[0].shape), *outputs)

        if threads < 2:
            run(_keys(shape, BLOCK))
        else:
            numpy_threads.each(run, list(_keys(shape, min(numpy_threads.BLOCK, -(-size // threads)))))

    def _buffers(self, shape: Shape) -> list[Array]:
        """The scratch registers of this thread, for a block of that shape."""
        if not self.scratch:
            return []
        key = self.layout, shape
        try:
            return _SCRATCH.views[key]
        except KeyError:
            if len(_SCRATCH.views) > 64:
                _SCRATCH.views.clear()
            found = _SCRATCH.views[key] = [_register(k, dtype, shape) for k, dtype in enumerate(self.scratch)]
            return found


def _last_uses(expression: Expression) -> dict[int, int]:
    """After which step each value is no longer needed."""
    return {a: k for k, step in enumerate(expression.steps) for a in step.args if isinstance(a, int)}


def _keys(shape: Shape, block: int) -> Iterator[Any]:
    """What cuts an array of that shape into blocks of about so many elements, whole rows together."""
    inner = math.prod(shape)
    axis = 0
    while inner // shape[axis] > block:
        inner //= shape[axis]
        axis += 1
    length = max(1, block // (inner // shape[axis]))
    for before in np.ndindex(shape[:axis]):
        for start in range(0, shape[axis], length):
            yield (*before, slice(start, start + length))


class _Scratch(local):
    def __init__(self) -> None:
        self.memory: dict[int, Array] = {}
        self.views: dict[tuple[int, Shape], list[Array]] = {}


_SCRATCH = _Scratch()
_LAYOUTS: dict[tuple[DType, ...], int] = {}


def _register(k: int, dtype: DType, shape: Shape) -> Array:
    """The k-th piece of scratch memory: kept for the next call, as the system would clear new memory first."""
    nbytes = math.prod(shape) * dtype.itemsize
    memory = _SCRATCH.memory.get(k)
    if memory is None or memory.nbytes < nbytes:
        memory = _SCRATCH.memory[k] = np.empty(max(nbytes, 8 * BLOCK), np.uint8)
    return memory[:nbytes].view(dtype).reshape(shape)


def _copy(x: Any, out: Array) -> None:
    np.copyto(out, x, casting="unsafe")


def _where(condition: Any, a: Any, b: Any, out: Array) -> None:
    np.copyto(out, np.where(condition, a, b), casting="unsafe")


_OTHERS: dict[str, Callable[..., None]] = {"astype": _copy, "full": _copy, "where": _where}


@cache
def fuser() -> NumpyFuser:
    """One for the process."""
    return NumpyFuser()
