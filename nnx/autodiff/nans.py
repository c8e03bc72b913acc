"""`with nnx.debug_nans():` the operation that makes the first NaN raises, and says which it is and where.

While the block is open every rule runs on boxed arrays, as it does inside of an outer tape, so that the small
operations which it is made of are seen, too; each result is read. That is slow, and meant for finding a fault. Nothing
of it is there when the block is closed.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

from nnx.autodiff import tape, tree
from nnx.autodiff.thread import recording
from nnx.autodiff.var import Var
from nnx.backend import backend_of, innermost, is_array, namespace
from nnx.typing import Array

__all__ = ["NaNFound", "debug_nans"]

HOME = str(Path(__file__).parent.parent)

HINTS = {
    "log": "the logarithm of a number below 0",
    "log1p": "the logarithm of a number below 0",
    "log2": "the logarithm of a number below 0",
    "log10": "the logarithm of a number below 0",
    "sqrt": "the root of a number below 0",
    "divide": "0/0 or inf/inf: keep the divisor away from 0",
    "subtract": "inf - inf: something has overflowed before",
    "add": "inf - inf: something has overflowed before",
    "sum": "inf - inf: something has overflowed before",
    "mean": "inf - inf: something has overflowed before",
    "multiply": "0 · inf: something has overflowed, or a derivative is infinite (of sqrt or a norm at 0, say)",
    "matmul": "0 · inf or inf - inf: something has overflowed before",
    "pow": "a negative number to a power that is not whole",
    "acos": "a number outside of [-1, 1]",
    "asin": "a number outside of [-1, 1]",
    "acosh": "a number below 1",
    "atanh": "a number outside of [-1, 1]",
}


class NaNFound(FloatingPointError):
    """An operation has made a NaN where it was given none, or was given one. op: its name   layer: None outside of one

    backward: whether it was in its pullback   given: whether its arguments held NaN before
    """

    def __init__(self, message: str, op: str, layer: str | None, backward: bool, given: bool) -> None:
        super().__init__(message)
        self.op, self.layer, self.backward, self.given = op, layer, backward, given


class Search:
    """What one block knows: how deep in rules it is, and what a rule's own operations have found."""

    def __init__(self, infinities: bool) -> None:
        self.infinities = infinities
        self.depth = 0
        self.inner: str | None = None
        """The operation within a rule that made the first one."""

    def bad(self, x: Any) -> bool:
        """Whether an array holds a NaN; reads it."""
        x = innermost(x)
        if not is_array(x) or not backend_of(x).is_inexact(x.dtype):
            return False
        xp = namespace(x)
        if type(xp).__module__.startswith("nnx.fusion."):  # nnx.fuse looks at a function: there are no values yet
            return False
        found = xp.any(xp.isnan(x))
        return bool(found) or (self.infinities and bool(xp.any(xp.isinf(x))))

    def within(self, name: str, call: Callable[[], Any]) -> Any:
        """The result of a rule or pullback, checked; what is inside of it is only noted, as it may be masked."""
        self.depth += 1
        outermost = self.depth == 1
        if outermost:
            self.inner = None
        try:
            y = call()
        finally:
            self.depth -= 1
        if self.inner is None and any(map(self.bad, _outputs(y))):
            self.inner = name
        return y


_search: ContextVar[Search | None] = ContextVar("nnx_debug_nans", default=None)
_open = 0
_originals: dict[str, Any] = {}


@contextmanager
def debug_nans(infinities: bool = False) -> Iterator[None]:
    """Inside of the block the first NaN that an operation makes raises NaNFound, forward and backward.

    It names the operation, the layer and the line that called it. nnx's functions are looked at everywhere, the
    library's own (xp.log) while a gradient is taken; one whose NaN is masked afterwards, as by xp.where, is named, too.
    infinities: raise for those, too. Each result is read, which waits for the device; nnx.compile cannot read any.

    >>> import nnx
    >>> root = nnx.grad(lambda x: nnx.namespace(x).sqrt(x * x))
    >>> with nnx.debug_nans():
    ...     float(root(nnx.asarray(2.0)))
    1.0
    """
    token = _search.set(Search(infinities))
    _install()
    try:
        yield
    finally:
        _uninstall()
        _search.reset(token)


def _install() -> None:
    """Put the checking in the place of what calls rules; the names are looked up at each call."""
    global _open
    _open += 1
    if _open > 1:
        return
    plain, anywhere = tape._plain, tape._call_anywhere
    enter, gradients = tree.Lifted.__enter__, tree.Lifted.gradients
    _originals.update(plain=plain, anywhere=anywhere, enter=enter, gradients=gradients)

    def entered(self: tree.Lifted) -> tree.Lifted:
        self.boxed = self.boxed or _search.get() is not None
        return enter(self)

    def unboxed(self: tree.Lifted, watched: Any, grads: Any) -> Any:
        found = gradients(self, watched, grads)
        return found if recording() or _search.get() is None else tree.tree_map(tape.resolve, found)

    setattr(tape, "_plain", lambda rule, args, kwargs: plain(_checked(rule), args, kwargs))  # noqa: B010
    setattr(tape, "_call_anywhere", lambda rule, args, kwargs: anywhere(_checked(rule), args, kwargs))  # noqa: B010
    setattr(tree.Lifted, "__enter__", entered)  # noqa: B010
    setattr(tree.Lifted, "gradients", unboxed)  # noqa: B010


def _uninstall() -> None:
    global _open
    _open -= 1
    if not _open:
        setattr(tape, "_plain", _originals["plain"])  # noqa: B010
        setattr(tape, "_call_anywhere", _originals["anywhere"])  # noqa: B010
        setattr(tree.Lifted, "__enter__", _originals["enter"])  # noqa: B010
        setattr(tree.Lifted, "gradients", _originals["gradients"])  # noqa: B010


def _checked(rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule, whose result and whose gradients are looked at; another thread's is as it was."""
    search = _search.get()
    if search is None:
        return rule
    name = rule.__name__.strip("_")

    def call(*values: Any, **options: Any) -> Any:
        y, pullback = search.within(name, lambda: rule(*values, **options))
        where = _place() if search.depth == 0 else None
        if search.depth == 0 and any(map(search.bad, _outputs(y))):
            raise _error(search, name, where, values, y, backward=False)
        return y, None if pullback is None else _checked_pullback(search, name, where, pullback)

    call.__name__ = rule.__name__
    return call


def _checked_pullback(search: Search, name: str, where: "Place | None", pullback: Callable[..., Any]) -> Any:
    def checked(dy: Any) -> Any:
        def look(entries: Callable[[], Any]) -> Any:
            d = search.within(name, entries)
            if search.depth == 0 and any(map(search.bad, _outputs(d))):
                raise _error(search, name, where, dy if type(dy) is tuple else (dy,), d, backward=True)
            return d

        def lazily(d: Any) -> Any:
            return (lambda: look(d)) if type(d) is FunctionType else d

        return tuple(lazily(d) for d in look(lambda: pullback(dy)))

    return checked


def _outputs(y: Any) -> tuple[Any, ...]:
    return tuple(y) if isinstance(y, tuple | list) and not is_array(y) else (y,)


# ---- where it was ----------------------------------------------------------------------------------------------------

Place = tuple[str | None, str | None]
"""The layer, and the line of code, if there is one outside of nnx."""


def _place() -> Place:
    """The innermost layer that is being called, by its path in the outermost one, and the user's own line."""
    line, layers = None, list[Any]()
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code: CodeType = frame.f_code
        owner = frame.f_locals.get("self") if code.co_name in ("__call__", "call") else None
        if tree.swappable(owner):
            layers.append(owner)
        own = code.co_filename.startswith(HOME) or "<frozen" in code.co_filename
        if line is None and not own:
            line = f"{Path(code.co_filename).name}:{frame.f_lineno} ({code.co_name})"
        frame = frame.f_back
    if not layers:
        return None, line
    inner, outer = layers[0], layers[-1]
    kind = type(inner).__name__
    path = next((path for path, layer in outer.named_modules() if layer is inner), "")
    return (f"{path} ({kind})" if path else kind), line


def _error(
    search: Search, name: str, where: Place | None, given: tuple[Any, ...], made: Any, backward: bool
) -> NaNFound:
    layer, line = where or (None, None)
    inside = f" (in its {search.inner})" if search.inner not in (None, name) else ""
    before = [k for k, x in enumerate(given) if search.bad(x)]
    what = f"the pullback of {name}" if backward else name
    kind = "NaN or infinity" if search.infinities else "NaN"
    at = "".join([f", in layer {layer}" if layer else "", f", called at {line}" if line else ""])
    if before:
        message = (
            f"{what} was given {kind} in argument {before[0]}{at}: the data, a weight or a constant held it already "
            "(nnx.data.check_finite looks at data)"
        )
    else:
        hint = HINTS.get(search.inner or name, HINTS.get(name))
        count = max((_count(x, search) for x in _outputs(made)), default="")
        message = f"{what}{inside} made the first {kind}, {count}{at}, from {_ranges(given)}" + (
            f": {hint}" if hint else ""
        )
    return NaNFound(message, name, layer, backward, bool(before))


def _count(x: Any, search: Search) -> str:
    x = innermost(x)
    if not search.bad(x):
        return ""
    xp = namespace(x)
    return f"{int(xp.count_nonzero(~xp.isfinite(x)))} of {max(Var(x).size or 0, 1)} values"


def _ranges(given: tuple[Any, ...]) -> str:
    arrays = [innermost(x) for x in given if is_array(innermost(x))]
    return ", ".join(_range(x) for x in arrays) or "no array"


def _range(x: Array) -> str:
    xp, kind = namespace(x), f"{tuple(x.shape)}"
    if 0 in x.shape or not xp.isdtype(x.dtype, ("real floating", "integral")):
        return f"shape {kind}"
    return f"shape {kind} in [{float(xp.min(x)):.3g}, {float(xp.max(x)):.3g}]"
