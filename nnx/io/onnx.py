"""Models, and whole training steps, as ONNX graphs: the same code runs once, on arrays that write down what is done.

The arrays are ndonnx's (extra `onnx`). Parameters keep the paths of the state dict; the size of the batch stays open.
"""

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnx.autodiff.tree import leaves
from nnx.autodiff.var import Var
from nnx.backend import backend_of, is_array, to_numpy
from nnx.backend.onnx import NotTraceable
from nnx.backend.onnx.graph import Graph
from nnx.backend.onnx.sizes import stand_in
from nnx.io.atomic import write_atomically
from nnx.io.onnx_check import compare
from nnx.layers.module import Module
from nnx.optim import Optimizer

__all__ = ["NotTraceable", "export_onnx", "export_onnx_step"]

File = str | os.PathLike[str]
HostArray = NDArray[Any]
Names = Sequence[str] | None
Places = dict[str, tuple[dict[str, Any], str]]
"""By path, the `__dict__` and the attribute where an array is."""


def export_onnx(
    model: Module,
    path: File,
    x: Any,
    *,
    opset: int | None = None,
    input_names: Names = None,
    output_names: Names = None,
    batch: str | None = "batch",
    metadata: Mapping[str, str] | None = None,
    check: bool = True,
) -> None:
    """Write model(x), in evaluation mode, as an ONNX file.

    x: an example of the input, an array of any backend; a tuple for several   opset: 21 unless given
    input_names: those of the model's arguments unless given   output_names: "output", or "output_0", ... for several
    batch: what the first axis of every input is called, whose size stays open; None: sizes are those of x
    metadata: strings that go into the file   check: run the file by onnxruntime at two batch sizes, and compare
    Parameters and buffers are initializers under their paths in the state dict. The model is left as it was.
    Raises NotTraceable for a model that does what no graph can hold (a branch on a computed number, x[mask], random
    numbers), ModuleNotFoundError without the extra, ValueError if the file does not give what the model gives.
    """
    given = x if isinstance(x, tuple) else (x,)
    names = _names(model, given, input_names)
    places = _places(model)
    graph = Graph(_stand_in(places, given, batch), batch)
    with _evaluating(model):
        expected = [to_numpy(y) for y in leaves(model(*given))]
        with graph.trace:
            inputs = graph.inputs(names, given)
        with graph.trace, _swapped(places, lambda name, value: graph.constant(name, value, names)):
            outputs = leaves(_traced(model, lambda: model(*inputs)))
        wanted = _output_names(output_names, outputs)
        proto = graph.build(dict(zip(wanted, outputs, strict=True)), opset, metadata)
        data = proto.SerializeToString()
        if check:
            hosts = [to_numpy(a) for a in given]
            compare(data, dict(zip(names, hosts, strict=True)), expected)
            if batch is not None and hosts[0].shape[0]:
                longer = [np.concatenate([a, a[:1]]) for a in hosts]
                again = model(*(backend_of(a).home(a).asarray(b) for a, b in zip(given, longer, strict=True)))
                compare(data, dict(zip(names, longer, strict=True)), [to_numpy(y) for y in leaves(again)])
    write_atomically(path, data)


def export_onnx_step(
    step: Callable[..., Any],
    path: File,
    x: Any,
    *,
    state: Any,
    opset: int | None = None,
    input_names: Names = None,
    output_names: Names = None,
    batch: str | None = "batch",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a whole training step as one ONNX graph: loss, gradients and update.

    step: step(*x) updates the models in `state` and returns arrays, e.g. the loss   x: a tuple of its inputs
    state: the Module and the optimizer that step changes, as a tuple, or the Module alone
    Parameters and buffers go in under their paths in the state dict, an optimizer's slots as optimizer.PATH.SLOT and
    its count of steps as optimizer.steps (without slots: neither); all come out under "new." + name. What the slots are
    before the first step is in optimizer.state after optimizer.init(model): not always zeros. Hyperparameters
    such as the learning rate are constants of the graph. All is left as it was. What the graph gives is not checked.
    Raises as export_onnx does; NotTraceable also for an optimizer that decides by the count of its steps.
    """
    parts = state if isinstance(state, tuple | list) else (state,)
    given = x if isinstance(x, tuple) else (x,)
    model, optimizer = _parts(parts)
    names = _names(step, given, input_names)
    places = _places(model)
    graph = Graph(_stand_in(places, given, batch), batch)
    with ExitStack() as stack, _as_it_was(optimizer), graph.trace:
        inputs = graph.inputs(names, given)
        if optimizer is not None and optimizer.slots:
            optimizer.init(model)
            _slots_swapped(optimizer, graph, names)
        stack.enter_context(_swapped(places, lambda name, x: graph.argument(name, x, names)))
        results = leaves(_traced(step, lambda: step(*inputs)))
        outputs = dict(zip(_output_names(output_names, results), results, strict=True))
        outputs |= {f"new.{path}": owner[name] for path, (owner, name) in places.items()}
        if optimizer is not None and optimizer.slots:
            outputs |= {f"new.{name}": x for name, x in _slots(optimizer).items()}
            outputs["new.optimizer.steps"] = graph.array(optimizer.steps)
        data = graph.build(outputs, opset, metadata).SerializeToString()
    write_atomically(path, data)


# ---- what goes in and out --------------------------------------------------------------------------------------------


def _names(f: Callable[..., Any], given: tuple[Any, ...], names: Names) -> list[str]:
    """A name for each input, the arguments' own unless given."""
    for a in given:
        if not is_array(a) or (type(a) is Var and a.watched):
            what = "an array that is being differentiated" if is_array(a) else type(a).__name__
            raise TypeError(f"an export takes examples of the inputs, plain arrays, got {what}: nnx.asarray(x)")
    if names is None:
        call = type(f).__call__ if isinstance(f, Module) else f
        known = [name for name in inspect.signature(call).parameters if name != "self"]
        names = known[: len(given)] if len(known) >= len(given) else [f"input_{k}" for k in range(len(given))]
    if len(names) != len(given) or len(set(names)) != len(names):
        raise ValueError(f"{len(given)} inputs need as many names, each another, got {list(names)}")
    return list(names)


def _output_names(names: Names, outputs: list[Any]) -> list[str]:
    if wrong := [type(y).__name__ for y in outputs if not is_array(y)]:
        raise NotTraceable(f"an ONNX graph gives arrays, got {', '.join(wrong)} among the outputs")
    if names is None:
        names = ["output"] if len(outputs) == 1 else [f"output_{k}" for k in range(len(outputs))]
    if len(names) != len(outputs) or len(set(names)) != len(names):
        raise ValueError(f"{len(outputs)} outputs need as many names, each another, got {list(names)}")
    return list(names)


def _stand_in(places: Places, given: tuple[Any, ...], batch: str | None) -> int:
    """The number that stands for the size of the batch."""
    if batch is None:
        return 0
    if any(not a.ndim for a in given) or len({int(a.shape[0]) for a in given}) > 1:
        shapes = ", ".join(str(tuple(a.shape)) for a in given)
        raise ValueError(f"the first axis of every input must be the batch, got {shapes}: batch=None fixes all sizes")
    arrays = [owner[name] for owner, name in places.values()]
    return stand_in([int(n) for a in (*given, *arrays) for n in a.shape])


def _parts(parts: Sequence[Any]) -> tuple[Module, Optimizer | None]:
    models = [part for part in parts if isinstance(part, Module)]
    optimizers = [part for part in parts if isinstance(part, Optimizer) and part.compiles]
    if len(models) + len(optimizers) < len(parts) or len(models) != 1 or len(optimizers) > 1:
        kinds = ", ".join(type(p).__name__ for p in parts)
        raise TypeError(f"state takes a Module, and an optimizer that changes nothing but its slots, got {kinds}")
    return models[0], optimizers[0] if optimizers else None


# ---- arrays of a graph in the place of the model's -------------------------------------------------------------------


def _places(model: Module) -> Places:
    if not isinstance(model, Module):
        raise TypeError(f"an export takes an nnx.Module, got {type(model).__name__}")
    found: Places = {}
    for slot in model._layout().slots:
        if type(slot.owner[slot.name]) is Var:
            raise TypeError(f"{type(model).__name__} is being differentiated: export it outside of the transform")
        found[slot.path] = slot.owner, slot.name
    return found


@contextmanager
def _swapped(places: Places, make: Callable[[str, HostArray], Any]) -> Iterator[None]:
    """Inside of the block every array is what `make` makes of it; a shared one is made once."""
    before = [(owner, name, owner[name]) for owner, name in places.values()]
    made: dict[int, Any] = {}
    try:
        for (path, (owner, name)), (_, _, x) in zip(places.items(), before, strict=True):
            if id(x) not in made:
                made[id(x)] = make(path, to_numpy(x))
            owner[name] = made[id(x)]
        yield
    finally:
        for owner, name, x in before:
            owner[name] = x


@contextmanager
def _as_it_was(optimizer: Optimizer | None) -> Iterator[None]:
    """After the block the optimizer has counted no step."""
    own: dict[str, Any] = {} if optimizer is None else vars(optimizer)
    kept = {name: dict(value) if isinstance(value, dict) else value for name, value in own.items()}
    try:
        yield
    finally:
        own.clear()
        own.update(kept)


def _slots(optimizer: Optimizer) -> dict[str, Any]:
    """The slots by the names that they have in a graph."""
    named = {path: zip(optimizer.slots, slots, strict=True) for path, slots in optimizer.state.items()}
    return {f"optimizer.{path}.{name}": x for path, slots in named.items() for name, x in slots}


def _slots_swapped(optimizer: Optimizer, graph: Graph, names: list[str]) -> None:
    """Arguments of the graph in the place of the slots and of the count of steps."""
    made = iter([graph.argument(name, to_numpy(x), names) for name, x in _slots(optimizer).items()])
    optimizer.state = {path: tuple(next(made) for _ in slots) for path, slots in optimizer.state.items()}
    vars(optimizer)["calls"] = 0  # no packing of small parameters
    vars(optimizer)["steps"] = graph.number("optimizer.steps", optimizer.steps)


@contextmanager
def _evaluating(model: Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _traced(f: Any, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except NotTraceable:
        raise
    except Exception as error:
        name = type(f).__name__ if isinstance(f, Module) else getattr(f, "__name__", repr(f))
        raise NotTraceable(
            f"{name} runs on arrays, but not on those that write an ONNX graph: {type(error).__name__}: {error}"
        ) from error
