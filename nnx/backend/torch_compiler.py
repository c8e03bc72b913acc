"""nnx.compile on torch: a step is traced to a graph of ATen operations once, and TorchInductor compiles that.

The trace runs on fake tensors, which have shapes and no numbers, so that it goes through any Python, nnx's tape too,
and computes nothing. Kernels are C++ (a compiler must be there) or Triton; they are kept in TORCHINDUCTOR_CACHE_DIR, or
else in torchinductor_<user> of the folder for temporary files, and found there again by the next process.
"""

import logging
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

from nnx.backend.arrays import innermost
from nnx.typing import Array

UNREADABLE = ("DataDependent", ".numpy() is not supported")
"""In torch's errors for a value that is read in a trace."""

READ = "a value was read from a tensor of a compiled step, which has a shape and no numbers"


@cache
def _inductor() -> Any:
    """torch's compiler. To load it warns of what torch itself has left in use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch._inductor
        import torch._inductor.compile_fx
        import torch._inductor.cpp_builder
    return torch._inductor


@cache
def works() -> bool:
    """Whether kernels can be compiled here; said once if not."""
    try:
        _inductor().cpp_builder.get_cpp_compiler()
    except Exception as error:
        logging.getLogger("nnx.compile").warning(
            "torch finds no C++ compiler (%s): compiled steps run as they are; install g++, or set CXX", error
        )
        return False
    return True


def form(x: Array) -> Any:
    """See Compiler.form: kernels are made for strides and a device, too."""
    import torch

    if type(x) is torch.Tensor and not torch.compiler.is_compiling():
        return x.shape, x.dtype, x.device, x.stride()
    if innermost(x) is not x or isinstance(x, torch.Tensor):
        return None
    return type(x), x.shape, x.dtype


def number(n: Any) -> Array:
    """A Python number as a tensor of no dimension: of 64 bits, as Python counts, and weak in what it meets."""
    import torch

    return torch.tensor(n, dtype=torch.float64)


def unread(error: Exception) -> bool:
    """See Compiler.unread."""
    return READ in str(error)


def trace(
    pure: Callable[[list[Any]], list[Array]], inputs: list[Any]
) -> tuple[list[int], Callable[[list[int]], Callable[..., Any]]]:
    """See Compiler.trace."""
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    try:
        with torch.no_grad():
            graph = make_fx(lambda *xs: pure(list(xs)), tracing_mode="fake", _allow_non_fake_inputs=True)(*inputs)
    except Exception as error:
        if any(word in f"{type(error).__name__}: {error}" for word in UNREADABLE):
            raise RuntimeError(READ) from error
        raise
    if any(node.target is torch.ops.aten._local_scalar_dense.default for node in graph.graph.nodes):
        raise RuntimeError(READ)
    graph.graph.eliminate_dead_code()
    holes = [node for node in graph.graph.nodes if node.op == "placeholder"]
    used = [k for k, node in enumerate(holes) if node.users]
    for node in holes:
        if not node.users:
            graph.graph.erase_node(node)
    graph.recompile()
    given = [inputs[k] for k in used]

    def build(donated: list[int]) -> Callable[..., Any]:
        return built(graph, given)

    return used, build


def built(graph: Any, inputs: list[Array]) -> Callable[..., Any]:
    """The graph's program for inputs of these forms.

    A graph with oneDNN's LSTM runs as it is, one operation of torch's after the other: torch's own rules for the shapes
    and strides of what that LSTM returns are wrong, and kernels compiled by them gave a wrong gradient (torch 2.13).
    """
    import torch

    program = graph
    if not _with_workspace(graph):
        with torch.no_grad():
            program = _inductor().compile(graph, inputs)

    def run(*given: Array) -> Any:
        with torch.no_grad():
            return program(*given)

    return run


def _with_workspace(graph: Any) -> bool:
    """Whether there is an LSTM of oneDNN's; it is made to keep what the way back needs without grad mode, too."""
    import torch

    theirs = torch.ops.aten.mkldnn_rnn_layer.default
    found = [node for node in graph.graph.nodes if node.target is theirs]
    for node in found:
        node.target = _recurrent_layer()
    graph.recompile()
    return bool(found)


@cache
def _recurrent_layer() -> Any:
    import torch

    theirs = torch.ops.aten.mkldnn_rnn_layer.default

    def run(*args: Any) -> Any:
        with torch.enable_grad():
            return theirs(*args)

    schema = str(theirs._schema).replace("aten::mkldnn_rnn_layer", "recurrent_layer")
    _LIBRARIES.append(torch.library.Library("nnx", "DEF"))
    _LIBRARIES[-1].define(schema)
    _LIBRARIES[-1].impl("recurrent_layer", run, "CPU")
    _LIBRARIES[-1].impl("recurrent_layer", theirs, "Meta")
    return torch.ops.nnx.recurrent_layer.default


_LIBRARIES: list[Any] = []
"""Kept: an operator goes with its library."""
