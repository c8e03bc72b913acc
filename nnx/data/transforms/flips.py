"""Mirrored images: half of them, or as many as p says."""

from nnx.backend import namespace
from nnx.data.transforms.base import Transform, check_images, check_probability
from nnx.data.transforms.draws import chances, per_sample
from nnx.typing import Array

__all__ = ["RandomHorizontalFlip", "RandomVerticalFlip"]


class RandomHorizontalFlip(Transform):
    """Left becomes right, for each image with probability p.   x: (n, ..., h, w)"""

    axis = -1

    def __init__(self, p: float = 0.5) -> None:
        check_probability(self, p)
        self.p = p

    def transform(self, x: Array) -> Array:
        """x, some of it mirrored."""
        check_images(self, x)
        xp = namespace(x)
        flipped = per_sample(chances(x.shape[0], self.p, x), x.ndim)
        return xp.where(flipped, xp.flip(x, axis=self.axis), x)


class RandomVerticalFlip(RandomHorizontalFlip):
    """Top becomes bottom, for each image with probability p.   x: (n, ..., h, w)"""

    axis = -2
