"""What changes from epoch to epoch: losses and metrics, and the gradients of the layers."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from nnx.plot.canvas import BLUE, VERMILION, by_depth, canvas, ink
from nnx.train.history import History

Record = dict[str, Any]
GRADIENTS = "grad_norm/"
MOST = 8
"""Lines that a legend names one by one."""


def records_of(data: Any) -> list[Record]:
    """One record an epoch, of a History, a Trainer, a run's folder, a file of JSON lines, or a list of records.

    Raises TypeError for anything else.
    """
    if isinstance(data, str | Path):
        from nnx.io import read_lines

        path = Path(data)
        data = read_lines(path / "metrics.jsonl" if path.is_dir() else path)
    given = getattr(data, "history", data)
    given = list(given) if isinstance(given, Iterable) else [given]
    if not all(isinstance(record, Mapping) for record in given):
        raise TypeError(
            f"expected what was measured: a History, a Trainer, a run's folder or a list of records, got {data!r:.80}: "
            'of losses alone, [{"loss": x} for x in losses]'
        )
    found = [dict(record) for record in given]
    whole = [record for record in found if "seconds" in record]  # not those of single updates and validations
    return whole or found


def learning_curves(history: Any, ax: Axes | None = None, *, metric: str = "loss") -> Axes:
    """A loss or metric of training and validation by epoch, and the epoch of the lowest val_loss.

    history: a History, a Trainer, a run's folder, or a list of records
    metric: its name in them; that of the validation is val_<metric>
    Raises KeyError if neither was recorded.
    """
    records = records_of(history)
    drawn = [name for name in (metric, f"val_{metric}") if any(name in record for record in records)]
    if not drawn:
        History(records)[metric]  # its error says what there is
    epochs = [record.get("epoch", k) for k, record in enumerate(records, 1)]
    ax = canvas(ax)
    styles = {metric: ("training", BLUE, "-"), f"val_{metric}": ("validation", VERMILION, "--")}
    for name in drawn:
        label, color, dashes = styles[name]
        values = [_number(record.get(name)) for record in records]
        ax.plot(epochs, values, dashes, color=color, label=label, marker="." if len(records) < 30 else None)
    if (best := best_epoch(records)) is not None:
        ax.axvline(best, color=ink(), linewidth=0.8, linestyle=":", label=f"lowest val_loss, epoch {best}")
    ax.set(title=f"Learning curves: {metric}", xlabel="epoch", ylabel=metric)
    return _by_epoch(ax)


def best_epoch(records: list[Record]) -> int | None:
    """The first epoch of the lowest val_loss; None if there was no validation."""
    found = [(record["val_loss"], record["epoch"]) for record in records if {"val_loss", "epoch"} <= record.keys()]
    found = [(loss, epoch) for loss, epoch in found if loss is not None]
    return int(min(found)[1]) if found else None


def gradient_flow(data: Any, ax: Axes | None = None) -> Axes:
    """The norm of each weight's gradient by epoch: what vanishes or explodes, and in which layer.

    The root mean square over an epoch's updates, before clipping.

    data: nnx.train.GradientStats of a training; or what it wrote into epochs' records with log=True: a run's folder, a
    file of JSON lines, a list of records
    One line a weight, on a logarithmic scale, biases only if there is nothing else; a norm of 0 is a gap.
    """
    epochs, norms = _norms(data)
    paths = list(dict.fromkeys(path for record in norms for path in record))
    paths = [path for path in paths if path.endswith("weight")] or paths
    ax = canvas(ax)
    every = max(1, -(-len(paths) // MOST))
    for k, (path, color) in enumerate(zip(paths, by_depth(len(paths)), strict=True)):
        values = [_number(record.get(path)) for record in norms]
        named = k % every == 0 or k == len(paths) - 1
        shown = [value if value > 0.0 else np.nan for value in values]
        ax.plot(epochs, shown, color=color, marker="." if len(epochs) < 30 else None, label=path if named else None)
    if any(np.isfinite(line.get_ydata()).any() for line in ax.lines):
        ax.set_yscale("log")
    ax.set(title="Gradient flow", xlabel="epoch", ylabel="‖∂C/∂W‖, root mean square of the epoch")
    _by_epoch(ax)
    if len(paths) > 3:
        ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5), title="weight")
    return ax


def _norms(data: Any) -> tuple[list[Any], list[dict[str, Any]]]:
    """Epochs, and the norms by path of each."""
    if hasattr(data, "norms"):
        return list(range(1, len(data.norms) + 1)), list(data.norms)
    epochs, norms = [], []
    for k, record in enumerate(records_of(data), 1):
        if found := {name.removeprefix(GRADIENTS): x for name, x in record.items() if name.startswith(GRADIENTS)}:
            epochs.append(record.get("epoch", k))
            norms.append(found)
    if not norms:
        raise KeyError(
            f"no {GRADIENTS}<path> was recorded: train with `nnx train --gradient-stats`, or give the training the "
            "callback nnx.train.GradientStats(log=True)"
        )
    return epochs, norms


def _number(x: Any) -> float:
    """JSON has null for what is not finite."""
    return float("nan") if x is None else float(x)


def _by_epoch(ax: Axes) -> Axes:
    epochs = ax.lines[0].get_xdata() if ax.lines else []
    if len(set(epochs)) == 1:
        ax.set_xlim(epochs[0] - 1, epochs[0] + 1)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.grid(alpha=0.25)
    if _labels(ax.lines):
        ax.legend(fontsize="small")
    return ax


def _labels(lines: Iterable[Any]) -> list[str]:
    return [line.get_label() for line in lines if not line.get_label().startswith("_")]
