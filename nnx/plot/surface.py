"""The loss around the trained weights: a slice of its landscape along two random directions.

After Li et al. 2018, "Visualizing the loss landscape of neural nets": each filter of a direction has the norm of the
model's own, so that slices of two models can be compared although their weights are of different sizes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator

from nnx.layers.calls import unchanged
from nnx.layers.module import Module
from nnx.plot.canvas import canvas, host, placed

Loss = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Slice:
    """offsets: (k,), in norms of the filters   losses: (k, k), [j, i] at (offsets[i], offsets[j])."""

    offsets: Any
    losses: Any

    @property
    def center(self) -> float:
        """The loss of the weights as they are."""
        k = len(self.offsets) // 2
        return float(self.losses[k, k])


def filter_normalised(weights: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """A random direction: d ← d/‖d‖ · ‖w‖ for each filter (entry of the first axis); 0 for biases and norms' scales.

    weights: path -> (o, ...)   returns the same paths and shapes
    """
    found = {}
    for path, w in weights.items():
        d = rng.standard_normal(w.shape) if w.ndim > 1 else np.zeros(w.shape)
        rest = tuple(range(1, w.ndim))
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.sqrt(np.sum(w * w, axis=rest, keepdims=True) / np.sum(d * d, axis=rest, keepdims=True))
        found[path] = d * np.where(np.isfinite(scale), scale, 0.0)
    return found


def loss_slice(model: Module, loss: Loss, x: Any, y: Any, steps: int = 21, span: float = 1.0, seed: int = 0) -> Slice:
    """See loss_surface."""
    if steps < 3 or steps % 2 == 0:
        raise ValueError(
            f"loss_surface: steps must be odd and at least 3, so that the weights are on the grid, got {steps}"
        )
    if not 0.0 < span < float("inf"):
        raise ValueError(f"loss_surface: span must be above 0, in norms of the filters, got {span}")
    offsets = np.linspace(-span, span, steps)
    offsets[steps // 2] = 0.0
    losses = np.empty((steps, steps))
    with unchanged(model):
        model.eval()
        own = dict(model.named_parameters())
        weights = {path: host(w).astype("float64") for path, w in own.items()}
        rng = np.random.Generator(np.random.Philox(seed))
        first, second = (filter_normalised(weights, rng) for _ in range(2))
        x, y = placed(model, x), placed(model, y)
        with np.errstate(all="ignore"):
            for j, b in enumerate(offsets):
                row = {path: w + b * second[path] for path, w in weights.items()}
                for i, a in enumerate(offsets):
                    moved = {path: placed(model, w + a * first[path]) for path, w in row.items()}
                    model.update(moved)
                    losses[j, i] = float(loss(model(x), y))
    return Slice(offsets, losses)


def loss_surface(
    model: Module,
    loss: Loss,
    x: Any,
    y: Any,
    ax: Axes | None = None,
    *,
    steps: int = 21,
    span: float = 1.0,
    seed: int = 0,
) -> Axes:
    """The loss over (x, y) at W + a D₁ + b D₂ for a, b in [-span, span]: two random, filter-normalised directions.

    loss(output, target) -> scalar, as Trainer's   steps: points a side, odd   seed: of the directions
    It costs steps² forward passes, in evaluation mode. The model is left with the arrays it had, to the bit, also after
    an exception. A loss that is not finite is left blank.
    """
    ax = canvas(ax, (6.4, 4.4))  # what is no Axes is refused before the work
    found = loss_slice(model, loss, x, y, steps, span, seed)
    _filled(ax, found)
    center = f"trained weights, {found.center:.4g}"
    ax.plot(0.0, 0.0, "P", color="white", markeredgecolor="black", markersize=9, label=center, linestyle="none")
    ax.set(
        title="Loss surface, a random slice", xlabel="a, in norms of the filters", ylabel="b, in norms of the filters"
    )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.set_box_aspect(1.0)
    ax.legend(fontsize="small", loc="upper right")
    return ax


def _filled(ax: Axes, found: Slice) -> None:
    """The losses as bands of colour, by their logarithm where they span more than a factor of 20."""
    shown = np.ma.masked_invalid(found.losses)
    if shown.count() == 0:
        raise ValueError("loss_surface: the loss is finite nowhere on the slice: take a smaller span, or look for nan")
    low, high = float(shown.min()), float(shown.max())
    steep = 0.0 < 20.0 * low < high
    levels: Any = np.geomspace(low, high, 16) if steep else np.linspace(low, high, 16)
    if np.any(np.diff(levels) <= 0.0):
        return  # flat: no bands
    style: dict[str, Any] = {"levels": levels, "cmap": "cividis"} | ({"norm": LogNorm()} if steep else {})
    bar = ax.figure.colorbar(ax.contourf(found.offsets, found.offsets, shown, **style), ax=ax, label="loss")
    bar.minorticks_off()
    digits = 3 + math.ceil(math.log10(max(10.0, max(abs(low), abs(high)) / (high - low))))  # no two alike
    bar.set_ticks(levels[::3], labels=[f"{level:.{digits}g}" for level in levels[::3]])
