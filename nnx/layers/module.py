"""A Module holds arrays; functions hold the math.

A floating array attribute is a parameter, unless its name begins with an underscore or it was registered as a buffer.
While a gradient is taken, the arrays of the model are replaced by Vars, and put back afterwards by identity. Walking
the tree of modules at each step would cost more than a small network's arithmetic: the list of where the arrays are is
kept until the structure changes.
"""

from collections.abc import Iterator
from typing import Any, Self

from nnx.autodiff.tape import Tape
from nnx.autodiff.thread import thread
from nnx.autodiff.tree import assigned
from nnx.autodiff.var import Var
from nnx.backend import backend_of, get_backend, innermost, is_array, is_scalar
from nnx.layers.loading import IncompatibleKeys, copied, load, misfit
from nnx.layers.structure import Kind, Layout, any_leaf, holds_module, is_tree, names_in, tracked, version
from nnx.layers.swapping import Earlier, Holder, Swapped
from nnx.typing import Array, Device, DType

__all__ = ["Module"]


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

    # beside the attributes, where no walk, copy or pickle comes across them
    __slots__ = ("__dict__", "__weakref__", "_holder", "_known")

    _holder: Holder
    _known: Layout | None

    training: bool = True
    _buffers: frozenset[str] = frozenset()
    _frozen: frozenset[str] = frozenset()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Subclasses need not call super().__init__()."""
        if (args or kwargs) and cls.__init__ is object.__init__:
            raise TypeError(f"{cls.__name__}() takes no arguments, got {', '.join(map(repr, [*args, *kwargs]))}")
        self = super().__new__(cls)
        object.__setattr__(self, "_holder", Holder())
        object.__setattr__(self, "_known", None)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The forward pass, in plain Array API code."""
        raise NotImplementedError(f"{type(self).__name__} needs a method __call__(self, x): its forward pass")

    # ---- attributes ----------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        old: Any = attributes.get(name)
        if thread.notes is not None:
            thread.notes.append(Earlier(self, name))
        if type(value) is Var:
            self._assign_in_forward(name, value, old)
        elif is_tree(value) or is_tree(old):
            self._assign_tree(name, value, old)
        elif is_array(value):
            if not is_array(old) and name not in self._buffers and is_scalar(value):
                value = value.item()  # np.sqrt(d) is meant as a number, and as an array it would be trained
            elif not is_array(old) or old.dtype != value.dtype:
                version.bump()
            attributes[name] = value
        else:
            attributes[name] = value
            if is_array(old):
                version.bump()
            elif old is not value:
                version.settings += 1

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        if name in self._buffers:
            self.__dict__["_buffers"] = self._buffers - {name}
        version.bump()

    def _assign_in_forward(self, name: str, value: Var, old: Any) -> None:
        """An assignment while a gradient is taken: buffers and private names stay, unwrapped when it ends."""
        if not is_array(old):
            if not name.startswith("_") and name not in self._buffers:
                raise AttributeError(
                    f"{type(self).__name__}.{name} was assigned an array in the forward pass and would become a "
                    f"parameter: call it _{name}, or register_buffer('{name}', ...) in __init__"
                )
            version.bump()
        if type(old) is not Var:  # nobody swapped it, so nobody else will put it back
            assigned.pending.append((self.__dict__, name))
        self.__dict__[name] = value

    def _assign_tree(self, name: str, value: Any, old: Any) -> None:
        if not name.startswith("_") and any_leaf(_trainable, value):
            raise TypeError(
                f"{type(self).__name__}.{name} holds arrays in a {type(value).__name__}, which are not trained: give "
                f"each an attribute, or call it _{name} if they are no parameters"
            )
        self.__dict__[name] = tracked(value)
        if any_leaf(lambda x: type(x) is Var, value):
            assigned.pending.append((self.__dict__, name))
        if holds_module(value) or holds_module(old) or is_array(value) or is_array(old):
            version.bump()
        else:
            version.settings += 1

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

    def _layout(self) -> Layout:
        """Where every array of the tree is; found anew when the structure has changed."""
        known = self._known
        if known is None or known.version != version.now:
            known = Layout(self)
            object.__setattr__(self, "_known", known)
        return known

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, "Module"]]:
        """The module itself and all below it, by dotted path; each once."""
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
        """The module itself and all below it."""
        return (module for _, module in self.named_modules())

    def children(self) -> Iterator["Module"]:
        """The modules directly below; each once."""
        return iter({id(child): child for _, child in self._children()}.values())

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

    def _named(self, kind: Kind) -> Iterator[tuple[str, Array]]:
        found: dict[int, tuple[str, Array]] = {}  # keeps the arrays alive, so that no id is used twice
        for slot in self._layout().slots:
            if slot.kind == kind:
                x = slot.owner[slot.name]
                found.setdefault(id(x), (slot.path, x))
        return iter(found.values())

    def trainable(self) -> dict[str, Array]:
        """The parameters that are not frozen by path: what an optimizer moves; a shared one once."""
        layout = self._layout()
        seen = layout.still() if layout.frozen else set()
        found = {}
        for owner, name, path, _, _ in layout.trained:
            x = owner[name]
            if id(x) not in seen:
                seen.add(id(x))
                found[path] = x
        return found

    def num_parameters(self, trainable_only: bool = False) -> int:
        """How many numbers the parameters are; a shared array counts once."""
        chosen = self.trainable().values() if trainable_only else self.parameters()
        return sum(Var(x).size or 0 for x in chosen)

    # ---- changing it ---------------------------------------------------------------------------------------------

    def update(self, arrays: dict[str, Array]) -> Self:
        """Put arrays at their paths; every place that shared the old array gets the new one.

        Raises KeyError for an unknown path, ValueError for another shape, before anything is changed.
        """
        places = self._layout().by_path
        if unknown := [path for path in arrays if path not in places]:
            raise KeyError(f"no parameter {', '.join(unknown)} in {type(self).__name__}: there is {', '.join(places)}")
        old = {path: places[path].owner[places[path].name] for path in arrays}
        if wrong := [misfit(path, arrays[path], x) for path, x in old.items() if misfit(path, arrays[path], x)]:
            raise ValueError(f"update of {type(self).__name__}: {'; '.join(wrong)}")
        self._layout().replace({id(x): arrays[path] for path, x in old.items()})
        return self

    def _replace(self, old: dict[str, Array], new: dict[str, Array]) -> None:
        """Put new[path] wherever old[path] is, `old` being what trainable() returned (and so what keeps ids unique)."""
        layout = self._layout()
        if len(old) == len(layout.trained) and not layout.others:  # nothing is shared: no need to ask who holds what
            for owner, name, path, _, _ in layout.trained:
                owner[name] = new[path]
        else:
            layout.replace({id(x): new[path] for path, x in old.items()})

    def train(self, mode: bool = True) -> Self:
        """Training mode: dropout drops, batch norm counts."""
        for module in self.modules():
            module.__dict__["training"] = mode
        version.settings += 1
        return self

    def eval(self) -> Self:
        """Evaluation mode."""
        return self.train(False)

    def freeze(self, recurse: bool = True) -> Self:
        """Keep the parameters as they are: no gradient, no update. A shared one is frozen wherever it stands."""
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
        slots = self._layout().slots
        old = {id(x): x for x in (slot.owner[slot.name] for slot in slots)}
        new = {}
        for key, x in old.items():
            library = backend_of(x)
            new[key] = (target or library.home(x)).asarray(x, dtype if library.is_inexact(x.dtype) else None)
        self._layout().replace(new)
        version.bump()
        return self

    # ---- state ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers by path; a shared one under each of its paths."""
        slots = [slot for slot in self._layout().slots if slot.kind != "private"]
        return {slot.path: copied(slot.owner[slot.name]) for slot in slots}

    def load_state_dict(self, state: dict[str, Array], strict: bool = True) -> IncompatibleKeys:
        """Copy the arrays of a state dict (of any backend) in, in this model's dtypes and on its devices.

        A shared array takes the first of its paths that `state` has. Raises ValueError before anything is changed,
        naming every key that is missing or unexpected (if strict) and every array of another shape.
        """
        return load(self, state, strict)

    # ---- the core's side -----------------------------------------------------------------------------------------

    def _any_array(self) -> Array | None:
        return next((slot.owner[slot.name] for slot in self._layout().slots), None)

    def _swap(self, tape: Tape, watch: bool, seen: dict[int, Var]) -> Swapped:
        return Swapped(self, tape, watch, seen)

    def __repr__(self) -> str:
        inside = [f"({name}): {child!r}" for name, child in self._children()]
        if not inside:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [*filter(None, [self.extra_repr()]), *inside]
        return f"{type(self).__name__}(\n  " + "\n".join(lines).replace("\n", "\n  ") + "\n)"

    def extra_repr(self) -> str:
        """What the representation says in brackets."""
        return ""

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()


def _trainable(x: Any) -> bool:
    """Whether x, were it an attribute, would be a parameter."""
    return is_array(x) and not is_scalar(innermost(x)) and backend_of(x).is_inexact(x.dtype)
