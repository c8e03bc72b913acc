"""The tape: operations in the order in which they happened, and the chain rule run over them backwards.

A network is one composite function. Each operation writes down, as it computes, how a gradient flows back through it
(its pullback). The order of recording is a topological order, so that backward needs no sort and no recursion: it pops
the last record, calls its pullback, and adds what reaches the same array along different paths.

Kinds: a rule sees values of one kind. On an outermost tape they are the library's plain arrays; on a tape inside of
another one they are all Vars (plain arrays are lifted to constants), so that rules differentiate themselves.
"""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import Any, Self, TypeAlias, TypeVar, cast
from weakref import ref

from nnx.autodiff.thread import thread
from nnx.autodiff.var import Var
from nnx.backend import MixedBackends, are_mixed, backend_of, innermost, is_array, mixed, namespace
from nnx.typing import Array

Pullback = Callable[[Array], tuple[Any, ...]]
"""dy -> one entry an argument: an array, None, or a function without arguments for one that is costly."""

Record: TypeAlias = tuple[Any, list[tuple[int, int]], Any]
"""Where the result is, (position among the pullback's entries, index) of each watched argument, the pullback.

The result is an index; (range, values) of several; or the range of all that a segment of nnx.checkpoint stands for.
"""

F = TypeVar("F", bound=Callable[..., Any])

_levels = itertools.count(1)


class Tape:
    """Records what is computed from the arrays it watches, until it is closed.

    >>> import numpy as np
    >>> tape = Tape()
    >>> x = tape.watch(np.asarray([1.0, 2.0, 3.0]))
    >>> y = (x * x)[1:]
    >>> tape.gradient(y, [x], np.ones(2))
    [array([0., 4., 6.])]
    """

    __slots__ = ("__weakref__", "_open", "level", "moved", "nested", "nodes", "size", "spent")

    def __init__(self) -> None:
        self.nested = bool(thread.open)
        self._start()
        self.nodes: list[Record] = []
        self.size = 0
        # by id, Vars that were assigned to (x[i] = v), and the index that they had before
        self.moved: dict[int, tuple[Var, int]] = {}
        self.spent = False

    def _start(self) -> None:
        self.level = next(_levels)  # counts up only: the innermost tape has the highest
        self._open: dict[int, ref[Tape]] = thread.open  # of the thread that opened it, whoever closes it
        self._open[self.level] = ref(self)

    def close(self) -> None:
        """Stop recording: this tape's Vars are constants from here on."""
        self._open.pop(self.level, None)
        self.level = 0

    @contextmanager
    def reopened(self, nodes: list[Record], size: int) -> Iterator[None]:
        """Inside of the block a tape that is closed records again: into `nodes`, counting from `size`."""
        kept = self.nodes, self.size, self.moved
        self.nodes, self.size, self.moved = nodes, size, dict(self.moved)
        self._start()
        try:
            yield
        finally:
            self.close()
            self.nodes, self.size, self.moved = kept

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def watch(self, x: Array) -> Var:
        """x as a Var of this tape. Raises TypeError unless x is an array of real or complex floating numbers."""
        x = resolve(x)
        if not is_array(x):
            raise TypeError(
                f"cannot watch {type(x).__name__}: expected a floating array, e.g. nnx.asarray(x, 'float32')"
            )
        if not backend_of(x).is_inexact(x.dtype):
            raise TypeError(
                f"gradients are taken with respect to floating arrays, got dtype {x.dtype}: convert it first"
            )
        var: Var = self.record(lift(x) if self.nested else x)
        return var

    def record(
        self, value: Array, parents: list[tuple[int, int]] | None = None, pullback: Pullback | None = None
    ) -> Any:
        """A new Var of this tape with that value, and how a gradient flows from it back to its parents.

        parents: (position among the pullback's entries, index) for each watched argument
        """
        if type(value) is tuple:
            index = range(self.size, self.size + len(value))
            self.size += len(value)
            if pullback is not None and parents is not None:
                self.nodes.append(((index, value), parents, pullback))
            return tuple(Var(v, self, i) for v, i in zip(value, index, strict=True))
        at = self.size
        self.size = at + 1
        if pullback is not None and parents is not None:
            self.nodes.append((at, parents, pullback))
        return Var(value, self, at)

    def backward(self, seeds: Iterable[tuple[Var, Array]], keep: bool = False) -> list[Array | None]:
        """The gradient of every recorded array that was not consumed on the way, by index; closes the tape.

        seeds: pairs of a Var of this tape and ∂L/∂Var.  keep: leave the records for another call.
        Each record is dropped, with all that its pullback kept, as soon as it has run.
        """
        self.close()
        if self.spent:
            raise RuntimeError("this tape's records were freed by an earlier backward pass: take nnx.vjp for several")
        self.spent = not keep
        grads: list[Array | None] = [None] * self.size
        for var, dy in seeds:
            g = grads[var.index]
            grads[var.index] = dy if g is None else g + dy
        nodes = list(self.nodes) if keep else self.nodes
        while nodes:
            out, parents, pullback = nodes.pop()
            if type(out) is int:
                dy = grads[out]
                grads[out] = None
            elif type(out) is range:
                pullback(nodes, grads)
                continue
            else:
                dy = _together(grads, *out)
            if dy is None:
                continue
            entries = pullback(dy)
            if type(entries) is not tuple:
                raise _no_tuple(pullback, entries)
            for position, parent in parents:
                d = entries[position]
                if type(d) is FunctionType:
                    d = d()
                if d is None:
                    continue
                # several upstream gradients are summed: out of place, as one dy may have gone to two parents
                g = grads[parent]
                grads[parent] = d if g is None else g + d
            entries = pullback = dy = d = g = None  # or they would live until the next ones are there
        return grads

    def gradient(self, y: Var, inputs: list[Var], dy: Array) -> list[Array | None]:
        """∂⟨y, dy⟩/∂input for each input, None where y does not depend on it. dy has the shape of y."""
        if y.tape is not self:
            return [None] * len(inputs)
        grads = self.backward([(y, lift(dy) if self.nested else resolve(dy))])
        return [grads[x.index] for x in inputs]


def _no_tuple(pullback: Pullback, entries: Any) -> TypeError:
    """The error of a pullback that returned an array: taken for a tuple, it would come apart in silence."""
    return TypeError(
        f"the pullback of {pullback.__qualname__.partition('.<locals>.<lambda>')[0]} returned "
        f"{type(entries).__name__}: return a tuple with one entry for each argument, lambda dy: (dx,) for one "
        "(nnx.check_rule tries a rule)"
    )


def _together(grads: list[Array | None], index: range, values: tuple[Array, ...]) -> tuple[Array, ...] | None:
    """What arrived at the outputs of a record that has several, zeros where nothing came; None if nothing did."""
    dys = [grads[i] for i in index]
    for i in index:
        grads[i] = None
    if all(dy is None for dy in dys):
        return None
    return tuple(namespace(v).zeros_like(v) if dy is None else dy for dy, v in zip(dys, values, strict=True))


def resolve(x: Array) -> Array:
    """x without the boxes that record nothing any more: constants, and Vars of a tape that is closed."""
    while type(x) is Var and (x.tape is None or x.tape.level == 0):
        x = x.value
    return x


def lift(x: Any) -> Any:
    """An array as a Var (a constant, if nothing watches it); anything else as it is."""
    if type(x) is Var or not is_array(x):
        return x
    return Var(x)


def op(rule: F) -> F:
    """Make a rule a function that records itself when one of its arguments is watched.

    rule(x, w, ..., option=...) -> (y, pullback); pullback(dy) returns one entry for each positional argument: an array,
    None where there is no gradient, or a function without arguments for a costly one. y may be a tuple; dy is one then.

    >>> import numpy as np
    >>> @op
    ... def cube(x):
    ...     return x * x * x, lambda dy: (dy * (3 * x * x),)
    >>> float(cube(np.asarray(2.0)))
    8.0
    """
    return recorded(rule, boxes=False)


def recorded(rule: F, boxes: bool) -> F:
    """See op. boxes: results are Vars even if no argument is one, as in a namespace."""

    @functools.wraps(rule)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs and any(type(v) is Var for v in kwargs.values()):
            args, kwargs = _positional(rule, args, kwargs)
        # the common case in one pass: plain arrays, constants, and Vars of one outermost tape
        tape: Tape | None = None
        values: list[Any] = []
        parents: list[tuple[int, int]] = []
        boxed = boxes
        for a in args:
            if type(a) is Var:
                boxed, t = True, a.tape
                if t is not None:
                    if t is not tape:
                        if tape is not None or t.nested or not t.level:
                            return _guarded(_call_anywhere, rule, args, kwargs)
                        tape = t
                    parents.append((len(values), a.index))
                a = a.value
            values.append(a)
        if tape is None:
            y = _guarded(_plain, rule, values, kwargs)
            return (tuple(map(lift, y)) if type(y) is tuple else lift(y)) if boxed else y
        try:
            y, pullback = rule(*values, **kwargs)
        except ERRORS as error:
            if _from_mixing(error, args):
                raise mixed(*args) from error
            raise
        if type(y) is tuple:
            return tape.record(y, parents, pullback)
        at = tape.size
        tape.size = at + 1
        tape.nodes.append((at, parents, pullback))
        return Var(y, tape, at)

    return cast(F, call)


ERRORS = (TypeError, ValueError, RuntimeError)


def _plain(rule: Callable[..., Any], values: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    return rule(*values, **kwargs)[0]


def _guarded(call: Callable[..., Any], rule: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    try:
        return call(rule, args, kwargs)
    except ERRORS as error:
        if _from_mixing(error, args):
            raise mixed(*args) from error
        raise


def _from_mixing(error: Exception, args: Sequence[Any]) -> bool:
    """Whether the library's own error came of mixing two libraries or devices: another names both sides."""
    return not isinstance(error, MixedBackends) and are_mixed(*args)


def _call_anywhere(rule: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Run the rule on the values underneath the innermost tape, all of one kind, and write it down there."""
    args = [resolve(a) for a in args]  # a Var of a tape that is closed may hold one of a tape that is not
    tapes = [a.tape for a in args if type(a) is Var and a.tape is not None and a.tape.level]
    tape = max(tapes, key=lambda t: t.level, default=None)
    values = [a.value if type(a) is Var and a.tape is tape and tape else a for a in args]
    if tape is None:
        y = rule(*values, **kwargs)[0]
        return tuple(map(lift, y)) if type(y) is tuple else lift(y)
    if tape.nested:
        values = [lift(v) for v in values]
    y, pullback = rule(*values, **kwargs)
    return tape.record(y, [(k, a.index) for k, a in enumerate(args) if type(a) is Var and a.tape is tape], pullback)


def _positional(rule: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """Arrays that were given by name, in the rule's order: only positional arguments are differentiated."""
    bound = inspect.signature(rule).bind(*args, **kwargs)
    bound.apply_defaults()
    if any(type(v) is Var for v in bound.kwargs.values()):
        raise TypeError(
            f"{rule.__name__} takes arrays as positional arguments only: one given by keyword has no gradient"
        )
    return bound.args, bound.kwargs


def stop_gradient(x: Array) -> Array:
    """x, as a constant: no gradient flows through it, at any level. A plain array is returned as it is."""
    return Var(innermost(x)) if type(x) is Var else x
