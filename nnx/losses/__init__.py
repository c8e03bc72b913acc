"""Losses: one number that says how wrong the network is, and its gradient, with which BP1 begins: δᴸ = ∇ₐC ⊙ σ′(zᴸ).

Names, arguments and reductions are those of `torch.nn.functional`, and of `torch.nn` for the losses that are modules.
"""

from typing import TYPE_CHECKING

from nnx.lazy import lazy

MODULES = (
    "classes",
    "regression",
    "binary",
    "ctc",
    "distances",
    "divergence",
    "likelihood",
    "margins",
    "modules",
    "overlap",
)
"""Where the names are, those that are needed first at the front."""

if TYPE_CHECKING:
    from nnx.losses.binary import *
    from nnx.losses.classes import *
    from nnx.losses.ctc import *
    from nnx.losses.distances import *
    from nnx.losses.divergence import *
    from nnx.losses.likelihood import *
    from nnx.losses.margins import *
    from nnx.losses.modules import *
    from nnx.losses.overlap import *
    from nnx.losses.regression import *
else:
    __getattr__, __dir__ = lazy(__name__, MODULES)
