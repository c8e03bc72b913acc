"""Checkpoints, records and exports: safetensors files written whole or not at all, logs of JSON lines, ONNX files."""

from nnx.io.atomic import check_place, remove_parts, write_atomically
from nnx.io.checkpoints import load, load_safetensors, save, save_safetensors
from nnx.io.errors import CheckpointError
from nnx.io.lines import JsonLines, read_lines
from nnx.io.onnx import NotTraceable, export_onnx, export_onnx_step
from nnx.io.torch_files import load_torch, save_torch

__all__ = [
    "CheckpointError",
    "JsonLines",
    "NotTraceable",
    "check_place",
    "export_onnx",
    "export_onnx_step",
    "load",
    "load_safetensors",
    "load_torch",
    "read_lines",
    "remove_parts",
    "save",
    "save_safetensors",
    "save_torch",
    "write_atomically",
]
