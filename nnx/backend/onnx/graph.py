"""A graph in the making: its inputs and its constants by name, and the file that comes of it."""

from collections.abc import Mapping
from typing import Any

import numpy

from nnx.backend.arrays import to_numpy
from nnx.backend.onnx.array import Traced
from nnx.backend.onnx.library import OPSET, ndx, need
from nnx.backend.onnx.sizes import Size, Sizes
from nnx.backend.onnx.trace import Trace


class Graph:
    """See the module.

    stand_in: the number that stands for the size of the batch, 0 for none   batch: what that axis is called
    """

    def __init__(self, stand_in: int, batch: str | None) -> None:
        need("onnx")
        ndx()
        self.batch = batch
        self.trace = Trace(stand_in)
        self.arguments: dict[str, Traced] = {}
        self.constants: dict[str, Any] = {}

    def inputs(self, names: list[str], given: tuple[Any, ...]) -> list[Traced]:
        """An argument of the graph like each array, the first axis of which is the batch."""
        found = []
        for name, x in zip(names, given, strict=True):
            shape: Sizes = tuple(map(int, x.shape))
            if self.batch is not None:
                shape = (self.trace.batch, *shape[1:])
            found.append(self._argument(name, shape, to_numpy(x).dtype))
            if self.batch is not None:
                self.trace.counts(found[-1].array)
        return found

    def argument(self, name: str, value: Any, taken: list[str]) -> Traced:
        """An argument of that array's shape. Raises ValueError if its name is an input's."""
        if name in taken:
            raise ValueError(f"an input and an array of the model are both called {name}: give input_names")
        return self._argument(name, value.shape, value.dtype)

    def number(self, name: str, value: int) -> Size:
        """A whole number that is given to the graph at each run."""
        found = self._argument(name, (), "int64").array
        return Size(value, lambda: found, compares=False)

    def array(self, number: Size | int) -> Traced:
        """A number as an output of the graph."""
        return Traced(number.graph(ndx().int64) if type(number) is Size else ndx().asarray(number), ())

    def constant(self, name: str, value: Any, taken: list[str]) -> Traced:
        """An array that is kept in the file under its name."""
        found = self.argument(name, value, taken)
        self.constants[name] = value
        return found

    def _argument(self, name: str, shape: Sizes, dtype: Any) -> Traced:
        sizes = [self.batch if n == self.trace.batch and k == 0 and n else n for k, n in enumerate(shape)]
        array = ndx().argument(shape=tuple(sizes), dtype=getattr(ndx(), str(dtype)))
        found = self.arguments[name] = Traced(array, shape)
        return found

    def build(self, outputs: Mapping[str, Traced], opset: int | None, metadata: Mapping[str, str] | None) -> Any:
        """The file's ModelProto. Raises ValueError for a name that is taken, or an opset out of reach."""
        onnx = need("onnx")
        if both := sorted(self.arguments.keys() & outputs.keys()):
            raise ValueError(f"an output and an input or an array of the model are both called {both[0]}: output_names")
        proto = ndx().build(
            {name: x.array for name, x in self.arguments.items()}, {name: x.array for name, x in outputs.items()}, True
        )
        order = list(self.arguments)
        inputs = sorted(proto.graph.input, key=lambda node: order.index(node.name))
        del proto.graph.input[:]
        proto.graph.input.extend(inputs)
        self._initialize(onnx, proto)
        for node in proto.graph.output:
            _state_shape(node, outputs[node.name].shape, self.trace.batch, self.batch)
        if opset is not None and opset != OPSET:
            proto = _converted(onnx, proto, opset)
        import nnx

        proto.producer_name, proto.producer_version = "nnx", nnx.__version__
        onnx.helper.set_model_props(proto, {str(k): str(v) for k, v in (metadata or {}).items()})
        onnx.checker.check_model(proto)
        return proto

    def _initialize(self, onnx: Any, proto: Any) -> None:
        """Arguments that are the model's own arrays become initializers."""
        for node in [node for node in proto.graph.input if node.name in self.constants]:
            proto.graph.input.remove(node)
            value = numpy.ascontiguousarray(self.constants[node.name]).reshape(self.constants[node.name].shape)
            proto.graph.initializer.append(onnx.numpy_helper.from_array(value, node.name))


def _state_shape(node: Any, shape: Sizes, stand_in: int, batch: str | None) -> None:
    """Write the sizes of an output, the batch's by its name."""
    node.type.tensor_type.shape.Clear()
    for n in shape:
        dim = node.type.tensor_type.shape.dim.add()
        if type(n) is not Size:
            dim.dim_value = int(n)
        else:
            dim.dim_param = str(batch) if int(n) == stand_in else f"{int(n) // stand_in}*{batch}"


def _converted(onnx: Any, proto: Any, opset: int) -> Any:
    try:
        return onnx.version_converter.convert_version(proto, opset)
    except Exception as error:
        raise ValueError(
            f"the graph is written in opset {OPSET}, and ONNX cannot convert it to {opset}: {error}; leave opset out"
        ) from error
