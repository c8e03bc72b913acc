"""Many arrays made one, a few at a time."""

from nnx.backend import namespace
from nnx.typing import Array

__all__ = ["joined", "stacked"]

AT_ONCE = 8
"""More would be laid out in a table on the host first, and moved, by CuPy."""


def joined(parts: list[Array], axis: int = 0) -> Array:
    """Arrays one behind another along an axis."""
    xp = namespace(*parts)
    while len(parts) > 1:
        groups = [parts[i : i + AT_ONCE] for i in range(0, len(parts), AT_ONCE)]
        parts = [xp.concat(group, axis=axis) if len(group) > 1 else group[0] for group in groups]
    return parts[0]


def stacked(parts: list[Array]) -> Array:
    """Arrays side by side along a new first axis."""
    xp = namespace(*parts)
    if len(parts) <= AT_ONCE:
        return xp.stack(parts)
    return joined([xp.stack(parts[i : i + AT_ONCE]) for i in range(0, len(parts), AT_ONCE)])
