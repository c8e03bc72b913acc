"""A Module holds arrays; functions hold the math.

A floating array attribute is a parameter, unless its name begins with an underscore or it was registered as a buffer.
While a gradient is taken, the arrays of the model are replaced by Vars, and put back afterwards by identity. Walking the
tree of modules at each step would cost more than a small network's arithmetic: the list of where the arrays are is kept
until the structure changes.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, Self, TypeVar

from nnx.autodiff.tape import Tape, lift, resolve
from nnx.autodiff.var import Var
from nnx.backend import backend_of, get_backend, innermost, is_array
from nnx.layers.structure import Slot, is_tree, names_in, tracked, version, walk
from nnx.typing import Array, Device, DType

M = TypeVar("M", bound="Module")


class IncompatibleKeys(NamedTuple):
    """What a state dict lacked and what it had too much."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """The base of every layer and model: write `__init__` with arrays and layers as attributes, and `__call__`.

    >>> import nnx
    >>> class Affine(nnx.Module):
    ...     def __init__(self):
    ...         self.weight = nnx.asarray([2.0, 3.0])
    ...     def __call__(self, x):
    ...         return x * self.weight
    >>> list(dict(Affine().named_parameters()))
    ['weight']
    """

    training: bool = True
    _buffers: frozenset[str] = frozenset()
    _frozen: frozenset[str] = frozenset()

    def __call__(self, x: Any) -> Any:
        """The forward pass, in plain Array API code."""
        raise NotImplementedError(f"{type(self).__name__} needs a method __call__(self, x): its forward pass")

    # ---- attributes ----------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        old = attributes.get(name)
        if type(value) is Var:
            self._assign_in_forward(name, value, old)
        elif is_tree(value) or is_tree(old):
            attributes[name] = tracked(value)
            version.bump()
        else:
            attributes[name] = value
            if is_array(value) != is_array(old) or (is_array(value) and old.dtype != value.dtype):
                version.bump()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        version.bump()

    def _assign_in_forward(self, name: str, value: Var, old: Any) -> None:
        """An assignment while a gradient is taken: buffers and private names stay, unwrapped when it ends."""
        if not is_array(old) and not name.startswith("_") and name not in self._buffers:
            raise AttributeError(
                f"{type(self).__name__}.{name} was assigned an array in the forward pass and would become a parameter: "
                f"call it _{name}, or register_buffer('{name}', ...) in __init__"
            )
        self.__dict__[name] = value
        if not is_array(old):
            _assigned.append((self, name))

    def register_buffer(self, name: str, value: Array | None) -> None:
        """An array that belongs to the state but is not trained (running statistics)."""
        self.__dict__["_buffers"] = self._buffers | {name}
        setattr(self, name, value)
        version.bump()

    # ---- what is in it -------------------------------------------------------------------------------------------

    def _children(self) -> Iterator[tuple[str, "Module"]]:
        """Submodules by their names, those in lists, tuples and dicts as name.key."""
        for name, value in list(self.__dict__.items()):
            if is_tree(value):
                yield from names_in(value, name)

    def _slots(self) -> list[Slot]:
        """Where every array of the tree is; from the cache while the structure has not changed."""
        cached = self.__dict__.get("_cache")
        if cached is None or cached.version != version.now:
            cached = self.__dict__["_cache"] = _Cache(version.now, list(walk(self)))
        return cached.slots  # type: ignore[no-any-return]

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """This module and all below it, by dotted path; each once."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            path, module = stack.pop()
            if id(module) not in seen:
                seen.add(id(module))
                yield path, module
                children = [(f"{path}.{name}" if path else name, child) for name, child in module._children()]
                stack.extend(reversed(children))

    def modules(self) -> Iterator["Module"]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def children(self) -> Iterator["Module"]:
        """The modules directly below."""
        return (child for _, child in self._children())

    def named_parameters(self) -> Iterator[tuple[str, Array]]:
        """The parameters by dotted path, frozen ones too; a shared one once, under its first path."""
        return self._named("parameter")

    def parameters(self) -> Iterator[Array]:
        """The parameters, as named_parameters has them."""
        return (x for _, x in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """The buffers by dotted path."""
        return self._named("buffer")

    def buffers(self) -> Iterator[Array]:
        """The buffers."""
        return (x for _, x in self.named_buffers())

    def _named(self, kind: Literal["parameter", "buffer"]) -> Iterator[tuple[str, Array]]:
        seen: list[Array] = []
        for slot in self._slots():
            x = slot.owner[slot.name]
            if slot.kind == kind and not any(x is other for other in seen):
                seen.append(x)
                yield slot.path, x

    def trainable(self) -> dict[str, Array]:
        """The parameters that are not frozen by path: what an optimizer moves; a shared one once."""
        seen: set[int] = set()
        found = {}
        for slot in self._slots():
            x = slot.owner[slot.name]
            if slot.trainable and id(x) not in seen:
                seen.add(id(x))
                found[slot.path] = x
        return found

    def num_parameters(self, trainable_only: bool = False) -> int:
        """How many numbers the parameters are; a shared array counts once."""
        chosen = self.trainable().values() if trainable_only else self.parameters()
        return sum(Var(x).size or 0 for x in chosen)

    # ---- changing it ---------------------------------------------------------------------------------------------

    def update(self, arrays: dict[str, Array]) -> Self:
        """Put arrays at the paths of `named_parameters`; every path that shared the old array gets the new one."""
        slots = self._slots()
        places = {slot.path: slot for slot in slots}
        if unknown := [path for path in arrays if path not in places]:
            raise KeyError(f"no parameter {', '.join(unknown)} in {type(self).__name__}: there is {', '.join(places)}")
        self._replace({path: places[path].owner[places[path].name] for path in arrays}, arrays)
        return self

    def _replace(self, old: dict[str, Array], new: dict[str, Array]) -> None:
        """Put new[path] wherever the array old[path] is. `old` keeps those arrays alive, so that no id is used twice."""
        replacement = {id(x): new[path] for path, x in old.items()}
        for slot in self._slots():
            found = replacement.get(id(slot.owner[slot.name]))
            if found is not None:
                slot.owner[slot.name] = found

    def train(self, mode: bool = True) -> Self:
        """Training mode: dropout drops, batch norm counts."""
        for module in self.modules():
            module.__dict__["training"] = mode
        return self

    def eval(self) -> Self:
        """Evaluation mode."""
        return self.train(False)

    def freeze(self, recurse: bool = True) -> Self:
        """Keep the parameters as they are: no gradient, no update."""
        for module in self.modules() if recurse else [self]:
            module.__dict__["_frozen"] = frozenset(k for k, v in module.__dict__.items() if is_array(v))
        version.bump()
        return self

    def unfreeze(self, recurse: bool = True) -> Self:
        """Train the parameters again."""
        for module in self.modules() if recurse else [self]:
            module.__dict__["_frozen"] = frozenset()
        version.bump()
        return self

    def to(
        self, backend: str | None = None, device: str | Device | None = None, dtype: str | DType | None = None
    ) -> Self:
        """Move every array to a backend and device, floating ones to a dtype, too. Shared arrays stay shared."""
        target = get_backend(backend, device) if backend is not None or device is not None else None
        moved: dict[int, tuple[Array, Array]] = {}
        for slot in self._slots():
            x = slot.owner[slot.name]
            if id(x) not in moved:
                home = target or backend_of(x).open(getattr(x, "device", None))
                floating = backend_of(x).is_inexact(x.dtype)
                moved[id(x)] = (x, home.asarray(x, dtype if floating else None))
            slot.owner[slot.name] = moved[id(x)][1]
        version.bump()
        return self

    # ---- state ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers by path; a shared one under each of its paths."""
        return {
            slot.path: _copy(slot.owner[slot.name]) for slot in self._slots() if slot.kind in ("parameter", "buffer")
        }

    def load_state_dict(self, state: dict[str, Array], strict: bool = True) -> IncompatibleKeys:
        """Copy the arrays of a state dict (of any backend) in, in this model's dtypes and on its devices.

        Raises ValueError before anything is changed, naming every key that is missing or unexpected (if strict) and
        every array of another shape.
        """
        slots = {slot.path: slot for slot in self._slots() if slot.kind in ("parameter", "buffer")}
        keys = IncompatibleKeys([k for k in slots if k not in state], [k for k in state if k not in slots])
        wrong = [
            f"{path} has shape {tuple(state[path].shape)}, the model's {tuple(slot.owner[slot.name].shape)}"
            for path, slot in slots.items()
            if path in state and tuple(state[path].shape) != tuple(slot.owner[slot.name].shape)
        ]
        problems = [f"wrong shape: {'; '.join(wrong)}"] if wrong else []
        if strict:
            problems += [f"missing: {', '.join(keys.missing_keys)}"] if keys.missing_keys else []
            problems += [f"unexpected: {', '.join(keys.unexpected_keys)}"] if keys.unexpected_keys else []
        if problems:
            raise ValueError(f"the state dict does not fit {type(self).__name__}: {'; '.join(problems)}")
        new: dict[int, Array] = {}
        olds = {path: slot.owner[slot.name] for path, slot in slots.items()}
        for path, slot in slots.items():
            if path in state:
                old = olds[path]
                if id(old) not in new:
                    home = backend_of(old).open(getattr(old, "device", None))
                    new[id(old)] = _copy(home.asarray(innermost(state[path]), old.dtype))
                slot.owner[slot.name] = new[id(old)]
        return keys

    # ---- the core's side -----------------------------------------------------------------------------------------

    def _any_array(self) -> Array | None:
        slots = self._slots()
        return slots[0].owner[slots[0].name] if slots else None

    def _swap(self, tape: Tape, watch: bool, seen: dict[int, Var]) -> "_Swap":
        return _Swap(self, tape, watch, seen)

    def __repr__(self) -> str:
        inside = "".join(f"\n  ({name}): " + repr(child).replace("\n", "\n  ") for name, child in self._children())
        return f"{type(self).__name__}({self.extra_repr()}{inside}{chr(10) if inside else ''})"

    def extra_repr(self) -> str:
        """What the representation says in brackets."""
        return ""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_cache", "_differentiated")}


class _Cache:
    """Where the arrays are, as of a structure version. No tuple: a walk through the attributes would enter it."""

    __slots__ = ("slots", "version")

    def __init__(self, version: int, slots: list[Slot]) -> None:
        self.version, self.slots = version, slots


_assigned: list[tuple[Module, str]] = []
"""Attributes that first became arrays in a forward pass that is under way."""


def _copy(x: Array) -> Array:
    library = backend_of(x)
    return library.namespace().asarray(x, copy=True)


class _Swap:
    """The arrays of a Module, replaced by Vars of a tape until `restore`."""

    def __init__(self, module: Module, tape: Tape, watch: bool, seen: dict[int, Var]) -> None:
        self.module = module
        self.watched: dict[str, Var] = {}
        self.saved: list[tuple[Slot, Array, Var]] = []
        _enter(module)
        saved, watched, plain = self.saved, self.watched, not tape.nested
        for slot in module._slots():  # once a step for each array: kept lean
            owner, name, path, _, trainable = slot
            x = owner[name]
            var = seen.get(id(x))
            if var is None:
                inner = x if plain and type(x) is not Var else resolve(x) if plain else lift(x)
                var = seen[id(x)] = tape.record(inner) if watch and trainable else lift(inner)
            if trainable and watch and var.tape is tape:
                watched.setdefault(path, var)
            saved.append((slot, x, var))
            owner[name] = var

    def restore(self, lower: Callable[[Array], Array]) -> None:
        """Parameters go back to what they were; buffers and private arrays keep what was assigned to them, lowered."""
        for slot, x, var in self.saved:
            now = slot.owner.get(slot.name)
            if now is var or slot.kind == "parameter":
                slot.owner[slot.name] = x
            else:
                slot.owner[slot.name] = lower(now)
        if _assigned:
            _lower_assigned(lower)
        _leave(self.module)


def _lower_assigned(lower: Callable[[Array], Array]) -> None:
    pending = list(_assigned)
    _assigned.clear()
    for module, name in pending:
        value = module.__dict__.get(name)
        if type(value) is Var:
            module.__dict__[name] = value = lower(value)
            if type(value) is Var:
                _assigned.append((module, name))
    version.bump()


def _enter(module: Module) -> None:
    """Raises RuntimeError if another thread is taking a gradient of this model."""
    me = threading.get_ident()
    holder = module.__dict__.setdefault("_differentiated", [me, 0])
    if holder[0] != me:
        raise RuntimeError(
            f"{type(module).__name__} is being differentiated in another thread, which has swapped its arrays: "
            "give each thread a model of its own (copy.deepcopy) or take turns"
        )
    holder[1] += 1


def _leave(module: Module) -> None:
    holder = module.__dict__["_differentiated"]
    holder[1] -= 1
    if not holder[1]:
        del module.__dict__["_differentiated"]
