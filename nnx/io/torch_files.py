"""PyTorch's own files (.pt, .pth, .bin): state dicts, read by its weights-only reader, which runs no pickled code."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.io.errors import CheckpointError

__all__ = ["SUFFIXES", "load_torch", "save_torch"]

File = str | os.PathLike[str]
HostArray = NDArray[Any]
SUFFIXES = (".pt", ".pth", ".bin")
WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Under which keys training scripts keep the state dict beside what else they save."""


def load_torch(path: File) -> dict[str, HostArray]:
    """The NumPy arrays of a state dict that torch.save wrote, by name; bfloat16 comes as float32.

    Read by torch.load(weights_only=True): tensors and plain containers only, code is never run. Raises
    ModuleNotFoundError where torch is not installed, FileNotFoundError, or CheckpointError for what is no state dict.
    """
    torch = _torch(path)
    with Path(path).open("rb"):  # the system's own words for what is missing or may not be read
        pass
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged zip file or a refused pickle makes torch raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{path}: expected a state dict that torch.load(weights_only=True) reads, got: {reason}; save "
            f"model.state_dict() alone, or as safetensors"
        ) from error
    return {name: _array(torch, tensor) for name, tensor in _state(path, found, torch).items()}


def save_torch(path: File, arrays: Mapping[str, Any]) -> None:
    """Named arrays of any backend as a file that torch.load(path) reads as a state dict; written atomically."""
    import io

    from nnx.backend import to_numpy
    from nnx.io.atomic import write_atomically

    torch = _torch(path)
    memory = io.BytesIO()
    torch.save({name: torch.from_numpy(np.array(to_numpy(x), order="C")) for name, x in arrays.items()}, memory)
    write_atomically(path, memory.getvalue())


def _torch(path: File) -> Any:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{path}: PyTorch's files need PyTorch (pip install torch); safetensors files do not"
        ) from error
    return torch


def _state(path: File, found: Any, torch: Any) -> dict[str, Any]:
    for key in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(x, torch.Tensor) for x in found.values()):
        what = f"a dict of {', '.join(map(str, found))}" if isinstance(found, Mapping) else type(found).__name__
        raise CheckpointError(f"{path}: expected a state dict, names with a tensor each, got {what[:200]}")
    return dict(found)


def _array(torch: Any, tensor: Any) -> HostArray:
    tensor = tensor.detach()
    found: HostArray = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return found
