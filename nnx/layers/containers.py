"""Modules made of modules."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

from nnx.backend import is_array
from nnx.layers.module import Module
from nnx.layers.structure import is_module, names_in
from nnx.typing import Array

__all__ = ["Lambda", "ModuleDict", "ModuleList", "Residual", "Sequential"]


class _Listed(Module):
    """Modules in order, at the paths 0, 1, ..."""

    layers: list[Module]

    def __init__(self, layers: Iterable[Module]) -> None:
        self.layers = _modules(type(self).__name__, layers)

    def _children(self) -> Iterator[tuple[str, Module]]:
        for name, value in list(self.__dict__.items()):
            if name == "layers":
                for k, layer in enumerate(value):
                    yield str(k), layer
            else:
                yield from names_in(value, name)

    def append(self, layer: Module) -> Self:
        """One more layer at the end."""
        return self.extend([layer])

    def extend(self, layers: Iterable[Module]) -> Self:
        """More layers at the end."""
        self.layers.extend(_modules(type(self).__name__, layers))
        return self

    def insert(self, k: int, layer: Module) -> Self:
        """One more layer, as the k-th."""
        self.layers.insert(k, *_modules(type(self).__name__, [layer]))
        return self

    def pop(self, k: int = -1) -> Module:
        """Take the k-th layer out and return it."""
        return self.layers.pop(k)

    def __iadd__(self, layers: Iterable[Module]) -> Self:
        return self.extend(layers)

    def __setitem__(self, k: int, layer: Module) -> None:
        (self.layers[k],) = _modules(type(self).__name__, [layer])

    def __delitem__(self, k: int | slice) -> None:
        del self.layers[k]

    def __getitem__(self, k: int | slice) -> Any:
        return self._of(self.layers[k]) if isinstance(k, slice) else self.layers[k]

    def __add__(self, other: Iterable[Module]) -> Any:
        return self._of([*self.layers, *other])

    def _of(self, layers: list[Module]) -> Any:
        """Another one, of these layers."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)


class Sequential(_Listed):
    """A composite function: each layer is applied to what the one before it returned.

    >>> import nnx
    >>> model = Sequential(nnx.Linear(4, 3), nnx.ReLU(), nnx.Linear(3, 2))
    >>> [path for path, _ in model.named_parameters()]
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """

    def __init__(self, *layers: Module) -> None:
        super().__init__(layers)

    def __call__(self, x: Array) -> Array:
        """layerₙ(… layer₂(layer₁(x)))."""
        for layer in self.layers:
            x = layer(x)
        return x

    def _of(self, layers: list[Module]) -> "Sequential":
        return Sequential(*layers)


class ModuleList(_Listed):
    """Modules in a list; how they are called is up to whoever holds it.

    >>> import nnx
    >>> layers = ModuleList(nnx.Linear(2, 2, bias=False) for _ in range(3))
    >>> [path for path, _ in layers.named_parameters()], len(layers[1:])
    (['0.weight', '1.weight', '2.weight'], 2)
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__(modules or ())

    def _of(self, layers: list[Module]) -> "ModuleList":
        return ModuleList(layers)


class ModuleDict(Module):
    """Modules by name; how they are called is up to whoever holds it.

    >>> import nnx
    >>> heads = ModuleDict({"mean": nnx.Linear(2, 1), "spread": nnx.Softplus()})
    >>> [path for path, _ in heads.named_parameters()]
    ['mean.weight', 'mean.bias']
    """

    entries: dict[str, Module]

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        self.entries = {}
        self.update(modules or {})

    def _children(self) -> Iterator[tuple[str, Module]]:
        for name, value in list(self.__dict__.items()):
            yield from list(value.items()) if name == "entries" else names_in(value, name)

    def update(self, modules: Any) -> Self:
        """Put modules at their names: from a dict, a ModuleDict, or pairs. Arrays by path, as Module.update does."""
        pairs = dict(modules.items() if hasattr(modules, "items") else modules)
        if any(map(is_array, pairs.values())):
            return super().update(pairs)
        for name, module in pairs.items():
            self[name] = module
        return self

    def __setitem__(self, name: str, module: Module) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(f"a name in a ModuleDict is part of a path: a string without dots, got {name!r}")
        (self.entries[name],) = _modules("ModuleDict", [module])

    def __getitem__(self, name: str) -> Any:
        return self.entries[name]

    def __delitem__(self, name: str) -> None:
        del self.entries[name]

    def pop(self, name: str) -> Module:
        """Take a module out and return it."""
        return self.entries.pop(name)

    def clear(self) -> None:
        """Take all modules out."""
        self.entries.clear()

    def keys(self) -> Iterable[str]:
        """The names."""
        return self.entries.keys()

    def values(self) -> Iterable[Module]:
        """The modules."""
        return self.entries.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """The names with their modules."""
        return self.entries.items()

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)


class Residual(Module):
    """module(x) + shortcut(x): what is learnt is the difference to x (He et al. 2016).

    shortcut: another module, where the shapes differ; None for x itself
    Raises ValueError if the two shapes differ.
    """

    def __init__(self, module: Module, shortcut: Module | None = None) -> None:
        (self.module,) = _modules("Residual", [module])
        self.shortcut = shortcut if shortcut is None else _modules("Residual", [shortcut])[0]

    def __call__(self, x: Array) -> Array:
        """See the class."""
        y, kept = self.module(x), x if self.shortcut is None else self.shortcut(x)
        if tuple(y.shape) != tuple(kept.shape):
            raise ValueError(
                f"Residual adds a module's output of shape {tuple(y.shape)} to a shortcut of shape "
                f"{tuple(kept.shape)}: give it a shortcut module that makes them equal"
            )
        return y + kept


class Lambda(Module):
    """A function as a layer: f(x), or f of several inputs.

    >>> import nnx
    >>> nnx.Sequential(Lambda(lambda x: x * 2.0))(nnx.asarray([1.0, 2.0]))
    array([2., 4.])
    """

    def __init__(self, f: Callable[..., Any]) -> None:
        if not callable(f):
            raise TypeError(f"Lambda takes a function, got {type(f).__name__}")
        self.f = f

    def __call__(self, *inputs: Any) -> Any:
        """f(*inputs)."""
        return self.f(*inputs)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return getattr(self.f, "__name__", type(self.f).__name__)


def _modules(name: str, layers: Iterable[Any]) -> list[Module]:
    found = list(layers)
    if wrong := [_kind(layer) for layer in found if not is_module(layer) or isinstance(layer, type)]:
        raise TypeError(f"{name} takes Modules, got {', '.join(wrong)}: use nnx.ReLU(), not nnx.functional.relu")
    return found


def _kind(x: Any) -> str:
    return "function" if callable(x) and not is_module(x) else type(x).__name__
