"""Whether probabilities can be taken at their word: of what is said with 80 %, are 80 % right?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from nnx.plot.canvas import BLUE, canvas, host, ink, legend_below


@dataclass(frozen=True)
class Calibration:
    """By bin of confidence: samples, their mean confidence, and the share of right ones (nan in empty bins)."""

    edges: Any
    samples: Any
    confidence: Any
    right: Any

    @property
    def error(self) -> float:
        """The expected calibration error Σ nₖ/n |rightₖ - confidenceₖ| (Guo et al. 2017, eq. 3)."""
        weight = self.samples / max(self.samples.sum(), 1)
        return float(np.nansum(weight * np.abs(self.right - self.confidence)))


def calibration_of(output: Any, target: Any, bins: int = 10, logits: bool = False) -> Calibration:
    """See reliability_curve."""
    output, target = host(output).astype("float64"), host(target)
    if bins < 1:
        raise ValueError(f"reliability_curve: bins must be at least 1, got {bins}")
    if target.shape != output.shape[:1] or output.ndim not in (1, 2) or not len(target):
        raise ValueError(
            f"reliability_curve: expected probabilities (n, c) or (n,) and labels (n,), got {output.shape} and "
            f"{target.shape}"
        )
    p = _probabilities(output, logits)
    if p.ndim == 2:
        said, right = p.max(axis=1), p.argmax(axis=1) == target
    else:
        said, right = p, target != 0
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.ceil(said * bins).astype(int) - 1, 0, bins - 1)  # (a, b], as Guo et al. have it
    samples, sums, hits = (np.bincount(place, w, bins) for w in (None, said, right.astype("float64")))
    with np.errstate(invalid="ignore"):
        return Calibration(edges, samples, sums / samples, hits / samples)


def _probabilities(output: Any, logits: bool) -> Any:
    if not logits:
        total = output.sum(axis=1) if output.ndim == 2 else 1.0
        if not (output.min() >= 0.0 and output.max() <= 1.0 and np.allclose(total, 1.0, atol=1e-3)):
            raise ValueError(
                "reliability_curve: expected probabilities, in [0, 1] and of sum 1 in each row, got other numbers: of "
                "scores before softmax or sigmoid, say logits=True"
            )
        return output
    if output.ndim == 1:
        return 0.5 * (1.0 + np.tanh(0.5 * output))  # σ, without overflow
    power = np.exp(output - output.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


def reliability_curve(
    output: Any, target: Any, ax: Axes | None = None, *, bins: int = 10, logits: bool = False
) -> Axes:
    """The share of right answers against the confidence they were given with, and the expected calibration error.

    output: probabilities (n, c), of which the largest is the confidence; or (n,) of class 1   target: (n,) labels
    bins: of equal width over [0, 1]   logits: the output is what softmax (or sigmoid) is still to be taken of
    ECE = Σ nₖ/n |rightₖ - confidenceₖ|; the grey bars are the nₖ/n.
    """
    found = calibration_of(output, target, bins, logits)
    seen = found.samples > 0
    binary = host(output).ndim == 1
    ax = canvas(ax, (4.6, 5.2))
    share = found.samples / found.samples.sum()
    ax.bar(found.edges[:-1], share, 1.0 / bins, align="edge", color=ink(), alpha=0.15, label="share of samples")
    ax.plot([0.0, 1.0], [0.0, 1.0], "--", color=ink(), linewidth=0.8, label="perfectly calibrated")
    label = f"model, ECE {found.error:.3f}"
    ax.plot(found.confidence[seen], found.right[seen], "o-", color=BLUE, label=label)
    names = ("probability of class 1", "share of class 1") if binary else ("confidence", "share of right answers")
    ax.set(title="Reliability", xlabel=f"{names[0]} (mean of a bin)", ylabel=names[1])
    ax.set(xlim=(0.0, 1.0), ylim=(0.0, 1.02), aspect="equal")
    ax.grid(alpha=0.25)
    legend_below(ax)
    return ax
