"""How far the values that a model says are from the true ones."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from nnx.plot.canvas import BLUE, canvas, host, ink, legend_below


def prediction_error(output: Any, target: Any, ax: Axes | None = None, *, unit: str = "") -> Axes:
    """The values that a model says against the true ones: right ones are on the diagonal.

    output, target: (n,) or (n, 1)   unit: of both, for the axes   R² and the root mean square error are in the legend.
    """
    said, true = (host(x).astype("float64").reshape(-1) for x in (output, target))
    if said.shape != true.shape or not len(true):
        raise ValueError(
            f"prediction_error: expected as many values as targets, got {host(output).shape} and {host(target).shape}"
        )
    rmse = float(np.sqrt(np.mean((said - true) ** 2)))
    spread = float(np.var(true))
    r2 = 1.0 - rmse**2 / spread if spread else float("nan")
    ax = canvas(ax, (4.4, 5.4))
    ends = [float(f([f(said), f(true)])) for f in (np.min, np.max)]
    ax.plot(ends, ends, "--", color=ink(), linewidth=0.8, label="right")
    style: dict[str, Any] = {"markersize": 4, "alpha": 0.8, "markeredgewidth": 0.0, "linestyle": "none"}
    ax.plot(true, said, "o", color=BLUE, label=f"R² {r2:.4g}, RMSE {rmse:.4g}", **style)
    of = f" ({unit})" if unit else ""
    ax.set(title="Prediction error", xlabel=f"true value{of}", ylabel=f"predicted value{of}")
    ax.set_box_aspect(1.0)
    ax.grid(alpha=0.25)
    legend_below(ax)
    return ax
