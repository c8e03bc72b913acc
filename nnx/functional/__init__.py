"""Network-sized functions, forward and pullback side by side; PyTorch's `torch.nn.functional` by its names."""

from typing import TYPE_CHECKING

from nnx.functional.dropout import *  # functions that hide the modules of the same names
from nnx.functional.linear import *
from nnx.lazy import lazy

MODULES = (
    "activations",
    "shape",
    "rectifiers",
    "smooth",
    "special",
    "attention",
    "conv",
    "distance",
    "embeddings",
    "normalization",
    "normalization_local",
    "padding",
    "pool",
    "pool_adaptive",
    "reparametrized",
    "resize",
    "rotations",
    "sampling",
)
"""Where the other names are, those that are needed first at the front."""

NAMES = ("alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout", "linear")

if TYPE_CHECKING:
    from nnx.functional.activations import *
    from nnx.functional.attention import *
    from nnx.functional.conv import *
    from nnx.functional.distance import *
    from nnx.functional.embeddings import *
    from nnx.functional.normalization import *
    from nnx.functional.normalization_local import *
    from nnx.functional.padding import *
    from nnx.functional.pool import *
    from nnx.functional.pool_adaptive import *
    from nnx.functional.rectifiers import *
    from nnx.functional.reparametrized import *
    from nnx.functional.resize import *
    from nnx.functional.rotations import *
    from nnx.functional.sampling import *
    from nnx.functional.shape import *
    from nnx.functional.smooth import *
    from nnx.functional.special import *
else:
    __getattr__, __dir__ = lazy(__name__, MODULES, NAMES)
