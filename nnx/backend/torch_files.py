"""PyTorch's own files: read by its weights-only reader, which runs no code of the file, and written."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnx.typing import Array


def read(path: str | os.PathLike[str]) -> Any:
    """What torch.save wrote, with NumPy arrays in the place of tensors; bfloat16, which NumPy lacks, as float32.

    Raises ModuleNotFoundError where torch is not installed, OSError for what cannot be opened, and whatever a damaged
    file or a refused pickle makes torch raise.
    """
    import torch

    with Path(path).open("rb"):  # the system's own words
        pass
    return _converted(torch, torch.load(path, map_location="cpu", weights_only=True))


def _converted(torch: Any, x: Any) -> Any:
    if isinstance(x, torch.Tensor):
        x = x.detach()
        return (x.float() if x.dtype == torch.bfloat16 else x).numpy()
    return {key: _converted(torch, value) for key, value in x.items()} if isinstance(x, Mapping) else x


def written(arrays: Mapping[str, Array]) -> bytes:
    """A state dict of NumPy arrays, as torch.save writes it. Raises ModuleNotFoundError where torch is missing."""
    import numpy
    import torch

    memory = io.BytesIO()
    torch.save({name: torch.from_numpy(numpy.array(x, order="C")) for name, x in arrays.items()}, memory)
    return memory.getvalue()
