"""An nnx model among PyTorch's modules."""

from typing import Any

from nnx.interop.hosting import Hosted
from nnx.layers.module import Module

__all__ = ["to_torch_module"]


def to_torch_module(model: Module) -> Any:
    """A torch.nn.Module whose forward pass is the model's, and whose gradients nnx computes.

    model: its arrays are torch tensors (model.to("torch"))   returns a torch.nn.Module
    Parameters and buffers stand under the model's own paths, so that state dicts of both are the same; they share
    memory with the model's: what an optimizer of PyTorch trains is the model itself. Gradients flow to the parameters
    and to every floating tensor among the arguments, once (a gradient of a gradient raises). Shared parameters stay
    shared, frozen ones do not require a gradient; train(), eval(), to() and load_state_dict() act on the model, too.
    Raises TypeError for arrays of another library, ModuleNotFoundError where PyTorch is missing.
    """
    hosted = Hosted(model, "torch")
    from nnx.backend.torch_interop import wrapped

    return wrapped(hosted)
