"""What all pictures share: where they are drawn, their colours, and data as NumPy has it."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from nnx.backend import backend_of, get_backend, is_array, to_numpy
from nnx.layers.module import Module

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
"""Okabe & Ito (2008), without black, which the text has."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
BLUE, VERMILION = PALETTE[:2]


def canvas(ax: Axes | None, size: tuple[float, float] = (5.6, 4.0)) -> Axes:
    """The axes to draw on: those that were given, or those of a new Figure of `size` inches."""
    if ax is None:
        return Figure(figsize=size, layout="constrained").add_subplot()
    if not isinstance(ax, Axes):
        raise TypeError(
            f"expected ax to be one matplotlib Axes, got {type(ax).__name__}: figure, ax = plt.subplots() makes one"
        )
    return ax


def legend_below(ax: Axes) -> None:
    """A legend under the axis' label, where no data can be; its distance is in lines of text, as that of the label."""
    ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, 0.0), borderaxespad=4.5, ncols=2)


def ink() -> Any:
    """The colour of text, by the user's style."""
    return mpl.rcParams["text.color"]


def host(x: Any) -> Any:
    """An array of any backend, or a list, as NumPy's."""
    return to_numpy(x) if is_array(x) else np.asarray(x)


def placed(model: Module, x: Any) -> Any:
    """An array where the model's parameters are; floating numbers in their dtype."""
    some = next(iter(model.parameters()), None)
    library = get_backend() if some is None else backend_of(some).home(some)
    dtype = None if some is None or host(x).dtype.kind != "f" else some.dtype
    return library.asarray(x, dtype)


def tint(color: str) -> LinearSegmentedColormap:
    """From the paper, whatever its colour, to `color`: 0 is transparent."""
    return LinearSegmentedColormap.from_list(f"paper to {color}", [(*to_rgb(color), alpha) for alpha in (0.0, 1.0)])


def two_tints() -> LinearSegmentedColormap:
    """Negative numbers vermilion, positive ones blue, and 0 the paper."""
    low, high = to_rgb(VERMILION), to_rgb(BLUE)
    ends = [(0.0, (*low, 1.0)), (0.5, (*low, 0.0)), (0.5, (*high, 0.0)), (1.0, (*high, 1.0))]
    return LinearSegmentedColormap.from_list("vermilion, paper, blue", ends)


def by_depth(n: int) -> list[Any]:
    """n colours in an order that can be seen, from the first layer's blue to the last one's vermilion."""
    found = LinearSegmentedColormap.from_list("depth", [BLUE, PALETTE[3], VERMILION])
    return [found(k / max(n - 1, 1)) for k in range(n)]


def plain(text: str) -> str:
    """Text that is no formula: what stands between two $ would be one."""
    return text.replace("$", r"\$")


def names_of(classes: int, given: Sequence[str] | None, who: str) -> list[str]:
    """The names of the classes. Raises ValueError if there are more or fewer than classes."""
    names = [str(k) for k in range(classes)] if given is None else [plain(str(name)) for name in given]
    if len(names) != classes:
        raise ValueError(f"{who}: {len(names)} class_names for {classes} classes: one for each")
    return names
