"""`nnx.compile`: a training step, with all that it changes, as one program of the library's own compiler.

The first call of each form (shapes, dtypes, training or evaluation, what is frozen, ...) traces the step to a program.
A later one asks cheaply whether anything that the form depends on may have changed, and runs the program.
"""

import functools
from collections.abc import Callable, Collection, Sequence
from operator import is_
from sys import getrefcount
from typing import Any

from nnx.autodiff.casting import autocast_dtype
from nnx.autodiff.tree import leaves
from nnx.backend import Backend, backend_of, is_array
from nnx.backend.compiler import Compiler
from nnx.compiled.forms import Found
from nnx.compiled.of_models import Model
from nnx.compiled.of_optimizers import Slots
from nnx.compiled.program import Call, Program, once
from nnx.compiled.state import carriers
from nnx.layers.module import Module
from nnx.optim import Optimizer
from nnx.typing import Array

READING = (
    "In a step given to nnx.compile no value can be read from an array: float(), bool(), print and if belong outside."
)


def compile(step: Callable[..., Any], *, state: Any = (), donate: bool = True) -> Callable[..., Any]:
    """step, compiled by the library that the state's (or else the arguments') arrays belong to; one trace a form.

    state: Modules and optimizers that the step reads or changes. What else it changes is changed by the trace alone.
    donate: the state's old arrays may be overwritten: on JAX and torch one that you took from the model before is gone.
    Take a state_dict, which holds copies, or donate=False. On NumPy an array that you hold is left as it is.

    On JAX by jax.jit; on torch by TorchInductor, which takes tens of seconds for the first call of a form, and seconds
    once its kernels are in its cache (see nnx/backend/torch_compiler.py). On NumPy the step's calls are written down
    and replayed without the framework, to the same bits: `.text` shows them (see nnx/backend/replay). Elsewhere `step`
    runs as it is. Each program is said once, by the logger "nnx.compile".

    Nests of arrays are traced arguments, all else in them is part of what the program is compiled for, as are training
    and evaluation, what is frozen, shapes, dtypes, hyperparameters (but for the learning rate, which may change each
    step) and what is assigned to a module's attributes, private ones left out. In a step nothing can be read from an
    array (float, print, if), and host draws (nnx.random.normal) are refused; dropout's masks are drawn anew. Inside of
    another transform (nnx.grad, jax.jit) `step` runs as it is, as part of that. Raises TypeError for a Module or
    optimizer among the arguments that `state` does not hold.

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


class Ready:
    """A program, and what the state was when it ran last: as long as that holds, no key is made."""

    def __init__(self, program: Program, compiler: Compiler, forms: list[Any], call: Call) -> None:
        self.program, self.form, self.forms = program, compiler.form, forms
        self.state: Sequence[Array] = call.state
        self.kinds = list(map(type, call.numbers))
        self.dtype = autocast_dtype()
        self.guarded = [program.firsts[program.used[k]] for k in program.guarded]
        self.counts: list[int] = []

    def fits(self, call: Call) -> bool:
        """Whether these arrays have the forms of those that the program saw, and share as those did."""
        state, last = call.state, self.state
        if list(map(type, call.numbers)) != self.kinds or len(state) != len(last):
            return False
        if all(map(is_, state, last)):
            return True
        form = self.form
        changed = [(x, y) for x, y in zip(state, last, strict=True) if x is not y]
        return all(form(x) == form(y) for x, y in changed) and once(state)[1] == self.program.at

    def count(self, given: Any) -> None:
        """Note how many references there are to each array that the next call may overwrite: all are nnx's own.

        given: the call's results and arguments, which are a user's: 0 for an array in whose memory one of them lies.
        """
        if not self.guarded:
            return
        state, owner = self.state, self.program.run.owner
        returned = {id(owner(x)) for x in leaves(given) if is_array(x)}
        now = [0 if id(state[k]) in returned else getrefcount(state[k]) for k in self.guarded]
        self.counts = list(map(min, now, self.counts)) if self.counts else now

    def alone(self) -> Collection[int]:
        """The positions of those that nobody has taken a reference to since."""
        if not self.counts:
            return ()
        state = self.state
        return {k for k, count in zip(self.guarded, self.counts, strict=True) if getrefcount(state[k]) <= count}


class Compiled:
    """See compile. `traces` says how many programs were made."""

    def __init__(self, step: Callable[..., Any], state: Any, donate: bool) -> None:
        self.step, self.parts, self.donate = step, carriers(state), donate
        self.programs: dict[Any, Program] = {}
        self.traces = 0
        self.ready: Ready | None = None

    @property
    def text(self) -> str:
        """The program that ran last, in Python, where the library's calls are replayed; "" elsewhere and before."""
        return "" if self.ready is None else getattr(self.ready.program.run, "text", "")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """See compile."""
        alone = self.ready.alone() if self.ready is not None else ()
        output = self._dispatched(args, kwargs, alone)
        if self.ready is not None:
            self.ready.count((output, args, kwargs))
        return output

    def _dispatched(self, args: tuple[Any, ...], kwargs: dict[str, Any], alone: Collection[int]) -> Any:
        ready = self.ready
        if ready is not None and ready.dtype is autocast_dtype() and all(part.still() for part in self.parts):
            found = Found(args, kwargs, ready.form)
            if found.forms == ready.forms:
                call = self._call(found)
                if ready.fits(call):
                    # not what somebody has put into the state since
                    return self._run(ready, call, {k for k in alone if call.state[k] is ready.state[k]})
        return self._anew(args, kwargs)

    def _call(self, found: Found) -> Call:
        state: list[Array] = []
        numbers: list[Any] = []
        for part in self.parts:
            state += part.arrays()
            numbers += part.numbers()
        return Call(state, numbers, found.arrays)

    def _anew(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The program is looked for by its key, and made if there is none."""
        library = self._library(args, kwargs)
        compiler = library.compiler() if library is not None else None
        if library is None or compiler is None:
            return self.step(*args, **kwargs)
        self._make_slots()
        found = Found(args, kwargs, compiler.form)
        call = self._call(found)
        forms = tuple(map(compiler.form, call.state))
        if not found.plain or None in forms:  # part of somebody else's program
            return self.step(*args, **kwargs)
        kinds, same = tuple(map(type, call.numbers)), tuple(once(call.state)[1])
        rest = tuple(found.forms), forms, same, kinds, library, autocast_dtype()
        key, seed = (self._key(), *rest), self.parts[-1].key()
        program = self.programs.get((key, None)) or self.programs.get((key, seed))
        if program is None:
            self._refuse(args, kwargs)
            program, learnt = self._traced(library, compiler, call, [args, kwargs])
            if learnt:
                key = (self._key(), *rest)
            self.programs[key, seed if program.drew else None] = program
        return self._run(Ready(program, compiler, found.forms, call), call)

    def _key(self) -> Any:
        return tuple(part.key() for part in self.parts[:-1])

    def _traced(self, library: type[Backend], compiler: Compiler, call: Call, nest: Any) -> tuple[Program, bool]:
        """A new program, and whether the trace has shown settings that are the step's own."""
        asked = [part.settled() for part in self.parts]
        try:
            program = Program(library, compiler, self.step, self.parts, call, nest)
        except Exception as error:
            if compiler.unread(error):
                error.add_note(READING)
            raise
        program.compiled(self.donate)
        self.traces += 1
        self._say()
        return program, sum(ask() for ask in asked) > 0

    def _run(self, ready: Ready, call: Call, alone: Collection[int] = ()) -> Any:
        program = ready.program
        state, output = program(call, alone)
        self.ready = None  # until all is in its place
        start, numbers = 0, iter(call.numbers)
        for part, places, refs, moves in program.ways:
            stop = start + len(refs)
            if program.steady:
                if refs:
                    part.store(state[start:stop])
                if moves:
                    part.advance(moves)
            else:
                part.put(places, state[start:stop], [next(numbers) + move for move in moves])
            start = stop
        if program.steady:
            ready.state, self.ready = state, ready
        return output

    def _say(self) -> None:
        """A line in the log for each program: one that is compiled again and again costs more than it saves."""
        import logging

        name, n = getattr(self.step, "__name__", "a step"), self.traces
        logging.getLogger("nnx.compile").info("compiled %s: %d program%s so far", name, n, "s" * (n > 1))

    def _library(self, args: Any, kwargs: Any) -> type[Backend] | None:
        for part in self.parts:
            x = part.module._any_array() if isinstance(part, Model) else None
            if x is not None:
                return backend_of(x)
        return next((backend_of(x) for x in leaves([args, kwargs]) if is_array(x)), None)

    def _make_slots(self) -> None:
        """An optimizer's slots before a trace, which must find as many arrays as it leaves behind."""
        models = [part.module for part in self.parts if isinstance(part, Model) and part.module.trainable()]
        for part in self.parts:
            if isinstance(part, Slots):
                for model in models:
                    part.prepare(model)

    def _refuse(self, args: Any, kwargs: Any) -> None:
        """A Module whose arrays would be constants of the program."""
        known = {id(module) for part in self.parts if isinstance(part, Model) for module in part.module.modules()}
        known |= {id(part.optimizer) for part in self.parts if isinstance(part, Slots)}
        for x in leaves([args, kwargs]):
            if isinstance(x, Module | Optimizer) and id(x) not in known:
                raise TypeError(
                    f"a {type(x).__name__} among the arguments of a compiled step, whose arrays would be constants: "
                    "give it to nnx.compile(step, state=...), too"
                )
