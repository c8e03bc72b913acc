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


def _noting(kernel: Kernel) -> Callable[[Sequence[Any]], tuple[Array, ...]]:
    def fused(given: Sequence[Any]) -> tuple[Array, ...]:
        return kernel(given)

    def call(given: Sequence[Any]) -> tuple[Array, ...]:
        x = next(stand_ins(given))
        found: tuple[Array, ...] = x.book.call(fused, (list(given),), new=True)
        return found

    return call
