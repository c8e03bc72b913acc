"""While a gradient is taken, the arrays of a Module are Vars; afterwards they are put back by identity.

A step does this once for every array, so it goes along the list of places that the module keeps, and walks no tree.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nnx.autodiff.tape import Tape, lift, resolve
from nnx.autodiff.thread import Note
from nnx.autodiff.var import Var
from nnx.layers.structure import Layout, Slot, version
from nnx.typing import Array

if TYPE_CHECKING:
    from nnx.layers.module import Module

_lock = threading.Lock()
_ABSENT = object()


class Holder:
    """The thread that is taking a gradient of a module, and how many of its transforms are."""

    __slots__ = ("depth", "thread")

    def __init__(self) -> None:
        self.thread, self.depth = 0, 0


class Swapped:
    """The arrays of a Module, replaced by Vars of a tape until `restore`.

    watched: its trained parameters by path, a shared one under its first
    """

    __slots__ = ("module", "modules", "saved", "watched")

    def __init__(self, module: "Module", tape: Tape, watch: bool, seen: dict[int, Var]) -> None:
        layout = module._layout()
        self.module = module
        self.modules = layout.modules
        self.watched: dict[str, Var] = {}
        self.saved: list[tuple[Slot, Array, Var, Array]] = []
        _enter(module, self.modules)
        try:
            self._swap(layout, tape, watch, seen)
        except BaseException:  # Ctrl-C, say
            self.restore(lambda x: x)
            raise

    def _swap(self, layout: Layout, tape: Tape, watch: bool, seen: dict[int, Var]) -> None:
        """seen: by the id of an array, the Var that stands for it wherever it is."""
        saved, watched, nested = self.saved, self.watched, tape.nested
        still = layout.still() if layout.frozen else ()
        usual = watch and not nested and not still
        for slot in layout.trained:
            owner, name, path, _, _ = slot
            x = owner[name]
            if usual and type(x) is not Var and id(x) not in seen:  # nearly always: on the shortest way
                var = watched[path] = seen[id(x)] = tape.record(x)
            else:
                var = self._stand_in(x, path, tape, watch and id(x) not in still, seen)
            saved.append((slot, x, var, var.value))
            owner[name] = var
        for slot in layout.others:
            owner, name, _, _, _ = slot
            x = owner[name]
            var = seen.get(id(x))
            if var is None:
                var = seen[id(x)] = lift(x if nested else resolve(x))
            saved.append((slot, x, var, var.value))
            owner[name] = var

    def _stand_in(self, x: Array, path: str, tape: Tape, watch: bool, seen: dict[int, Var]) -> Var:
        """The Var for a parameter that is shared, watched by an outer tape, given twice, or not to be watched."""
        var = seen.get(id(x))
        if var is None and type(x) is Var and x.tape is tape:
            var = x  # this call was given the model twice
        if var is None:
            inner = lift(x) if tape.nested else resolve(x)
            var = seen[id(x)] = tape.record(inner) if watch else lift(inner)
            if watch:
                self.watched[path] = var
        elif watch and var.tape is tape and not any(v is var for v in self.watched.values()):
            self.watched[path] = var
        return var

    def restore(self, lower: Callable[[Array], Array]) -> None:
        """Parameters go back to what they were; buffers and private arrays keep what was assigned to them, lowered."""
        for slot, x, var, value in self.saved:
            owner, name, _, kind, _ = slot
            if kind == "parameter":
                owner[name] = x
                continue
            now = owner.get(name, _ABSENT)
            if now is var and var.value is value:  # x[i] = v would have given it another value
                owner[name] = x
            elif now is not _ABSENT:
                owner[name] = lower(now)
        _leave(self.modules)

    @contextmanager
    def again(self) -> Iterator[None]:
        """After `restore`: inside of the block the parameters are the Vars once more (a pullback may call them)."""
        _enter(self.module, self.modules)
        now = [(owner, name, owner.get(name, _ABSENT)) for (owner, name, *_), *_ in self.saved]
        try:
            for (owner, name, _, kind, _), _, var, _ in self.saved:
                if kind == "parameter":
                    owner[name] = var
                elif name in owner:
                    owner[name] = lift(owner[name])
            yield
        finally:
            for owner, name, x in now:
                if x is not _ABSENT:
                    owner[name] = x
            _leave(self.modules)


class Earlier(Note):
    """What an attribute was before it was written to."""

    def __init__(self, module: "Module", name: str) -> None:
        self.module, self.name, self.was = module, name, module.__dict__.get(name, _ABSENT)

    def __call__(self) -> None:
        """See Note."""
        attributes = self.module.__dict__
        now, was = attributes.get(self.name, _ABSENT), self.was
        if was is _ABSENT:
            attributes.pop(self.name, None)
        else:
            attributes[self.name] = was
        self.was = now
        if (now is _ABSENT) is not (was is _ABSENT):
            version.bump()


def _enter(root: "Module", modules: list["Module"]) -> None:
    """Raises RuntimeError if another thread is taking a gradient of any of these modules."""
    me = threading.get_ident()
    with _lock:
        for module in modules:
            holder = module._holder
            if holder.depth and holder.thread != me:
                raise RuntimeError(
                    f"{type(root).__name__}: its {type(module).__name__} is being differentiated in another thread, "
                    "which has swapped its arrays: give each thread a model of its own (copy.deepcopy) or take turns"
                )
        for module in modules:
            module._holder.thread = me
            module._holder.depth += 1


def _leave(modules: list["Module"]) -> None:
    with _lock:
        for module in modules:
            module._holder.depth -= 1
