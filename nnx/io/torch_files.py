"""State dicts in PyTorch's files (.pt, .pth, .bin): what must be in one, and what to say where PyTorch is missing."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.backend import to_numpy, torch_files
from nnx.io.atomic import write_atomically
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
    try:
        with _needing_torch(path):
            found = torch_files.read(path)
    except (ModuleNotFoundError, OSError):
        raise
    except Exception as error:  # whatever a damaged zip file or a refused pickle makes torch raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{path}: expected a state dict that torch.load(weights_only=True) reads, got: {reason}; save "
            f"model.state_dict() alone, or as safetensors"
        ) from error
    return _state(path, found)


def save_torch(path: File, arrays: Mapping[str, Any]) -> None:
    """Named arrays of any backend as a file that torch.load(path) reads as a state dict; written atomically."""
    with _needing_torch(path):
        data = torch_files.written({name: to_numpy(x) for name, x in arrays.items()})
    write_atomically(path, data)


@contextmanager
def _needing_torch(path: File) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{path}: PyTorch's files need PyTorch (pip install torch); safetensors files do not"
        ) from error


def _state(path: File, found: Any) -> dict[str, HostArray]:
    for key in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(x, np.ndarray) for x in found.values()):
        what = f"a dict of {', '.join(map(str, found))}" if isinstance(found, Mapping) else type(found).__name__
        raise CheckpointError(f"{path}: expected a state dict, names with a tensor each, got {what[:200]}")
    return dict(found)
