"""Multiply-adds of a layer from the shapes it met: those of its matrix products and convolutions, and nothing else.

A product of (n, i) and (i, o) is n · i · o multiply-adds. Biases, activations, normalisation, pooling and look-ups are
not counted: they are a small share, and no two tools agree on them.
"""

import dis
import math
from collections.abc import Callable, Iterable
from types import CodeType, FunctionType
from typing import Any

from nnx.layers.module import Module
from nnx.typing import Shape

__all__ = ["is_known", "multiplies_itself", "multiply_adds"]

Cost = Callable[[Any, list[Shape], Shape], int]


def _linear(layer: Any, inputs: list[Shape], output: Shape) -> int:
    return math.prod(inputs[0]) * int(layer.out_features)


def _bilinear(layer: Any, inputs: list[Shape], output: Shape) -> int:
    return math.prod(output) * int(layer.in1_features * layer.in2_features)


def _conv(layer: Any, inputs: list[Shape], output: Shape) -> int:
    return math.prod(output) * _numbers(layer.weight.shape[1:])  # a number of the output is a sum over (i / groups, k)


def _conv_transposed(layer: Any, inputs: list[Shape], output: Shape) -> int:
    return math.prod(inputs[0]) * _numbers(layer.weight.shape[1:])  # a number of the input goes to (o / groups, k)


def _recurrent(layer: Any, inputs: list[Shape], output: Shape) -> int:
    weights = [x for _, x in layer.named_parameters() if x.ndim == 2]
    return math.prod(inputs[0][:-1]) * sum(_numbers(w.shape) for w in weights)  # each weight, once a step and sample


def _attention(layer: Any, inputs: list[Shape], output: Shape) -> int:
    query, key, value = inputs[:3]
    e, along = int(layer.embed_dim), int(layer.batch_first and len(query) == 3)
    queries, keys = math.prod(query[:-1]), key[along] + int(layer.bias_k is not None) + int(layer.add_zero_attn)
    projections = 2 * queries * e * e + e * (math.prod(key) + math.prod(value))
    return projections + 2 * queries * keys * e  # q kᵀ, and the weights times v


def _numbers(shape: Iterable[int]) -> int:
    return int(math.prod(shape))


def _none(layer: Any, inputs: list[Shape], output: Shape) -> int:
    return 0


def _own(layer: Any, inputs: list[Shape], output: Shape) -> int:
    return int(layer.multiply_adds(inputs, output))


COSTS: dict[str, Cost] = {
    "Linear": _linear,
    "Bilinear": _bilinear,
    **{f"Conv{k}d": _conv for k in (1, 2, 3)},
    **{f"ConvTranspose{k}d": _conv_transposed for k in (1, 2, 3)},
    **{f"{kind}{cell}": _recurrent for kind in ("RNN", "LSTM", "GRU") for cell in ("", "Cell")},
    "MultiheadAttention": _attention,
}
"""By the name of a class of nnx.layers: layer, shapes of its inputs, shape of its output -> multiply-adds."""

WITHOUT = {
    "activations", "batchnorm", "bilinear", "dropout", "embedding", "linear", "normalization", "padding", "pool",
    "positions", "rectifiers", "resize",
}  # fmt: skip
"""Files of nnx.layers whose other classes multiply no matrices."""

PRODUCTS = {
    "matmul", "tensordot", "vecdot", "dot", "einsum", "linear", "bilinear", "scaled_dot_product_attention",
    *(f"conv{transposed}{k}d" for transposed in ("", "_transpose") for k in (1, 2, 3)),
}  # fmt: skip


def _cost(module: Module) -> Cost | None:
    for cls in type(module).__mro__:
        if "multiply_adds" in cls.__dict__:
            return _own
        package, _, file = cls.__module__.rpartition(".")
        if package == "nnx.layers" and cls.__name__ in COSTS:
            return COSTS[cls.__name__]
        if "__call__" in cls.__dict__:
            return _none if package == "nnx.layers" and file in WITHOUT else None
    return None


def is_known(module: Module) -> bool:
    """Whether there is a formula for this layer; what it is made of does not matter then.

    Any layer may bring one: a method multiply_adds(inputs, output) of the shapes of its inputs and of its output.
    """
    return _cost(module) is not None


def multiply_adds(module: Module, inputs: list[Shape], output: Any) -> int:
    """By the formula. Raises TypeError where is_known is false."""
    cost = _cost(module)
    if cost is None:
        raise TypeError(f"nobody knows the multiply-adds of {type(module).__name__}: give it a method multiply_adds")
    return cost(module, inputs, output)


def multiplies_itself(module: Module) -> bool:
    """Whether the code of the module's class speaks of a matrix product, beside those of the layers that it calls."""
    classes = [cls for cls in type(module).__mro__ if not cls.__module__.startswith("nnx.layers.")]
    functions = [f for cls in classes for f in cls.__dict__.values() if isinstance(f, FunctionType)]
    return any(_speaks_of_products(code) for f in functions for code in _nested(f.__code__))


def _nested(code: CodeType) -> Iterable[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _speaks_of_products(code: CodeType) -> bool:
    return bool(PRODUCTS.intersection(code.co_names)) or any(
        i.opname == "BINARY_OP" and i.argrepr in ("@", "@=") for i in dis.get_instructions(code)
    )
