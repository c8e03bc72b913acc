"""What gradcheck measures: a function of a flat list of arrays, whatever nests and Modules its arguments were."""

import functools
import math
import operator
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from nnx.autodiff.tape import lift
from nnx.autodiff.tree import Lifted, leaves, swappable, tree_map
from nnx.autodiff.var import Var
from nnx.backend import backend_of, device_of, innermost, is_array, namespace
from nnx.typing import Array, Shape, Tree

Function = Callable[..., Any]


class Point:
    """The arguments as variables (floating arrays and Modules) and, Modules taken apart, as a flat list of arrays."""

    def __init__(self, args: tuple[Any, ...]) -> None:
        self.args = args
        named = [(path, leaf) for i, x in enumerate(args) for path, leaf in _paths(x, f"argument {i}") if _varies(leaf)]
        self.variables = [leaf for _, leaf in named]
        self.modules = any(map(swappable, self.variables))
        self.names: list[str] = []
        self.arrays: list[Array] = []
        if not named:
            raise TypeError("gradcheck needs a floating array or a Module among its arguments")
        with self._lifted() as lifted:
            for (name, _), watched in zip(named, lifted.watched, strict=True):
                paths = [f"{name}, parameter '{path}'" for path in watched] if type(watched) is dict else [name]
                self.names += paths
                self.arrays += [var.value for var in leaves(watched)]

    def _lifted(self) -> Lifted:
        return Lifted(tuple(self.variables), tuple(range(len(self.variables))))

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
        """f where the flat list of arrays has these values; Modules hold them while it runs.

        It is given copies, as constants: one that assigns to its argument has a gradient on every library, and must
        not change the user's array.
        """
        copies = [namespace(x).asarray(x, copy=True) for x in arrays]
        if not self.modules:
            return tree_map(innermost, f(*map(lift, copies)))
        with self._lifted() as lifted:
            for var, x in zip(leaves(lifted.watched), copies, strict=True):
                var.value = x
            return tree_map(lifted.lower, f(*lifted.arguments))


class Loss:
    """L = Re Σ⟨y, r⟩ over the floating outputs y of f."""

    def __init__(self, f: Function, weights: list[Array | None]) -> None:
        self.f, self.weights = f, weights

    @classmethod
    def of(cls, f: Function, point: Point, rng: random.Random) -> "Loss":
        """Random weights r in the form of the outputs."""
        outputs = leaves(point.evaluate(f, point.arrays))
        if not any(map(floating, outputs)):
            raise TypeError("gradcheck needs a function that returns at least one floating array")
        return cls(f, [normal(rng, innermost(y)) if floating(y) else None for y in outputs])

    def _products(self, outputs: Tree) -> list[Array]:
        # y on the left: an array that is watched knows how to meet a plain one
        return [y * r for y, r in zip(leaves(outputs), self.weights, strict=True) if r is not None]

    def scalar(self, *variables: Any) -> Array:
        """L, as an array."""
        terms = (namespace(p).sum(real(p)) for p in self._products(self.f(*variables)))
        return functools.reduce(operator.add, terms)

    def value(self, point: Point, arrays: list[Array]) -> tuple[Array, float]:
        """L there, not only its real part, and the size of its terms, to which rounding errors are in proportion."""
        products = self._products(point.evaluate(self.f, arrays))
        total = functools.reduce(operator.add, (namespace(p).sum(p) for p in products))
        return total, sum(float(namespace(p).sum(namespace(p).abs(p))) for p in products)


def _paths(tree: Tree, name: str) -> Iterator[tuple[str, Any]]:
    """Every leaf of a nest and what to call it: argument 0['w'][1]."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _paths(value, f"{name}[{key!r}]")
    elif isinstance(tree, list | tuple):
        for i, value in enumerate(tree):
            yield from _paths(value, f"{name}[{i}]")
    else:
        yield name, tree


def _varies(leaf: Any) -> bool:
    return swappable(leaf) or floating(leaf)


def floating(x: Any) -> bool:
    """Whether x is an array that has a gradient."""
    return is_array(x) and backend_of(x).is_inexact(x.dtype)


def is_complex(x: Array) -> bool:
    """Whether x is an array of complex numbers."""
    return bool(namespace(x).isdtype(x.dtype, "complex floating"))


def real(x: Array) -> Array:
    """The real part."""
    return namespace(x).real(x) if is_complex(x) else x


def rounding(x: Array) -> float:
    """ε of the arithmetic that x's library does: that of the dtype, or less where it computes with more digits.

    mparray's float64 stands for as many digits as mpmath.mp.dps says.
    """
    xp = namespace(x)
    one, epsilon = xp.ones((), dtype=x.dtype, device=device_of(x)), float(xp.finfo(x.dtype).eps)
    while epsilon > 1e-300 and bool(one + epsilon / 2 != one):
        epsilon /= 2
    return epsilon


def count(shape: Shape) -> int:
    """How many elements an array of that shape has."""
    return math.prod(shape)


def unravel(k: int, shape: Shape) -> tuple[int, ...]:
    """The place of element k, in order of rows.

    >>> unravel(5, (2, 3))
    (1, 2)
    """
    place = []
    for n in reversed(shape):
        k, rest = divmod(k, n)
        place.append(rest)
    return tuple(reversed(place))


def unflattened(values: list[float], like: Array) -> Array:
    """These numbers as an array with the shape, dtype and device of another."""
    xp = namespace(like)
    return xp.reshape(xp.asarray(values, dtype=like.dtype, device=device_of(like)), tuple(like.shape))


def normal(rng: random.Random, like: Array) -> Array:
    """Standard normal numbers, complex ones for a complex array, in its shape."""
    n = count(like.shape)
    x = unflattened([rng.gauss(0.0, 1.0) for _ in range(n)], like)
    return x + unflattened([rng.gauss(0.0, 1.0) for _ in range(n)], like) * 1j if is_complex(like) else x
