"""Modules made of modules."""

from collections.abc import Iterable, Iterator
from typing import Any, Self

from nnx.layers.module import Module
from nnx.layers.structure import is_module, names_in
from nnx.typing import Array

__all__ = ["Sequential"]


class Sequential(Module):
    """A composite function: each layer is applied to what the one before it returned.

    >>> import nnx
    >>> model = Sequential(nnx.Linear(4, 3), nnx.ReLU(), nnx.Linear(3, 2))
    >>> [path for path, _ in model.named_parameters()]
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """

    layers: list[Module]

    def __init__(self, *layers: Module) -> None:
        self.layers = _modules(layers)

    def __call__(self, x: Array) -> Array:
        """layerₙ(… layer₂(layer₁(x)))."""
        for layer in self.layers:
            x = layer(x)
        return x

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
        self.layers.extend(_modules(layers))
        return self

    def insert(self, k: int, layer: Module) -> Self:
        """One more layer, as the k-th."""
        self.layers.insert(k, *_modules([layer]))
        return self

    def __setitem__(self, k: int, layer: Module) -> None:
        (self.layers[k],) = _modules([layer])

    def __delitem__(self, k: int | slice) -> None:
        del self.layers[k]

    def __getitem__(self, k: int | slice) -> Any:
        return Sequential(*self.layers[k]) if isinstance(k, slice) else self.layers[k]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers)


def _modules(layers: Iterable[Any]) -> list[Module]:
    found = list(layers)
    if wrong := [type(layer).__name__ for layer in found if not is_module(layer) or isinstance(layer, type)]:
        raise TypeError(f"Sequential takes Modules, got {', '.join(wrong)}: use nnx.ReLU(), not nnx.functional.relu")
    return found
