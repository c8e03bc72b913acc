"""What all optimizers share. An optimizer is one elementwise update rule and the arrays (slots) that it keeps.

Parameters change only here, after the backward pass has returned every gradient: a gradient computed from weights of
which some are already new is the gradient of no function.
"""

from typing import Any, ClassVar

from nnx.autodiff.tree import swappable
from nnx.backend import are_mixed, asarray, backend_of, mixed, namespace
from nnx.layers.module import Module
from nnx.optim.packed import WORTHWHILE, Pack
from nnx.typing import Array

Slots = tuple[Array, ...]


class Optimizer:
    """Base class: `update(model, grads)` after `value_and_grad`.

    lr: per step, >= 0; may be assigned between steps   initial_lr: what a schedule started from, if there is one
    steps: how many updates were made   missed: of a parameter that was frozen or came later, how many without it
    """

    def __init__(self, lr: float) -> None:
        self._check(lr=lr)
        self.lr = lr
        self.initial_lr: float | None = None
        self.steps = 0
        self.missed: dict[str, int] = {}
        self._state: dict[str, Slots] = {}
        self._pack: Pack | None = None
        self._loaded = False

    calls: ClassVar[int] = 10
    """About how many array functions the rule calls: what updating small parameters together saves (nnx.optim.packed).

    0 for a rule that is not elementwise, or to have every parameter updated by itself.
    """

    @property
    def state(self) -> dict[str, Slots]:
        """The slots of each parameter by path."""
        if self._pack is not None:  # whoever asks may change them: they are packed anew at the next update
            self._state.update(self._pack.unpacked())
            self._pack = None
        return self._state

    @state.setter
    def state(self, state: dict[str, Slots]) -> None:
        self._state, self._pack = state, None

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the arrays kept for each parameter."""
        return ()

    def init(self, model: Module) -> None:
        """Make the slots of all trainable parameters now rather than at the first update."""
        for path, p in model.trainable().items():
            if path not in self.state:
                self.state[path] = self._join(path, p)

    def update(self, model: Module, grads: dict[str, Array]) -> None:
        """One step: move every trainable parameter of the model against its gradient.

        grads: as value_and_grad returns them. Raises KeyError if a gradient is missing or unexpected.
        """
        if not swappable(model):
            raise TypeError(
                f"update takes a Module, got {type(model).__name__}; for a dict of arrays: apply(params, grads)"
            )
        params = model.trainable()
        model._replace(params, self.apply(params, grads))

    def apply(self, params: dict[str, Array], grads: dict[str, Array]) -> dict[str, Array]:
        """The new parameters; the given ones are left as they are, and nothing is changed if an error is raised."""
        _check_paths(params, grads)
        if self._loaded:
            self._move_to(params)
        count, now = len(self.slots), self.steps + 1
        rule, new, kept = self._step(now), {}, {}
        packed: dict[str, Array] = {}
        if self._pack is not None and self._pack.fits(params, grads, count):
            packed = self._pack.step(rule, params, grads)
        state = self._state if packed else self.state
        for path, p in params.items():
            if path in packed:
                new[path] = packed[path]
                continue
            g, slots = grads[path], state.get(path)
            if slots is None or len(slots) != count or (count and slots[0].shape != p.shape):
                slots = self._join(path, p)
            if type(g) is not type(p) and are_mixed(p, g):
                raise mixed(p, g)
            late = self.missed.get(path) if self.missed else None
            try:
                moved = (rule if late is None else self._step(now - late))(p, g, *slots)
            except (TypeError, ValueError, RuntimeError):
                if are_mixed(p, g, *slots):
                    raise mixed(p, g, *slots) from None
                raise
            new[path] = moved[0]
            if count or path not in state:
                kept[path] = moved[1:]
        self._finish(params, kept, now)
        if self._pack is None and self.calls * len(new) >= WORTHWHILE:
            self._pack = Pack.of(new, {path: slots for path, slots in self._state.items() if path not in self.missed})
        return new

    def _finish(self, params: dict[str, Array], kept: dict[str, Slots], now: int) -> None:
        """Count the step, for the parameters that it left out, too."""
        if len(self._state) > len(params):
            for path in self._state.keys() - params.keys():
                self.missed[path] = self.missed.get(path, 0) + 1
        self._state.update(kept)
        self.steps = now

    def _join(self, path: str, p: Array) -> Slots:
        """The slots of a parameter that takes part from now on, or that was replaced by one of another shape."""
        if self.steps:
            self.missed[path] = self.steps
        return self._fresh(p)

    def _fresh(self, p: Array) -> Slots:
        return tuple(backend_of(p).zeros(p.shape, p) for _ in self.slots)

    def _step(self, age: int) -> Any:
        """The update rule, (p, g, *slots) -> (new p, *new slots), at a parameter's step number `age`, from 1 on."""
        raise NotImplementedError

    def _check(self, **numbers: float) -> None:
        for name, value in numbers.items():
            if not value >= 0.0:
                raise ValueError(f"{type(self).__name__}: {name} must be >= 0, got {value}")

    # ---- checkpoints ---------------------------------------------------------------------------------------------

    def hyperparameters(self) -> dict[str, Any]:
        """The numbers that it was made with, as they are now."""
        return {k: v for k, v in vars(self).items() if k not in ("steps", "missed") and k[0] != "_"}

    def state_dict(self) -> dict[str, Any]:
        """Numbers, and copies of the slots as "path/slot"."""
        arrays = {
            f"{path}/{name}": _copy(x)
            for path, slots in self.state.items()
            for name, x in zip(self.slots, slots, strict=False)  # strict: momentum may have been 0 until now
        }
        return {
            "steps": self.steps,
            "missed": dict(self.missed),
            "hyperparameters": self.hyperparameters(),
            "slots": arrays,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where state_dict was taken; the slots go to where the parameters are at the next update."""
        for name, value in state["hyperparameters"].items():
            if name not in vars(self):
                raise ValueError(
                    f"{type(self).__name__} has no hyperparameter '{name}': the state is another optimizer's"
                )
            setattr(self, name, tuple(value) if isinstance(value, list) else value)
        paths = list(dict.fromkeys(key.rpartition("/")[0] for key in state["slots"]))
        self.steps, self.missed = state["steps"], dict(state.get("missed", {}))
        self.state = {path: tuple(_copy(asarray(state["slots"][f"{path}/{n}"])) for n in self.slots) for path in paths}
        self._loaded = True

    def _move_to(self, params: dict[str, Array]) -> None:
        """The slots to the backend and device of their parameters."""
        for path, p in params.items():
            if path in self.state:
                home = backend_of(p).open(getattr(p, "device", None))
                self.state[path] = tuple(home.asarray(x, p.dtype) for x in self.state[path])
        self._loaded = False


def _check_paths(params: dict[str, Array], grads: dict[str, Array]) -> None:
    if params.keys() != grads.keys():
        missing, unexpected = sorted(params.keys() - grads.keys()), sorted(grads.keys() - params.keys())
        raise KeyError(
            f"parameters and gradients differ: no gradient for {missing or 'none'}, unexpected "
            f"{unexpected or 'none'}; take the gradient with value_and_grad of the same model, frozen as it is now"
        )


def _copy(x: Array) -> Array:
    return namespace(x).asarray(x, copy=True)


def coupled(g: Array, p: Array, weight_decay: float) -> Array:
    """The gradient of L2 regularisation added: g + λ p, from λ/2 ‖p‖² in the loss."""
    return g + p * weight_decay if weight_decay else g
