"""Windows cut out of images: the middle one, or each image's own, anywhere in it and in its padding.

The windows of a batch are one `take` from all of its numbers: where each number stands is a sum of a small table an
axis.
"""

from collections.abc import Sequence
from typing import Any

from nnx.backend import backend_of, device_of, namespace
from nnx.data.transforms.base import Transform, check_images, two_sizes
from nnx.data.transforms.draws import integers
from nnx.typing import Array, Namespace

__all__ = ["CenterCrop", "RandomCrop"]

MODES = ("constant", "edge", "reflect", "symmetric")


class CenterCrop(Transform):
    """The middle of each image; a smaller image is padded with zeros.

    x: (n, ..., h, w)   size: of the result, one number or (height, width)   returns (n, ..., *size)
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = two_sizes(self, size)

    def transform(self, x: Array) -> Array:
        """The middle of x."""
        size, wanted = check_images(self, x), self.size
        missing = [max(0, out - have) for have, out in zip(size, wanted, strict=True)]
        if any(missing):
            from nnx.functional.padding import pad

            (above, left), (below, right) = ([m // 2 for m in missing], [(m + 1) // 2 for m in missing])
            x = pad(x, (left, right, above, below))
            size = check_images(self, x)
        top, left = (round((have - out) / 2.0) for have, out in zip(size, wanted, strict=True))
        return x[..., top : top + wanted[0], left : left + wanted[1]]


class RandomCrop(Transform):
    """A window of each image, padded before, at a place of its own; all places are equally likely.

    x: (n, ..., h, w)   size: of the window, one number or (height, width)
    padding: one number, (left and right, top and bottom), or (left, top, right, bottom)   fill: what is put there
    padding_mode: constant (fill), edge (the edge again), reflect (mirrored, without the edge), symmetric (with it)
    returns (n, ..., *size). Raises ValueError if a padded image is smaller than the window, or for more padding than a
    mirror can fill.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        fill: float = 0,
        padding_mode: str = "constant",
    ) -> None:
        self.size, self.fill, self.padding_mode = two_sizes(self, size), fill, padding_mode
        self.padding = _edges(padding)
        if padding_mode not in MODES:
            raise ValueError(f"RandomCrop: padding_mode must be one of {', '.join(MODES)}, got {padding_mode!r}")

    def transform(self, x: Array) -> Array:
        """A window of each image of x."""
        h, w = check_images(self, x)
        left, top, right, bottom = self.padding
        rows = self._line(x, h, top, bottom, self.size[0])
        columns = self._line(x, w, left, right, self.size[1])
        found = _taken(x, rows, columns)
        if self.padding_mode != "constant" or not any(self.padding):
            return found
        xp = namespace(x)
        inside = _within(rows, h)[:, :, None] & _within(columns, w)[:, None, :]
        inside = backend_of(x).namespace().reshape(inside, (-1, *(1,) * (x.ndim - 3), *self.size))
        return xp.where(inside, found, xp.full((1,) * x.ndim, self.fill, dtype=x.dtype, device=device_of(x)))

    def _line(self, x: Array, have: int, before: int, after: int, wanted: int) -> Array:
        """(n, wanted): which places of an axis each image's window reads."""
        room = have + before + after - wanted
        if room < 0:
            raise ValueError(
                f"RandomCrop of size {self.size} expected images at least as large, got {tuple(x.shape[-2:])} with "
                f"padding {self.padding}: give more padding, or a smaller size"
            )
        xp = backend_of(x).namespace()
        start = integers(x.shape[0], room + 1, x) - before
        places = start[:, None] + xp.arange(wanted, dtype=start.dtype, device=device_of(x))[None, :]
        return _folded(xp, places, have, self.padding_mode, max(before, after))


def _edges(padding: int | Sequence[int] | None) -> tuple[int, int, int, int]:
    """left, top, right, bottom"""
    given = () if padding is None else (padding,) if isinstance(padding, int) else tuple(padding)
    edges: tuple[int, ...] = given * 4 if len(given) == 1 else given * 2 if len(given) == 2 else given or (0, 0, 0, 0)
    if len(edges) != 4 or min(edges) < 0:
        raise ValueError(
            f"RandomCrop expected padding of one number, (left and right, top and bottom) or (left, top, right, "
            f"bottom), each at least 0, got {padding}"
        )
    return edges[0], edges[1], edges[2], edges[3]


def _folded(xp: Namespace, places: Array, have: int, mode: str, reach: int) -> Array:
    """Places outside of the image as those inside that stand for them; they stay where a constant will stand."""
    if mode == "constant" or not reach:
        return places
    if mode == "edge":
        return xp.clip(places, 0, have - 1)
    most = have - 1 if mode == "reflect" else have
    if reach > most:
        raise ValueError(f"RandomCrop: {mode} fills a padding of {most} at the most of {have} pixels, got {reach}")
    again = 0 if mode == "reflect" else 1
    places = xp.where(places < 0, -places - again, places)
    return xp.where(places >= have, 2 * (have - 1) + again - places, places)


def _within(places: Array, have: int) -> Array:
    return (places >= 0) & (places < have)


def _taken(x: Array, rows: Array, columns: Array) -> Array:
    """x[sample, ..., rows[sample], columns[sample]], outside of the image anything.

    x: (n, ..., h, w)   rows: (n, a)   columns: (n, b)   returns (n, ..., a, b)
    """
    plain, xp = backend_of(x).namespace(), namespace(x)
    n, *between, h, w = x.shape
    c = 1
    for k in between:
        c *= k
    rows, columns = plain.clip(rows, 0, h - 1), plain.clip(columns, 0, w - 1)
    image: Any = plain.reshape(plain.arange(n * c, dtype=rows.dtype, device=device_of(x)) * (h * w), (n, c, 1, 1))
    places = image + per_sample_grid(rows * w, columns)
    found = xp.take(xp.reshape(x, (-1,)), plain.reshape(places, (-1,)), axis=0)
    return xp.reshape(found, (n, *between, rows.shape[1], columns.shape[1]))


def per_sample_grid(rows: Array, columns: Array) -> Array:
    """(n, 1, a, b) sums of (n, a) and (n, b)."""
    return rows[:, None, :, None] + columns[:, None, None, :]
