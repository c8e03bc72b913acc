"""The rules of differentiation, one file a chapter of the standard; importing this registers them all.

A rule computes forward and returns, beside the result, its pullback. It takes its namespace from its arguments, so that
the same lines run on every library, under every tracer, and on Vars of an outer tape: rules differentiate themselves.
"""

from nnx.autodiff.rules import (
    binary,
    decompositions,
    eigen,
    elementwise,
    fft,
    indexing,
    linalg,
    manipulation,
    norms,
    reductions,
    sets,
    sorting,
)
from nnx.autodiff.rules.common import RULES

__all__ = [
    "RULES",
    "binary",
    "decompositions",
    "eigen",
    "elementwise",
    "fft",
    "indexing",
    "linalg",
    "manipulation",
    "norms",
    "reductions",
    "sets",
    "sorting",
]
