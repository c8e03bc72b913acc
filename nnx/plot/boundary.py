"""Where in the plane a classifier changes its mind."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from nnx.backend import backend_of, get_backend, is_array
from nnx.layers.calls import unchanged
from nnx.layers.module import Module
from nnx.plot.canvas import MARKERS, PALETTE, canvas, host, ink, names_of, placed

BATCH = 8192


def decision_boundary(
    model: Callable[[Any], Any],
    x: Any,
    y: Any = None,
    ax: Axes | None = None,
    *,
    steps: int = 200,
    margin: float = 0.1,
    threshold: float = 0.0,
    class_names: Sequence[str] | None = None,
) -> Axes:
    """The class that a model gives to each point of the plane, the border between them, and the samples on top.

    model: a Module, in evaluation mode meanwhile, or any function of (m, 2) that gives (m, c) scores, (m, 1) or (m,)
    scores of class 1 (which counts above the threshold: 0.0 for logits, 0.5 for probabilities), or (m,) labels
    x: (n, 2)   y: (n,) or (n, 1) labels, or None for no samples   steps: grid points a side
    margin: around the samples, in parts of their range
    """
    points = _points(x, steps)
    ax = canvas(ax)
    low, high = points.min(axis=0), points.max(axis=0)
    room = np.where(high > low, margin * (high - low), 1.0)
    sides = [np.linspace(a, b, steps) for a, b in zip(low - room, high + room, strict=True)]
    grid = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2).astype(points.dtype)
    found, classes = _labels(model, grid, x, threshold)
    found = found.reshape(steps, steps)
    labels = None if y is None else host(y).astype("int64").reshape(-1)
    classes = max(classes, 0 if labels is None else int(labels.max()) + 1)
    names = names_of(classes, class_names, "decision_boundary")
    colors = [PALETTE[k % len(PALETTE)] for k in range(classes)]
    _regions(ax, found, sides, colors)
    for k in [] if labels is None else np.unique(labels):
        style = {"marker": MARKERS[k % len(MARKERS)], "s": 22, "linewidths": 0.5, "edgecolors": ink()}
        ax.scatter(*points[labels == k].T, color=colors[k], label=names[k], **style)
    ax.set(title="Decision boundary", xlabel="x[:, 0]", ylabel="x[:, 1]")
    if labels is not None:
        ax.legend(title="class", fontsize="small")
    return ax


def _points(x: Any, steps: int) -> Any:
    points = host(x)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(f"decision_boundary: expected x of shape (n, 2), points in a plane, got {points.shape}")
    if steps < 2 or not np.isfinite(points).all():
        raise ValueError(f"decision_boundary: expected finite points and at least 2 steps, got {steps} and {points}")
    return points if points.dtype.kind == "f" else points.astype("float64")


def _regions(ax: Axes, found: Any, sides: list[Any], colors: list[str]) -> None:
    """The classes of the grid in their colours, with a line where they meet."""
    extent = (sides[0][0], sides[0][-1], sides[1][0], sides[1][-1])
    ax.imshow(
        found, ListedColormap(colors), alpha=0.25, vmin=-0.5, vmax=len(colors) - 0.5, extent=extent, origin="lower",
        aspect="auto", interpolation="nearest",
    )  # fmt: skip
    for k in np.unique(found)[1:]:
        ax.contour(*sides, (found >= k) * 1.0, [0.5], colors=[ink()], linewidths=0.8)
    ax.set(xlim=extent[:2], ylim=extent[2:])


def _labels(model: Callable[[Any], Any], grid: Any, like: Any, threshold: float) -> tuple[Any, int]:
    """The class of each point, and how many there are at least."""
    parts = [grid[k : k + BATCH] for k in range(0, len(grid), BATCH)]
    if isinstance(model, Module):
        with unchanged(model):
            model.eval()
            found = [host(model(placed(model, part))) for part in parts]
    else:
        library = backend_of(like).home(like) if is_array(like) else get_backend("numpy")
        found = [host(model(library.asarray(part))) for part in parts]
    output = np.concatenate(found)
    if output.ndim == 2 and output.shape[1] > 1:
        return output.argmax(axis=1), output.shape[1]
    output = output.reshape(-1)
    if output.dtype.kind in "iub":
        return output.astype(int), int(output.max()) + 1
    return (output > threshold).astype(int), 2
