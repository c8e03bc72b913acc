"""`python -m nnx.cli` is the `nnx` command."""

from nnx.cli import console

console()
