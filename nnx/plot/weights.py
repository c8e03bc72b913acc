"""What the first layer looks for: the weights of each of its units as an image."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from nnx.layers.module import Module
from nnx.plot.canvas import canvas, host, ink, two_tints


def weight_images(
    model: Any,
    ax: Axes | None = None,
    *,
    shape: tuple[int, ...] | None = None,
    limit: int = 64,
    columns: int | None = None,
) -> Axes:
    """The weights of the first layer, an image a unit: positive ones blue, negative ones vermilion, 0 the paper.

    model: a Module, whose first weight of two or more axes is drawn, or such an array itself: (o, i) of a Linear layer,
    (o, c, h, w) of a Conv2d, of which each input channel is an image of its own unless c = 3, which is shown in colour
    shape: (h, w) or (3, h, w) of what a Linear layer sees; by default a square, if i is one, else the row (1, i)
    limit: images at most   columns: of the mosaic, near a square by default
    """
    path, weight = _first(model)
    tiles, units = _tiles(weight, shape, path)
    total, tiles = len(tiles), tiles[:limit]
    h, w = tiles.shape[1:3]
    columns = columns or (1 if h == 1 else math.ceil(math.sqrt(len(tiles) * h / w)))
    mosaic = _mosaic(tiles, columns)
    ax = canvas(ax, (5.6, 5.0))
    if tiles.ndim == 4:
        ax.imshow(mosaic, interpolation="nearest")
    else:
        top = float(np.nanmax(np.abs(tiles), initial=0.0)) or 1.0
        image = ax.imshow(mosaic, two_tints(), vmin=-top, vmax=top, interpolation="nearest")
        ax.set_aspect("auto" if h == 1 else "equal")
        ax.figure.colorbar(image, ax=ax, label="weight", shrink=0.8)
    if h > 1:
        _frames(ax, len(tiles), columns, h, w)
    shown = f"{total}" if total == len(tiles) else f"{len(tiles)} of {total}"
    ax.set(title=f"{path}: {shown} {units}, {h} × {w}", xticks=[], yticks=[])
    if h == 1:
        ax.set(xlabel="input", ylabel="unit")
    ax.spines[:].set_visible(False)
    return ax


def _first(model: Any) -> tuple[str, Any]:
    if not isinstance(model, Module):
        return "weights", host(model).astype("float64")
    wide = [(path, x) for path, x in model.named_parameters() if x.ndim > 1]
    for path, x in sorted(wide, key=lambda found: not found[0].endswith("weight")):  # a class token is no weight
        return path, host(x).astype("float64")
    raise ValueError(
        f"weight_images: {type(model).__name__} has no weight of two or more axes, as Linear and Conv2d have: give the "
        "array that you want to see"
    )


def _tiles(weight: Any, shape: tuple[int, ...] | None, path: str) -> tuple[Any, str]:
    """(k, h, w), or (k, h, w, 3) in [0, 1] for colours; and what they are."""
    if weight.ndim > 2 and shape is None:
        o, c, *rest = weight.shape
        h, w = (1, *rest) if len(rest) == 1 else (rest[0], math.prod(rest[1:]))
        tiles = weight.reshape(o, c, h, w)
        return (_in_colour(tiles), "filters") if c == 3 else (tiles.reshape(o * c, h, w), "filters by input channel")
    units = weight.reshape(len(weight), -1)
    n = units.shape[1]
    side = math.isqrt(n)
    if shape is None:
        shape = (side, side) if side * side == n and side > 2 else (1, n)
    if math.prod(shape) != n or len(shape) not in (2, 3) or (len(shape) == 3 and shape[0] not in (1, 3)):
        raise ValueError(
            f"weight_images: {path} has {n} weights a unit, expected shape=(h, w) or (3, h, w) of as many, got {shape}"
        )
    if len(shape) == 3 and shape[0] == 3:
        return _in_colour(units.reshape(-1, *shape)), "units"
    return units.reshape(-1, *shape[-2:]), "units"


def _in_colour(tiles: Any) -> Any:
    """(k, 3, h, w) -> (k, h, w, 3): each image from its smallest weight (0) to its largest (1)."""
    low, high = (f(tiles, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    return np.moveaxis((tiles - low) / np.where(high > low, high - low, 1.0), 1, -1)


def _mosaic(tiles: Any, columns: int) -> Any:
    """(k, h, w, ...) -> (rows h, columns w, ...), what is left over nan (transparent)."""
    k, h, w, *rest = tiles.shape
    rows = math.ceil(k / columns)
    fill = np.nan if not rest else 1.0
    padded = np.concatenate([tiles, np.full((rows * columns - k, h, w, *rest), fill)])
    return np.swapaxes(padded.reshape(rows, columns, h, w, *rest), 1, 2).reshape(rows * h, columns * w, *rest)


def _frames(ax: Axes, k: int, columns: int, h: int, w: int) -> None:
    """A thin line around each image."""
    corners = [(i % columns * w - 0.5, i // columns * h - 0.5) for i in range(k)]
    loops = [[(a, b), (a + w, b), (a + w, b + h), (a, b + h), (a, b)] for a, b in corners]
    for loop in loops:
        ax.plot(*zip(*loop, strict=True), color=ink(), linewidth=0.4, alpha=0.6, scalex=False, scaley=False)
