"""What a compiled step may read and change of a model: see Carrier in nnx/compiled/state.py."""

from collections.abc import Callable, Sequence
from typing import Any

from nnx.backend import is_array
from nnx.compiled.forms import token
from nnx.layers.module import Module
from nnx.layers.structure import Slot, any_leaf, is_module, version
from nnx.typing import Array


class Model:
    """A Module's parameters, buffers and private arrays; what else its modules hold is part of the key."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.own: set[tuple[int, str]] = set()  # settings that the step itself changes: (number of the module, name)
        self._slots: list[Slot] = []
        self._where: list[tuple[dict[str, Any], str]] = []
        self._modules: list[Module] = []
        self._seen = self._asked = (-1, -1)

    def _look(self) -> None:
        if self._seen[0] != version.now:
            layout = self.module._layout()
            self._slots = [*layout.trained, *layout.others]
            self._where = [(owner, name) for owner, name, *_ in self._slots]
            self._modules = list(self.module.modules())
            self._seen = version.now, 0

    def settings(self) -> dict[tuple[int, str], Any]:
        """By module and name: attributes that are neither arrays nor modules (a dropout's p), but for private ones."""
        self._look()
        found = {}
        for k, module in enumerate(self._modules):
            found[k, "training"] = token(module.training)
            for name, value in vars(module).items():
                if name[0] != "_" and not any_leaf(_is_part, value):
                    found[k, name] = token(value)
        return found

    def key(self) -> Any:
        """Paths, kinds, what is frozen, and settings."""
        self._look()
        self._asked = version.now, version.settings
        slots = tuple((path, kind, trainable) for _, _, path, kind, trainable in self._slots)
        settings = tuple((name, value) for name, value in self.settings().items() if name not in self.own)
        return id(self.module), slots, settings

    def still(self) -> bool:
        """See Carrier."""
        return self._asked == (version.now, version.settings)

    def settled(self) -> Callable[[], bool]:
        """See Carrier. A counter that the step itself moves would ask for a new program at each step."""
        before, own = self.settings(), len(self.own)

        def ask() -> bool:
            after = self.settings()
            self.own |= {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
            return len(self.own) > own

        return ask

    def places(self) -> list[Any]:
        """See Carrier."""
        self._look()
        return self._slots

    def arrays(self) -> list[Array]:
        """See Carrier."""
        self._look()
        return [owner[name] for owner, name in self._where]

    def store(self, arrays: Sequence[Array]) -> None:
        """See Carrier."""
        for (owner, name), x in zip(self._where, arrays, strict=True):
            owner[name] = x

    def numbers(self) -> list[int | float]:
        """None."""
        return []

    def advance(self, moves: list[int]) -> None:
        """See Carrier."""

    def put(self, places: list[Any], arrays: Sequence[Array], numbers: list[Any]) -> None:
        """See Carrier. A private array that a trace has made is a place that others have not."""
        for (owner, name, *_), x in zip(places, arrays, strict=True):
            if name not in owner:
                version.bump()
            owner[name] = x
        wanted = {(id(owner), name) for owner, name, *_ in places}
        for owner, name, *_ in self.places():
            if (id(owner), name) not in wanted:
                del owner[name]
                version.bump()

    def moved(self) -> list[int]:
        """None."""
        return []


def _is_part(x: Any) -> bool:
    return is_module(x) or is_array(x)
