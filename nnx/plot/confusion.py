"""Which class is taken for which."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from nnx import metrics
from nnx.plot.canvas import BLUE, canvas, host, ink, names_of, tint

MOST = 20
"""Classes with a number in each cell; of more they could not be read."""


def confusion_matrix(
    output: Any,
    target: Any = None,
    ax: Axes | None = None,
    *,
    class_names: Sequence[str] | None = None,
    normalize: metrics.classes.Normalize | None = None,
) -> Axes:
    """How many samples of each class (row) are taken for each (column): the blue is as strong as the number is large.

    A cell without a number has none.

    output: (n, c) scores or (n,) labels, with target: (n,) labels; or, without target, the (c, c) matrix itself
    class_names: one a class, its number by default   normalize: shares of a row ("true"), a column ("pred"), or "all"
    """
    matrix = _matrix(host(output), target, class_names, normalize)
    c = len(matrix)
    names = names_of(c, class_names, "confusion_matrix")
    ax = canvas(ax, (5.0, 5.0) if c <= MOST else (5.6, 5.0))
    top = 1.0 if normalize else max(float(matrix.max(initial=0)), 1.0)
    image = ax.imshow(matrix, cmap=tint(BLUE), vmin=0.0, vmax=top)
    ax.set(title="Confusion matrix", xlabel="predicted class", ylabel="true class")
    if c > MOST:
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True, nbins=10))
        ax.figure.colorbar(image, ax=ax, label="share" if normalize else "samples")
        return ax
    long = max(map(len, names)) > 3
    ax.set_xticks(range(c), names, rotation=45 if long else 0, ha="right" if long else "center", rotation_mode="anchor")
    ax.set_yticks(range(c), names)
    form, size = (".2f" if normalize else ".0f"), max(5.0, 10.0 - 0.25 * c)
    for (row, column), x in np.ndenumerate(matrix):
        color = "white" if x > 0.55 * top else ink()
        if x:
            ax.text(column, row, format(x, form), ha="center", va="center", color=color, fontsize=size)
    return ax


def _matrix(output: Any, target: Any, class_names: Sequence[str] | None, normalize: Any) -> Any:
    if target is None:
        if output.ndim != 2 or output.shape[0] != output.shape[1]:
            raise ValueError(
                f"confusion_matrix: expected a square matrix (c, c), got {output.shape}: with scores or labels, give "
                "the target, too"
            )
        sums = {"true": (1,), "pred": (0,), "all": (0, 1)}
        if normalize is None:
            return output
        total = output.sum(axis=sums[normalize], keepdims=True)
        return np.divide(output, total, out=np.zeros(output.shape), where=total != 0)
    target = host(target)
    if output.ndim > 1:
        return host(metrics.confusion_matrix(output, target, normalize=normalize))
    largest = max(int(output.max(initial=0)), int(target.max(initial=0)))
    classes = max(largest + 1, len(class_names or ()))
    return host(metrics.confusion_matrix(output, target, num_classes=classes, normalize=normalize))
