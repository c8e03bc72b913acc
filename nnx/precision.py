"""Training in float16: the loss is scaled up, so that small gradients do not vanish, and down again when they overflow.

float16 ends at 65504 and has nothing between 0 and 6e-8, where many gradients lie. The gradient of s · loss is s times
the gradient: with s large enough the backward pass stays in range, and its result is divided by s, in float32. The best
s is the largest that does not overflow: it grows by itself, and is taken back, and the step with it, when it was too
large (Micikevicius et al. 2018, https://docs.pytorch.org/docs/stable/amp.html).
"""

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nnx.autodiff import value_and_grad
from nnx.autodiff.casting import HALVES
from nnx.autodiff.tree import leaves, tree_map
from nnx.backend import backend_of, get_backend, namespace
from nnx.layers.module import Module
from nnx.optim import Optimizer
from nnx.typing import Array, Tree

__all__ = ["GradScaler"]


class _Arrays(Module):
    """What changes from step to step. loss_scale: (1,) float32   growth_tracker: (1,) int32, steps without overflow"""

    loss_scale: Array
    growth_tracker: Array

    def __init__(self, loss_scale: float) -> None:
        born = get_backend()
        # of one dimension: NumPy makes scalars of arithmetic with arrays of none
        self.register_buffer("loss_scale", born.asarray([float(loss_scale)], "float32"))
        self.register_buffer("growth_tracker", born.asarray([0], "int32"))


class GradScaler:
    """Gradients of a scaled loss, and updates that leave out a step whose gradients are not finite.

    init_scale: the first s, > 0   growth_factor: of s after growth_interval steps without an overflow, > 1
    backoff_factor: of s after a step that had one, in (0, 1)   enabled: False makes everything as if without a scaler
    Scale and count are arrays on the active backend: no step waits for a device, and nnx.compile takes the scaler among
    its state. A step that is left out changes no parameter and no slot; it counts in optimizer.steps (PyTorch, which
    reads on the host whether there was an overflow, does not count it).

    >>> import nnx
    >>> model, optimizer, scaler = nnx.Linear(2, 1), nnx.optim.SGD(lr=0.1), nnx.GradScaler()
    >>> @nnx.autocast("float16")
    ... def loss_of(model, x, y):
    ...     return nnx.losses.mse_loss(model(x), y)
    >>> x, y = nnx.asarray([[0.1, 0.2]], "float32"), nnx.asarray([[0.0]], "float32")
    >>> loss, grads = scaler.value_and_grad(loss_of)(model, x, y)
    >>> scaler.update(optimizer, model, grads)
    >>> grads["weight"].dtype, scaler.get_scale()
    (dtype('float32'), 65536.0)
    """

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if not (init_scale > 0.0 and growth_factor > 1.0 and 0.0 < backoff_factor < 1.0 and growth_interval >= 1):
            raise ValueError(
                "GradScaler: expected init_scale > 0, growth_factor > 1, backoff_factor in (0, 1) and growth_interval "
                f">= 1, got {init_scale}, {growth_factor}, {backoff_factor} and {growth_interval}"
            )
        self.growth_factor, self.backoff_factor = float(growth_factor), float(backoff_factor)
        self.growth_interval, self.enabled = growth_interval, enabled
        self.carried = _Arrays(init_scale)
        """Its arrays, as a Module: what nnx.compile carries, and what `to` moves to another backend."""

    def __repr__(self) -> str:
        names = ("growth_factor", "backoff_factor", "growth_interval", "enabled")
        return f"GradScaler({', '.join(f'{name}={getattr(self, name)}' for name in names)})"

    def get_scale(self) -> float:
        """s; waits for the device."""
        return float(self.carried.loss_scale[0]) if self.enabled else 1.0

    def scale(self, loss: Array) -> Array:
        """s · loss."""
        return loss * self._factor() if self.enabled else loss

    def unscale(self, grads: Tree) -> Tree:
        """The gradients of a scaled loss, divided by s: what may be clipped. What had overflowed stays inf or nan.

        Raises ValueError for gradients of 16 bits: the parameters must be float32.
        """
        if not self.enabled:
            return grads
        inverse = 1.0 / self._factor()
        return tree_map(lambda g: _checked(g) * inverse, grads)

    def value_and_grad(
        self, f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
    ) -> Callable[..., tuple[Any, Any]]:
        """nnx.value_and_grad, by way of the scaled loss. What it returns is not scaled.

        A gradient that has overflowed holds inf or nan; `update` leaves out its step.
        """

        def scaled(*args: Any, **kwargs: Any) -> tuple[Array, Any]:
            out = f(*args, **kwargs)
            return self.scale(out[0] if has_aux else out), out

        both = value_and_grad(scaled, argnums, has_aux=True)

        @functools.wraps(f, assigned=("__name__", "__doc__", "__qualname__"), updated=())
        def call(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
            with backend_of(self.carried.loss_scale).overflowing():
                (_, out), grads = both(*args, **kwargs)
                return out, self.unscale(grads)

        return call

    def update(self, optimizer: Optimizer, model: Module, grads: dict[str, Array]) -> None:
        """optimizer.update(model, grads), if all gradients are finite; then the scale grows or is taken back.

        grads: unscaled, as value_and_grad returns them; clipped, perhaps. Raises what optimizer.update raises.
        """
        if not self.enabled:
            optimizer.update(model, grads)
            return
        finite = _all_finite(grads)
        if backend_of(finite).host:
            self._update_here(optimizer, model, grads, bool(finite))
        else:
            _update_there(optimizer, model, grads, finite)
        self._adapt(finite)

    def _update_here(self, optimizer: Optimizer, model: Module, grads: dict[str, Array], finite: bool) -> None:
        """On the host: nothing is computed that would be thrown away."""
        if finite:
            optimizer.update(model, grads)
        else:
            optimizer.init(model)
            optimizer.steps += 1

    def _adapt(self, finite: Array) -> None:
        """s · backoff_factor after an overflow, s · growth_factor after growth_interval steps in a row without one."""
        own = self.carried
        xp, s, count = namespace(own.loss_scale), own.loss_scale, own.growth_tracker + 1
        with backend_of(s).overflowing():
            larger = s * self.growth_factor
        ripe = finite & (count == self.growth_interval)
        own.loss_scale = xp.where(finite, xp.where(ripe & xp.isfinite(larger), larger, s), s * self.backoff_factor)
        own.growth_tracker = xp.where(finite & ~ripe, count, xp.zeros_like(count))

    def _factor(self) -> Array:
        """s as an array of no dimensions."""
        return namespace(self.carried.loss_scale).reshape(self.carried.loss_scale, ())

    def state_dict(self) -> dict[str, Any]:
        """PyTorch's: plain numbers, which fit into JSON; waits for the device. Empty if the scaler is not enabled."""
        if not self.enabled:
            return {}
        return {
            "scale": self.get_scale(),
            "growth_factor": self.growth_factor,
            "backoff_factor": self.backoff_factor,
            "growth_interval": self.growth_interval,
            "_growth_tracker": int(self.carried.growth_tracker[0]),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where state_dict was taken, PyTorch's too. Raises KeyError for a state that is not a scaler's."""
        if not self.enabled:
            return
        if state.keys() != self.state_dict().keys():
            raise KeyError(
                f"GradScaler.load_state_dict: expected {', '.join(self.state_dict())}, got "
                f"{', '.join(state) or 'nothing'} (the state of a scaler with enabled=False is empty)"
            )
        own = self.carried
        library = backend_of(own.loss_scale).home(own.loss_scale)
        self.growth_factor, self.backoff_factor = float(state["growth_factor"]), float(state["backoff_factor"])
        self.growth_interval = int(state["growth_interval"])
        own.loss_scale = library.asarray([float(state["scale"])], "float32")
        own.growth_tracker = library.asarray([int(state["_growth_tracker"])], "int32")


def _checked(g: Array) -> Array:
    if any(str(g.dtype).endswith(name) for name in HALVES):
        raise ValueError(
            f"GradScaler: a gradient is {g.dtype}, as its parameter is: keep the parameters in float32 "
            "(model.to(dtype='float32')) and compute in 16 bits by nnx.autocast"
        )
    return g


def _all_finite(grads: Tree) -> Array:
    """Whether every number of every gradient is finite: a boolean of no dimensions, where the gradients are."""
    found = [namespace(g).all(namespace(g).isfinite(g)) for g in leaves(grads)]
    if not found:
        raise ValueError("GradScaler.update needs at least one gradient: is everything frozen?")
    return functools.reduce(operator.and_, found)


def _update_there(optimizer: Optimizer, model: Module, grads: dict[str, Array], finite: Array) -> None:
    """On a device: the step is made in any case, and there each of its results is kept or not."""
    optimizer.init(model)
    xp, params, slots = namespace(finite), model.trainable(), dict(optimizer.state)
    optimizer.update(model, grads)
    moved = model.trainable()
    model.update({path: xp.where(finite, moved[path], p) for path, p in params.items()})
    optimizer.state = {
        path: tuple(xp.where(finite, x, old) for x, old in zip(new, slots.get(path, new), strict=True))
        for path, new in optimizer.state.items()
    }
