"""What the losses share that are modules: they hold options, functions hold the math."""

from nnx.layers.module import Module

__all__ = ["Loss"]


class Loss(Module):
    """A loss with its options: loss(output, target) -> (), or one loss a sample or entry with reduction="none".

    Weights are buffers: they move with `to` and are in the state dict, and are not trained.

    >>> import nnx
    >>> nnx.HuberLoss(delta=2.0)
    HuberLoss(reduction='mean', delta=2.0)
    """

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        options = {name: x for name, x in self.__dict__.items() if isinstance(x, str | int | float) and name[0] != "_"}
        return ", ".join(f"{name}={x!r}" for name, x in options.items() if name != "training")
