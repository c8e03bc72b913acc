"""Fused functions in a step that is being written down: the call of a kernel is one line."""

from collections.abc import Callable, Sequence
from typing import Any

from nnx.backend.expressions import Expression, Fuser, Kernel, Kind
from nnx.backend.replay.book import stand_ins
from nnx.typing import Array, DType


class NotingFuser(Fuser):
    """The library's fuser, for the stand-ins of its arrays."""

    def __init__(self, fuser: Fuser, array: type) -> None:
        self.fuser, self.array = fuser, array
        self.functions, self.recomputed = fuser.functions, fuser.recomputed
        self.smallest, self.rules = fuser.smallest, fuser.rules

    def result(self, name: str, kinds: Sequence[Kind]) -> DType | None:
        """See Fuser.result."""
        return self.fuser.result(name, kinds)

    def kernel(self, expression: Expression) -> Kernel | None:
        """See Fuser.kernel."""
        kernel = self.fuser.kernel(expression)
        return None if kernel is None else _noting(kernel)


class Call:
    """A kernel, as a program calls it. over: for each result the positions of what it may be written over; see Plan"""

    __name__ = "fused"

    def __init__(self, kernel: Any) -> None:
        self.kernel, self.over = kernel, getattr(kernel, "over", ())

    def __call__(self, given: Sequence[Any], *, out: Sequence[Any] = ()) -> tuple[Array, ...]:
        """out: for each result an array to write to, one of `over`, or None"""
        found: tuple[Array, ...] = self.kernel(given, out) if out else self.kernel(given)
        return found


def _noting(kernel: Kernel) -> Callable[[Sequence[Any]], tuple[Array, ...]]:
    fused = Call(kernel)

    def call(given: Sequence[Any]) -> tuple[Array, ...]:
        x = next(stand_ins(given))
        found: tuple[Array, ...] = x.book.call(fused, (list(given),), new=True)
        return found

    return call
