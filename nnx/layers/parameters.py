"""Parameters in a list or by name: arrays that a list or dict of Python could not have trained."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from nnx.backend import backend_of, is_array
from nnx.layers.module import Module
from nnx.typing import Array

__all__ = ["ParameterDict", "ParameterList"]


class ParameterList(Module):
    """Parameters in order, at the paths 0, 1, ...

    Raises TypeError for anything that is not a floating array.

    >>> import nnx
    >>> weights = ParameterList(nnx.init.zeros((2, k)) for k in (1, 2))
    >>> [(path, x.shape) for path, x in weights.named_parameters()]
    [('0', (2, 1)), ('1', (2, 2))]
    """

    def __init__(self, values: Iterable[Array] | None = None) -> None:
        self.extend(() if values is None else values)

    def append(self, value: Array) -> Self:
        """One more parameter at the end."""
        setattr(self, str(len(self)), _parameter("ParameterList", value))
        return self

    def extend(self, values: Iterable[Array]) -> Self:
        """More parameters at the end."""
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Array]) -> Self:
        return self.extend(values)

    def pop(self, k: int = -1) -> Array:
        """Take the k-th parameter out and return it."""
        name = self._name(k)
        rest = [x for other, x in self._own() if other != name]
        found = self.__dict__[name]
        for other, _ in self._own():
            delattr(self, other)
        self.extend(rest)
        return found

    def _own(self) -> list[tuple[str, Array]]:
        return [(name, x) for name, x in self.__dict__.items() if is_array(x)]

    def _name(self, k: int) -> str:
        n = len(self)
        if not -n <= k < n:
            raise IndexError(f"parameter {k} of a ParameterList of {n}")
        return str(k % n)

    def __getitem__(self, k: int | slice) -> Any:
        if isinstance(k, slice):
            return ParameterList([self[i] for i in range(*k.indices(len(self)))])
        return self.__dict__[self._name(k)]

    def __setitem__(self, k: int, value: Array) -> None:
        setattr(self, self._name(k), _parameter("ParameterList", value))

    def __len__(self) -> int:
        return len(self._own())

    def __iter__(self) -> Iterator[Array]:
        return iter([x for _, x in self._own()])

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return ", ".join(str(tuple(x.shape)) for x in self)


class ParameterDict(Module):
    """Parameters by name.

    Raises TypeError for anything that is not a floating array, KeyError for a name that cannot be part of a path.

    >>> import nnx
    >>> gains = ParameterDict({"left": nnx.init.ones((2,))})
    >>> [path for path, _ in gains.named_parameters()]
    ['left']
    """

    def __init__(self, parameters: Mapping[str, Array] | Iterable[tuple[str, Array]] | None = None) -> None:
        self.update({} if parameters is None else parameters)

    def update(self, arrays: Any) -> Self:
        """Put arrays at their names, old and new: from a dict, a ParameterDict, or pairs."""
        pairs = dict(arrays.items() if hasattr(arrays, "items") else arrays)
        super().update({name: x for name, x in pairs.items() if name in self})  # wherever the old ones are shared
        for name, value in pairs.items():
            if name not in self:
                self[name] = value
        return self

    def __setitem__(self, name: str, value: Array) -> None:
        if not isinstance(name, str) or not name or "." in name or name.startswith("_") or hasattr(type(self), name):
            raise KeyError(
                f"a name in a ParameterDict is part of a path: a string without dots, not beginning with an "
                f"underscore, and no method of it, got {name!r}"
            )
        setattr(self, name, _parameter("ParameterDict", value))

    def __getitem__(self, name: str) -> Array:
        return self.__dict__[name]

    def __delitem__(self, name: str) -> None:
        delattr(self, name)

    def pop(self, name: str) -> Array:
        """Take a parameter out and return it."""
        found = self[name]
        del self[name]
        return found

    def keys(self) -> list[str]:
        """The names."""
        return [name for name, x in self.__dict__.items() if is_array(x)]

    def values(self) -> list[Array]:
        """The arrays."""
        return [self[name] for name in self.keys()]

    def items(self) -> list[tuple[str, Array]]:
        """The names with their arrays."""
        return [(name, self[name]) for name in self.keys()]

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def __len__(self) -> int:
        return len(self.keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return ", ".join(f"{name}: {tuple(x.shape)}" for name, x in self.items())


def _parameter(name: str, value: Any) -> Array:
    if not is_array(value) or not backend_of(value).is_inexact(value.dtype):
        kind = f"an array of {value.dtype}" if is_array(value) else type(value).__name__
        raise TypeError(f"{name} takes floating arrays, got {kind}: nnx.asarray(x, 'float32') makes one")
    return value
