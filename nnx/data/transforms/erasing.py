"""A rectangle of some of the images is painted over (Zhong et al. 2020)."""

import math
from collections.abc import Sequence
from functools import cache

from nnx.backend import backend_of, device_of, namespace
from nnx.data.transforms.base import Transform, check_images, check_probability
from nnx.data.transforms.draws import chances, held, integers
from nnx.typing import Array

__all__ = ["RandomErasing"]

STEPS = 32
"""Areas, and ratios of the sides, that are chosen from."""


class RandomErasing(Transform):
    """A rectangle of each image is set to `value`, with probability p.

    x: (n, ..., h, w)   scale: its area as a part of the image's, from and to   ratio: height / width, from and to
    Areas are alike in [scale], and logarithms of ratios in [ratio], at 32 steps each; those are left out whose
    rectangle does not fit. Raises ValueError if none does.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float = 0,
    ) -> None:
        check_probability(self, p)
        self.p, self.scale, self.ratio, self.value = p, tuple(scale), tuple(ratio), value
        if len(self.scale) != 2 or not 0.0 <= self.scale[0] <= self.scale[1] <= 1.0:
            raise ValueError(f"RandomErasing expected scale (from, to) within [0, 1], got {scale}")
        if len(self.ratio) != 2 or not 0.0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"RandomErasing expected ratio (from, to) above 0, got {ratio}")

    def transform(self, x: Array) -> Array:
        """x, with rectangles."""
        h, w = check_images(self, x)
        xp, plain, n = namespace(x), backend_of(x).namespace(), x.shape[0]
        boxes = _boxes(self.scale, self.ratio, h, w)
        sizes = held(("erase", self.scale, self.ratio, h, w), lambda: list(map(list, boxes)), x)
        chosen = plain.take(sizes, integers(n, len(boxes), x), axis=0)
        hit = chances(n, self.p, x)
        rows, columns = _span(x, h, chosen[:, 0]), _span(x, w, chosen[:, 1])
        box = plain.reshape(
            rows[:, :, None] & columns[:, None, :] & hit[:, None, None], (n, *(1,) * (x.ndim - 3), h, w)
        )
        return xp.where(box, xp.full((1,) * x.ndim, self.value, dtype=x.dtype, device=device_of(x)), x)


@cache
def _boxes(scale: tuple[float, ...], ratio: tuple[float, ...], h: int, w: int) -> tuple[tuple[int, int], ...]:
    """Heights and widths that are chosen from."""
    (small, large), (flat, tall) = scale, map(math.log, ratio)
    steps = [(k + 0.5) / STEPS for k in range(STEPS)]
    areas = [h * w * (small + (large - small) * k) for k in steps]
    shapes = [math.exp(flat + (tall - flat) * k) for k in steps]
    found = [(round(math.sqrt(a * r)), round(math.sqrt(a / r))) for a in areas for r in shapes]
    boxes = tuple(box for box in found if 0 < box[0] < h and 0 < box[1] < w)
    if not boxes:
        raise ValueError(
            f"RandomErasing with scale {scale} and ratio {ratio} has no rectangle that fits into images of {h}x{w}: "
            f"change them"
        )
    return boxes


def _span(x: Array, size: int, length: Array) -> Array:
    """(n, size): whether each place is one of `length` in a row, which lie anywhere."""
    xp = backend_of(x).namespace()
    first = integers(x.shape[0], size + 1 - length, x)
    places = xp.arange(size, dtype=first.dtype, device=device_of(x))[None, :]
    return (places >= first[:, None]) & (places < (first + length)[:, None])
