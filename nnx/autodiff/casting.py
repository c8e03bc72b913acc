"""Mixed precision: inside of `nnx.autocast` what is mostly products runs in 16 bits, and what sums up stays in 32.

Parameters stay float32. A function marked `in_half` casts them, and its other float32 arrays, on the way in; the cast
is an operation like any other, whose pullback casts the gradient back to float32. A function marked `in_full` casts
16 bits up. All others compute in what they are given. The lists are PyTorch's, where both have a function
(https://docs.pytorch.org/docs/stable/amp.html#autocast-op-reference).
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ContextDecorator, contextmanager
from contextvars import ContextVar, Token
from typing import Any, Self, TypeVar, cast

from nnx.autodiff.checkpoint import scenes
from nnx.backend import backend_of, is_array, namespace
from nnx.typing import Array, DType

__all__ = ["autocast", "autocast_dtype", "cast_like", "in_full", "in_half", "wide"]

F = TypeVar("F", bound=Callable[..., Any])

HALVES = ("float16", "bfloat16")

_active: ContextVar[str | None] = ContextVar("nnx_autocast", default=None)


def autocast_dtype() -> str | None:
    """The dtype of the `autocast` that is in force, by name; None outside of one."""
    return _active.get()


class autocast(ContextDecorator):  # noqa: N801 - torch's name
    """Inside of the block, or of the function that it decorates, products run in 16 bits; parameters stay float32.

    dtype: "float16" (largest number 65504: train with nnx.GradScaler) or "bfloat16" (float32's range, fewer digits)
    enabled: False switches an autocast around it off
    In 16 bits: linear, convolutions, attention, recurrent layers, and the products of arrays that are being
    differentiated (`x @ w`, xp.matmul; those of plain arrays are the library's own). In float32, whatever they are
    given: softmax, log_softmax, losses, similarities, and the statistics inside of normalisations. What else there is
    follows its arguments, float32 if one of them is. float64, integers and complex numbers are left as they are.
    Raises ValueError at the first cast if the library has no such dtype. As torch.autocast; put it around the forward
    pass and the loss.

    >>> import nnx
    >>> model, x = nnx.Linear(3, 2), nnx.asarray([[1.0, 2.0, 3.0]], "float32")
    >>> with nnx.autocast("float16"):
    ...     y = model(x)
    >>> y.dtype, model.weight.dtype
    (dtype('float16'), dtype('float32'))
    """

    def __init__(self, dtype: str = "float16", enabled: bool = True) -> None:
        if dtype not in HALVES:
            raise ValueError(f"autocast's dtype must be 'float16' or 'bfloat16', got {dtype!r}")
        self.dtype, self.enabled = dtype, enabled
        self._tokens: list[Token[str | None]] = []

    def _recreate_cm(self) -> Self:
        return type(self)(self.dtype, self.enabled)  # a decorated function may call itself, or run in several threads

    def __enter__(self) -> Self:
        self._tokens.append(_active.set(self.dtype if self.enabled else None))
        return self

    def __exit__(self, *exc: object) -> None:
        _active.reset(self._tokens.pop())


def _noted() -> Callable[[], AbstractContextManager[None]]:
    """For nnx.checkpoint: a block in which the autocast is in force that is now."""
    dtype = _active.get()

    @contextmanager
    def again() -> Iterator[None]:
        token = _active.set(dtype)
        try:
            yield
        finally:
            _active.reset(token)

    return again


scenes.append(_noted)


def in_half(function: F) -> F:
    """Mark a function to run in autocast's dtype: its float32 arrays are cast on the way in."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        dtype = _active.get()
        if dtype is None:
            return function(*args, **kwargs)
        return function(*_cast(args, dtype), **{name: _cast(x, dtype) for name, x in kwargs.items()})

    return cast(F, call)


def in_full(function: F) -> F:
    """Mark a function to run in float32 under autocast: its arrays of 16 bits are cast on the way in."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if _active.get() is None:
            return function(*args, **kwargs)
        return function(*_cast(args, "float32"), **{name: _cast(x, "float32") for name, x in kwargs.items()})

    return cast(F, call)


def wide(x: Array) -> Array:
    """x as float32, if its numbers have 16 bits: for what is summed up, or may be large, inside of a function."""
    return _cast(x, "float32")


def cast_like(x: Array, like: Array) -> Array:
    """x in the dtype of `like`."""
    return x if x.dtype == like.dtype else namespace(x).astype(x, like.dtype)


def _cast(x: Any, dtype: str) -> Any:
    """The nest with its arrays of 32 or 16 bits in that dtype; everything else as it is."""
    if type(x) in (str, int, float, bool, type(None)):
        return x
    if isinstance(x, tuple):
        found = [_cast(part, dtype) for part in x]
        return type(x)(*found) if hasattr(x, "_fields") else tuple(found)
    if isinstance(x, list):
        return [_cast(part, dtype) for part in x]
    if not is_array(x):
        return x
    library = backend_of(x)
    key = library.name, type(x.dtype), x.dtype, dtype
    try:
        target = _TARGETS[key]
    except KeyError:
        target = _TARGETS[key] = _target(library.namespace(), x.dtype, dtype, library.name)
    return x if target is None else namespace(x).astype(x, target)


_TARGETS: dict[tuple[str, type, DType, str], DType | None] = {}
"""What a dtype becomes, None for one that is left as it is. Looked up: comparing dtypes takes a small step's time."""


def _target(xp: Any, own: DType, dtype: str, library: str) -> DType | None:
    others = {"float16", "bfloat16", "float32"} - {dtype}
    if not any(hasattr(xp, name) and own == getattr(xp, name) for name in others):
        return None
    if not hasattr(xp, dtype):
        has = ", ".join(f"'{name}'" for name in HALVES if hasattr(xp, name)) or "neither of the two"
        raise ValueError(
            f"autocast('{dtype}'): backend '{library}' has no such dtype, it has {has}; leave autocast out there "
            "(enabled=False)"
        )
    return getattr(xp, dtype)
