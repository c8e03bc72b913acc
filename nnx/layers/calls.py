"""One forward pass, on zeros, that writes down which module was called with what, and leaves no other trace.

For its duration every module is an instance of a subclass of its own class that takes notes. Training mode, buffers and
whatever else the forward pass sets are put back; random numbers come from a state of their own.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from nnx import random
from nnx.autodiff.tree import tree_map
from nnx.backend import backend_of, get_backend, is_array
from nnx.layers.costs import is_known
from nnx.layers.loading import copied
from nnx.layers.module import Module
from nnx.layers.structure import version

__all__ = ["Call", "calls_of", "unchanged", "zeros"]


@dataclass
class Call:
    """A module that was called, and the calls that it made.

    inputs: the shapes of its arrays   output: the shapes of what it returned, in its form   bytes: of what it returned
    """

    module: Module
    depth: int
    inputs: list[tuple[int, ...]]
    output: Any = None
    bytes: int = 0
    inside: list["Call"] = field(default_factory=list)

    def flat(self) -> Iterator["Call"]:
        """The call and all inside of it, in the order in which they began."""
        yield self
        for call in self.inside:
            yield from call.flat()


def calls_of(model: Module, inputs: Sequence[Any], training: bool) -> Call:
    """What model(*inputs) calls."""
    root = Call(model, -1, [])
    stack, thread = [root], threading.get_ident()

    def noting(call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(self: Module, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != thread or (stack[-1].module is self and len(stack) > 1):
                return call(self, *args, **kwargs)  # a layer that calls itself, for one sample say, is called once
            found = Call(self, len(stack) - 1, [tuple(x.shape) for x in _arrays([args, list(kwargs.values())])])
            stack[-1].inside.append(found)
            stack.append(found)
            try:
                y = call(self, *args, **kwargs)
            finally:
                stack.pop()
            found.output, found.bytes = tree_map(_shape, y), sum(map(nbytes, _arrays(y)))
            return y

        return noted

    with unchanged(model), random.scope(0):
        model.train(training)
        with _subclassed(list(_visible(model)), noting):
            try:
                model(*inputs)
            except Exception as error:
                error.add_note(f"in a forward pass on zeros of shapes {', '.join(str(tuple(x.shape)) for x in inputs)}")
                raise
    return root.inside[0]


def _visible(module: Module) -> Iterator[Module]:
    """The module and those below it, but not what layers with a formula of their own are made of; each once."""
    seen: set[int] = set()
    stack = [module]
    while stack:
        found = stack.pop()
        if id(found) not in seen:
            seen.add(id(found))
            yield found
            if not is_known(found):
                stack.extend(child for name, child in found._children() if name != "parametrizations")


@contextmanager
def _subclassed(modules: list[Module], noting: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Inside of the block each module is of a subclass whose __call__ takes notes."""
    classes: dict[type, type] = {}
    own = [(module, type(module)) for module in modules]
    try:
        for module, cls in own:
            if cls not in classes:
                body = {
                    "__call__": noting(cls.__call__),
                    "__module__": cls.__module__,
                    "__qualname__": cls.__qualname__,
                }
                classes[cls] = type(cls.__name__, (cls,), body)
            object.__setattr__(module, "__class__", classes[cls])
        yield
    finally:
        for module, cls in own:
            object.__setattr__(module, "__class__", cls)


@contextmanager
def unchanged(model: Module) -> Iterator[None]:
    """After the block every attribute of the model's modules is what it was; buffers are copies inside of it."""
    before = [(module, dict(module.__dict__)) for module in model.modules()]
    try:
        for slot in model._layout().others:
            if slot.kind != "parameter":
                slot.owner[slot.name] = copied(slot.owner[slot.name])
        yield
    finally:
        for module, attributes in before:
            module.__dict__.clear()
            module.__dict__.update(attributes)
        version.bump()


def zeros(model: Module, shapes: Sequence[Any], dtypes: Sequence[Any]) -> list[Any]:
    """Zeros of these shapes where the model's arrays are, an array among them as it is.

    dtypes: a name for each, None for that of the model's parameters (float32 if it has none)
    """
    parameters = list(model.parameters())
    some = parameters[0] if parameters else model._any_array()
    library = get_backend() if some is None else backend_of(some).home(some)
    found = []
    for shape, dtype in zip(shapes, dtypes, strict=True):
        if is_array(shape):
            found.append(shape)
            continue
        usual = parameters[0].dtype if parameters else "float32"
        kind = library.dtype(usual if dtype is None else dtype)
        found.append(library.xp.zeros(tuple(shape), dtype=kind, device=library.device))
    return found


def _arrays(tree: Any) -> list[Any]:
    found: list[Any] = []
    tree_map(lambda x: found.append(x) if is_array(x) else None, tree)
    return found


def _shape(x: Any) -> Any:
    return tuple(x.shape) if is_array(x) else x if x is None else type(x).__name__


def nbytes(x: Any) -> int:
    """How many bytes the numbers of an array take."""
    size = 1
    for n in x.shape:
        size *= n
    library = backend_of(x)
    xp = library.namespace()
    if xp.isdtype(x.dtype, "bool"):
        return size
    integral = xp.isdtype(x.dtype, "integral")
    bits = (xp.iinfo if integral else xp.finfo)(x.dtype).bits
    return size * int(bits) // 8 * (2 if xp.isdtype(x.dtype, "complex floating") else 1)
