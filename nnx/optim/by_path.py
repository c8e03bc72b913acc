"""Several optimizers for one model, each for the parameters that a pattern of their paths names."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from nnx.layers.module import Module
from nnx.optim.base import Optimizer, _check_paths
from nnx.optim.groups import check_used
from nnx.optim.saved import Slots
from nnx.typing import Array

__all__ = ["ByPath"]

Parts = dict[str, dict[str, Array]]


class ByPath(Optimizer):
    """An optimizer for each part of a model: {pattern of dotted paths: optimizer}.

    Patterns are fnmatch's; of those that match a path the last one counts. Raises ValueError for a parameter that none
    matches, and for a pattern that matches none. A schedule moves the lr of each by its own start.

    >>> from nnx.optim import AdamW, Muon
    >>> ByPath({"*": AdamW(1e-3), "hidden.*.weight": Muon(2e-2)}).lr
    0.001
    """

    compiles = False

    def __init__(self, optimizers: Mapping[str, Optimizer]) -> None:
        if not optimizers:
            raise ValueError("ByPath needs an optimizer: expected {pattern: optimizer}, got an empty dict")
        for pattern, optimizer in optimizers.items():
            if not isinstance(optimizer, Optimizer):
                raise TypeError(f"ByPath: expected an optimizer of nnx.optim for '{pattern}', got {optimizer!r}")
        self._optimizers = dict(optimizers)
        self._seen: set[str] = set()
        self.groups = {pattern: {} for pattern in optimizers}
        self.steps = 0

    @property
    def lr(self) -> float:
        """The first one's. Set each one's own, or let a schedule do it."""
        return next(iter(self._optimizers.values())).lr

    @lr.setter
    def lr(self, lr: float) -> None:
        raise AttributeError("ByPath has no lr of its own: assign to that of one of its optimizers")

    @property
    def state(self) -> dict[str, Slots]:
        """See Optimizer.state."""
        return {path: slots for optimizer in self._optimizers.values() for path, slots in optimizer.state.items()}

    @state.setter
    def state(self, state: dict[str, Slots]) -> None:
        raise AttributeError("ByPath has no state of its own: assign to that of one of its optimizers")

    def init(self, model: Module) -> None:
        """See Optimizer.init."""
        for pattern, part in self._split(model.trainable(), model).items():
            self._optimizers[pattern]._make(part)

    def _split(self, params: dict[str, Array], model: Module | None = None) -> Parts:
        """The parameters of each optimizer."""
        if not self._seen.issuperset(params):
            frozen = () if model is None else (path for path, _ in model.named_parameters())
            there = dict.fromkeys([*params, *self._seen, *frozen])
            check_used(self._optimizers, there, "ByPath")
        parts: Parts = {}
        for path, p in params.items():
            parts.setdefault(self._pattern(path), {})[path] = p
        self._seen.update(params)
        return parts

    def _pattern(self, path: str) -> str:
        found = [pattern for pattern in self._optimizers if fnmatchcase(path, pattern)]
        if not found:
            raise ValueError(
                f"ByPath: no pattern of {', '.join(self._optimizers)} matches '{path}': put a '*' first for the rest"
            )
        return found[-1]

    def _know(self, params: Any, model: Module | None = None) -> None:
        self._split(params, model)

    def apply(self, params: dict[str, Array], grads: dict[str, Array]) -> dict[str, Array]:
        """See Optimizer.apply; if one of the optimizers raises, those before it have made their step."""
        _check_paths(params, grads)
        new: dict[str, Array] = {}
        for pattern, part in self._split(params).items():
            new |= self._optimizers[pattern].apply(part, {path: grads[path] for path in part})
        self.steps += 1
        return {path: new[path] for path in params}

    def _having(self, name: str) -> list[dict[str, Any]]:
        return [options for optimizer in self._optimizers.values() for options in optimizer._having(name)]

    def hyperparameters(self) -> dict[str, Any]:
        """Those of each by its pattern."""
        return {pattern: optimizer.hyperparameters() for pattern, optimizer in self._optimizers.items()}

    def state_dict(self) -> dict[str, Any]:
        """See Optimizer.state_dict."""
        states = {pattern: optimizer.state_dict() for pattern, optimizer in self._optimizers.items()}
        slots = {f"{k}/{name}": x for k, state in enumerate(states.values()) for name, x in state.pop("slots").items()}
        return {"steps": self.steps, "optimizers": states, "slots": slots}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Optimizer.load_state_dict. Raises ValueError if the patterns are others."""
        states = state.get("optimizers", {})
        if list(states) != list(self._optimizers):
            raise ValueError(f"ByPath of {list(self._optimizers)} got the state of one of {list(states)}")
        for k, (pattern, optimizer) in enumerate(self._optimizers.items()):
            mark = f"{k}/"
            own = {name.removeprefix(mark): x for name, x in state["slots"].items() if name.startswith(mark)}
            optimizer.load_state_dict({**states[pattern], "slots": own})
        self.steps, self._seen = state["steps"], set()
