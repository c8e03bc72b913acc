"""What a compiled step may read and change: the arrays and numbers of models, optimizers and the random generator.

Each carrier says what must be the same for a program to fit (`key`), which arrays and numbers go in, puts traced ones
in their place, and collects what the step has made of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from nnx import random
from nnx.compiled.count import Count
from nnx.layers.module import Module
from nnx.layers.structure import Slot, version
from nnx.optim import Optimizer
from nnx.typing import Array


class Carrier(Protocol):
    """A part of the state."""

    def key(self) -> Any:
        """Hashable: what a program was compiled for."""

    def places(self) -> list[Any]:
        """Where its arrays stand now."""

    def arrays(self) -> list[Array]:
        """What stands there."""

    def numbers(self) -> list[int | float]:
        """Python numbers that change from step to step."""

    def put(self, places: list[Any], arrays: list[Array], numbers: list[Any]) -> None:
        """Arrays into those places and numbers in the place of its numbers; what stands elsewhere goes."""

    def moved(self) -> list[int]:
        """After a trace: by how much each number has moved. Raises ValueError for one that was assigned to."""


class Model:
    """A Module's parameters, buffers and private arrays."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def _slots(self) -> list[Slot]:
        layout = self.module._layout()
        return [*layout.trained, *layout.others]

    def key(self) -> Any:
        """Paths, kinds, what is frozen, and which modules are in training."""
        slots = tuple((path, kind, trainable) for _, _, path, kind, trainable in self._slots())
        return id(self.module), slots, tuple(module.training for module in self.module.modules())

    def places(self) -> list[Any]:
        """See Carrier."""
        return self._slots()

    def arrays(self) -> list[Array]:
        """See Carrier."""
        return [owner[name] for owner, name, *_ in self._slots()]

    def numbers(self) -> list[int | float]:
        """None."""
        return []

    def put(self, places: list[Any], arrays: list[Array], numbers: list[Any]) -> None:
        """See Carrier. A private array that a trace has made is a place that others have not."""
        for (owner, name, *_), x in zip(places, arrays, strict=True):
            if name not in owner:
                version.bump()
            owner[name] = x
        wanted = {(id(owner), name) for owner, name, *_ in places}
        for owner, name, *_ in self._slots():
            if (id(owner), name) not in wanted:
                del owner[name]
                version.bump()

    def moved(self) -> list[int]:
        """None."""
        return []


class Slots:
    """An optimizer's slots, its step count and its learning rates; other hyperparameters are part of the key."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer

    def prepare(self, model: Module) -> None:
        """Slots for every trained parameter, and a count for every one that the next step will leave out."""
        optimizer, params = self.optimizer, model.trainable()
        if not params.keys() <= optimizer.state.keys():
            optimizer.init(model)
        if len(optimizer.state) > len(params):
            for path in optimizer.state.keys() - params.keys():
                optimizer.missed.setdefault(path, 0)

    def _rates(self) -> list[dict[str, Any]]:
        return self.optimizer._having("lr")

    def key(self) -> Any:
        """See Carrier."""
        optimizer = self.optimizer
        static = {k: v for k, v in optimizer.hyperparameters().items() if k not in ("lr", "initial_lr", "groups")}
        groups = {p: {k: v for k, v in options.items() if k != "lr"} for p, options in optimizer.groups.items()}
        return id(optimizer), repr(sorted(static.items())), repr(groups), tuple(self.places()), tuple(optimizer.missed)

    def places(self) -> list[Any]:
        """Paths, and how many slots each has."""
        return [(path, len(slots)) for path, slots in self.optimizer.state.items()]

    def arrays(self) -> list[Array]:
        """See Carrier."""
        return [x for slots in self.optimizer.state.values() for x in slots]

    def numbers(self) -> list[int | float]:
        """Steps, how many each parameter missed, and learning rates."""
        optimizer = self.optimizer
        return [optimizer.steps, *optimizer.missed.values(), *(place["lr"] for place in self._rates())]

    def put(self, places: list[Any], arrays: list[Array], numbers: list[Any]) -> None:
        """See Carrier."""
        optimizer, given = self.optimizer, iter(arrays)
        optimizer.state = {path: tuple(next(given) for _ in range(n)) for path, n in places}
        optimizer.steps, *rest = numbers
        optimizer.missed = dict(zip(optimizer.missed, rest, strict=False))
        for place, lr in zip(self._rates(), rest[len(optimizer.missed) :], strict=True):
            place["lr"] = lr

    def moved(self) -> list[int]:
        """See Carrier."""
        counts: list[Any] = [self.optimizer.steps, *self.optimizer.missed.values()]
        found = [count.moved for count in counts if type(count) is Count]
        if len(found) < len(counts):
            raise ValueError("an optimizer's step count was assigned to in a compiled step: only `update` may move it")
        return found + [0] * len(self._rates())


class Draws:
    """The random generator's counter; the seed is part of the key."""

    def key(self) -> Any:
        """See Carrier."""
        return random._current().seed

    def places(self) -> list[Any]:
        """None."""
        return []

    def arrays(self) -> list[Array]:
        """None."""
        return []

    def numbers(self) -> list[int | float]:
        """See Carrier."""
        return [random._current().counter]

    def put(self, places: list[Any], arrays: list[Array], numbers: list[Any]) -> None:
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
def traced(parts: list[Carrier], arrays: list[list[Array]], numbers: list[list[Any]]) -> Iterator[None]:
    """Inside of the block tracers stand in the place of arrays and numbers; afterwards what was there before."""
    before = [(part, part.places(), part.arrays(), part.numbers()) for part in parts]
    optimizers = [part.optimizer for part in parts if isinstance(part, Slots)]
    try:
        for optimizer in optimizers:
            vars(optimizer)["calls"] = 0  # a compiler fuses better than one vector does
        for part, xs, ns in zip(parts, arrays, numbers, strict=True):
            part.put(part.places(), xs, ns)
        yield
    finally:
        for part, places, xs, ns in before:
            part.put(places, xs, ns)
        for optimizer in optimizers:
            del vars(optimizer)["calls"]
