"""What an optimizer is between two runs: its numbers, and the arrays that it keeps, as data."""

from collections.abc import Callable
from typing import Any

from nnx.backend import asarray, backend_of, namespace
from nnx.optim.groups import Groups, Key, copied
from nnx.typing import Array

Slots = tuple[Array, ...]


class Saved:
    """The part of Optimizer that is about checkpoints."""

    steps: int
    missed: dict[str, int]
    groups: Groups
    state: Any
    _patterns: Key
    _of: Callable[[str], Any]
    _loaded: bool

    def hyperparameters(self) -> dict[str, Any]:
        """The numbers that it was made with, as they are now."""
        return {k: v for k, v in vars(self).items() if k not in ("steps", "missed") and k[0] != "_"}

    def state_dict(self) -> dict[str, Any]:
        """Numbers, and copies of the slots as "path/slot"."""
        arrays = {
            f"{path}/{name}": copy_of(x)
            for path, slots in self.state.items()
            for name, x in zip(self._of(path).slots, slots, strict=False)  # strict: momentum may have been 0 until now
        }
        return {
            "steps": self.steps,
            "missed": dict(self.missed),
            "hyperparameters": {**self.hyperparameters(), "groups": copied(self.groups)},
            "slots": arrays,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where state_dict was taken; the slots go to where the parameters are at the next update."""
        given, arrays = dict(state["hyperparameters"]), state["slots"]
        if unknown := [name for name in given if name not in self.hyperparameters()]:
            raise ValueError(
                f"{type(self).__name__} has no hyperparameter '{unknown[0]}': the state is another optimizer's"
            )
        self.groups, self._patterns = copied(given.pop("groups", {})), ()
        vars(self).update({k: tuple(value) if isinstance(value, list) else value for k, value in given.items()})
        self.steps, self.missed = state["steps"], dict(state.get("missed", {}))
        found: dict[str, Slots] = {}
        for path in dict.fromkeys(key.rpartition("/")[0] for key in arrays):
            names = [f"{path}/{name}" for name in self._of(path).slots]
            if all(name in arrays for name in names):  # else it begins anew: a momentum that was 0
                found[path] = tuple(copy_of(asarray(arrays[name])) for name in names)
        self.state = found
        self._loaded = True

    def _move_to(self, params: dict[str, Array]) -> None:
        """The slots to the backend and device of their parameters."""
        for path, p in params.items():
            if path in self.state:
                home = backend_of(p).open(getattr(p, "device", None))
                self.state[path] = tuple(home.asarray(x, p.dtype) for x in self.state[path])
        self._loaded = False


def copy_of(x: Array) -> Array:
    """An array of its own with the same numbers."""
    return namespace(x).asarray(x, copy=True)
