"""What a compiled step may read and change of an optimizer: see Carrier in nnx/compiled/state.py."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from nnx.compiled.count import Count
from nnx.compiled.forms import is_constant, picking, token
from nnx.layers.module import Module
from nnx.optim import Optimizer
from nnx.typing import Array

LIVE = frozenset(("steps", "missed", "lr", "initial_lr", "groups", "calls"))
"""Attributes of an optimizer that are no constants of a program, or that are looked at otherwise."""


class Slots:
    """An optimizer's slots, its step count and its learning rates; other hyperparameters are part of the key."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self._asked: tuple[Any, ...] | None = None
        self._values: Callable[[dict[str, Any]], Any] = tuple
        self._paths: list[str] = []
        self._counts: list[int] = []

    def prepare(self, model: Module) -> None:
        """Slots for every trained parameter, and a count for every one that the next step will leave out."""
        optimizer, params = self.optimizer, model.trainable()
        if optimizer._loaded:
            optimizer._move_to(params)
        if not params.keys() <= optimizer.state.keys():
            optimizer.init(model)
        if len(optimizer.state) > len(params):
            for path in optimizer.state.keys() - params.keys():
                optimizer.missed.setdefault(path, 0)

    def _rates(self) -> list[dict[str, Any]]:
        return self.optimizer._having("lr")

    def _now(self) -> tuple[Any, ...]:
        """What the key is made of, as objects: to compare them costs less than to make the key."""
        optimizer, own = self.optimizer, vars(self.optimizer)
        groups = {p: {k: v for k, v in options.items() if k != "lr"} for p, options in optimizer.groups.items()}
        return len(own), self._values(own), groups, list(optimizer.missed), optimizer._loaded

    def key(self) -> Any:
        """See Carrier."""
        own = vars(self.optimizer)
        names = [name for name in own if name not in LIVE and name[0] != "_"]
        self._values = picking(names)
        _, values, groups, missed, _ = now = self._now()
        held = [*values, *(v for options in groups.values() for v in options.values())]
        self._asked = now if all(map(is_constant, held)) else None  # what may change inside is never still
        places = self.places()
        self._paths, self._counts = [path for path, _ in places], [n for _, n in places]
        return (
            id(self.optimizer),
            tuple(zip(names, map(token, values), strict=True)),
            token(groups),
            tuple(places),
            tuple(missed),
        )

    def still(self) -> bool:
        """See Carrier."""
        return self._asked == self._now() and self._paths == list(self.optimizer.state)

    def settled(self) -> Callable[[], bool]:
        """See Carrier."""
        return lambda: False

    def places(self) -> list[Any]:
        """Paths, and how many slots each has."""
        return [(path, len(slots)) for path, slots in self.optimizer.state.items()]

    def arrays(self) -> list[Array]:
        """See Carrier."""
        return [x for slots in self.optimizer.state.values() for x in slots]

    def store(self, arrays: Sequence[Array]) -> None:
        """See Carrier."""
        state, counts = self.optimizer.state, self._counts
        if len(set(counts)) == 1 and counts[0]:  # as nearly always
            self.optimizer.state = dict(zip(state, zip(*[iter(arrays)] * counts[0], strict=True), strict=True))
        else:
            given = iter(arrays)
            self.optimizer.state = {path: tuple(islice(given, len(slots))) for path, slots in state.items()}

    def numbers(self) -> list[int | float]:
        """Steps, how many each parameter missed, and learning rates."""
        optimizer = self.optimizer
        if not optimizer.missed and not optimizer.groups:
            return [optimizer.steps, optimizer.lr]
        return [optimizer.steps, *optimizer.missed.values(), *(place["lr"] for place in self._rates())]

    def advance(self, moves: list[int]) -> None:
        """See Carrier."""
        missed = self.optimizer.missed
        self.optimizer.steps += moves[0]
        if missed:
            self.optimizer.missed = {path: n + move for (path, n), move in zip(missed.items(), moves[1:], strict=False)}

    def put(self, places: list[Any], arrays: Sequence[Array], numbers: list[Any]) -> None:
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
