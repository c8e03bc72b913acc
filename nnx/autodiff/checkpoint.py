"""nnx.checkpoint: keep what went into a function and none of its steps; backward runs it again (Griewank and Walther).

A tape keeps of every step what its pullback needs. The steps of a checkpointed function are taken off the tape as soon
as it has returned, and one record, a segment, stands for all of them. When backward comes to it, the tape is opened
again, the function runs again, and its steps are recorded where the segment was, under the same numbers: backward then
goes on as if they had always been there. So whatever the function closes over gets its gradient as an argument does.
"""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from nnx.autodiff.tape import Record, Tape
from nnx.autodiff.thread import noting, open_tapes, undone
from nnx.autodiff.tree import assigned, tree_map
from nnx.autodiff.var import Var
from nnx.backend import kernel
from nnx.typing import Array

Function = Callable[..., Any]
Scene = Callable[[], AbstractContextManager[Any]]

scenes: list[Callable[[], Scene]] = []
"""What else a second run must find as it was (random numbers): each notes it now, and gives what brings it back."""


def checkpoint(f: Function) -> Function:
    """The function f, which keeps its arguments for the backward pass, and recomputes the rest there.

    f: a function or a Module, of any arguments and results; it runs twice and must do the same both times. A chain of n
    steps in √n checkpointed pieces needs memory for 2√n steps in place of n, for one more forward pass.

    The second run draws the random numbers of the first (dropout drops the same), and sees the attributes of Modules
    as the first saw them; what it writes to them (running statistics) is dropped. An assignment x[i] = v to an argument
    stays inside of f. Outside of a transform, f just runs. Under `jax.jit` a barrier keeps XLA from merging the runs,
    as `jax.checkpoint` does (XLA for the CPU ignores either). In a gradient of a gradient, the
    outer one keeps its steps. As torch.utils.checkpoint.
    Raises RuntimeError in the backward pass if the second run does not take the same steps.

    >>> import nnx
    >>> block = nnx.Linear(2, 2)
    >>> def loss(block, x):
    ...     h = nnx.checkpoint(block)(x)
    ...     return nnx.namespace(h).sum(h * h)
    >>> grads = nnx.grad(loss)(block, nnx.asarray([[1.0, 2.0]], "float32"))
    >>> sorted(grads)
    ['bias', 'weight']
    """
    if not callable(f):
        raise TypeError(f"checkpoint takes a function or a Module, got {type(f).__name__}: checkpoint(f)(*args)")

    @functools.wraps(f, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        tapes = [(tape, len(tape.nodes), tape.size) for tape in open_tapes()]
        if not tapes:
            return f(*args, **kwargs)
        run = _Run(f, args, kwargs)
        y = run.first()
        for tape, records, start in tapes:
            if len(tape.nodes) > records:  # the innermost tape that anything was written on
                segment = _Segment(run, tape, start, tape.nodes[records:])
                tape.nodes[records:] = [(range(start, tape.size), [(0, i) for i in segment.outside], segment)]
                break
        run.notes = [note for note in run.notes if note.alive]  # others are of what f made for itself
        return y

    return call


class _Run:
    """A call that can be made again, in the circumstances of the first one."""

    def __init__(self, f: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.f = f
        self.args, self.kwargs = _again((args, kwargs))
        self.scenes = [note() for note in scenes]

    def first(self) -> Any:
        """Call it, and remember what it writes to."""
        args, kwargs = _again((self.args, self.kwargs))
        with noting() as self.notes:
            return self.f(*args, **kwargs)

    def second(self) -> None:
        """Call it as it was called, and leave no trace."""
        pending = len(assigned.pending)
        args, kwargs = _again((self.args, self.kwargs), _apart)
        with ExitStack() as circumstances:
            for scene in self.scenes:
                circumstances.enter_context(scene())
            circumstances.enter_context(undone(self.notes))
            written: list[Any] = []
            try:
                with noting() as written:
                    self.f(*args, **kwargs)
            finally:
                for note in reversed(written):
                    note()
                del assigned.pending[pending:]


class _Segment:
    """The record of a checkpointed call: for all the steps that a tape had from `start` on.

    outside: the indices of the arrays that went into it, arguments or not
    """

    def __init__(self, run: _Run, tape: Tape, start: int, records: list[Record]) -> None:
        self.run, self.tape, self.start, self.stop = run, tape, start, tape.size
        self.outside = _outside(records, start)
        for key in [key for key, (_, index) in tape.moved.items() if index >= start]:
            del tape.moved[key]

    def __call__(self, nodes: list[Record], grads: list[Array | None]) -> None:
        """Put the steps themselves at the end of the records that backward works off, if any of them matters."""
        if all(grads[i] is None for i in range(self.start, self.stop)):
            return
        before = len(nodes)
        with self.tape.reopened(nodes, self.start):
            self.run.second()
            stop = self.tape.size
        if stop != self.stop or _outside(nodes[before:], self.start) != self.outside:
            raise RuntimeError(
                f"a checkpointed function ({getattr(self.run.f, '__name__', type(self.run.f).__name__)}) took other "
                f"steps in the backward pass ({stop - self.start} arrays) than in the forward pass "
                f"({self.stop - self.start}): what it does may depend on its arguments, on Modules and on nnx's random "
                "numbers, but on nothing that has changed in between"
            )


def _outside(records: list[Record], start: int) -> frozenset[int]:
    """The indices below `start` that these records lead back to."""
    return frozenset(i for _, parents, _ in records for _, i in parents if i < start)


def _again(tree: Any, value: Callable[[Array], Array] = lambda x: x) -> Any:
    """The nest with a new Var for each: an assignment x[i] = v would change the Var itself."""
    return tree_map(lambda x: Var(value(x.value), x.tape, x.index) if type(x) is Var else x, tree)


def _apart(x: Array) -> Array:
    """x, as something that a compiler may not know to be x: it would merge the second run with the first."""
    barrier = kernel("barrier", x)
    return x if barrier is None else barrier(x)
