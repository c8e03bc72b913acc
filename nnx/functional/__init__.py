"""Network-sized functions, forward and pullback side by side; PyTorch's `torch.nn.functional` by its names."""

from nnx.functional.activations import gelu, log_softmax, relu, sigmoid, softmax, tanh
from nnx.functional.dropout import dropout
from nnx.functional.linear import linear
from nnx.functional.shape import flatten
from nnx.functional.special import erf

__all__ = ["dropout", "erf", "flatten", "gelu", "linear", "log_softmax", "relu", "sigmoid", "softmax", "tanh"]
