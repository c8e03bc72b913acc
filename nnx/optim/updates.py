"""An update rule and the numbers of one step: a fused function of the parameter, its gradient and its slots."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from nnx.backend import are_mixed, backend_of, mixed
from nnx.fusion import Fused, fuse, worthwhile
from nnx.typing import Array

Rule = Callable[..., tuple[Array, ...]]
"""(p, g, *slots) -> (new p, *new slots)."""
Row = tuple[Rule, tuple[Array, ...]]


class Update(NamedTuple):
    """function(p, g, *slots, *numbers) -> (new p, *new slots), elementwise.

    numbers may change from step to step (a learning rate); None and bools choose between rules.
    """

    function: Fused
    numbers: tuple[Any, ...]

    def __call__(self, p: Array, g: Array, *slots: Array) -> tuple[Array, ...]:
        """The new arrays. Small ones by the plain function: a kernel's call takes longer than what it saves."""
        function = self.function
        found: tuple[Array, ...] = (function if worthwhile(p) else function.plain)(p, g, *slots, *self.numbers)
        return found

    def each(self, rows: list[tuple[Array, ...]]) -> list[tuple[Array, ...]]:
        """The new arrays for every (p, g, *slots): where the library can, in one launch."""
        return self.function.each(rows, *self.numbers)

    def uphill(self) -> "Update":
        """The same against the gradient's sign."""
        return Update(_uphill(self.function), self.numbers)


@cache
def _uphill(function: Fused) -> Fused:
    plain: Callable[..., Any] = function.plain
    return fuse(lambda p, g, *others: plain(p, -g, *others))


def coupled(g: Array, p: Array, weight_decay: Any) -> Array:
    """The gradient of L2 regularisation added: g + λ p, from λ/2 ‖p‖² in the loss. weight_decay: λ, or None for 0"""
    return g if weight_decay is None else g + p * weight_decay


def some(weight_decay: float) -> float | None:
    """A number, or None for 0: what is not there need not be computed."""
    return weight_decay or None


def applied(rows: Sequence[Row]) -> list[tuple[Array, ...]]:
    """rule(*arrays) for every row: those of one rule together, where the library has a kernel for many arrays."""
    try:
        if rows and backend_of(rows[0][1][0]).updates_together:
            return _together(rows)
        return [rule(*arrays) for rule, arrays in rows]
    except (TypeError, ValueError, RuntimeError):
        for _, arrays in rows:
            if are_mixed(*arrays):
                raise mixed(*arrays) from None
        raise


def _together(rows: Sequence[Row]) -> list[tuple[Array, ...]]:
    found: list[Any] = [None] * len(rows)
    groups: dict[Update, list[int]] = {}
    for k, (rule, arrays) in enumerate(rows):
        if isinstance(rule, Update):
            groups.setdefault(rule, []).append(k)
        else:
            found[k] = rule(*arrays)
    for update, indices in groups.items():
        for k, new in zip(indices, update.each([rows[k][1] for k in indices]), strict=True):
            found[k] = new
    return found
