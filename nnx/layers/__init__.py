"""Layers: Modules that hold the arrays of a network, under PyTorch's names."""

from nnx.layers.activations import GELU, Dropout, ReLU, Sigmoid, Softmax, Tanh
from nnx.layers.containers import Sequential
from nnx.layers.linear import Flatten, Linear
from nnx.layers.module import Module

__all__ = ["GELU", "Dropout", "Flatten", "Linear", "Module", "ReLU", "Sequential", "Sigmoid", "Softmax", "Tanh"]
