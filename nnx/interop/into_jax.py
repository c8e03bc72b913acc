"""An nnx model, or a function, among JAX's functions."""

from collections.abc import Callable
from typing import Any

from nnx.backend import is_array
from nnx.interop.hosting import Hosted, pulled
from nnx.layers.module import Module
from nnx.typing import Array

__all__ = ["to_jax_function"]

Function = Callable[..., Any]


def to_jax_function(model: Module | Function) -> Any:
    """A pure function of JAX arrays with its own derivative (jax.custom_vjp), for jax.grad, jit, vmap and scan.

    model: a Module, its arrays JAX's (model.to("jax")): returns (function, params), function(params, *args) being
    model(*args) with these parameters, params a dict by path of the trainable ones, a shared one once
    or a function of arrays, in plain Array API code or nnx's: returns the function
    Buffers and frozen parameters are constants; what the forward pass assigns to them is dropped (running statistics:
    call model.eval() first), and random numbers are drawn once a trace. Gradients flow to params and to every floating
    array among the arguments, which are arrays or nests of them (options go in by functools.partial). The model
    is left as it was.
    Raises TypeError for arrays of another library, ModuleNotFoundError where JAX is missing; the function raises
    KeyError for params of other paths.
    """
    from nnx.backend.jax_interop import differentiable

    if not isinstance(model, Module):
        if not callable(model) or is_array(model):
            raise TypeError(f"expected an nnx Module or a function of arrays, got {type(model).__name__}")
        function = model

        def pullback_of(params: Any, rebuild: Function, arrays: Any, numbers: list[int]) -> Any:
            return _pulled(lambda _, *args: function(*args), {}, rebuild, arrays, numbers)

        pure = differentiable(lambda params, *args: function(*args), pullback_of)
        return lambda *args: pure({}, *args)
    hosted = Hosted(model, "jax")
    params = model.trainable()

    def call(given: dict[str, Array], *args: Any) -> Any:
        with _Placed(hosted, params, given):
            return model(*args)

    def vjp(given: dict[str, Array], rebuild: Function, arrays: Any, numbers: list[int]) -> Any:
        with _Placed(hosted, params, given):
            return _pulled(lambda model, *args: model(*args), model, rebuild, arrays, numbers)

    return differentiable(call, vjp), dict(params)


def _pulled(f: Function, first: Any, rebuild: Function, arrays: Any, numbers: list[int]) -> Any:
    """f(first, *args) and its pullback, the args being rebuilt from arrays."""
    wanted = (0, *(1 + k for k in numbers))
    return pulled(lambda first, *xs: f(first, *rebuild(xs)), (first, *arrays), wanted)


class _Placed:
    """Inside of the block the model has the given parameters; afterwards all that it had before."""

    def __init__(self, hosted: Hosted, params: dict[str, Array], given: dict[str, Array]) -> None:
        if not isinstance(given, dict) or given.keys() != params.keys():
            found = sorted(given) if isinstance(given, dict) else type(given).__name__
            raise KeyError(f"params must have the paths {sorted(params)}, got {found}")
        self.model, self.params, self.given = hosted.model, params, given

    def __enter__(self) -> None:
        layout = self.model._layout()
        self.before = [(slot.owner, slot.name, slot.owner[slot.name]) for slot in layout.slots]
        now = self.model.trainable()
        layout.replace({id(now[path]): x for path, x in self.given.items()})

    def __exit__(self, *exc: object) -> None:
        for owner, name, x in self.before:
            owner[name] = x
