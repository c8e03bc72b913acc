"""A model as another framework sees it: arrays by path, a forward pass, and a pullback. The framework keeps the arrays.

What a framework calls is a function of arrays alone, so the model's arrays are put where they belong for each call.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from nnx.autodiff.tree import Lifted, leaves, tree_map
from nnx.autodiff.var import Var
from nnx.backend import backend_of, is_array
from nnx.layers.module import Module
from nnx.typing import Array

Pullback = Callable[[list[Array]], tuple[dict[str, Array], list[Array]]]
"""∂L/∂ each output (an array each, None for one without a gradient) to the gradients of parameters and inputs."""


class Hosted:
    """A Module whose arrays another framework holds. backend: the name of the library that they must be of."""

    def __init__(self, model: Module, backend: str) -> None:
        if not isinstance(model, Module):
            raise TypeError(f"expected an nnx Module, got {type(model).__name__}")
        self.model = model
        for slot in model._layout().slots:
            x = slot.owner[slot.name]
            if type(x) is Var:
                raise TypeError(f"{type(model).__name__} is being differentiated: convert it outside of the transform")
            if backend_of(x).name != backend:
                raise TypeError(
                    f"{type(model).__name__}.{slot.path} is an array of '{backend_of(x).name}', and '{backend}' is "
                    f"needed: call model.to('{backend}') first"
                )

    def parameters(self) -> dict[str, Array]:
        """Every parameter under each of its paths, shared and frozen ones too."""
        return {slot.path: slot.owner[slot.name] for slot in self._slots("parameter")}

    def buffers(self) -> dict[str, Array]:
        """Every buffer by path."""
        return {slot.path: slot.owner[slot.name] for slot in self._slots("buffer")}

    def private(self) -> dict[str, Array]:
        """Arrays that are no part of the state."""
        return {slot.path: slot.owner[slot.name] for slot in self._slots("private")}

    def _slots(self, kind: str) -> list[Any]:
        return [slot for slot in self.model._layout().slots if slot.kind == kind]

    def put(self, arrays: Mapping[str, Array]) -> None:
        """Arrays to their places."""
        places = self.model._layout().by_path
        for path, x in arrays.items():
            places[path].owner[places[path].name] = x

    def call(self, nest: tuple[tuple[Any, ...], dict[str, Any]]) -> Any:
        """The forward pass. nest: (args, kwargs)"""
        args, kwargs = nest
        return self.model(*args, **kwargs)

    def vjp(self, nest: tuple[tuple[Any, ...], dict[str, Any]], wanted: list[int]) -> tuple[Any, Pullback]:
        """The forward pass, and its pullback to the trained parameters and to those leaves of `nest`."""
        flat = leaves(nest)
        places = [k for k, x in enumerate(flat) if is_array(x)]
        numbers = (0, *(1 + places.index(k) for k in wanted))

        def run(model: Module, *arrays: Array) -> Any:
            given, count = dict(zip(places, arrays, strict=True)), itertools.count()
            return self.call(tree_map(lambda x: given.get(next(count), x), nest))

        return pulled(run, (self.model, *(flat[k] for k in places)), numbers)


def pulled(f: Callable[..., Any], args: tuple[Any, ...], numbers: tuple[int, ...]) -> tuple[Any, Pullback]:
    """f(*args), args[0] a Module or {}, and its pullback, which may be called several times. It differentiates once."""
    with Lifted(args, numbers) as lifted:
        out = f(*lifted.arguments)
        outputs = leaves(out)
        result = tree_map(lifted.lower, out)
    tape = lifted.tape

    def pullback(cotangents: list[Array]) -> tuple[dict[str, Array], list[Array]]:
        pairs = zip(outputs, cotangents, strict=True)
        seeds = [(y, dy) for y, dy in pairs if type(y) is Var and y.tape is tape and dy is not None]
        with lifted.again():
            grads = tape.backward(seeds, keep=True)
            parameters, *inputs = (lifted.gradients(w, grads) for w in lifted.watched)
        return parameters, inputs

    return result, pullback
