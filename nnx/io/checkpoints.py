"""Checkpoints are safetensors files: named arrays and a header, no code, readable by PyTorch, JAX, MLX and the rest.

nnx adds one metadata key, `nnx`: the caller's metadata as JSON and a CRC-32 over all that the file means, so that a
damaged file is an error and never a different model.
"""

import json
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nnx.backend import is_array, to_numpy
from nnx.io.atomic import write_atomically
from nnx.io.errors import CheckpointError
from nnx.io.torch_files import SUFFIXES, load_torch, save_torch

__all__ = ["CheckpointError", "load", "load_safetensors", "save", "save_safetensors"]

File = str | os.PathLike[str]
HostArray = NDArray[Any]
KEY = "nnx"
MARK = '{"crc32": '  # how nnx's metadata begins, by which it is known even if its key was damaged


class HasState(Protocol):
    """A model: its arrays by name, and back."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any], strict: bool = True) -> Any: ...


def save(path: File, model: HasState, metadata: Mapping[str, Any] | None = None) -> None:
    """Write `model.state_dict()` to a safetensors file (or PyTorch's, by the suffix .pt, .pth or .bin), atomically.

    metadata: what JSON can hold. Raises TypeError for values that it, or safetensors, cannot hold.
    """
    if Path(path).suffix in SUFFIXES:
        if metadata:
            raise TypeError(f"{path}: PyTorch's files hold arrays alone, got metadata: save as .safetensors")
        save_torch(path, model.state_dict())
    else:
        save_safetensors(path, model.state_dict(), metadata)


def load(path: File, model: HasState, strict: bool = True) -> dict[str, Any]:
    """Load a safetensors file into the model, on whichever backend and device it lives; returns the file's metadata.

    A file with the suffix .pt, .pth or .bin is PyTorch's, read without running code (see nnx.io.load_torch).
    strict: every name of the model must be in the file and the other way round. Raises CheckpointError for a damaged
    file, and what `model.load_state_dict` raises for names and shapes that do not match.
    """
    arrays, metadata = (load_torch(path), {}) if Path(path).suffix in SUFFIXES else load_safetensors(path)
    model.load_state_dict(dict(arrays), strict=strict)  # from the host to where the model lives
    return metadata


def save_safetensors(path: File, arrays: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
    """Write named arrays of any backend, with metadata, to a safetensors file, atomically.

    arrays: bool, integer, float16 to float64, complex64, and bfloat16 where ml_dtypes is installed; any strides.
    metadata: str keys, values that JSON can hold. Raises TypeError for others.
    """
    import safetensors
    import safetensors.numpy

    host = {name: _contiguous(name, x) for name, x in arrays.items()}
    try:
        text = json.dumps(json.loads(json.dumps(dict(metadata or {}))))  # as it will be read: string keys
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"expected metadata that JSON can hold, got {error}: numbers, strings, lists and dicts"
        ) from error
    header = {KEY: f'{MARK}{_crc32(host, text)}, "metadata": {text}}}'}
    try:
        data = safetensors.numpy.save(host, metadata=header)
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        kinds = sorted({str(x.dtype) for x in host.values()})
        raise TypeError(
            f"expected dtypes that safetensors has, got {', '.join(kinds)} ({error}): convert first"
        ) from error
    write_atomically(path, data)


def load_safetensors(path: File) -> tuple[dict[str, HostArray], dict[str, Any]]:
    """The NumPy arrays of a safetensors file by name, and its metadata (of a foreign file: its strings as they stand).

    Raises FileNotFoundError, or CheckpointError for a file that is truncated, damaged or no safetensors file.
    """
    import safetensors

    _import_bfloat16()
    with Path(path).open("rb"):  # the system's own words for what is missing or may not be read
        pass
    try:
        with safetensors.safe_open(os.fspath(path), framework="numpy") as file:
            header: dict[str, str] = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (safetensors.SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: expected a whole safetensors file, got {Path(path).stat().st_size} other bytes ({error}): "
            f"save it again, take another copy, or install ml_dtypes if it holds bfloat16"
        ) from error
    return arrays, _metadata(path, arrays, header)


def _metadata(path: File, arrays: dict[str, HostArray], header: dict[str, str]) -> dict[str, Any]:
    """The caller's metadata, once the checksum has shown that file and arrays are as they were written."""
    if KEY not in header and not any(value.startswith(MARK) for value in header.values()):
        return dict(header)
    try:
        found = json.loads(header[KEY])
        metadata: dict[str, Any] = found["metadata"]
        whole = found["crc32"] == _crc32(arrays, json.dumps(metadata))
    except (KeyError, TypeError, ValueError, RecursionError):
        whole = False
    if not whole:
        raise CheckpointError(f"{path}: expected the arrays that were saved, got others (CRC-32): take another copy")
    return metadata


def _contiguous(name: str, x: Any) -> HostArray:
    """x on the host, in C order and little-endian: of other strides safetensors writes wrong values without a word."""
    if not isinstance(name, str):
        raise TypeError(f"expected names as strings, got {name!r}: use str(name)")
    if name == "__metadata__":  # safetensors writes it, and nobody can read the file
        raise TypeError(f"expected another name than {name!r}, which the format keeps for itself: rename the array")
    host = np.asarray(to_numpy(x) if is_array(x) else x, order="C")
    if host.dtype.kind in "OUSMm":
        raise TypeError(f"expected numbers under {name!r}, got dtype {host.dtype}: text belongs into metadata")
    return host.astype(host.dtype.newbyteorder("<"), copy=False) if host.dtype.kind in "iufc" else host


def _crc32(arrays: Mapping[str, HostArray], text: str) -> int:
    """One number for names, dtypes, shapes, values and metadata; in the order of names, whatever the file's order."""
    crc = zlib.crc32(text.encode())
    for name in sorted(arrays):
        x = arrays[name]
        crc = zlib.crc32(json.dumps([name, x.dtype.name, x.shape]).encode(), crc)
        crc = zlib.crc32(np.ascontiguousarray(x).reshape(-1).view(np.uint8).data, crc)
    return crc


def _import_bfloat16() -> None:
    """NumPy knows bfloat16 only once ml_dtypes is imported."""
    with suppress(ImportError):
        import ml_dtypes  # noqa: F401
