"""nnx.fuse: an elementwise function as one kernel, forward and backward."""

import functools
import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from nnx.autodiff.rules.common import like, unbroadcast
from nnx.autodiff.tape import lift, op, resolve
from nnx.autodiff.var import Var
from nnx.backend import Backend, are_mixed, backend_of, innermost, is_array, mixed, namespace, number_of
from nnx.backend.expressions import Fuser
from nnx.fusion.graph import CannotBeFused
from nnx.fusion.namespace import is_real
from nnx.fusion.tracing import Derivative, Trace, stretched
from nnx.typing import Array

_SWITCH: ContextVar[bool] = ContextVar(
    "nnx.fusion", default=os.environ.get("NNX_FUSE", "1") not in ("0", "false", "off")
)


@contextmanager
def enabled(on: bool) -> Iterator[None]:
    """Inside of the block functions of nnx.fuse are fused, or (False) called as they are written.

    Outside of every such block `NNX_FUSE=0`, in the environment when nnx.fusion is imported, turns fusing off.
    """
    token = _SWITCH.set(on)
    try:
        yield
    finally:
        _SWITCH.reset(token)


def is_enabled() -> bool:
    """Whether functions of nnx.fuse are fused here."""
    return _SWITCH.get()


class Fused:
    """See fuse. `plain` is the function as it was written."""

    def __init__(self, plain: Callable[..., Any], one_record: bool = False) -> None:
        self.plain = plain
        self.one_record = one_record  # also as it is it makes one record: a small array gains nothing
        self.traces: dict[Any, Trace | None] = {}
        functools.update_wrapper(self, plain)
        self._recorded = op(self._rule)

    def __repr__(self) -> str:
        return f"<fused {getattr(self.plain, '__qualname__', self.plain)!s}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's value: new arrays."""
        if self.one_record and self._is_small(args[0]):
            return self.plain(*args, **kwargs)
        if kwargs:
            args = self._positional(args, kwargs)
        trace = self.trace(args)
        if trace is None:
            return self.plain(*args)
        watched = tuple([k for k, a in enumerate(args) if type(a) is Var])
        if watched:
            return self._watched(trace, args, watched)
        values = [a for a, g in zip(args, trace.given, strict=True) if type(g) is not tuple]
        if trace.fuser.smallest and max(values[k].size for k in trace.arrays) < trace.fuser.smallest:
            return self.plain(*args)
        found = trace.forward(values)
        return found if trace.several else found[0]

    def _is_small(self, x: Any) -> bool:
        """Whether to call a rule as it is, as can be seen of its first argument's type and size: the short way out."""
        if type(x) is Var:
            x = x.value
        try:
            home = _HOMES[type(x)]
        except KeyError:
            if not is_array(x) or type(x) is Var:
                return False
            home = _home(type(x), (x,))
        return home is None or not home[1].rules or x.size < home[1].smallest

    def each(self, rows: Sequence[Sequence[Array]], *others: Any) -> list[tuple[Array, ...]]:
        """The function of every row of arrays, (*row, *others): where the library can, all of them in one launch.

        Nothing may be watched. Always returns tuples.
        """
        groups: dict[Any, list[int]] = {}
        for k, row in enumerate(rows):
            groups.setdefault(tuple([(type(x), x.dtype) for x in row]), []).append(k)
        found: list[Any] = [None] * len(rows)
        for indices in groups.values():
            trace = self.trace((*rows[indices[0]], *others))
            table = None if trace is None else trace.table(len(rows[0]))
            if trace is None or table is None:
                for k in indices:
                    y = self(*rows[k], *others)
                    found[k] = y if type(y) is tuple else (y,)
                continue
            values = [o for o, g in zip(others, trace.given[len(rows[0]) :], strict=True) if type(g) is not tuple]
            for k, ys in zip(indices, table([rows[k] for k in indices], values), strict=True):
                found[k] = ys
        return found

    def trace(self, args: Sequence[Any]) -> Trace | None:
        """The function's trace for arguments like these; None if it is to be called as it is."""
        kind: Any = None
        key: list[Any] = []
        for a in args:
            t = type(a)
            if t is float or t is int:
                key.append(t)
                continue
            if t is Var:
                a = innermost(a)
                t = type(a)
            if t is bool or a is None or t is str or not is_array(a):
                key.append((None, a))
                continue
            if kind is None:
                kind = t
            elif t is not kind:
                number = number_of(a)
                if number is not None:
                    key.append(number)
                    continue
                if are_mixed(*args):
                    raise mixed(*args)
                return None  # a subclass, or a scalar of NumPy's: their own rules
            key.append(a.dtype)
        if kind is None or _home(kind, args) is None or not _SWITCH.get():
            return None
        found = kind, *key
        try:
            return self.traces[found]
        except KeyError:
            trace = self.traces[found] = self._trace(args, key)
            return trace
        except TypeError:
            raise TypeError(
                f"{self!r}: arguments are arrays, numbers, or static (a bool, a string, None, anything that can be "
                f"hashed), got {', '.join(type(a).__name__ for a in args)}"
            ) from None

    def _trace(self, args: Sequence[Any], key: list[Any]) -> Trace | None:
        arrays = [innermost(a) for a in args if is_array(a)]
        home = _home(type(arrays[0]), arrays)
        if home is None or not all(map(is_real, arrays)):
            return None
        try:
            return Trace(self.plain, *home, tuple(key))
        except CannotBeFused:
            return None

    def _positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        bound = inspect.signature(self.plain).bind(*args, **kwargs)
        bound.apply_defaults()
        if bound.kwargs:
            raise TypeError(f"{self!r}: arguments that can be given by name alone are not fused: {list(bound.kwargs)}")
        return bound.args

    # ---- with watched arguments ----------------------------------------------------------------------------------

    def _watched(self, trace: Trace, args: tuple[Any, ...], boxes: tuple[int, ...]) -> Any:
        """One record on the tape; of what is watched by several tapes, each function's own."""
        args = tuple([resolve(a) for a in args])
        watched = [k for k in boxes if type(args[k]) is Var]
        if not watched:
            y = self(*args)
            return tuple(map(lift, y)) if type(y) is tuple else lift(y)
        tape = args[watched[0]].tape
        if any(args[k].tape is not tape or type(resolve(args[k].value)) is Var for k in watched):
            return self.plain(*args)  # several tapes watch: derivatives of derivatives
        derivative = trace.derivative(tuple([trace.dynamic.index(k) for k in watched]))
        if derivative is None:
            return self.plain(*args)
        dynamic = trace.dynamic
        if trace.several and not _one_shape(trace, [args[k] for k in dynamic]):
            return self.plain(*args)
        return self._recorded(*args, trace=trace, derivative=derivative, dynamic=dynamic)

    def _rule(self, *args: Any, trace: Trace, derivative: Derivative, dynamic: tuple[int, ...]) -> Any:
        values = [resolve(args[k]) for k in dynamic]
        boxed = any(type(a) is Var for a in args)  # on a tape inside of another one: constants, as nobody else watches
        computed = derivative.forward(values)
        shapes = [like(v) for v in values]
        saved: list[Any] = [v if needed else None for v, needed in zip(values, derivative.needed, strict=True)]
        saved += [computed[k] for k in derivative.kept]

        def pullback(dy: Any) -> tuple[Any, ...]:
            entries: list[Any] = [None] * len(args)
            dys = [resolve(d) for d in (dy if trace.several else (dy,))]
            for k, dx in zip(derivative.positions, _slopes(derivative, saved, dys), strict=True):
                entries[dynamic[k]] = unbroadcast(lift(dx) if boxed else dx, shapes[k])
            return tuple(entries)

        ys = tuple([lift(y) if boxed else y for y in computed[: derivative.outputs]])
        return (ys if trace.several else ys[0]), pullback


def _slopes(derivative: Derivative, saved: list[Any], dys: Sequence[Array]) -> Sequence[Array]:
    """Σ dy ∂y/∂x for each x. If somebody watches a dy, it is computed as what it is, a linear function of dy."""
    if derivative.backward is None:
        return ()
    dys = [dys[k] for k in derivative.seeded]
    if not any(type(dy) is Var for dy in dys):
        return derivative.backward([*saved, *dys])
    plain = [innermost(dy) for dy in dys]
    total: list[Any] = []
    for k, dy in enumerate(dys):
        ones = [namespace(p).ones_like(p) if j == k else namespace(p).zeros_like(p) for j, p in enumerate(plain)]
        parts = [slope * dy for slope in derivative.backward([*saved, *ones])]
        total = [a + b for a, b in zip(total, parts, strict=True)] if total else parts
    return total


def _one_shape(trace: Trace, values: Sequence[Any]) -> bool:
    """Whether all outputs have one shape: what flows back into one of them must not be stretched to another's."""
    forward = trace.forward
    taken = [values[k] for k in forward.taken]
    shapes = {stretched([taken[forward.places[at]].shape for at in reach]) for reach in forward.reach}
    return len(shapes) == 1


_HOMES: dict[type, Any] = {}


def _home(kind: type, args: Sequence[Any]) -> tuple[type[Backend], Fuser] | None:
    """The library of arrays of this type, and what makes its kernels, if it has that."""
    try:
        known: tuple[type[Backend], Fuser] | None = _HOMES[kind]
        return known
    except KeyError:
        library = backend_of(next(x for x in map(innermost, args) if type(x) is kind))
        fuser = library.fuser()
        found = _HOMES[kind] = None if fuser is None or fuser.array is not kind else (library, fuser)
        return found


def worthwhile(x: Array) -> bool:
    """Whether a kernel for an array as large as x would save time; false where there are no kernels."""
    try:
        home = _HOMES[type(x)]
    except KeyError:
        home = _home(type(x), (x,))
    return home is not None and x.size >= home[1].smallest


def fuse(function: Callable[..., Any]) -> Fused:
    """Make an elementwise function of the standard a kernel: on CuPy one launch, on NumPy passes over blocks in cache.

    Arguments are arrays, stretched against each other; Python numbers, which may change from call to call, and
    take the dtype of the arrays that they meet; and what can be hashed (a bool, a string, None), which is static. It
    returns an array, or a tuple of arrays. Traced once for each combination of dtypes and static arguments.

    With a watched argument it records one operation, whose pullback is a kernel, too; derivatives of derivatives, and
    libraries with compilers of their own, call the function as it is written, which is every kernel's oracle. Raises
    NotElementwise (a TypeError) for a function that sums, reshapes, indexes, or branches on a value. `NNX_FUSE=0`, or
    `with nnx.fusion.enabled(False):`, turns it off.

    >>> import numpy as np
    >>> @fuse
    ... def scaled_tanh(x, scale):
    ...     return namespace(x).tanh(x) * scale
    >>> scaled_tanh(np.asarray([0.0, 1.0], "float32"), 2.0)
    array([0.       , 1.5231884], dtype=float32)
    """
    return Fused(function)


def fused_rule(rule: Callable[..., Any]) -> Any:
    """nnx.op's rule of an elementwise function, fused where a kernel pays: there its derivative is derived anew."""
    return Fused(op(rule), one_record=True)
