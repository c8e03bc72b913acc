"""The namespace of arrays of a graph, put together from its functions."""

from types import ModuleType, SimpleNamespace
from typing import Any

from nnx.backend.onnx import functions, moving
from nnx.backend.onnx.functions import CREATION, ELEMENTWISE, REDUCTIONS, REFUSED, SAME
from nnx.backend.onnx.library import ndx


def make() -> Any:
    """The namespace."""
    space = ModuleType("nnx.backend.onnx")
    table: dict[str, Any] = {name: functions.elementwise(name) for name in ELEMENTWISE}
    table |= {name: functions.reduction(name) for name in REDUCTIONS}
    table |= {name: functions.same(name) for name in SAME} | {name: functions.refused(name) for name in REFUSED}
    table |= {name: functions.created(value) for name, value in CREATION.items()}
    table |= {f"{name}_like": functions.like(value) for name, value in CREATION.items()}
    for name in ("full", "full_like", "arange", "asarray", "linspace", "eye", "isdtype"):
        table[name] = getattr(functions, name)
    table |= {name: getattr(moving, name) for name in moving.__all__}
    space.__dict__.update(table)
    space.__dict__["__getattr__"] = _rest
    space.__dict__["linalg"] = SimpleNamespace(**{name: table[name] for name in ("matmul", "matrix_transpose")})
    return space


def _rest(name: str) -> Any:
    """ndonnx's dtypes and constants. Raises AttributeError, by the name of what has no place in a graph."""
    if name in _TYPES or name in ("pi", "e", "inf", "nan", "newaxis"):
        return getattr(ndx(), name)
    raise AttributeError(f"xp.{name} has no place in an ONNX graph that nnx traces")


_TYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "finfo", "iinfo", "result_type", "can_cast",
]  # fmt: skip

NAMESPACE = make()
