"""What a compiled step may read and change: the arrays and numbers of models, optimizers and the random generator.

Each carrier says what must be the same for a program to fit (`key`), and cheaply whether that may have changed
(`still`); which arrays and numbers go in; puts traced ones in their place, and collects what the step has made of them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, Protocol

from nnx import random
from nnx.compiled.count import Count
from nnx.compiled.of_models import Model
from nnx.compiled.of_optimizers import Slots
from nnx.layers.module import Module
from nnx.optim import Optimizer
from nnx.typing import Array


class Carrier(Protocol):
    """A part of the state."""

    def key(self) -> Any:
        """Hashable: what a program was compiled for."""

    def still(self) -> bool:
        """Whether the key is certain to be what it was when it was last asked for."""

    def places(self) -> list[Any]:
        """Where its arrays stand now."""

    def arrays(self) -> list[Array]:
        """What stands there."""

    def store(self, arrays: Sequence[Array]) -> None:
        """Arrays into the places that there are."""

    def numbers(self) -> list[int | float]:
        """Python numbers that change from step to step."""

    def advance(self, moves: list[int]) -> None:
        """Move the numbers on."""

    def put(self, places: list[Any], arrays: Sequence[Array], numbers: list[Any]) -> None:
        """Arrays into those places and numbers in the place of its numbers; what stands elsewhere goes."""

    def moved(self) -> list[int]:
        """After a trace: by how much each number has moved. Raises ValueError for one that was assigned to."""

    def settled(self) -> Callable[[], bool]:
        """Before a trace; what it returns is called after it, and says whether the key means something else now."""


class Draws:
    """The random generator's counter; the seed is part of the key."""

    def __init__(self) -> None:
        self._asked = -1

    def key(self) -> Any:
        """See Carrier."""
        self._asked = random._current().seed
        return self._asked

    def still(self) -> bool:
        """See Carrier."""
        return self._asked == random._current().seed

    def settled(self) -> Callable[[], bool]:
        """See Carrier."""
        return lambda: False

    def places(self) -> list[Any]:
        """None."""
        return []

    def arrays(self) -> list[Array]:
        """None."""
        return []

    def store(self, arrays: Sequence[Array]) -> None:
        """See Carrier."""

    def numbers(self) -> list[int | float]:
        """See Carrier."""
        return [random._current().counter]

    def advance(self, moves: list[int]) -> None:
        """See Carrier."""
        random._current().counter += moves[0]

    def put(self, places: list[Any], arrays: Sequence[Array], numbers: list[Any]) -> None:
        """See Carrier."""
        random._current().counter = numbers[0]

    def moved(self) -> list[int]:
        """See Carrier."""
        counter: Any = random._current().counter
        if type(counter) is not Count:
            raise ValueError("random numbers were seeded in a compiled step: seed outside of it")
        return [counter.moved]


def carriers(state: Any) -> list[Carrier]:
    """A carrier for each object of the state, and the random generator's. Raises TypeError for what has none."""
    found: list[Carrier] = []
    for x in state if isinstance(state, tuple | list) else (state,):
        x = getattr(x, "carried", x)  # a GradScaler's arrays
        if isinstance(x, Module):
            found.append(Model(x))
        elif isinstance(x, Optimizer) and x.compiles:
            found.append(Slots(x))
        else:
            raise TypeError(
                f"compile's state takes Modules and optimizers that change nothing but slots, got {type(x).__name__}: "
                "leave it out and update eagerly, or pass arrays as arguments"
            )
    return [*found, Draws()]


@contextmanager
def traced(parts: list[Carrier], arrays: list[list[Array]], numbers: list[Any]) -> Iterator[None]:
    """Inside of the block tracers stand in the place of arrays and numbers; afterwards what was there before."""
    before = [(part, part.places(), part.arrays(), part.numbers()) for part in parts]
    optimizers = [part.optimizer for part in parts if isinstance(part, Slots)]
    try:
        for optimizer in optimizers:
            vars(optimizer)["calls"] = 0  # a compiler fuses better than one vector does
        given = iter(numbers)
        for (part, places, _, ns), xs in zip(before, arrays, strict=True):
            part.put(places, xs, list(islice(given, len(ns))))
        yield
    finally:
        for part, places, xs, ns in before:
            part.put(places, xs, ns)
        for optimizer in optimizers:
            del vars(optimizer)["calls"]
