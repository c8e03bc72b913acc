"""Transforms of numbers one by one: dtype, mean and deviation, noise, and labels as rows of zeros with a one."""

from collections.abc import Sequence
from typing import Any

from nnx.backend import backend_of, device_of, namespace
from nnx.data.transforms.base import Transform, check_floating
from nnx.data.transforms.draws import held
from nnx.random import randn_like
from nnx.typing import Array

__all__ = ["GaussianNoise", "Normalize", "OneHot", "ToDtype", "one_hot"]


class ToDtype(Transform):
    """x in another dtype, by its name; with `scale` integers become numbers from 0 to 1 (uint8: x / 255).

    >>> import numpy as np
    >>> ToDtype("float32", scale=True)(np.asarray([0, 255], dtype=np.uint8))
    array([0., 1.], dtype=float32)
    """

    def __init__(self, dtype: str, scale: bool = False) -> None:
        self.dtype, self.scale = dtype, scale

    def transform(self, x: Array) -> Array:
        """x as that dtype."""
        xp = namespace(x)
        dtype = getattr(xp, self.dtype)
        found = xp.astype(x, dtype)
        if not self.scale or backend_of(x).is_inexact(x.dtype):
            return found
        if not backend_of(x).is_inexact(dtype):
            raise TypeError(f"ToDtype scales to floating numbers, got {self.dtype} with scale=True: use scale=False")
        return found / float(xp.iinfo(x.dtype).max)


class Normalize(Transform):
    """(x - mean) / std, one mean and one std for each channel (axis 1), or one for all.

    x: (n, c, ...) floating   mean, std: a number or c numbers, std > 0
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        self.mean = [float(m) for m in mean] if isinstance(mean, Sequence) else [float(mean)]
        self.std = [float(s) for s in std] if isinstance(std, Sequence) else [float(std)]
        if len(self.mean) != len(self.std) or not self.mean:
            raise ValueError(f"Normalize expected as many means as stds, got {len(self.mean)} and {len(self.std)}")
        if not min(self.std) > 0.0:
            raise ValueError(f"Normalize expected std above 0, got {min(self.std)}: leave a constant channel at std 1")

    def transform(self, x: Array) -> Array:
        """(x - mean) / std"""
        check_floating(self, x)
        c = len(self.mean)
        if c == 1:
            return (x - self.mean[0]) / self.std[0]
        if x.ndim < 2 or x.shape[1] != c:
            raise ValueError(f"Normalize has {c} means and expected x of shape (n, {c}, ...), got {tuple(x.shape)}")
        shape = (1, c, *(1,) * (x.ndim - 2))
        xp = backend_of(x).namespace()
        mean = held(tuple(self.mean), lambda: self.mean, x, x.dtype)
        std = held(tuple(self.std), lambda: self.std, x, x.dtype)
        return (x - xp.reshape(mean, shape)) / xp.reshape(std, shape)


class GaussianNoise(Transform):
    """x + mean + sigma · ε, ε from N(0, 1) for every number, cut to [0, 1] if `clip`.

    x: floating   sigma: ≥ 0. The same on every backend up to the last digits of its log and cos.
    """

    def __init__(self, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> None:
        if not sigma >= 0.0:
            raise ValueError(f"GaussianNoise expected sigma of at least 0, got {sigma}")
        self.mean, self.sigma, self.clip = mean, sigma, clip

    def transform(self, x: Array) -> Array:
        """x with noise."""
        check_floating(self, x)
        noisy = x + (randn_like(x) * self.sigma + self.mean)
        return namespace(x).clip(noisy, 0.0, 1.0) if self.clip else noisy


class OneHot:
    """Labels as rows of zeros with a one at their place: of the last of the arrays that it is called with.

    labels: (n, ...) integers in [0, num_classes), which is not checked (see nnx.data.check_labels): the row of another
    is all zeros   returns (n, ..., num_classes) of `dtype`

    >>> import numpy as np
    >>> OneHot(3)(np.asarray([2, 0]))
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """

    def __init__(self, num_classes: int, dtype: str = "float32") -> None:
        if num_classes < 1:
            raise ValueError(f"OneHot expected num_classes of at least 1, got {num_classes}")
        self.num_classes, self.dtype = num_classes, dtype

    def __call__(self, *batch: Any) -> Any:
        """(x, ..., labels) with the labels one-hot."""
        *others, labels = batch
        found = one_hot(labels, self.num_classes, getattr(namespace(labels), self.dtype))
        return (*others, found) if others else found

    __repr__ = Transform.__repr__


def one_hot(labels: Array, num_classes: int, dtype: Any) -> Array:
    """(n, ..., num_classes): 1 where the class is the label. Raises TypeError for labels that are no integers."""
    if backend_of(labels).is_inexact(labels.dtype):
        raise TypeError(f"OneHot expected integer labels, got {labels.dtype}: are they one-hot already?")
    xp = namespace(labels)
    places = xp.arange(num_classes, device=device_of(labels))
    return xp.astype(xp.expand_dims(labels, axis=-1) == places, dtype)
