"""Layers: Modules that hold the arrays of a network, under PyTorch's names."""

from nnx.layers import activations, containers, dropout, linear, module, rectifiers
from nnx.layers.activations import *
from nnx.layers.containers import *
from nnx.layers.dropout import *
from nnx.layers.linear import *
from nnx.layers.module import *
from nnx.layers.rectifiers import *

__all__: list[str] = []
__all__ += activations.__all__
__all__ += containers.__all__
__all__ += dropout.__all__
__all__ += linear.__all__
__all__ += module.__all__
__all__ += rectifiers.__all__
