"""Sets: each of the different values is the first element that has it, and sends its gradient there."""

from collections import namedtuple
from typing import Any

from nnx.autodiff.rules.common import RULES, composed, named
from nnx.backend import innermost, namespace
from nnx.typing import Array

UniqueAllResult = namedtuple("UniqueAllResult", ["values", "indices", "inverse_indices", "counts"])


def _firsts(x: Array) -> Array:
    """The places, in the flat plain array, of the first of each of its values in ascending order."""
    xp = namespace(x)
    line = xp.reshape(x, (-1,))
    counts = xp.unique_counts(line).counts
    return xp.take(xp.argsort(line, stable=True), xp.cumulative_sum(counts) - counts)


def _values(x: Array) -> Array:
    return RULES["take"](RULES["reshape"](x, (-1,)), _firsts(innermost(x)))


@composed
def unique_all(x: Array, /) -> Any:
    """The values in ascending order, where each stands first, which it is everywhere, and how often; equal ones send
    their gradient to the first.
    """
    plain = innermost(x)
    xp = namespace(plain)
    return UniqueAllResult(
        _values(x), _firsts(plain), xp.unique_inverse(plain).inverse_indices, xp.unique_counts(plain).counts
    )


@composed
def unique_values(x: Array, /) -> Array:
    """The values in ascending order; equal ones send their gradient to the first."""
    return _values(x)


def _with(name: str) -> None:
    def function(x: Array, /) -> Any:
        plain = innermost(x)
        return getattr(namespace(plain), name)(plain)._replace(values=_values(x))

    composed(named(name, function, f"{name}(x); equal ones send their gradient to the first."))


_with("unique_counts")
_with("unique_inverse")
