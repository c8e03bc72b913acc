"""What stands in a report, section by section: sentences, pictures, tables."""

import platform
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import nnx
from nnx.cli import page
from nnx.cli.findings import Findings, metrics_of
from nnx.cli.pictures import Picture, written

__all__ = ["document"]

CHAPTERS = {
    "curves": (
        "Learning curves",
        "Loss and metrics after each epoch. The dotted line is the epoch whose weights are kept.",
    ),
    "test": ("On the test part", "What the weights of the best epoch say of samples that no training has seen."),
    "model": (
        "Network",
        "Of a connection or weight, blue is positive and vermilion negative; the stronger, the larger.",
    ),
    "gradients": ("Gradient flow", "How much of the gradient reaches each layer."),
    "surface": (
        "Loss surface",
        "The loss around the weights, along two random directions, each filter as long as the weights' own.",
    ),
}


def document(found: Findings, drawn: list[Picture]) -> str:
    """The page."""
    lead, sections = _lead(found), [("results", "Results", _results(found))]
    for chapter, (heading, words) in CHAPTERS.items():
        inside = [picture for picture in drawn if picture.chapter == chapter]
        sections.append((chapter, heading, page.paragraph(words) + page.figures(inside) + _beside(found, chapter)))
    sections.append(("configuration", "Configuration", page.facts(dict(_flat(found.config)), "Configuration")))
    sections.append(("environment", "Environment", page.facts(_environment(found), "Environment")))
    return page.page(f"Run {found.folder.path.resolve().name}", lead, sections)


def _lead(found: Findings) -> list[str]:
    config, n = found.config, len(found.records)
    model = config.get("model")
    kind = f", {model['type']}" if isinstance(model, dict) and "type" in model else ""
    size = f", {config['parameters']:,} parameters" if isinstance(config.get("parameters"), int) else ""
    best = "" if found.best is None else f" The weights are those of epoch {found.best}, the best by validation loss."
    return [f"{config.get('data', 'unknown data')}{kind}{size}.", f"Trained for {n} epoch{'s' * (n != 1)}.{best}"]


def _results(found: Findings) -> str:
    """Metrics of the best epoch, and of the test part."""
    of_best = [record for record in found.records if record.get("epoch") == found.best] or found.records[-1:]
    record = of_best[0] if of_best else {}
    names = list(dict.fromkeys([*metrics_of(found.records), *found.scores]))
    rows = [
        (name.replace("_", " "), *map(_text, (record.get(name), record.get(f"val_{name}"), found.scores.get(name))))
        for name in names
    ]
    if not rows:
        return page.paragraph("No epoch was finished, so there is nothing measured yet.")
    titles = ("", "training", "validation", "test")
    words = f"Training and validation as measured in epoch {record['epoch']}." if "epoch" in record else ""
    return page.paragraph(words) + page.table(titles, rows, "Results", 1)


def _beside(found: Findings, chapter: str) -> str:
    """What a chapter has besides its pictures."""
    if chapter == "curves" and found.records:
        names = list(dict.fromkeys(name for record in found.records for name in record if "/" not in name))
        names = [name for name in names if name != "messages"]
        rows = [[_text(record.get(name)) for name in names] for record in found.records]
        return (
            f"<details><summary>Every epoch as a table</summary>\n{page.table(names, rows, 'Every epoch', 1)}</details>"
        )
    if chapter == "model" and found.summary is not None:
        return _layers(found.summary)
    if chapter == "test" and found.saved is not None:
        return page.paragraph(_long_names(found.saved.preparation.classes or ()))
    if chapter == "gradients":
        words = [f"Epoch {record.get('epoch')}: {m}." for record in found.records for m in record.get("messages") or []]
        return "".join(map(page.paragraph, words))
    return ""


def _layers(summary: Any) -> str:
    """nnx.summary's table."""
    from nnx.layers.summary import TITLES, cells

    total = (
        f"In all {summary.parameters:,} parameters ({summary.trainable:,} of them trained) in "
        f"{summary.parameter_bytes / 1e3:,.1f} kB, and {'' if summary.complete else 'at least '}"
        f"{summary.multiply_adds:,} multiply-adds a sample."
    )
    return page.paragraph(total) + page.table(TITLES, map(cells, summary.rows), "Layers", 3)


def _long_names(classes: tuple[str, ...]) -> str:
    """What the pictures have in short."""
    pairs = zip(written(classes), classes, strict=True)
    return "; ".join(f"{short} is {name}" for short, name in pairs if short != name)


def _flat(config: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Nested names with dots; long lists cut short."""
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        elif isinstance(value, list):
            shown = ", ".join(map(_exact, value[:12]))
            yield before + name, (shown + (f", … ({len(value)} in all)" if len(value) > 12 else "")) or "none"
        else:
            yield before + name, _exact(value)


def _environment(found: Findings) -> dict[str, str]:
    import matplotlib

    config = found.config
    trained = f"nnx {config.get('nnx_version', '?')}, {config.get('backend', '?')} {config.get('backend_version', '?')}"
    return {
        "trained with": f"{trained}, device {config.get('device', '?')}",
        "report written": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "by": f"nnx {nnx.__version__}, Python {platform.python_version()}, NumPy {np.__version__}, "
        f"matplotlib {matplotlib.__version__}",
        "on": f"{platform.system()} {platform.release()}, {platform.machine()}",
    }


def _text(x: Any) -> str:
    """A number to four figures, whole ones as they are."""
    if x is None:
        return "–"
    if isinstance(x, float):
        return f"{x:.4f}" if 0.01 <= abs(x) < 1000.0 else f"{x:.4g}"
    return str(x)


def _exact(x: Any) -> str:
    """A setting as it is."""
    return f"{x:.6g}" if isinstance(x, float) else _text(x)
