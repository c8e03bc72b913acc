"""Whether a file gives what the model gave: it is run by onnxruntime."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnx.backend.onnx import need

TOLERANCE = 1e-3
"""Relative to the largest number: what is wrong in a graph is wrong by more."""


def compare(data: bytes, inputs: Mapping[str, Any], expected: Sequence[Any]) -> None:
    """Raises ValueError unless the graph gives these outputs, to the rounding of sums in another order."""
    runtime = need("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    found = session.run(None, {node.name: inputs[node.name] for node in session.get_inputs()})
    for node, y, wanted in zip(session.get_outputs(), found, expected, strict=True):
        if y.shape != wanted.shape:
            raise ValueError(f"the graph's {node.name} has shape {y.shape}, the model's {wanted.shape}: {_WAY_OUT}")
        scale = max(float(np.max(np.abs(wanted), initial=0.0)), 1e-30)
        worst = float(np.max(np.abs(y.astype("float64") - wanted), initial=0.0)) / scale
        if not worst <= TOLERANCE and not np.array_equal(y, wanted, equal_nan=True):
            raise ValueError(f"the graph's {node.name} differs from the model's by {worst:.1e} of it: {_WAY_OUT}")


_WAY_OUT = (
    "the model's code may depend on the size of the batch, or on the values of its input, in a way that a graph cannot "
    "hold; batch=None fixes the sizes"
)
