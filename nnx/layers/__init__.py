"""Layers: Modules that hold the arrays of a network, under PyTorch's names."""

from typing import TYPE_CHECKING

from nnx.lazy import lazy

MODULES = (
    "module",
    "linear",
    "activations",
    "containers",
    "rectifiers",
    "dropout",
    "attention",
    "batchnorm",
    "bilinear",
    "conv",
    "embedding",
    "normalization",
    "padding",
    "parameters",
    "parametrizations",
    "pool",
    "positions",
    "recurrent",
    "recurrent_cells",
    "resize",
    "transformer",
    "transformer_stacks",
)
"""Where the names are, those that are needed first at the front."""

if TYPE_CHECKING:
    from nnx.layers.activations import *
    from nnx.layers.attention import *
    from nnx.layers.batchnorm import *
    from nnx.layers.bilinear import *
    from nnx.layers.containers import *
    from nnx.layers.conv import *
    from nnx.layers.dropout import *
    from nnx.layers.embedding import *
    from nnx.layers.linear import *
    from nnx.layers.module import *
    from nnx.layers.normalization import *
    from nnx.layers.padding import *
    from nnx.layers.parameters import *
    from nnx.layers.parametrizations import *
    from nnx.layers.pool import *
    from nnx.layers.positions import *
    from nnx.layers.rectifiers import *
    from nnx.layers.recurrent import *
    from nnx.layers.recurrent_cells import *
    from nnx.layers.resize import *
    from nnx.layers.transformer import *
    from nnx.layers.transformer_stacks import *
else:
    __getattr__, __dir__ = lazy(__name__, MODULES)
