"""A whole training step as one compiled program, where the library has a compiler; elsewhere as it is written."""

from nnx.compiled.step import compile

__all__ = ["compile"]
