"""Optimizers: an update rule is one elementwise function, its arguments and defaults are PyTorch's."""

from nnx.optim.adam import Adam
from nnx.optim.base import Optimizer
from nnx.optim.sgd import SGD

__all__ = ["SGD", "Adam", "Optimizer"]
