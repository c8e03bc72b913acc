"""What a tree of modules is made of, and how a change of it is noticed.

One counter, the structure version, goes up when the set of parameters or submodules of any module changes: attributes
that come, go or change kind, and lists and dicts of modules, which are subclasses that notice their own changes.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, SupportsIndex

from nnx.backend import backend_of, is_array
from nnx.typing import Array

if TYPE_CHECKING:
    from nnx.layers.module import Module

Kind = Literal["parameter", "buffer", "private"]


class Slot(NamedTuple):
    """A place that holds an array: `owner[name]`, where owner is the `__dict__` of a module."""

    owner: dict[str, Any]
    name: str
    path: str
    kind: Kind
    trainable: bool


class Layout:
    """Where the arrays of a tree of modules are, found by one walk and kept until the structure changes.

    slots: every path, in a state dict's order   trained, others: each place once, by whether it is trained
    modules: those that hold them, each once
    """

    __slots__ = ("by_path", "frozen", "modules", "others", "slots", "trained", "version")

    def __init__(self, root: "Module") -> None:
        self.version = version.now
        self.slots = list(walk(root))
        owners = {id(slot.owner) for slot in self.slots}
        self.modules = [module for module in root.modules() if id(module.__dict__) in owners]
        self.by_path = {slot.path: slot for slot in self.slots}
        # a module that stands at two paths has its arrays there once
        places = {(id(slot.owner), slot.name): slot for slot in reversed(self.slots)}
        once = [slot for slot in self.slots if places[id(slot.owner), slot.name] is slot]
        self.trained = [slot for slot in once if slot.trainable]
        self.others = [slot for slot in once if not slot.trainable]
        self.frozen = [slot for slot in self.others if slot.kind == "parameter"]

    def still(self) -> set[int]:
        """The ids of the frozen parameters: one that is shared is frozen wherever it stands."""
        return {id(slot.owner[slot.name]) for slot in self.frozen}

    def replace(self, new: dict[int, Array]) -> None:
        """Put new[id(x)] wherever an array x is. The caller keeps every x alive, so that no id is used twice."""
        for places in (self.trained, self.others):
            for owner, name, *_ in places:
                found = new.get(id(owner[name]))
                if found is not None:
                    owner[name] = found


class _Version:
    """The structure version; and how often an attribute that is neither array nor module was given another value."""

    def __init__(self) -> None:
        self.now = self.settings = 0

    def bump(self) -> None:
        """Say that some structure has changed."""
        self.now += 1


version = _Version()


def is_module(x: object) -> bool:
    """Whether x is a Module."""
    return hasattr(x, "_swap")


def is_tree(x: object) -> bool:
    """Whether x is a module, or a list, tuple or dict, which may hold some."""
    return isinstance(x, list | tuple | dict) or is_module(x)


def any_leaf(test: Callable[[Any], bool], x: Any) -> bool:
    """Whether the test holds for x or for anything in its lists, tuples and dicts."""
    if isinstance(x, dict):
        x = x.values()
    elif not isinstance(x, list | tuple):
        return test(x)
    return any(any_leaf(test, v) for v in x)


def holds_module(x: Any) -> bool:
    """Whether there is a module in x."""
    return any_leaf(is_module, x)


def tracked(x: Any) -> Any:
    """x with its lists and dicts replaced by ones that notice when modules come and go."""
    if type(x) is list:
        return TrackedList(x)
    if type(x) is dict:
        return TrackedDict(x)
    if type(x) is tuple:
        return tuple(tracked(v) for v in x)
    return x


class TrackedList(list[Any]):
    """A list that says when modules come and go. What only adds looks at what it was given, not at the whole."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        super().__init__(map(tracked, values))

    def append(self, value: Any, /) -> None:
        """See list."""
        self.extend((value,))

    def extend(self, values: Iterable[Any], /) -> None:
        """See list."""
        new = [tracked(v) for v in values]
        super().extend(new)
        if holds_module(new):
            version.bump()

    def insert(self, at: SupportsIndex, value: Any, /) -> None:
        """See list."""
        super().insert(at, tracked(value))
        if holds_module(value):
            version.bump()

    def __setitem__(self, at: Any, value: Any, /) -> None:
        old = self[at]
        new = [tracked(v) for v in value] if isinstance(at, slice) else tracked(value)
        super().__setitem__(at, new)
        if holds_module(old) or holds_module(new):
            version.bump()


class TrackedDict(dict[Any, Any]):
    """A dict that says when modules come and go."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__({k: tracked(v) for k, v in dict(*args, **kwargs).items()})

    def __setitem__(self, key: Any, value: Any, /) -> None:
        old = self.get(key)
        super().__setitem__(key, tracked(value))
        if holds_module(old) or holds_module(value):
            version.bump()

    def update(self, *args: Any, **kwargs: Any) -> None:
        """See dict."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key: Any, default: Any = None, /) -> Any:
        """See dict."""
        if key not in self:
            self[key] = default
        return self[key]


def _shrinking(original: Callable[..., Any]) -> Callable[..., Any]:
    """A method that takes things out or moves them: the version goes up if there was a module among them."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        held = holds_module(self)
        found = original(self, *args, **kwargs)
        if held:
            version.bump()
        return found

    call.__name__ = original.__name__
    return call


def _grown(self: Any, other: Any) -> Any:
    """list += or dict |= what may hold modules."""
    self.update(other) if isinstance(self, dict) else self.extend(other)
    return self


setattr(TrackedList, "__iadd__", _grown)  # noqa: B010  (said in the class body, it could not have list's signature)
setattr(TrackedDict, "__ior__", _grown)  # noqa: B010
for _method in ["__delitem__", "__imul__", "pop", "remove", "clear", "reverse", "sort"]:
    setattr(TrackedList, _method, _shrinking(getattr(list, _method)))
for _method in ["__delitem__", "pop", "popitem", "clear"]:
    setattr(TrackedDict, _method, _shrinking(getattr(dict, _method)))


def names_in(x: Any, name: str) -> Iterator[tuple[str, "Module"]]:
    """The modules in an attribute, as name, name.0, name.key, ..."""
    if is_module(x):
        yield name, x
    elif isinstance(x, dict):
        for key, value in x.items():
            yield from names_in(value, f"{name}.{key}")
    elif isinstance(x, list | tuple):
        for k, value in enumerate(x):
            yield from names_in(value, f"{name}.{k}")


def walk(module: "Module", prefix: str = "", above: frozenset[int] = frozenset()) -> Iterator[Slot]:
    """Every array of the tree: a module's own parameters, its buffers, then its children's, as in a state dict."""
    if id(module) in above:
        raise ValueError(f"{type(module).__name__} at '{prefix}' contains itself")
    attributes = module.__dict__
    own = [name for name, value in attributes.items() if is_array(value)]
    for name in sorted(own, key=lambda name: name in module._buffers):
        kind = _kind(module, name)
        yield Slot(attributes, name, f"{prefix}{name}", kind, kind == "parameter" and name not in module._frozen)
    for name, child in module._children():
        yield from walk(child, f"{prefix}{name}.", above | {id(module)})


def _kind(module: "Module", name: str) -> Kind:
    if name in module._buffers:
        return "buffer"
    value = module.__dict__[name]
    if name.startswith("_") or not backend_of(value).is_inexact(value.dtype):
        return "private"
    return "parameter"
