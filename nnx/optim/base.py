"""What all optimizers share. An optimizer is one elementwise update rule and the arrays (slots) that it keeps.

Parameters change only here, after the backward pass has returned every gradient: a gradient computed from weights of
which some are already new is the gradient of no function.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from nnx.autodiff.tree import swappable
from nnx.backend import are_mixed, backend_of, mixed
from nnx.layers.module import Module
from nnx.optim.groups import Groups, Key, check_used, checked, key_of
from nnx.optim.packed import WORTHWHILE, Pack
from nnx.optim.saved import Saved, Slots
from nnx.optim.updates import Row, Rule, applied
from nnx.typing import Array

__all__ = ["Optimizer"]

Part = tuple[Key, Any, dict[str, Array]]
"""Parameters that are moved alike: the patterns that name them, the optimizer with their numbers, and the arrays."""


class Optimizer(Saved):
    """Base class: `update(model, grads)` after `value_and_grad`.

    lr: per step, >= 0; may be assigned between steps   initial_lr: what a schedule started from, if there is one
    maximize: climb instead of descend
    groups: {pattern of dotted paths: {hyperparameter: value}}, for the parameters whose paths match (fnmatch; all
    patterns that match count, the later one wins). A pattern without a parameter is a ValueError at the first step.
    steps: how many updates were made   missed: of a parameter that was frozen or came later, how many without it

    >>> from nnx.optim import SGD
    >>> SGD(lr=0.1, weight_decay=1e-4, groups={"*.bias": {"weight_decay": 0.0}}).groups
    {'*.bias': {'weight_decay': 0.0}}
    """

    def __init__(
        self, lr: float, *, maximize: bool = False, groups: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        if not hasattr(lr, "__float__"):
            name = type(self).__name__
            raise TypeError(
                f"{name}'s first argument is lr, a number, got {type(lr).__name__}: parameters are not given here but "
                f"at each step, {name}(lr=...).update(model, grads) with the grads of nnx.value_and_grad"
            )
        self.lr = lr
        self.maximize = maximize
        self.initial_lr: float | None = None
        self.steps = 0
        self.missed: dict[str, int] = {}
        self._state: dict[str, Slots] = {}
        self._packs: dict[Key, Pack] = {}
        self._loaded = False
        self._keys: dict[str, Key] = {}
        self._patterns: Key = ()
        self._validate()
        self.groups: Groups = checked(groups, self.hyperparameters(), type(self).__name__)
        for pattern in self.groups:
            self._variant((pattern,))._validate()

    calls: ClassVar[int] = 10
    """About how many array functions the rule calls: what updating small parameters together saves (nnx.optim.packed).

    0 for a rule that is not elementwise, or to have every parameter updated by itself.
    """

    compiles: ClassVar[bool] = True
    """Whether slots, steps and lr are all that a step changes, so that nnx.compile can carry them."""

    @property
    def state(self) -> dict[str, Slots]:
        """The slots of each parameter by path."""
        if self._packs:  # whoever asks may change them: they are packed anew at the next update
            for pack in self._packs.values():
                self._state.update(pack.unpacked())
            self._packs = {}
        return self._state

    @state.setter
    def state(self, state: dict[str, Slots]) -> None:
        self._state, self._packs = state, {}

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the arrays kept for each parameter."""
        return ()

    def init(self, model: Module) -> None:
        """Make the slots of all trainable parameters now rather than at the first update."""
        params = model.trainable()
        self._know(params, model)
        self._make(params)

    def _make(self, params: dict[str, Array]) -> None:
        for path, p in params.items():
            if path not in self._state:  # which has all paths, also of slots that are packed: these are left so
                self.state[path] = self._of(path)._join(path, p)

    def update(self, model: Module, grads: dict[str, Array]) -> None:
        """One step: move every trainable parameter of the model against its gradient.

        grads: as value_and_grad returns them. Raises KeyError if a gradient is missing or unexpected.
        """
        if not swappable(model):
            raise TypeError(
                f"update takes a Module, got {type(model).__name__}; for a dict of arrays: apply(params, grads)"
            )
        params = model.trainable()
        if self.groups:
            self._know(params, model)
        model._replace(params, self.apply(params, grads))

    def apply(self, params: dict[str, Array], grads: dict[str, Array]) -> dict[str, Array]:
        """The new parameters; the given ones are left as they are, and nothing is changed if an error is raised."""
        _check_paths(params, grads)
        parts: list[Part] = self._parts(params) if self.groups else [((), self, params)]
        if self._loaded:
            self._move_to(params)
        now = self.steps + 1
        new: dict[str, Array] = {}
        kept: dict[str, Slots] = {}
        if self._packs and not self._fit(parts, grads):
            self._state = self.state  # which unpacks them
        for part in parts:
            self._move(part, grads, now, new, kept)
        self._finish(params, kept, now)
        if len(self._packs) < len(parts) and self.calls * len(params) >= WORTHWHILE:
            self._put_together(parts, new)
        return new if len(parts) == 1 else {path: new[path] for path in params}

    def _fit(self, parts: list[Part], grads: dict[str, Array]) -> bool:
        """Whether every pack still is what one of the parts needs."""
        fitting = 0
        for key, rules, params in parts:
            pack = self._packs.get(key)
            if pack is not None:
                if not pack.fits(params, grads, len(rules.slots)):
                    return False
                fitting += 1
        return fitting == len(self._packs)

    def _move(
        self, part: Part, grads: dict[str, Array], now: int, new: dict[str, Array], kept: dict[str, Slots]
    ) -> None:
        """Put the new parameters of one part into `new`, and the slots of those that are not packed into `kept`."""
        key, rules, params = part
        rule = rules._rule(now)
        packed: dict[str, Array] = self._packs[key].step(rule, params, grads) if key in self._packs else {}
        if len(packed) == len(params):
            new |= packed
            return
        count = len(rules.slots)
        rows: list[Row] = []
        rest = [path for path in params if path not in packed] if packed else params
        for path in rest:
            p, g, slots = params[path], grads[path], self._state.get(path)
            if slots is None or len(slots) != count or (count and slots[0].shape != p.shape):
                slots = rules._join(path, p)
            if type(g) is not type(p) and are_mixed(p, g):
                raise mixed(p, g)
            rows.append((rules._rule(now - self.missed[path]) if path in self.missed else rule, (p, g, *slots)))
        for path, arrays in zip(rest, applied(rows), strict=True):
            packed[path] = arrays[0]
            kept[path] = arrays[1:]
        new |= {path: packed[path] for path in params}

    def _finish(self, params: dict[str, Array], kept: dict[str, Slots], now: int) -> None:
        """Count the step, for the parameters that it left out, too."""
        if self._packs:
            for pack in self._packs.values():
                pack.commit()
        if len(self._state) > len(params):
            for path in self._state.keys() - params.keys():
                self.missed[path] = self.missed.get(path, 0) + 1
        self._state.update(kept)
        self.steps = now

    def _put_together(self, parts: list[Part], new: dict[str, Array]) -> None:
        """Pack the small parameters of each part for the steps to come, where it is worth while."""
        for key, _, params in parts:
            if key not in self._packs and self.calls * len(params) >= WORTHWHILE:
                slots = {path: self._state[path] for path in params if path not in self.missed}
                pack = Pack.of({path: new[path] for path in params}, slots)
                if pack is not None:
                    self._packs[key] = pack

    def _join(self, path: str, p: Array) -> Slots:
        """The slots of a parameter that takes part from now on, or that was replaced by one of another shape."""
        if self.steps:
            self.missed[path] = self.steps
        return self._fresh(p)

    def _fresh(self, p: Array) -> Slots:
        return tuple(backend_of(p).zeros(p.shape, p) for _ in self.slots)

    def _rule(self, age: int) -> Rule:
        rule: Rule = self._step(age)
        return _uphill(rule) if self.maximize else rule

    def _step(self, age: int) -> Any:
        """The update rule, (p, g, *slots) -> (new p, *new slots), at a parameter's step number `age`, from 1 on."""
        raise NotImplementedError

    def _validate(self) -> None:
        """Raises ValueError for hyperparameters out of range."""
        self._check(lr=self.lr)

    def _check(self, **numbers: float) -> None:
        for name, value in numbers.items():
            if not value >= 0.0:
                raise ValueError(f"{type(self).__name__}: {name} must be >= 0, got {value}")

    def _check_betas(self, betas: tuple[float, ...]) -> None:
        if not all(0.0 <= beta < 1.0 for beta in betas):
            raise ValueError(f"{type(self).__name__}: betas must be in [0, 1), got {betas}")

    # ---- groups --------------------------------------------------------------------------------------------------

    def _know(self, params: dict[str, Array], model: Module | None = None) -> None:
        """Find the group of every path, and complain of a pattern that matches none (a frozen one is one)."""
        if not self.groups:
            return
        if self._patterns != tuple(self.groups):
            self._keys, self._patterns = {}, tuple(self.groups)
        if not self._keys.keys() >= params.keys():
            frozen = () if model is None else (path for path, _ in model.named_parameters())
            check_used(self.groups, dict.fromkeys([*params, *self._keys, *frozen]), type(self).__name__)
            self._keys |= {path: key_of(self.groups, path) for path in params}

    def _parts(self, params: dict[str, Array]) -> list[Part]:
        self._know(params)
        parts: dict[Key, dict[str, Array]] = {}
        for path, p in params.items():
            parts.setdefault(self._keys[path], {})[path] = p
        return [(key, self._variant(key), part) for key, part in parts.items()]

    def _variant(self, key: Key) -> Self:
        """A view of the optimizer with the hyperparameters of these groups: only its rule is used."""
        if not key:
            return self
        other: Self = object.__new__(type(self))
        vars(other).update(vars(self))
        for pattern in key:
            vars(other).update(self.groups[pattern])
        return other

    def _of(self, path: str) -> Self:
        return self._variant(key_of(self.groups, path)) if self.groups else self

    def _having(self, name: str) -> list[dict[str, Any]]:
        """Where a hyperparameter is: this optimizer's own, and those of the groups that have one, in their order."""
        return [options for options in (vars(self), *self.groups.values()) if name in options]


def _check_paths(params: dict[str, Array], grads: dict[str, Array]) -> None:
    if params.keys() != grads.keys():
        missing, unexpected = sorted(params.keys() - grads.keys()), sorted(grads.keys() - params.keys())
        raise KeyError(
            f"parameters and gradients differ: no gradient for {missing or 'none'}, unexpected "
            f"{unexpected or 'none'}; take the gradient with value_and_grad of the same model, frozen as it is now"
        )


def _uphill(rule: Rule) -> Rule:
    turned = getattr(rule, "uphill", None)  # a fused one stays fused
    found: Rule = turned() if turned is not None else lambda p, g, *slots: rule(p, -g, *slots)
    return found
