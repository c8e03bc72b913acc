"""What a program was compiled for, as values that can be compared: the form of arguments and of settings.

Two calls have the same form if every array has the same shape and dtype, and all else is equal: numbers by their type
and value, other objects by identity.
"""

from collections.abc import Callable, Hashable, Sequence
from operator import itemgetter
from typing import Any

from nnx.backend import is_array
from nnx.typing import Array

_VALUES = frozenset((int, bool, str, bytes, type(None), type(Ellipsis)))
_NUMBERS = frozenset((float, complex))


def picking(positions: Sequence[Any]) -> Callable[[Any], Sequence[Any]]:
    """What takes these positions of a list, or keys of a dict."""
    if len(positions) > 1:
        return itemgetter(*positions)
    return lambda xs: [xs[k] for k in positions]


class Same:
    """An object that is equal to itself alone, and that lives as long as the key that it is in."""

    __slots__ = ("x",)

    def __init__(self, x: Any) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return type(other) is Same and other.x is self.x

    def __hash__(self) -> int:
        return id(self.x)


def token(x: Any) -> Hashable:
    """Equal for what is the same to a trace: True is not 1, nan is nan, 0.0 is not -0.0.

    >>> token(1) == token(True), token([1, {"a": float("nan")}]) == token([1, {"a": float("nan")}])
    (False, True)
    """
    kind = type(x)
    if kind in _VALUES:
        return kind, x
    if kind in _NUMBERS:
        return kind, repr(x)
    if isinstance(x, dict):
        return kind, tuple((token(key), token(value)) for key, value in x.items())
    if isinstance(x, list | tuple):
        return kind, tuple(map(token, x))
    if kind is slice:
        return kind, token((x.start, x.stop, x.step))
    return Same(x)


def is_constant(x: Any) -> bool:
    """Whether x is a number, a text or a tuple of such, which nobody can change."""
    return type(x) in _VALUES or type(x) in _NUMBERS or (type(x) is tuple and all(map(is_constant, x)))


class Found:
    """The arrays of a nest, in order, and the form of all of it.

    form: of an array, None for one that stands for others (a tracer, a watched array)   plain: whether there is no such
    """

    __slots__ = ("arrays", "form", "forms", "plain")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], form: Callable[[Array], Any]) -> None:
        self.arrays: list[Array] = []
        self.forms: list[Any] = [len(args)]
        self.form, self.plain = form, True
        for x in args:
            self._walk(x)
        if kwargs:
            self._walk(kwargs)

    def _walk(self, x: Any) -> None:
        kind = type(x)
        if kind in _VALUES or kind in _NUMBERS:
            self.forms.append(token(x))
        elif is_array(x):
            form = self.form(x)
            self.plain = self.plain and form is not None
            self.arrays.append(x)
            self.forms.append(form)
        elif isinstance(x, dict):
            self.forms += (kind, len(x))
            for key, value in x.items():
                self.forms.append(token(key))
                self._walk(value)
        elif isinstance(x, list | tuple):
            self.forms += (kind, len(x))
            for value in x:
                self._walk(value)
        else:
            self.forms.append(token(x))
