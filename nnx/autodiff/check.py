"""gradcheck: a gradient held to differences of the function itself, which know nothing of any rule.

The function becomes a scalar, L = Σ⟨y, r⟩ with random r (a plain sum hides errors that add up to nothing). Along a
direction v the slope of L is ⟨∂L/∂x, v⟩ by the rules, and (L(x + hv) - L(x - hv)) / 2h by differences. A few random
directions see every entry at once; only a gradient that fails is taken apart, entry by entry, to say where and why.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nnx.autodiff.diagnosis import Comparison, GradientMismatch, GradientReport, likely_cause
from nnx.autodiff.tape import Tape, lift
from nnx.autodiff.transforms import grad
from nnx.autodiff.tree import Lifted, leaves, swappable, tree_map
from nnx.autodiff.var import Var
from nnx.backend import backend_of, innermost, is_array, namespace
from nnx.typing import Array, DType, Shape, Tree

Function = Callable[..., Any]

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
    rtol, atol: None fits the dtype (float64: 5e-7, float32: 2e-3) and the rounding of the differences
    order: 2 checks the gradient's gradient, too   full: every entry in place of `directions` random directions
    complex_step: Im L(x + ih)/h with h = 1e-20, exact to rounding; f must be analytic: no abs, max or conj

    >>> import numpy as np
    >>> report = gradcheck(lambda x: x * x * x, np.asarray([1.0, -2.0]), order=2)
    >>> report.worst < 1e-8
    True
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, got {order}")
    if complex_step and order == 2:
        raise ValueError("complex_step checks order 1 alone: a gradient is no analytic function of a complex argument")
    rng = random.Random(seed)
    point = _Point(args)
    if not point.variables:
        raise TypeError("gradcheck needs a floating array or a Module among its arguments")
    options = _Options(eps, rtol, atol, full, directions, complex_step, rng)
    loss = _Loss.of(lambda *xs: f(*point.arguments(xs)), point, rng)
    found = list(_compare(loss, point, options, ""))
    if order == 2:
        slopes = grad(loss.scalar, argnums=tuple(range(len(point.variables))))
        found += _compare(_Loss.of(slopes, point, rng), point, options, " (second order)")
    return GradientReport(tuple(found))


@dataclass(frozen=True)
class _Options:
    eps: float | None
    rtol: float | None
    atol: float | None
    full: bool
    directions: int
    complex_step: bool
    rng: random.Random


class _Point:
    """The arguments as variables (floating arrays and Modules) and, Modules taken apart, as a flat list of arrays."""

    def __init__(self, args: tuple[Any, ...]) -> None:
        self.args = args
        named = [(path, leaf) for i, x in enumerate(args) for path, leaf in _paths(x, f"argument {i}") if _varies(leaf)]
        self.variables = [leaf for _, leaf in named]
        self.modules = any(map(swappable, self.variables))
        self.names: list[str] = []
        self.arrays: list[Array] = []
        with Tape() as tape, Lifted(tape) as lifted:
            for name, leaf in named:
                watched = lifted.watch(leaf)[1]
                paths = [f"{name}, parameter '{path}'" for path in watched] if type(watched) is dict else [name]
                self.names += paths
                self.arrays += [var.value for var in leaves(watched)]

    def arguments(self, values: Sequence[Any]) -> list[Any]:
        """The arguments with these values in the place of their variables; the other arrays are of the same kind."""
        queue = iter(values)
        boxed = self.modules or any(type(v) is Var for v in values)

        def place(leaf: Any) -> Any:
            if _varies(leaf):
                return next(queue)
            return lift(leaf) if boxed else leaf

        return [tree_map(place, x) for x in self.args]

    def evaluate(self, f: Function, arrays: list[Array]) -> Tree:
        """f where the flat list of arrays has these values; Modules hold them while it runs."""
        if not self.modules:
            return f(*arrays)
        with Tape() as tape, Lifted(tape) as lifted:
            both = [lifted.watch(variable) for variable in self.variables]
            for var, x in zip(leaves([watched for _, watched in both]), arrays, strict=True):
                var.value = x
            return tree_map(lifted.lower, f(*(inner for inner, _ in both)))


class _Loss:
    """L = Re Σ⟨y, r⟩ over the floating outputs y of f."""

    def __init__(self, f: Function, weights: list[Array | None]) -> None:
        self.f, self.weights = f, weights

    @classmethod
    def of(cls, f: Function, point: _Point, rng: random.Random) -> "_Loss":
        """Random weights r in the form of the outputs."""
        outputs = leaves(point.evaluate(f, point.arrays))
        return cls(f, [_normal(rng, innermost(y)) if _floating(y) else None for y in outputs])

    def _products(self, outputs: Tree) -> list[Array]:
        # y on the left: an array that is watched knows how to meet a plain one
        return [y * r for y, r in zip(leaves(outputs), self.weights, strict=True) if r is not None]

    def scalar(self, *variables: Any) -> Array:
        """L, as an array."""
        terms = [namespace(p).sum(_real(p)) for p in self._products(self.f(*variables))]
        if not terms:
            raise TypeError("gradcheck needs a function that returns at least one floating array")
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def value(self, point: _Point, arrays: list[Array]) -> tuple[complex, float]:
        """L there, and the size of the terms that it is the sum of, to which rounding errors are in proportion."""
        products = self._products(point.evaluate(self.f, arrays))
        totals = [(complex(namespace(p).sum(p)), float(namespace(p).sum(namespace(p).abs(p)))) for p in products]
        return sum((t for t, _ in totals), 0j), sum(size for _, size in totals)


def _compare(loss: _Loss, point: _Point, options: _Options, suffix: str) -> Iterator[Comparison]:
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

    def __init__(self, loss: _Loss, point: _Point, at: int, g: Array, name: str, options: _Options) -> None:
        self.loss, self.point, self.at, self.g, self.name, self.options = loss, point, at, g, name, options
        self.x = point.arrays[at]
        self.n = _count(self.x.shape)
        self.epsilon = float(namespace(self.x).finfo(self.x.dtype).eps)
        self.h = 1e-20 if options.complex_step else options.eps or self._fitting_step()

    def _fitting_step(self) -> float:
        xp = namespace(self.x)
        size = float(xp.max(xp.abs(self.x))) if self.n else 0.0
        return self.epsilon ** (1 / 3) * max(1.0, size)

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
            yield self.along(_normal(self.options.rng, self.x), None)

    def entries(self) -> Iterator[Comparison]:
        """A comparison at each entry; a complex one has two directions."""
        for k in range(self.n) if self.n <= MANY else self.options.rng.sample(range(self.n), MANY):
            unit = _array([float(j == k) for j in range(self.n)], self.x)
            for v in (unit, unit * 1j) if _complex(self.x) else (unit,):
                yield self.along(v, _unravel(k, self.x.shape))

    def along(self, v: Array, entry: tuple[int, ...] | None) -> Comparison:
        """Both slopes along v."""
        xp = namespace(v)
        products = _real(xp.conj(self.g) * v) if _complex(v) else self.g * v
        analytic, terms = float(xp.sum(products)), float(xp.sum(xp.abs(products)))
        if self.options.complex_step:
            value, size = self.at(v * (1j * self.h))
            numeric, rtol, atol = value.imag / self.h, 1e3 * self.epsilon, 1e3 * self.epsilon * size
        else:
            (plus, size), (minus, _) = self.at(v * self.h), self.at(v * -self.h)
            numeric = (plus.real - minus.real) / (2 * self.h)
            rtol, atol = self.epsilon**0.4, 20 * self.epsilon * size / self.h
        rtol = rtol if self.options.rtol is None else self.options.rtol
        atol = atol if self.options.atol is None else self.options.atol
        return Comparison(self.name, entry, analytic, numeric, rtol * max(abs(numeric), terms) + atol, v)

    def at(self, step: Array) -> tuple[complex, float]:
        """L, and the size of its terms, one step away."""
        arrays = list(self.point.arrays)
        arrays[self.at_] = self.x + step
        return self.loss.value(self.point, arrays)
