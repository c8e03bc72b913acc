"""What all optimizers share. An optimizer is one elementwise update rule and the arrays (slots) that it keeps.

Parameters change only here, after the backward pass has returned every gradient: a gradient computed from weights of
which some are already new is the gradient of no function.
"""

from typing import Any, ClassVar

from nnx.autodiff.tree import swappable
from nnx.backend import backend_of, namespace
from nnx.layers.module import Module
from nnx.typing import Array

Slots = tuple[Array, ...]


class Optimizer:
    """Base class: `update(model, grads)` after `value_and_grad`.

    lr: per step, > 0; may be assigned between steps   steps: how many updates were made
    """

    slots: ClassVar[tuple[str, ...]] = ()
    """The names of the arrays kept for each parameter; they begin as zeros."""

    def __init__(self, lr: float) -> None:
        if not lr > 0.0:
            raise ValueError(f"{type(self).__name__}: lr must be > 0, got {lr}")
        self.lr = lr
        self.steps = 0
        self.state: dict[str, Slots] = {}

    def init(self, model: Module) -> None:
        """Make the slots of all trainable parameters now rather than at the first update."""
        for path, p in model.trainable().items():
            if path not in self.state:
                self.state[path] = self._zeros(p)

    def update(self, model: Module, grads: dict[str, Array]) -> None:
        """One step: move every trainable parameter of the model against its gradient.

        grads: as value_and_grad returns them. Raises KeyError if a gradient is missing or unexpected.
        """
        if not swappable(model):
            raise TypeError(f"update takes a Module, got {type(model).__name__}; for a dict of arrays: apply(params, grads)")
        params = model.trainable()
        model._replace(params, self.apply(params, grads))

    def apply(self, params: dict[str, Array], grads: dict[str, Array]) -> dict[str, Array]:
        """The new parameters; the given ones are left as they are."""
        if params.keys() != grads.keys():
            missing, unexpected = sorted(params.keys() - grads.keys()), sorted(grads.keys() - params.keys())
            raise KeyError(
                f"parameters and gradients differ: no gradient for {missing or 'none'}, unexpected {unexpected or 'none'}; "
                "take the gradient with value_and_grad of the same model, frozen as it is now"
            )
        self.steps += 1
        step = self._step()
        new, state = {}, self.state
        for path, p in params.items():
            slots = state.get(path)
            if slots is None or (slots and slots[0].shape != p.shape):
                slots = self._zeros(p)
            moved = step(p, grads[path], *slots)
            new[path] = moved[0]
            state[path] = moved[1:]
        return new

    def _zeros(self, p: Array) -> Slots:
        return tuple(backend_of(p).zeros(p.shape, p) for _ in self.slots)

    def _step(self) -> Any:
        """The update rule of this step, (p, g, *slots) -> (new p, *new slots), its numbers filled in."""
        raise NotImplementedError

    # ---- checkpoints ---------------------------------------------------------------------------------------------

    def hyperparameters(self) -> dict[str, Any]:
        """The numbers that it was made with, as they are now."""
        return {k: v for k, v in vars(self).items() if k not in ("state", "steps")}

    def state_dict(self) -> dict[str, Any]:
        """Numbers, and copies of the slots as "path/slot"."""
        arrays = {
            f"{path}/{name}": namespace(x).asarray(x, copy=True)
            for path, slots in self.state.items()
            for name, x in zip(self.slots, slots, strict=True)
        }
        return {"steps": self.steps, "hyperparameters": self.hyperparameters(), "slots": arrays}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where state_dict was taken; slots go to the active backend."""
        from nnx.backend import asarray

        for name, value in state["hyperparameters"].items():
            if name not in vars(self):
                raise ValueError(f"{type(self).__name__} has no hyperparameter '{name}': the state is another optimizer's")
            setattr(self, name, tuple(value) if isinstance(value, list) else value)
        paths = list(dict.fromkeys(key.rpartition("/")[0] for key in state["slots"]))
        self.steps = state["steps"]
        self.state = {path: tuple(_own(asarray(state["slots"][f"{path}/{n}"])) for n in self.slots) for path in paths}


def _own(x: Array) -> Array:
    return namespace(x).asarray(x, copy=True)


def coupled(g: Array, p: Array, weight_decay: float) -> Array:
    """The gradient of L2 regularisation added: g + λ p, from λ/2 ‖p‖² in the loss."""
    return g + p * weight_decay if weight_decay else g
