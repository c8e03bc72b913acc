"""Arrays that write down an ONNX graph while a model computes with them: ndonnx's, with sizes that count as numbers."""

from nnx.backend.onnx.array import Traced
from nnx.backend.onnx.library import need
from nnx.backend.onnx.row import OnnxBackend
from nnx.backend.onnx.sizes import NotTraceable
from nnx.backend.onnx.trace import Trace

__all__ = ["NotTraceable", "OnnxBackend", "Trace", "Traced", "need"]
