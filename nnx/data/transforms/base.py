"""What a transform is, and how several become one."""

from collections.abc import Callable, Sequence
from typing import Any

from nnx.backend import backend_of
from nnx.typing import Array

__all__ = ["Compose", "Lambda", "Transform"]


class Transform:
    """Called with the arrays of a batch, (x) or (x, y, ...): x is transformed, the others are handed on.

    A subclass says how in `transform(x)`. What is called with one array gives one back, else a tuple.
    """

    def __call__(self, x: Array, *rest: Any) -> Any:
        """The batch with x transformed."""
        found = self.transform(x)
        return (found, *rest) if rest else found

    def transform(self, x: Array) -> Array:
        """x transformed, of x's dtype and on its device; x itself is left as it is."""
        raise NotImplementedError(f"{type(self).__name__} has no transform(x)")

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if not name.startswith("_"))
        return f"{type(self).__name__}({given})"


class Compose(Transform):
    """One transform after the other; any function of the batch's arrays is one.

    >>> import numpy as np
    >>> Compose([Lambda(lambda x: x + 1.0), Lambda(lambda x: x * 2.0)])(np.zeros(2))
    array([2., 2.])
    """

    def __init__(self, transforms: Sequence[Callable[..., Any]]) -> None:
        self.transforms = list(transforms)
        for transform in self.transforms:
            if not callable(transform):
                raise TypeError(f"Compose expects transforms, got {transform!r}: make it one, Compose([a, b])")

    def __call__(self, *batch: Any) -> Any:
        """The batch after all of them."""
        found: Any = batch if len(batch) > 1 else batch[0]
        for transform in self.transforms:
            found = transform(*found) if isinstance(found, tuple) else transform(found)
        return found


class Lambda(Transform):
    """Any function of x."""

    def __init__(self, function: Callable[[Array], Array]) -> None:
        self.function = function

    def transform(self, x: Array) -> Array:
        """function(x)"""
        return self.function(x)


def check_images(transform: object, x: Array) -> tuple[int, int]:
    """Height and width of x (n, ..., h, w). Raises ValueError for what is no batch of images."""
    if x.ndim < 3:
        raise ValueError(
            f"{type(transform).__name__} expected images (n, c, h, w) or (n, h, w), got shape {tuple(x.shape)}: "
            f"reshape them, e.g. x.reshape(n, 1, 28, 28)"
        )
    return int(x.shape[-2]), int(x.shape[-1])


def check_floating(transform: object, x: Array) -> None:
    """Raises TypeError for integers."""
    if not backend_of(x).is_inexact(x.dtype):
        raise TypeError(
            f"{type(transform).__name__} expected floating x, got {x.dtype}: put "
            f"ToDtype('float32', scale=True) before it"
        )


def check_probability(transform: object, p: float) -> None:
    """Raises ValueError unless 0 ≤ p ≤ 1."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{type(transform).__name__}'s p is a probability in [0, 1], got {p}")


def two_sizes(transform: object, size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width of a size, which may be one number for both. Raises ValueError for others."""
    both = (size, size) if isinstance(size, int) else tuple(size)
    if len(both) != 2 or min(both) < 1:
        raise ValueError(f"{type(transform).__name__} expected a size, or (height, width), of at least 1, got {size}")
    return both[0], both[1]
