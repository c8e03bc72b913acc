"""From a function to its kernels: traced once for each combination of dtypes, static arguments and watched arguments.

A derivative is traced, too: nnx's own rules of differentiation run on the symbols, and write the steps of the backward
pass into the same graph. What they need of the forward pass is kept where computing it again would take longer.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nnx.autodiff.tape import Tape, lift
from nnx.autodiff.thread import thread
from nnx.backend import Backend, innermost
from nnx.backend.expressions import Fuser, Kernel, Literal, Table, is_number
from nnx.fusion.graph import CannotBeFused, Graph
from nnx.fusion.namespace import symbols_of
from nnx.fusion.symbols import NotElementwise, Number, Symbol, wrap
from nnx.typing import Array, Shape

Function = Callable[..., Any]
EXPENSIVE = {
    **dict.fromkeys(("divide", "sqrt", "reciprocal", "astype"), 2.0),
    **dict.fromkeys(("exp", "expm1", "log", "log1p", "log2", "log10", "tanh", "erf", "where"), 5.0),
    **dict.fromkeys(("sin", "cos", "tan", "sinh", "cosh", "asinh", "acosh", "atanh", "atan", "acos", "asin"), 8.0),
    **dict.fromkeys(("pow", "logaddexp", "atan2", "hypot", "remainder", "floor_divide"), 10.0),
}
"""How many cheap functions take as long (measured on NumPy, roughly)."""


class Trace:
    """A function, traced for inputs of these kinds.

    given: for each argument of the function its kind, or (None, value) for a static one
    """

    def __init__(self, function: Function, library: type[Backend], fuser: Fuser, given: Sequence[Any]) -> None:
        self.function, self.library, self.fuser, self.given = function, library, fuser, given
        self.dynamic = tuple(k for k, g in enumerate(given) if type(g) is not tuple)
        self.arrays = [k for k, at in enumerate(self.dynamic) if not is_number(given[at])]
        graph, arguments = self._start()
        returned = function(*arguments)
        self.several = type(returned) is tuple
        self.outputs = _places(graph, returned)
        self.forward = Computation(graph, graph_inputs(graph), self.outputs)
        self.derivatives: dict[Any, Derivative | None] = {}
        self.tables: dict[int, Table | None] = {}

    def table(self, rows: int) -> Table | None:
        """The function of many rows at once, where the library has that. rows: how many arrays each has"""
        if rows not in self.tables:
            takes_all = self.forward.taken[:rows] == list(range(rows))
            self.tables[rows] = self._table(rows) if takes_all else None
        return self.tables[rows]

    def _table(self, rows: int) -> Table | None:
        own = self.fuser.table(self.forward.expression, rows)
        if own is None:
            return None
        numbers = [k - rows for k in self.forward.taken[rows:]]
        return lambda arrays, values: own(arrays, [values[k] for k in numbers])

    def _start(self) -> tuple[Graph, list[Any]]:
        graph = Graph(self.fuser, symbols_of(self.library, self.fuser))
        return graph, [g[1] if type(g) is tuple else wrap(graph, graph.input(g)) for g in self.given]

    def derivative(self, watched: tuple[int, ...]) -> "Derivative | None":
        """The derivative by those inputs (counted without the static arguments); None if the plain function's is to be.

        A rule that chooses by a number's value cannot be traced where the number is an argument: xⁿ for one.
        """
        if watched not in self.derivatives:
            try:
                self.derivatives[watched] = Derivative(self, watched)
            except (CannotBeFused, NotElementwise):
                self.derivatives[watched] = None
        return self.derivatives[watched]


def graph_inputs(graph: Graph) -> list[int]:
    """Where the inputs are, before anything was computed or asked for in between."""
    return [at for at in range(len(graph.kinds)) if at not in graph.steps]


def _places(graph: Graph, returned: Any) -> list[int]:
    """Where the outputs are: each a value of its own, computed in the expression."""
    found: list[int] = []
    for y in returned if type(returned) is tuple else (returned,):
        y = innermost(y)
        if not isinstance(y, Symbol) or y.graph is not graph:
            kind = "a number" if isinstance(y, Number) else type(y).__name__
            raise TypeError(f"a function for nnx.fuse returns an array or a tuple of arrays, got {kind}")
        if not graph.reach[y.at]:
            raise TypeError("a function for nnx.fuse returned what depends on none of its arguments")
        found.append(graph.copy(y.at) if y.at not in graph.steps or y.at in found else y.at)
    return found


class Computation:
    """Some values of a graph, computed from others: one kernel, or one for each shape that outputs have.

    taken: which of the given values it takes, by their positions among them
    """

    def __init__(self, graph: Graph, given: Sequence[int], wanted: Sequence[int]) -> None:
        expression, inputs = graph.expression(given, wanted)
        where = {at: k for k, at in enumerate(given)}
        self.taken = [where[at] for at in inputs]
        self.arrays = [k for k, kind in enumerate(expression.inputs) if not is_number(kind)]
        everything = frozenset(inputs[k] for k in self.arrays)
        self.reach = [sorted(graph.reach[at] & everything) for at in wanted]
        self.splits: list[Computation] | None = None
        self.places = {at: k for k, at in enumerate(inputs)}
        if any(len(reach) < len(everything) for reach in self.reach) and len(wanted) > 1:
            self.splits = [Computation(graph, given, [at]) for at in wanted]
        kernel = graph.fuser.kernel(expression)
        if kernel is None:
            raise CannotBeFused("no kernel")
        self.expression = expression
        self.kernel: Kernel = kernel

    def __call__(self, given: Sequence[Any]) -> tuple[Array, ...]:
        """The values, new arrays."""
        values = [given[k] for k in self.taken]
        if self.splits is not None and not self._alike(values):
            shapes = {stretched([values[self.places[at]].shape for at in reach]) for reach in self.reach}
            if len(shapes) > 1:
                return tuple(split(given)[0] for split in self.splits)
        return self.kernel(values)

    def _alike(self, values: list[Any]) -> bool:
        """Whether all arrays have one shape, and so all outputs."""
        shape = values[self.arrays[0]].shape
        return all([values[k].shape == shape for k in self.arrays])  # noqa: C419 - a list is quicker


def stretched(shapes: Sequence[Shape]) -> Shape:
    """The shape of arrays that are stretched against each other; the library says what is wrong with others."""
    if all(shape == shapes[0] for shape in shapes):
        return tuple(shapes[0])
    n = max(map(len, shapes))
    padded = [(1,) * (n - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(next((size for size in sizes if size != 1), 1) for sizes in zip(*padded, strict=True))


class Derivative:
    """The forward pass, which gives what the backward pass needs behind its own outputs; and the backward pass."""

    def __init__(self, trace: Trace, watched: tuple[int, ...]) -> None:
        graph, arguments = trace._start()
        inputs = graph_inputs(graph)
        with _undisturbed():
            tape = Tape()
            values = [a for a in arguments if isinstance(a, Symbol | Number)]
            leaves = {k: tape.watch(values[k]) for k in watched}
            boxed = {id(v): leaves[k] if k in leaves else lift(v) for k, v in enumerate(values)}
            returned = trace.function(*[boxed.get(id(a), a) for a in arguments])
            ys = returned if type(returned) is tuple else (returned,)
            outputs = _places(graph, returned)
            ends = len(graph.kinds)
            self.seeded = [k for k, y in enumerate(ys) if getattr(y, "tape", None) is tape]
            dys = [graph.input(graph.kinds[outputs[k]]) for k in self.seeded]
            grads = tape.backward([(ys[k], wrap(graph, dy)) for k, dy in zip(self.seeded, dys, strict=True)])
        found = [innermost(grads[leaves[k].index]) for k in watched]
        self.positions = [k for k, dx in zip(watched, found, strict=True) if dx is not None]
        wanted = _own(graph, [dx.at for dx in found if dx is not None])
        kept = _worth_keeping(graph, inputs, outputs, wanted, ends)
        self.forward = Computation(graph, inputs, [*outputs, *(at for at in kept if at not in outputs)])
        self.kept = [([*outputs, *(at for at in kept if at not in outputs)]).index(at) for at in kept]
        self.outputs = len(outputs)
        self.backward = Computation(graph, [*inputs, *kept, *dys], wanted) if wanted else None
        needed = set(self.backward.taken) if self.backward else set()
        self.needed = [k in needed for k in range(len(inputs))]


def _own(graph: Graph, wanted: list[int]) -> list[int]:
    """Each as a value of its own: what is returned is new, and nothing twice."""
    found: list[int] = []
    for at in wanted:
        found.append(graph.copy(at) if at not in graph.steps or at in found else at)
    return found


def _worth_keeping(graph: Graph, inputs: list[int], outputs: list[int], wanted: list[int], ends: int) -> list[int]:
    """The values of the forward pass (those before `ends`) that the backward pass takes from it.

    Outputs are there anyway; others are kept if to compute them again takes more than the library is ready to spend.
    """
    front: set[int] = set()
    for at in graph.needed(wanted, range(ends)):
        if at >= ends and at in graph.steps:
            front.update(a for a in graph.steps[at].args if not isinstance(a, Literal) and a < ends)
    kept = sorted(front.intersection(outputs))
    for at in sorted(front - set(inputs) - set(kept)):
        if is_number(graph.kinds[at]) or not graph.reach[at]:
            continue
        again = graph.needed([at], [*inputs, *kept]) - {*inputs, *kept}
        cost = sum(EXPENSIVE.get(graph.steps[a].name, 1.0) for a in again if not is_number(graph.kinds[a]))
        if cost > graph.fuser.recomputed:
            kept.append(at)
    return kept


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A trace has nothing to do with the tapes that are open around it."""
    kept = thread.open, thread.notes
    thread.open, thread.notes = {}, None
    try:
        yield
    finally:
        thread.open, thread.notes = kept
