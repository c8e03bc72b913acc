"""What gradcheck says: the slopes that it compared, the error that it raises, and what usually makes such an error."""

import math
from dataclasses import dataclass

from nnx.typing import Array, Shape


class GradientMismatch(AssertionError):
    """A gradient that the function's own differences contradict: where, both values, and the likely cause."""


@dataclass(frozen=True)
class Comparison:
    """One slope by the rules, and by differences."""

    argument: str
    entry: tuple[int, ...] | None
    """The place in the argument; None for a random direction."""
    analytic: float
    numeric: float
    difference: float
    """Of the two, with all the digits that they were computed with."""
    tolerance: float
    direction: Array

    @property
    def error(self) -> float:
        """The difference, relative to the larger of the two."""
        return self.difference / max(abs(self.analytic), abs(self.numeric), 1e-300)

    @property
    def agrees(self) -> bool:
        """Whether both are the same up to the tolerance; what is not finite agrees with nothing."""
        return math.isfinite(self.analytic) and self.difference <= self.tolerance

    def __str__(self) -> str:
        where = "along a direction" if self.entry is None else f"at {self.entry}"
        slopes = f"{self.analytic:16.9g} by the rules {self.numeric:16.9g} by differences"
        return f"{self.argument}, {where}: {slopes}, relative error {self.error:.1e}"


@dataclass(frozen=True)
class GradientReport:
    """What gradcheck compared: all of it agreed."""

    comparisons: tuple[Comparison, ...]

    @property
    def worst(self) -> float:
        """The largest relative difference."""
        return max((c.error for c in self.comparisons), default=0.0)

    def __str__(self) -> str:
        return "\n".join(map(str, self.comparisons)) or "nothing to compare"


def likely_cause(c: Comparison, shape: Shape, slopes: tuple[float, float], complex_step: bool = False) -> str:
    """What makes a gradient differ in this way. slopes: of the function to the left and to the right of the place."""
    left, right = slopes
    if not (math.isfinite(c.analytic) and math.isfinite(c.numeric)):
        return "One is not finite: the place is at the edge of the function's domain, or 0/0 hides in a rule."
    if abs(left - right) > 10 * max(c.tolerance, 1e-3 * max(abs(left), abs(right))):
        return (
            f"Likely a kink: the slope is {left:.6g} to the left and {right:.6g} to the right, move the argument away."
        )
    middle, rough = (left + right) / 2, 1e-3 * max(abs(left), abs(right))
    if complex_step and abs(middle - c.analytic) <= rough < abs(middle - c.numeric):
        return "A real step agrees with the gradient: the function is not analytic (abs, max or conj in it?)."
    if c.analytic == 0.0:
        return "Likely forgotten: no gradient reaches it (stop_gradient, a missing term, None from a pullback)."
    if abs(c.numeric) <= c.tolerance:
        return "The function does not depend on it: a gradient that belongs elsewhere (a wrong axis or mask)."
    ratio = c.analytic / c.numeric
    for known, cause in _causes(shape).items():
        if abs(ratio - known) <= 1e-3 * abs(known):
            return f"Likely {cause} (the ratio is {known:.6g})."
    if abs(ratio - 1.0) < 1e-6:
        return f"They agree but for {c.error:.1e} of either: a constant with too few digits, or a cast?"
    return f"The ratio is {ratio:.6g}."


def _causes(shape: Shape) -> dict[float, str]:
    causes = {-1.0: "a flipped sign", 2.0: "counted twice", 0.5: "a forgotten factor of 2, or half of it lost"}
    for n in {*shape, math.prod(shape)} - {0, 1, 2}:
        causes[float(n)] = f"a forgotten division by {n}: mean or sum?"
        causes[1.0 / n] = f"a division by {n} too many: mean or sum?"
    return causes
