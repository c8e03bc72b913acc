"""A torch.nn.Module around a model of nnx: PyTorch holds the tensors and asks for gradients, nnx computes them."""

from functools import cache
from typing import Any

from nnx.typing import Array


def wrapped(hosted: Any) -> Any:
    """The torch.nn.Module. hosted: see nnx.interop.hosting.Hosted"""
    return _hosting()(hosted)


@cache
def _hosting() -> Any:
    import torch

    apart = torch._disable_dynamo(_forward)  # which loads the compiler at its first call

    class Hosting(torch.nn.Module):  # type: ignore[misc]
        """The model's parameters and buffers as PyTorch's, under the same paths."""

        def __init__(self, hosted: Any) -> None:
            super().__init__()
            self.hosted = hosted
            _register(self)
            super().train(hosted.model.training)

        def extra_repr(self) -> str:
            """The model's name."""
            return f"nnx: {type(self.hosted.model).__name__}"

        def train(self, mode: bool = True) -> Any:
            """Training mode, of the model too."""
            self.hosted.model.train(mode)
            return super().train(mode)

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            """See the model; torch.compile leaves it as it is."""
            return (apart if torch.compiler.is_dynamo_compiling() else _forward)(self, args, kwargs)

        def __reduce__(self) -> Any:
            """For pickle and copy, which look for classes by their name in a file."""
            return _unfilled, (), self.__dict__

    return Hosting


def _unfilled() -> Any:
    kind = _hosting()
    return kind.__new__(kind)


@cache
def _bridge() -> Any:
    import torch

    last = _last()

    class Bridge(torch.autograd.Function):  # type: ignore[misc]
        """PyTorch's graph sees the whole model as one operation."""

        @staticmethod
        def forward(ctx: Any, call: Any, *tensors: Any) -> Any:
            """The outputs, flat."""
            out, ctx.pullback = call.hosted.vjp(call.inputs, call.wanted)
            flat, call.form = torch.utils._pytree.tree_flatten(out)
            flat = [y.view_as(y) if isinstance(y, torch.Tensor) else y for y in flat]  # an input may be an output
            ctx.mark_non_differentiable(*(y for y in flat if isinstance(y, torch.Tensor) and not _floats(y)))
            ctx.paths = call.paths
            return tuple(flat)

        @staticmethod
        def backward(ctx: Any, *cotangents: Any) -> Any:
            """nnx's pullback."""
            twice = torch.is_grad_enabled()  # create_graph=True
            parameters, inputs = ctx.pullback([None if dy is None else dy.detach() for dy in cotangents])
            if frozen := [path for path in ctx.paths if path not in parameters]:
                raise RuntimeError(
                    f"{', '.join(frozen)}: to be trained in PyTorch, but frozen in nnx: model.unfreeze()"
                )
            found = *(parameters[path] for path in ctx.paths), *inputs
            return None, *(last.apply(*(dx.detach().requires_grad_() for dx in found)) if twice else found)

    return Bridge


@cache
def _last() -> Any:
    import torch

    class Last(torch.autograd.Function):  # type: ignore[misc]
        """Gradients as they are, whose own gradient raises: as constants a penalty on them would train nothing."""

        @staticmethod
        def forward(ctx: Any, *grads: Any) -> Any:
            """The same."""
            return tuple(dx.view_as(dx) for dx in grads)

        @staticmethod
        def backward(ctx: Any, *cotangents: Any) -> Any:
            """Raises RuntimeError."""
            raise RuntimeError(
                "a gradient of a gradient of a model of nnx: PyTorch's graph does not go on behind the first one; "
                "take both by nnx.grad, on the nnx model itself"
            )

    return Last


class _Call:
    """One forward pass.

    inputs: (args, kwargs)   wanted: which of their leaves want a gradient   paths: of the parameters that do
    form: of the outputs, once they are there
    """

    def __init__(self, hosted: Any, inputs: Any, wanted: list[int], paths: list[str]) -> None:
        self.hosted, self.inputs, self.wanted, self.paths = hosted, inputs, wanted, paths
        self.form: Any = None


def _forward(host: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    import torch

    tree = torch.utils._pytree
    parameters = _placed(host)
    flat, form = tree.tree_flatten((args, kwargs))
    wanted = [k for k, x in enumerate(flat) if isinstance(x, torch.Tensor) and x.requires_grad]
    inputs = tree.tree_unflatten([x.detach() if isinstance(x, torch.Tensor) else x for x in flat], form)
    if torch.is_grad_enabled() and (parameters or wanted):
        call = _Call(host.hosted, inputs, wanted, list(parameters))
        found = _bridge().apply(call, *parameters.values(), *(flat[k] for k in wanted))
        found = tree.tree_unflatten(found, call.form)
    else:
        with torch.no_grad():
            found = host.hosted.call(inputs)
    for path, x in host.hosted.buffers().items():  # replaced, not written into: a way back may need the old ones
        owner, name = _at(host, path)
        owner._buffers[name] = x
    return found


def _register(host: Any) -> None:
    """Parameters and buffers at their paths; a shared one is one parameter."""
    import torch

    trained = {id(x) for x in host.hosted.model.trainable().values()}
    made: dict[int, Any] = {}
    for path, x in host.hosted.parameters().items():
        if id(x) not in made:
            made[id(x)] = torch.nn.Parameter(x, requires_grad=id(x) in trained)
        owner, name = _at(host, path)
        owner.register_parameter(name, made[id(x)])
    for path, x in host.hosted.buffers().items():
        owner, name = _at(host, path)
        owner.register_buffer(name, x)


def _placed(host: Any) -> dict[str, Any]:
    """Put PyTorch's tensors into the model, as it may have replaced them; returns those to train by path, each once."""
    held = {path: getattr(*_at(host, path)) for path in host.hosted.parameters()}
    plain = {id(p): p.detach() for p in held.values()}
    host.hosted.put({path: plain[id(p)] for path, p in held.items()})
    host.hosted.put({path: getattr(*_at(host, path)) for path in host.hosted.buffers()})
    for p in plain.values():  # what is no part of the state goes where the parameters are
        host.hosted.put({path: x.to(p.device) for path, x in host.hosted.private().items() if x.device != p.device})
        break
    unique = {id(p): path for path, p in reversed(held.items()) if p.requires_grad}
    return {path: held[path] for path in reversed(unique.values())}


def _floats(x: Array) -> bool:
    return bool(x.is_floating_point() or x.is_complex())


def _at(module: Any, path: str) -> tuple[Any, str]:
    """The module that holds the tensor of that path, made where it is not there, and the tensor's name in it."""
    import torch

    *names, last = path.split(".")
    for name in names:
        if name not in module._modules:
            module.add_module(name, torch.nn.Module())
        module = module._modules[name]
    return module, last
