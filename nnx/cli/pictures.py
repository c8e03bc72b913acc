"""The pictures of a report: each an SVG within the page, whose ink follows the page from light to dark.

A picture is drawn once. Where matplotlib wrote the colour of text and frames, the SVG says `var(--ink)`, which it sets
itself by `prefers-color-scheme`; all other colours can be seen on both papers.
"""

import base64
import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnx.cli.findings import Findings, metrics_of

__all__ = ["Picture", "pictures", "written"]

INK, PAPER = "#1c1d21", "#fcfcfd"
DARK_INK, DARK_PAPER = "#e4e5ea", "#17181c"
STYLE = {
    "text.color": INK, "axes.labelcolor": INK, "axes.titlecolor": INK, "axes.edgecolor": INK,
    "xtick.color": INK, "ytick.color": INK, "figure.facecolor": "none", "axes.facecolor": "none",
    "savefig.facecolor": "none", "legend.facecolor": PAPER, "legend.edgecolor": INK, "legend.labelcolor": INK,
    "grid.color": "#8a8c94", "svg.fonttype": "path", "svg.hashsalt": "nnx", "text.usetex": False,
}  # fmt: skip
SCHEME = (
    f"<style>:root{{--ink:{INK};--paper:{PAPER}}}@media screen and (prefers-color-scheme:dark)"
    f"{{:root{{--ink:{DARK_INK};--paper:{DARK_PAPER}}}}}</style>"
)
WORK = 1.5e11
"""Multiplications that a loss surface may cost: seconds on a CPU."""
LONGEST, COLUMNS = 18, 24
"""Letters of a name in a picture, and a table's columns that have theirs there."""


@dataclass(frozen=True)
class Picture:
    """chapter: where it belongs   size: in CSS pixels   or left out, and why."""

    chapter: str
    name: str
    alt: str = ""
    uri: str = ""
    size: tuple[int, int] = (0, 0)
    left_out: str = ""


def pictures(found: Findings) -> Iterator[Picture]:
    """All of them, one after the other, those that are left out too."""
    from nnx import plot

    with _styled():
        yield from _curves(found, plot)
        yield from _tests(found, plot)
        yield from _models(found, plot)
        yield _flow(found, plot)
        yield _surface(found, plot)


@contextmanager
def _styled() -> Iterator[None]:
    import matplotlib.style

    with matplotlib.style.context(["default", STYLE]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def svg(ax: Any) -> tuple[str, tuple[int, int]]:
    """The figure of the axes as a data URI, and its size in CSS pixels."""
    file = io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    ax.figure.savefig(file, format="svg", dpi=200, metadata=nothing)
    text = file.getvalue().decode()
    text = text.replace(INK, "var(--ink)").replace(PAPER, "var(--paper)")
    text = re.sub(r"(<svg [^>]*>)", lambda head: head.group(1) + SCHEME, text[text.index("<svg") :], count=1)
    w, h = (round(float(inches) * 96) for inches in ax.figure.get_size_inches())
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode(), (w, h)


def _picture(chapter: str, name: str, make: Callable[[], Any], alt: str) -> Picture:
    return Picture(chapter, name, alt, *svg(make()))


# ---- one by one ------------------------------------------------------------------------------------------------------


def _curves(found: Findings, plot: Any) -> Iterator[Picture]:
    if not found.records:
        yield Picture("curves", "learning curves", left_out=found.missing["records"])
    for metric in metrics_of(found.records):
        words = []
        for name, part in ((metric, "training"), (f"val_{metric}", "validation")):
            values = [record[name] for record in found.records if record.get(name) is not None]
            if values:
                words.append(f"{part} from {values[0]:.4g} to {values[-1]:.4g}")
        alt = f"Learning curves of {metric} over {len(found.records)} epochs: {', '.join(words) or 'no finite value'}"

        def make(metric: str = metric) -> Any:
            return plot.learning_curves(found.records, metric=metric)

        yield _picture("curves", f"learning curves: {metric}", make, alt)


def _tests(found: Findings, plot: Any) -> Iterator[Picture]:
    classes = None if found.saved is None else found.saved.preparation.classes
    if found.test is None:
        for name in ("confusion matrix", "reliability"):
            yield Picture("test", name, left_out=found.missing["test"])
        return
    assert found.saved is not None
    y, n = found.test[1], len(found.test[1])
    if classes is None:
        true = found.saved.preparation.values(y)
        unit = plot.plain(found.saved.preparation.target or "")
        alt = f"Predicted against true values of {n} test samples, R² {found.scores.get('r2', float('nan')):.4g}"
        yield _picture("test", "prediction error", lambda: plot.prediction_error(found.said, true, unit=unit), alt)
        return
    right = int(np.sum(found.said.argmax(axis=1) == y))
    names = written(classes)
    yield _picture(
        "test",
        "confusion matrix",
        lambda: plot.confusion_matrix(found.said, y, class_names=names),
        f"Confusion matrix of {n} test samples in {len(classes)} classes: {right} are right, on the diagonal",
    )
    error = found.scores["expected_calibration_error"]
    alt = f"Reliability: share of right answers by confidence; the expected calibration error is {error:.4f}"
    yield _picture("test", "reliability", lambda: plot.reliability_curve(found.said, y), alt)


def written(names: tuple[str, ...]) -> list[str]:
    """Names as a picture can hold them: not too long, and a number for what its font cannot write."""
    from matplotlib import font_manager

    glyphs = font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap()
    short = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in names]
    return [name if all(ord(c) in glyphs for c in name) else str(k) for k, name in enumerate(short)]


def _models(found: Findings, plot: Any) -> Iterator[Picture]:
    if found.saved is None:
        for name in ("network", "first layer's weights"):
            yield Picture("model", name, left_out=found.missing["model"])
        return
    from nnx.plot import plain

    model, prepared = found.saved.model, found.saved.preparation
    shape = (1, *prepared.model_shape)
    alt = f"Diagram of the network: {len(found.summary.rows)} layers, {found.summary.parameters:,} parameters"
    yield _picture("model", "network", lambda: plot.network_diagram(model, input_shape=shape), alt)
    seen = None
    if prepared.flat:
        seen = (
            prepared.shape if len(prepared.shape) == 3 and prepared.shape[0] in (1, 3) else (1, *prepared.model_shape)
        )
    alt = "The weights of the first layer, an image a unit: blue where they are positive, vermilion where negative"

    def weights() -> Any:
        ax = plot.weight_images(model, shape=seen)
        if prepared.columns is not None and len(prepared.columns) <= COLUMNS:
            names = [plain(name) for name in written(prepared.columns)]
            ax.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
            ax.set_xlabel("")
        return ax

    yield _picture("model", "first layer's weights", weights, alt)


def _flow(found: Findings, plot: Any) -> Picture:
    try:
        ax = plot.gradient_flow(found.records)
    except KeyError as error:
        return Picture("gradients", "gradient flow", left_out=str(error.args[0]))
    alt = f"Gradient flow: the norm of each weight's gradient over {len(found.records)} epochs"
    return _picture("gradients", "gradient flow", lambda: ax, alt)


def _surface(found: Findings, plot: Any) -> Picture:
    name = "loss surface"
    if found.saved is None or found.test is None:
        return Picture("surface", name, left_out=found.missing["test"])
    steps, samples = _affordable(found.summary.multiply_adds, found.summary.parameters)
    if not steps:
        return Picture(
            "surface",
            name,
            left_out="the model is too large to be run some hundred times for a picture: nnx.plot.loss_surface(model, "
            "loss, x, y, steps=9) draws it if you have the time",
        )
    x, y = (part[:samples] for part in found.test)
    alt = f"The loss of {len(x)} test samples around the trained weights, along two random directions, as a map"
    model, loss = found.saved.model, found.saved.task.loss
    return _picture("surface", name, lambda: plot.loss_surface(model, loss, x, y, steps=steps), alt)


def _affordable(multiply_adds: int, parameters: int) -> tuple[int, int]:
    """Points a side and samples, so that all of it takes seconds; (0, 0) if nothing does."""
    for steps, samples in ((21, 512), (21, 128), (15, 64), (11, 32)):
        if steps**2 * (samples * multiply_adds + 30 * parameters) <= WORK:
            return steps, samples
    return 0, 0
