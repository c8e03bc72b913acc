"""Batches whose samples are mixed with their neighbours, and whose labels say in which shares."""

import math
from typing import Any

import numpy as np

from nnx.backend import backend_of, device_of, namespace
from nnx.data.transforms.base import Transform, check_floating, check_images
from nnx.data.transforms.draws import held, integers, per_sample
from nnx.data.transforms.pixels import one_hot
from nnx.typing import Array

__all__ = ["CutMix", "MixUp"]

QUANTILES = 4096
"""Shares that are chosen from: the quantiles of their distribution, equally likely."""


class MixUp:
    """x ← λ x + (1 - λ) x′, y ← λ y + (1 - λ) y′, x′ and y′ the sample before, λ from Beta(α, α) (Zhang et al. 2018).

    Called with (x, y): x (n, ...) floating, y (n,) integers in [0, num_classes), or (n, classes) shares
    alpha: α > 0; 1 makes all λ alike, small ones leave most samples nearly as they are. λ is each sample's own, and one
    of 4,096 quantiles   returns x's shape, and (n, classes) of x's dtype, which nnx.losses.cross_entropy takes
    Shuffle the batches: a sample is mixed with the one before it.
    """

    def __init__(self, alpha: float = 1.0, num_classes: int | None = None) -> None:
        self.alpha, self.num_classes = _alpha(self, alpha), num_classes

    def __call__(self, x: Array, y: Array) -> tuple[Array, Array]:
        """(x, y) mixed."""
        check_floating(self, x)
        shares = _shares(self, x, y)
        plain = backend_of(x).namespace()
        table = held(("beta", self.alpha), lambda: beta_quantiles(self.alpha).tolist(), x, x.dtype)
        share = plain.take(table, integers(x.shape[0], QUANTILES, x), axis=0)
        return _mixed(x, per_sample(share, x.ndim)), _mixed(shares, per_sample(share, 2))

    __repr__ = Transform.__repr__


class CutMix:
    """A box of each image is that of the image before, and the labels' shares are those of the areas (Yun et al. 2019).

    Called with (x, y): x (n, ..., h, w), y as for MixUp   alpha: α > 0; the box has the share 1 - λ of the image, λ
    from Beta(α, α), where it does not reach over the edge   returns x's shape, and (n, classes) of x's dtype
    """

    def __init__(self, alpha: float = 1.0, num_classes: int | None = None) -> None:
        self.alpha, self.num_classes = _alpha(self, alpha), num_classes

    def __call__(self, x: Array, y: Array) -> tuple[Array, Array]:
        """(x, y) mixed."""
        check_floating(self, x)
        h, w = check_images(self, x)
        shares = _shares(self, x, y)
        xp, plain, n = namespace(x), backend_of(x).namespace(), x.shape[0]
        halves = held(("cut", self.alpha, h, w), lambda: _halves(self.alpha, h, w), x)
        half = plain.take(halves, integers(n, QUANTILES, x), axis=0)
        rows, height = _span(x, h, half[:, 0])
        columns, width = _span(x, w, half[:, 1])
        box = rows[:, :, None] & columns[:, None, :]
        box = plain.reshape(box, (n, *(1,) * (x.ndim - 3), h, w))
        area = plain.astype(height * width, x.dtype)
        share = 1.0 - area * (1.0 / (h * w))
        return xp.where(box, xp.roll(x, 1, axis=0), x), _mixed(shares, per_sample(share, 2))

    __repr__ = Transform.__repr__


def beta_quantiles(alpha: float, count: int = QUANTILES) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """(count,) quantiles of Beta(α, α) at (k + ½) / count.

    The distribution is even about ½. Below it F(x) ∝ ∫ (4 x (1 - x))^(α-1) dx has a pole at 0 for α < 1, and none once
    x = ½ s^(1/α): F ∝ ∫ (1 - ½ s^(1/α))^(α-1) ds.
    """
    grid = np.linspace(0.0, 1.0, 1 << 16)
    x = 0.5 * grid if alpha >= 1.0 else 0.5 * grid ** (1.0 / alpha)
    density = (4.0 * x * (1.0 - x)) ** (alpha - 1.0) if alpha >= 1.0 else (1.0 - x) ** (alpha - 1.0)
    total = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) * 0.5)])
    found = np.interp((np.arange(count // 2) + 0.5) / (count // 2), total / total[-1], grid)
    lower = 0.5 * found if alpha >= 1.0 else 0.5 * found ** (1.0 / alpha)
    return np.concatenate([lower, 1.0 - lower[::-1]])


def _halves(alpha: float, h: int, w: int) -> list[list[int]]:
    """(QUANTILES, 2) half the height and width of the box for each λ."""
    return [[int(0.5 * math.sqrt(1.0 - k) * h), int(0.5 * math.sqrt(1.0 - k) * w)] for k in beta_quantiles(alpha)]


def _span(x: Array, size: int, half: Array) -> tuple[Array, Array]:
    """(n, size) whether each place is within `half` of a random one, and (n,) how many are."""
    xp = backend_of(x).namespace()
    middle = integers(x.shape[0], size, x)
    first, last = xp.clip(middle - half, 0, size), xp.clip(middle + half, 0, size)
    places = xp.arange(size, dtype=first.dtype, device=device_of(x))[None, :]
    return (places >= first[:, None]) & (places < last[:, None]), last - first


def _mixed(x: Array, share: Array) -> Array:
    return x * share + namespace(x).roll(x, 1, axis=0) * (1.0 - share)


def _shares(transform: Any, x: Array, y: Array) -> Array:
    """The labels as (n, classes) of x's dtype."""
    name = type(transform).__name__
    if y.ndim == 2 and backend_of(y).is_inexact(y.dtype):
        return namespace(y).astype(y, x.dtype)
    if y.ndim != 1 or backend_of(y).is_inexact(y.dtype):
        raise ValueError(
            f"{name} expected labels (n,) of integers, or shares (n, classes), got {y.dtype} of shape {tuple(y.shape)}"
        )
    if transform.num_classes is None:
        raise ValueError(f"{name} expected num_classes to make shares of integer labels: {name}(num_classes=10)")
    return one_hot(y, transform.num_classes, x.dtype)


def _alpha(transform: Any, alpha: float) -> float:
    if not 0.0 < alpha < math.inf:
        raise ValueError(f"{type(transform).__name__} expected alpha above 0, got {alpha}: 1 makes all shares alike")
    return float(alpha)
