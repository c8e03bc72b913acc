"""`python -m nnx` is the `nnx` command."""

from nnx.cli import console

console()
