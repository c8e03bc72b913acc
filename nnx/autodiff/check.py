"""gradcheck: a gradient held to differences of the function itself, which know nothing of any rule.

The function becomes a scalar, L = Σ⟨y, r⟩ with random r (a plain sum hides errors that add up to nothing). Along a
direction v the slope of L is ⟨∂L/∂x, v⟩ by the rules, and (L(x + hv) - L(x - hv)) / 2h by differences. A few random
directions see every entry at once; only a gradient that fails is taken apart, entry by entry, to say where and why.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nnx.autodiff.diagnosis import Comparison, GradientMismatch, GradientReport, likely_cause
from nnx.autodiff.probe import Function, Loss, Point, count, is_complex, normal, real, rounding, unflattened, unravel
from nnx.autodiff.transforms import grad
from nnx.autodiff.tree import leaves
from nnx.backend import namespace
from nnx.typing import Array

MANY = 4096
"""A wrong gradient of at most so many entries is searched whole, a larger one at so many places."""


def gradcheck(
    f: Function,
    *args: Any,
    eps: float | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    order: int = 1,
    full: bool = False,
    directions: int = 2,
    complex_step: bool = False,
    seed: int = 0,
) -> GradientReport:
    """Compare ∂f/∂args with central differences. Raises GradientMismatch, which says where they differ and why.

    f: returns an array or a nest of them   args: arrays, Modules, nests; what is not floating stays as it is
    eps: the step; None takes ε^(1/3) of the dtype, times the size of the argument if that is above 1
    rtol, atol: None fits the digits (float32: 2e-3, float64: 5e-7, 50 of them: 3e-30) and the rounding of differences
    order: 2 checks the gradient's gradient, too   full: every entry in place of `directions` random directions
    complex_step: Im L(x + ih)/h with h = 1e-20, exact to rounding; f must be analytic: no abs, max or conj
    f must give the same twice: seed what is random in it, and call eval() of a Module with dropout. It may assign to
    its arguments, which are copies.
    A library that computes with more digits than its dtype says (mparray, with mpmath.mp.dps) is held to all of them.

    >>> import numpy as np
    >>> report = gradcheck(lambda x: x * x * x, np.asarray([1.0, -2.0]), order=2)
    >>> report.worst < 1e-8
    True
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, got {order}")
    if complex_step and order == 2:
        raise ValueError("complex_step checks order 1 alone: a gradient is no analytic function of a complex argument")
    if eps is not None and eps <= 0:
        raise ValueError(f"eps, the step, must be above 0, got {eps}")
    if directions < 1:
        raise ValueError(f"directions must be at least 1, or nothing is compared, got {directions}")
    rng = random.Random(seed)
    point = Point(args)
    options = _Options(eps, rtol, atol, full, directions, complex_step, rng)
    loss = Loss.of(lambda *xs: f(*point.arguments(xs)), point, rng)
    _check_repeatable(loss, point)
    found = list(_compare(loss, point, options, ""))
    if order == 2:
        slopes = grad(loss.scalar, argnums=tuple(range(len(point.variables))))
        found += _compare(Loss.of(slopes, point, rng), point, options, " (second order)")
    return GradientReport(tuple(found))


def _check_repeatable(loss: Loss, point: Point) -> None:
    """Raises ValueError if the function gives another value when it is called again."""
    (one, size), (other, _) = (loss.value(point, point.arrays) for _ in range(2))
    xp, epsilon = namespace(one), max(map(rounding, point.arrays))
    if float(xp.abs(one - other)) > 1e3 * epsilon * size:
        raise ValueError(
            "the function gave another value when it was called again at the same place, so that differences mean "
            "nothing: seed what is random in it (nnx.seed inside of it), call eval() of a Module"
        )


@dataclass(frozen=True)
class _Options:
    eps: float | None
    rtol: float | None
    atol: float | None
    full: bool
    directions: int
    complex_step: bool
    rng: random.Random


def _compare(loss: Loss, point: Point, options: _Options, suffix: str) -> Iterator[Comparison]:
    """Every comparison, array by array; the first that disagrees is located, explained and raised."""
    gradients = leaves(grad(loss.scalar, argnums=tuple(range(len(point.variables))))(*point.variables))
    for at, (name, g) in enumerate(zip(point.names, gradients, strict=True)):
        line = _Line(loss, point, at, g, name + suffix, options)
        line.check_form()
        for comparison in line.entries() if options.full else line.random_directions():
            if not comparison.agrees:
                raise GradientMismatch(line.explain(comparison))
            yield comparison


class _Line:
    """The function along lines through the point, in one of its arrays."""

    def __init__(self, loss: Loss, point: Point, at: int, g: Array, name: str, options: _Options) -> None:
        self.loss, self.point, self.index, self.g, self.name, self.options = loss, point, at, g, name, options
        self.x = point.arrays[at]
        self.n = count(self.x.shape)
        self.epsilon = rounding(self.x)
        self.h = min(1e-20, self.epsilon) if options.complex_step else options.eps or self._fitting_step()

    def _fitting_step(self) -> float:
        xp = namespace(self.x)
        size = float(xp.max(xp.abs(self.x))) if self.n else 0.0
        return float(self.epsilon ** (1 / 3)) * max(1.0, size)

    def check_form(self) -> None:
        """A gradient has exactly the shape and dtype of its argument."""
        x, g = self.x, self.g
        if tuple(g.shape) != tuple(x.shape) or g.dtype != x.dtype:
            raise GradientMismatch(
                f"{self.name}: a gradient of shape {tuple(g.shape)} and dtype {g.dtype} for an array of shape "
                f"{tuple(x.shape)} and dtype {x.dtype}: a rule forgot unbroadcast or cast"
            )

    def random_directions(self) -> Iterator[Comparison]:
        """A comparison along each of a few random directions."""
        for _ in range(self.options.directions if self.n else 0):
            yield self.along(normal(self.options.rng, self.x), None)

    def entries(self) -> Iterator[Comparison]:
        """A comparison at each entry; a complex one has two directions."""
        for k in range(self.n) if self.n <= MANY else self.options.rng.sample(range(self.n), MANY):
            unit = unflattened([float(j == k) for j in range(self.n)], self.x)
            for v in (unit, unit * 1j) if is_complex(self.x) else (unit,):
                yield self.along(v, unravel(k, self.x.shape))

    def along(self, v: Array, entry: tuple[int, ...] | None) -> Comparison:
        """Both slopes along v."""
        xp = namespace(v)
        g = xp.where(v == 0, xp.zeros_like(v), self.g)  # what is infinite elsewhere must not spoil this entry
        products = real(xp.conj(g) * v) if is_complex(v) else g * v
        analytic, terms = xp.sum(products), float(xp.sum(xp.abs(products)))
        if self.options.complex_step:
            value, size = self.at(v * (1j * self.h))
            numeric = namespace(value).imag(value) / self.h
            rtol, atol = 1e3 * self.epsilon, 1e3 * self.epsilon * size
        else:
            (plus, size), (minus, _) = self.at(v * self.h), self.at(v * -self.h)
            numeric = (real(plus) - real(minus)) / (2 * self.h)
            # differences are wrong by the third derivative times h², which is ε^(2/3)
            rtol = min(self.epsilon**0.4, 1.5e4 * self.epsilon ** (2 / 3))
            atol = 20 * self.epsilon * size / self.h
        rtol = rtol if self.options.rtol is None else self.options.rtol
        atol = atol if self.options.atol is None else self.options.atol
        difference = float(xp.abs(analytic - numeric))  # with all the digits that the library has
        tolerance = rtol * max(abs(float(numeric)), terms) + atol
        return Comparison(self.name, entry, float(analytic), float(numeric), difference, tolerance, v)

    def at(self, step: Array) -> tuple[Array, float]:
        """L, and the size of its terms, one step away."""
        arrays = list(self.point.arrays)
        arrays[self.index] = self.x + step
        return self.loss.value(self.point, arrays)

    def explain(self, found: Comparison) -> str:
        """The entry that is worst, both values there, and what usually makes such a difference."""
        wrong = [found] if found.entry is not None else [c for c in self.entries() if not c.agrees]
        worst = max(wrong, key=lambda c: c.difference, default=found)
        where = "along a random direction" if worst.entry is None else f"at entry {worst.entry}"
        extent = f"; {len(wrong)} of {self.n} entries are wrong" if found.entry is None and wrong else ""
        return (
            f"{self.name}, {where}: the gradient is {worst.analytic:.9g}, differences say {worst.numeric:.9g} (step "
            f"{self.h:.1e}, tolerance {worst.tolerance:.1e}{extent}). "
            f"{likely_cause(worst, tuple(self.x.shape), self.slopes(worst.direction), self.options.complex_step)}"
        )

    def slopes(self, v: Array) -> tuple[float, float]:
        """The slopes to the left and to the right: they differ at a kink."""
        h = self._fitting_step() if self.options.complex_step else self.h
        left, here, right = (real(self.at(v * s)[0]) for s in (-h, 0.0, h))
        return float((here - left) / h), float((right - here) / h)
