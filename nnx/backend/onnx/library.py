"""The packages that an export needs, imported when one begins."""

import importlib
from functools import cache
from typing import Any


def need(name: str) -> Any:
    """The module of that name. Raises ModuleNotFoundError with the install line where it is missing."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"exporting to ONNX needs {error.name}: pip install 'nnx-array[onnx]' (ndonnx, onnx and onnxruntime)"
        ) from error


@cache
def ndx() -> Any:
    """ndonnx."""
    return need("ndonnx")


@cache
def op() -> Any:
    """ONNX's own operators, in the opset that ndonnx writes."""
    return need("spox.opset.ai.onnx.v21")


OPSET = 21
