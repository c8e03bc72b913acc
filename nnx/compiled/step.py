"""`nnx.compile`: a training step, with all that it changes, as one program of the library's own compiler.

A step reads and changes objects: the model's arrays, the optimizer's slots. A compiler wants a pure function. So the
arrays of the state are gathered, a pure function of them runs the step on tracers, and the results are put back.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from nnx.autodiff.tree import leaves, tree_map
from nnx.backend import Backend, backend_of, is_array
from nnx.compiled.count import Count
from nnx.compiled.state import Model, Slots, carriers, traced
from nnx.typing import Array

READING = (
    "In a step given to nnx.compile no value can be read from an array: float(), bool(), print and if belong outside."
)


def compile(step: Callable[..., Any], *, state: Any = (), donate: bool = True) -> Callable[..., Any]:
    """step, compiled by the library that the state's (or else the arguments') arrays belong to; one trace a form.

    state: Modules and optimizers that the step reads or changes. What else it changes is changed by the trace alone.
    donate: the state's old arrays may be overwritten: one that you took from the model before is gone. Take a
    state_dict, which holds copies, or donate=False.

    On JAX by jax.jit; where the library has no compiler `step` runs as it is. Nests of arrays are traced arguments, all
    else in them is part of what the program is compiled for, as are training and evaluation, what is frozen, shapes,
    dtypes and hyperparameters, but for the learning rate, which may change each step. In a step nothing can be read
    from an array (float, print, if), and host draws (nnx.random.normal) are refused; dropout's masks are drawn anew.

    >>> import nnx
    >>> model, optimizer = nnx.Linear(2, 1), nnx.optim.SGD(lr=0.1)
    >>> loss_and_grads = nnx.value_and_grad(lambda model, x, y: nnx.losses.mse_loss(model(x), y))
    >>> def train_step(x, y):
    ...     loss, grads = loss_and_grads(model, x, y)
    ...     optimizer.update(model, grads)
    ...     return loss
    >>> train_step = nnx.compile(train_step, state=(model, optimizer))
    """
    return functools.wraps(step)(Compiled(step, state, donate))


class Program(NamedTuple):
    """What one trace has left: the compiled function, and how its results are put together."""

    run: Callable[..., Any]
    form: "Form"


class Form:
    """Filled in by the trace: where the results go."""

    def __init__(self) -> None:
        self.output: Any = None  # with a position where an array was
        self.places: list[list[Any]] = []  # for each carrier, where its arrays go
        self.chosen: list[list[int]] = []  # and which of the new arrays these are
        self.moved: list[list[int]] = []


class Compiled:
    """See compile. `traces` says how many programs were made."""

    def __init__(self, step: Callable[..., Any], state: Any, donate: bool) -> None:
        self.step, self.parts, self.donate = step, carriers(state), donate
        self.programs: dict[Any, Program] = {}

    @property
    def traces(self) -> int:
        """How many programs were compiled."""
        return len(self.programs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """See compile."""
        self._make_slots()
        arrays = [part.arrays() for part in self.parts]
        given = leaves([args, kwargs])
        library = _library([x for xs in arrays for x in xs] + [x for x in given if is_array(x)])
        compiler = library.compiler() if library is not None else None
        if compiler is None:
            return self.step(*args, **kwargs)
        unique, places = _once(arrays)
        dynamic = [x for x in given if is_array(x)]
        numbers = [part.numbers() for part in self.parts]
        static = tree_map(lambda x: _Hole if is_array(x) else x, [args, kwargs])
        key = (
            repr(static), tuple(part.key() for part in self.parts), tuple(map(tuple, places)),
            tuple((tuple(x.shape), str(x.dtype)) for x in [*unique, *dynamic]), library,
        )  # fmt: skip
        program = self.programs.get(key)
        if program is None:
            program = self._program(compiler, static, places)
        try:
            new, results = program.run(unique, numbers, dynamic)
        except Exception as error:
            if "Tracer" in type(error).__name__ or "Concret" in type(error).__name__:
                error.add_note(READING)
            raise
        if key not in self.programs:
            self.programs[key] = program
            self._say()
        return self._back(program.form, new, results, numbers)

    def _say(self) -> None:
        """A line in the log for each program: one that is compiled again and again costs more than it saves."""
        import logging

        name, n = getattr(self.step, "__name__", "a step"), len(self.programs)
        logging.getLogger("nnx.compile").info("compiled %s: %d program%s so far", name, n, "s" * (n > 1))

    def _make_slots(self) -> None:
        """An optimizer's slots before a trace, which must find as many arrays as it leaves behind."""
        models = [part.module for part in self.parts if isinstance(part, Model)]
        for part in self.parts:
            if isinstance(part, Slots):
                for model in models:
                    part.prepare(model)

    def _program(self, compiler: Callable[..., Any], static: Any, places: list[list[int]]) -> Program:
        form = Form()

        def pure(
            unique: list[Array], numbers: list[list[Any]], dynamic: list[Array]
        ) -> tuple[list[Array], list[Array]]:
            arrays = [[unique[k] for k in at] for at in places]
            args, kwargs = _filled(static, dynamic)
            counted = [[Count(n) if kind is int else n for n, kind in zip(ns, kinds, strict=True)]
                       for ns, kinds in zip(numbers, kinds_of, strict=True)]  # fmt: skip
            with traced(self.parts, arrays, counted):
                output = self.step(*args, **kwargs)
                form.places = [part.places() for part in self.parts]
                form.moved = [part.moved() for part in self.parts]
                new, form.chosen = _once([part.arrays() for part in self.parts])
            results: list[Array] = []
            form.output = tree_map(lambda x: _kept(x, results), output)
            return new, results

        kinds_of = [[type(n) for n in part.numbers()] for part in self.parts]
        return Program(compiler(pure, (0,) if self.donate else ()), form)

    def _back(self, form: Form, new: list[Array], results: list[Array], numbers: list[list[Any]]) -> Any:
        for part, places, chosen, ns, moves in zip(
            self.parts, form.places, form.chosen, numbers, form.moved, strict=True
        ):
            part.put(places, [new[k] for k in chosen], [n + move for n, move in zip(ns, moves, strict=True)])
        return tree_map(lambda x: results[x.at] if type(x) is _Kept else x, form.output)


class _Hole:
    """Where an array is in a nest of arguments."""


class _Kept:
    """Where an array is among the results. No tuple, which a walk would look into."""

    def __init__(self, at: int) -> None:
        self.at = at


def _kept(x: Any, results: list[Array]) -> Any:
    if not is_array(x):
        return x
    results.append(x)
    return _Kept(len(results) - 1)


def _filled(static: Any, dynamic: list[Array]) -> Any:
    found = iter(dynamic)
    return tree_map(lambda x: next(found) if x is _Hole else x, static)


def _once(arrays: list[list[Array]]) -> tuple[list[Array], list[list[int]]]:
    """Every array once, by identity, and where each was: a shared one must not be donated twice."""
    unique: list[Array] = []
    index: dict[int, int] = {}
    places: list[list[int]] = []
    for xs in arrays:
        for x in xs:
            if id(x) not in index:
                index[id(x)] = len(unique)
                unique.append(x)
        places.append([index[id(x)] for x in xs])
    return unique, places


def _library(arrays: list[Array]) -> type[Backend] | None:
    return backend_of(arrays[0]) if arrays else None
