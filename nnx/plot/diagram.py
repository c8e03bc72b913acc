"""What a network is made of: neurons and connections if it is a stack of linear layers, else its layers in order."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import FancyBboxPatch

from nnx.layers.calls import Call, calls_of, zeros
from nnx.layers.linear import Linear
from nnx.layers.module import Module
from nnx.plot.canvas import BLUE, VERMILION, canvas, host, ink

NEURONS = 10
"""Of a layer that are drawn; of more, the first and last ones."""
ROWS = 12
"""Layers in a column of the other diagram."""


def network_diagram(model: Module, ax: Axes | None = None, *, input_shape: Any = None) -> Axes:
    """The network's diagram, from one forward pass on zeros that leaves the model as it was.

    input_shape: (n, ...) of what the model takes, as nnx.summary's; not needed if its first layer is Linear
    A Sequential of Linear layers and what acts on each neuron alone is drawn neuron by neuron, each connection as
    strong as its weight, blue if positive and vermilion if negative. Of any other model, the layers in the order of
    their calls, with the shape that each one gives and the number of its parameters.
    """
    shape = _shape(model) if input_shape is None else input_shape
    shapes = [shape] if all(isinstance(n, int) for n in shape) else list(shape)
    root = calls_of(model, zeros(model, shapes, [None] * len(shapes)), False)
    leaves = [call for call in root.flat() if not call.inside]
    if _is_stack(root, leaves):
        return _neurons(leaves, model, ax)
    return _boxes(leaves, model, shapes, ax)


def _shape(model: Module) -> tuple[int, int]:
    found = next((m for m in model.modules() if isinstance(m, Linear)), None)
    first = next(iter(model.parameters()), None)
    if found is None or found.weight is not first:
        raise ValueError(
            f"network_diagram: the first layer of {type(model).__name__} is not Linear: give the shape of its input, "
            "e.g. input_shape=(1, 3, 32, 32)"
        )
    return 1, int(first.shape[1])


def _is_stack(root: Call, leaves: list[Call]) -> bool:
    """Whether the calls are a Sequential's, of Linear layers and what keeps the shape (n, neurons)."""
    containers = [call for call in root.flat() if call.inside]
    plain = all(type(call.module).__name__ == "Sequential" for call in containers)
    flat = all(len(call.inputs) == 1 and len(call.inputs[0]) == 2 for call in leaves)
    return plain and flat and all(
        isinstance(call.module, Linear) or (call.output == call.inputs[0] and not list(call.module.parameters()))
        for call in leaves
    ) and any(isinstance(call.module, Linear) for call in leaves)  # fmt: skip


# ---- neurons ---------------------------------------------------------------------------------------------------------


def _neurons(leaves: list[Call], model: Module, ax: Axes | None) -> Axes:
    linear = [call.module for call in leaves if isinstance(call.module, Linear)]
    weights = [host(layer.weight).astype("float64") for layer in linear]
    widths = [weights[0].shape[1], *(len(w) for w in weights)]
    captions = _captions(leaves)
    ax = canvas(ax, (1.6 * len(widths) + 1.0, 4.2))
    shown = [_shown(n) for n in widths]
    for k, w in enumerate(weights):
        _connections(ax, k, w, shown[k], shown[k + 1])
    for k, (n, drawn, caption) in enumerate(zip(widths, shown, captions, strict=True)):
        heights = _heights(drawn, n)
        ax.plot([k] * len(heights), heights, "o", color=BLUE, markeredgecolor=ink(), markersize=9, linestyle="none")
        if len(drawn) < n:
            ax.text(k, 0.0, "⋮", ha="center", va="center", fontsize=14, color=ink())
        ax.text(k, -NEURONS / 2 - 0.9, caption, ha="center", va="top", fontsize="small")
        ax.text(k, NEURONS / 2 + 0.5, f"{n}", ha="center", va="bottom", fontweight="bold")
    ax.set(title=f"{type(model).__name__}, {model.num_parameters():,} parameters")
    ax.set(xlim=(-0.6, len(widths) - 0.4), ylim=(-NEURONS / 2 - 3.0, NEURONS / 2 + 1.5))
    ax.set_axis_off()
    return ax


def _captions(leaves: list[Call]) -> list[str]:
    """Below each column: input, then the layer and what acts on its neurons."""
    lines = [["input"]]
    for call in leaves:
        if isinstance(call.module, Linear):
            lines.append([])
        lines[-1].append(type(call.module).__name__)
    return ["\n".join(column[:4]) for column in lines]


def _shown(n: int) -> list[int]:
    half = NEURONS // 2
    return list(range(n)) if n <= NEURONS else [*range(half - 1), *range(n - half + 1, n)]


def _heights(drawn: list[int], n: int) -> list[float]:
    """From top to bottom, with a gap where neurons are left out."""
    if len(drawn) == n:
        return [(n - 1) / 2 - k for k in range(n)]
    half = len(drawn) // 2
    return [*(half + 0.5 - k for k in range(half)), *(-1.5 - k for k in range(half))]


def _connections(ax: Axes, k: int, w: Any, left: list[int], right: list[int]) -> None:
    """The shown part of w (o, i): the largest of it opaque."""
    part = w[np.ix_(right, left)]
    a, b = _heights(left, w.shape[1]), _heights(right, len(w))
    top = float(np.abs(part).max(initial=0.0)) or 1.0
    lines, colors = [], []
    for (j, i), x in np.ndenumerate(part):
        lines.append([(k, a[i]), (k + 1, b[j])])
        colors.append((*to_rgb(BLUE if x > 0 else VERMILION), min(1.0, abs(float(x)) / top)))
    ax.add_collection(LineCollection(lines, colors=colors, linewidths=0.9, zorder=0))


# ---- boxes -----------------------------------------------------------------------------------------------------------


def _boxes(leaves: list[Call], model: Module, shapes: list[Any], ax: Axes | None) -> Axes:
    paths = {id(module): path for path, module in model.named_modules()}
    texts = ["input\n" + ", ".join(_form(shape) for shape in shapes)]
    for call in leaves:
        n = call.module.num_parameters()
        lines = [type(call.module).__name__, paths[id(call.module)], _form(call.output)]
        lines[-1] += f" · {n:,} parameters" if n else ""
        texts.append("\n".join(filter(None, lines)))
    columns = -(-len(texts) // ROWS)
    rows = -(-len(texts) // columns)
    ax = canvas(ax, (3.0 * columns + 0.4, 0.68 * rows + 0.7))
    for k, text in enumerate(texts):
        column, row = divmod(k, rows)
        box = FancyBboxPatch((column - 0.44, -row - 0.36), 0.88, 0.72, boxstyle="round,pad=0,rounding_size=0.06")
        box.set(facecolor=(*to_rgb(BLUE), 0.16 if "parameters" in text else 0.04), edgecolor=ink(), linewidth=0.7)
        ax.add_patch(box)
        longest = max(map(len, text.splitlines()))
        ax.text(column, -row, text, ha="center", va="center", fontsize=7.5 * min(1.0, 42 / longest))
        if row:
            arrow = {"arrowstyle": "->", "color": ink(), "linewidth": 0.7}
            ax.annotate("", (column, -row + 0.36), (column, -row + 0.64), arrowprops=arrow)
    ax.set(title=f"{type(model).__name__}, {model.num_parameters():,} parameters")
    ax.set(xlim=(-0.55, columns - 0.45), ylim=(-rows + 0.4, 0.6))
    ax.set_axis_off()
    return ax


def _form(shape: Any) -> str:
    """A shape without the batch; of several, the first."""
    while isinstance(shape, tuple | list) and shape and isinstance(shape[0], tuple | list):
        shape = shape[0]
    if isinstance(shape, tuple) and all(isinstance(n, int) for n in shape):
        return " × ".join(map(str, shape[1:])) or "one number"
    return str(shape)
