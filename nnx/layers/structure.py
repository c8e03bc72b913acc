"""What a tree of modules is made of, and how a change of it is noticed.

One counter, the structure version, goes up when the set of parameters or submodules of any module changes: attributes
that come, go or change kind, and lists and dicts of modules, which are subclasses that count their own changes.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from nnx.backend import backend_of, is_array

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


class _Version:
    """The structure version."""

    def __init__(self) -> None:
        self.now = 0

    def bump(self) -> None:
        """Say that some structure has changed."""
        self.now += 1


version = _Version()


def _counting(base: type, names: str) -> dict[str, Any]:
    """The methods of a list or dict that change it, each of which bumps the version."""

    def method(name: str) -> Any:
        original = getattr(base, name)

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            version.bump()
            found = original(self, *[tracked(x) for x in args], **kwargs)
            version.bump()
            return found

        call.__name__ = name
        return call

    return {name: method(name) for name in names.split()}


TrackedList: type[list[Any]] = type(
    "TrackedList",
    (list,),
    _counting(list, "__setitem__ __delitem__ __iadd__ __imul__ append extend insert pop remove clear reverse sort"),
)
TrackedDict: type[dict[str, Any]] = type(
    "TrackedDict", (dict,), _counting(dict, "__setitem__ __delitem__ __ior__ update setdefault pop popitem clear")
)


def is_module(x: object) -> bool:
    """Whether x is a Module."""
    return hasattr(x, "_swap")


def is_tree(x: object) -> bool:
    """Whether x is a module, or a list, tuple or dict, which may hold some."""
    return isinstance(x, list | tuple | dict) or is_module(x)


def tracked(x: Any) -> Any:
    """x with its lists and dicts replaced by ones that count their changes."""
    if type(x) is list:
        return TrackedList([tracked(v) for v in x])
    if type(x) is dict:
        return TrackedDict({k: tracked(v) for k, v in x.items()})
    if type(x) is tuple:
        return tuple(tracked(v) for v in x)
    return x


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


def walk(module: "Module", prefix: str = "", seen: frozenset[int] = frozenset()) -> Iterator[Slot]:
    """Every array of the tree: a module's own parameters, its buffers, then its children's, as in a state dict."""
    attributes = module.__dict__
    own = [name for name, value in attributes.items() if is_array(value)]
    for name in sorted(own, key=lambda name: name in module._buffers):
        kind = _kind(module, name)
        yield Slot(attributes, name, f"{prefix}{name}", kind, kind == "parameter" and name not in module._frozen)
    if id(module) in seen:
        raise ValueError(f"{type(module).__name__} at '{prefix}' contains itself")
    for name, child in module._children():
        yield from walk(child, f"{prefix}{name}.", seen | {id(module)})


def _kind(module: "Module", name: str) -> Kind:
    if name in module._buffers:
        return "buffer"
    value = module.__dict__[name]
    if name.startswith("_") or not backend_of(value).is_inexact(value.dtype):
        return "private"
    return "parameter"
