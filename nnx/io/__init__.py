"""Checkpoints and records: safetensors files written whole or not at all, and logs of one JSON line a record."""

from nnx.io.atomic import write_atomically
from nnx.io.checkpoints import CheckpointError, load, load_safetensors, save, save_safetensors
from nnx.io.lines import JsonLines

__all__ = [
    "CheckpointError",
    "JsonLines",
    "load",
    "load_safetensors",
    "save",
    "save_safetensors",
    "write_atomically",
]
