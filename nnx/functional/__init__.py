"""Network-sized functions, forward and pullback side by side; PyTorch's `torch.nn.functional` by its names."""

from nnx.functional.activations import gelu, log_softmax, relu, sigmoid, softmax, tanh
from nnx.functional.dropout import dropout
from nnx.functional.linear import linear
from nnx.functional.rectifiers import (
    celu,
    elu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    prelu,
    relu6,
    rrelu,
    selu,
    softshrink,
    threshold,
)
from nnx.functional.shape import flatten
from nnx.functional.smooth import logsigmoid, mish, silu, softmin, softplus, softsign, tanhshrink
from nnx.functional.special import erf

__all__ = [
    "celu",
    "dropout",
    "elu",
    "erf",
    "flatten",
    "gelu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "rrelu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
]
