"""One trace of a step: the compiled function, which of the state's arrays it replaces, and how its results are put.

A step reads and changes objects: the model's arrays, the optimizer's slots. A compiler wants a pure function. So the
arrays of the state are gathered, a pure function of them runs the step on tracers, and where its results belong is
written down. An array that the step leaves as it is takes no part in that: it is neither donated nor returned.
"""

from collections.abc import Callable, Collection, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from nnx.autodiff.tree import tree_map
from nnx.backend import Backend, is_array
from nnx.backend.arrays import backend_of
from nnx.backend.compiler import Compiler
from nnx.compiled.count import Count
from nnx.compiled.forms import picking
from nnx.compiled.state import Carrier, traced
from nnx.typing import Array


class Call(NamedTuple):
    """What one call of a step gives.

    state: the arrays of all carriers, in order   numbers: likewise   given: the arrays among the arguments
    """

    state: list[Array]
    numbers: list[Any]
    given: list[Array]


class Program:
    """See the module.

    firsts: for each of the state's arrays once, its position in `state`   used: which inputs it takes: these arrays,
    then numbers, then arrays of the arguments
    places, moved, after: for each carrier, what it has after the step: where arrays stand, by how much numbers moved,
    and for each place the input that stays (>= 0) or the output that goes there (~k)
    steady: whether every place was there before, so that the next call finds what this one has left
    """

    def __init__(
        self,
        library: type[Backend],
        compiler: Compiler,
        step: Callable[..., Any],
        parts: list[Carrier],
        call: Call,
        nest: Any,
    ) -> None:
        """nest: [args, kwargs] of the step"""
        self.library, self.step, self.parts, self.nest = library, step, parts, nest
        self.firsts, self.at = once(call.state)
        self.number = compiler.number if compiler.converts else None
        self.places: list[list[Any]] = []
        self.moved: list[list[int]] = []
        self.after: list[list[int]] = []
        self.rebuild: Callable[[list[Array]], Any] = lambda results: None
        self.new = 0
        self._shared = len(self.firsts) < len(call.state)
        before = [part.places() for part in parts]
        inputs = self._inputs(call)
        self.used, self._build = compiler.trace(lambda tracers: self._pure(call, tracers), inputs)
        flat = [ref for refs in self.after for ref in refs]
        self.steady = self.places == before and once(flat)[1] == self.at
        self.drew = any(self.moved[-1])
        self.ways = list(zip(parts, self.places, self.after, self.moved, strict=True))
        self.run: Any = None
        self.guarded: list[int] = []
        self._take = picking(self.used)
        self._lay = picking([ref if ref >= 0 else len(inputs) + ~ref for ref in flat])
        del self.nest  # what the arguments hold is not kept

    def compiled(self, donate: bool) -> None:
        """Compile it. donate: what it replaces may be overwritten"""
        kept = {ref for refs in self.after for ref in refs}
        replaced = [k for k in self.used if k < len(self.firsts) and k not in kept]
        self.run = self._build(replaced if donate else [])
        self.guarded = list(getattr(self.run, "overwrites", ()))

    def _inputs(self, call: Call) -> list[Any]:
        state = [call.state[k] for k in self.firsts] if self._shared else call.state
        numbers = call.numbers if self.number is None else map(self.number, call.numbers)
        return [*state, *numbers, *call.given]

    def _pure(self, call: Call, inputs: list[Any]) -> list[Array]:
        """The step on tracers; returns the new arrays of the state, each once, and the results."""
        n, given = len(self.firsts), iter(inputs)
        unique = [next(given) for _ in range(n)]
        at = iter(self.at)
        states = [[unique[next(at)] for _ in part.arrays()] for part in self.parts]
        numbers = [_counted(next(given), number) for number in call.numbers]
        args, kwargs = tree_map(lambda x: next(given) if is_array(x) else x, self.nest)
        with traced(self.parts, states, numbers):
            output = self.step(*args, **kwargs)
            self.places = [part.places() for part in self.parts]
            self.moved = [part.moved() for part in self.parts]
            arrays = [part.arrays() for part in self.parts]
        index = {id(x): k for k, x in enumerate(unique)}
        outputs: list[Array] = []
        self.after = [[_ref(x, index, outputs) for x in xs] for xs in arrays]
        self.new = len(outputs)
        results: list[Array] = []
        self.rebuild = rebuilding(tree_map(lambda x: self._kept(x, results), output))
        return [*outputs, *results]

    def _kept(self, x: Any, results: list[Array]) -> Any:
        if not is_array(x) or not issubclass(backend_of(x), self.library):
            return x
        results.append(x)
        return Kept(len(results) - 1)

    def __call__(self, call: Call, alone: Collection[int]) -> tuple[Sequence[Array], Any]:
        """The state's arrays afterwards, at the places of all carriers, and what the step returns.

        alone: the positions in the state of arrays that nobody but nnx.compile can reach
        """
        inputs = self._inputs(call)
        given = self._take(inputs)
        if self.guarded:
            given = list(given)
            for k in self.guarded:
                given[k] = self.run.own(given[k], self.firsts[self.used[k]] in alone)
        outputs = self.run(*given)
        return self._lay([*inputs, *outputs]), self.rebuild(outputs[self.new :])


def once(xs: list[Any]) -> tuple[list[int], list[int]]:
    """Where each object stands first, and for each position which of those it is: what is shared is donated once."""
    index: dict[Any, int] = {}
    firsts: list[int] = []
    at: list[int] = []
    for position, x in enumerate(xs):
        key = x if type(x) is int else id(x)
        if key not in index:
            index[key] = len(firsts)
            firsts.append(position)
        at.append(index[key])
    return firsts, at


def _counted(tracer: Any, number: int | float) -> Any:
    return Count(tracer) if type(number) is int else tracer


def _ref(x: Array, index: dict[int, int], outputs: list[Array]) -> int:
    """The place of x among the inputs, or ~ its place among the outputs, to which it is added."""
    if id(x) not in index:
        outputs.append(x)
        index[id(x)] = ~(len(outputs) - 1)
    return index[id(x)]


class Kept:
    """Where an array is among the results. No tuple, which a walk would look into."""

    def __init__(self, at: int) -> None:
        self.at = at


def rebuilding(output: Any) -> Callable[[list[Array]], Any]:
    """What makes the nest again from the arrays that stood in it."""
    if type(output) is Kept:
        return itemgetter(output.at)
    if type(output) in (tuple, list):
        inside = [rebuilding(x) for x in output]
        kind = type(output)
        return lambda results: kind([f(results) for f in inside])
    if type(output) is dict:
        named = {key: rebuilding(x) for key, x in output.items()}
        return lambda results: {key: f(results) for key, f in named.items()}
    if isinstance(output, dict | list | tuple):
        return lambda results: tree_map(lambda x: results[x.at] if type(x) is Kept else x, output)
    return lambda results: output
