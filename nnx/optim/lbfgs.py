"""L-BFGS: Newton's method, with the inverse Hessian guessed from how the gradient changed along the last steps."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from nnx.autodiff import value_and_grad
from nnx.backend import asarray, backend_of, namespace
from nnx.layers.module import Module
from nnx.optim.base import Optimizer
from nnx.optim.saved import copy_of
from nnx.optim.wolfe import Point, strong_wolfe
from nnx.typing import Array

__all__ = ["LBFGS"]

Loss = Callable[..., Array]


@dataclass
class Memory:
    """What is known of the function: changes y of the gradient along steps s, with ρ = 1 / yᵀs, newest last."""

    paths: list[list[Any]]
    y: list[Array] = field(default_factory=list)
    s: list[Array] = field(default_factory=list)
    rho: list[float] = field(default_factory=list)
    direction: Array = None
    gradient: Array = None
    iterations: int = 0
    evaluations: int = 0
    t: float = 0.0
    scale: float = 1.0

    def learn(self, gradient: Array, size: int) -> None:
        """From the gradient after a step of t along the direction. size: how many steps to remember"""
        y, s = gradient - self.gradient, self.direction * self.t
        ys = _dot(y, s)
        if ys > 1e-10:
            for known, new in ((self.y, y), (self.s, s), (self.rho, 1.0 / ys)):
                known.append(new)
                del known[:-size]
            self.scale = ys / _dot(y, y)

    def newton(self, gradient: Array) -> Array:
        """-H g, by the two loops of Nocedal and Wright, algorithm 7.4."""
        q, alphas = -gradient, []
        for y, s, rho in zip(reversed(self.y), reversed(self.s), reversed(self.rho), strict=True):
            alphas.append(_dot(s, q) * rho)
            q = q - y * alphas[-1]
        r = q * self.scale
        for y, s, rho, alpha in zip(self.y, self.s, self.rho, reversed(alphas), strict=True):
            r = r + s * (alpha - _dot(y, r) * rho)
        return r


class Function:
    """The loss as a function of one vector, all parameters of a model one behind another."""

    def __init__(self, loss_fn: Loss, model: Module, batch: tuple[Any, ...]) -> None:
        self.model, self.batch, self.value_and_grad = model, batch, value_and_grad(loss_fn)
        self.now = model.trainable()
        dtypes = sorted({str(p.dtype) for p in self.now.values()})
        if len(dtypes) != 1:
            raise ValueError(
                f"LBFGS puts all trainable parameters into one vector: expected one dtype, got "
                f"{', '.join(dtypes) or 'no parameter'}"
            )
        self.library = backend_of(next(iter(self.now.values())))
        self.places, start = [], 0
        for p in self.now.values():
            stop = start + _size(p)
            self.places.append((start, stop, p.shape))
            start = stop
        self.x = self.library.pack(list(self.now.values()))

    def put(self, x: Array) -> None:
        """x into the model."""
        new = dict(zip(self.now, self.library.unpack(x, self.places), strict=True))
        self.model._replace(self.now, new)
        self.now = new

    def __call__(self) -> tuple[Array, Array]:
        """The loss where the model is, and its gradient as a vector."""
        loss, grads = self.value_and_grad(self.model, *self.batch)
        return loss, self.library.pack([grads[path] for path in self.now])


class LBFGS(Optimizer):
    """p ← p - t H g, H from the last history_size steps (Nocedal 1980), t = lr or by a line search.

    It looks at the loss several times a step: in the place of value_and_grad and update comes
    `loss = optimizer.step(loss_fn, model, *batch)`, loss_fn(model, *batch) being what value_and_grad takes. It reads
    numbers from the device; it is for whole batches and small networks.
    max_iter: iterations in a step   max_eval: evaluations in a step (None: 1.25 max_iter)
    tolerance_grad: on the largest entry of g   tolerance_change: on the parameters and the loss
    line_search_fn: None or "strong_wolfe"

    >>> import nnx
    >>> model, x = nnx.Linear(2, 1), nnx.asarray([[1.0, 2.0], [3.0, 4.0]], "float32")
    >>> optimizer = LBFGS(line_search_fn="strong_wolfe")
    >>> loss = optimizer.step(lambda model, x: nnx.namespace(x).sum((model(x) - 1.0) ** 2), model, x)
    >>> model(x).round(2)
    array([[1.],
           [1.]], dtype=float32)
    """

    compiles = False

    def __init__(
        self,
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: Literal["strong_wolfe"] | None = None,
    ) -> None:
        self.max_iter, self.max_eval = max_iter, max_iter * 5 // 4 if max_eval is None else max_eval
        self.tolerance_grad, self.tolerance_change = tolerance_grad, tolerance_change
        self.history_size, self.line_search_fn = history_size, line_search_fn
        super().__init__(lr)
        self._memory = Memory([])

    def _validate(self) -> None:
        super()._validate()
        if self.line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(f"LBFGS: line_search_fn must be 'strong_wolfe' or None, got '{self.line_search_fn}'")
        if self.max_iter < 1 or self.history_size < 1:
            raise ValueError(
                f"LBFGS: max_iter and history_size must be >= 1, got {self.max_iter} and {self.history_size}"
            )

    def init(self, model: Module) -> None:
        """Nothing: its memory is made of steps."""

    def apply(self, params: dict[str, Array], grads: dict[str, Array]) -> dict[str, Array]:
        """Raises TypeError: one gradient is not enough."""
        raise TypeError("LBFGS needs the loss several times a step: call optimizer.step(loss_fn, model, *batch)")

    def step(self, loss_fn: Loss, model: Module, *batch: Any) -> Array:
        """Up to max_iter iterations; returns the loss before them. If loss_fn raises, nothing has changed."""
        function = Function(loss_fn, model, batch)
        start, known = function.x, self._memory
        paths = [[path, list(p.shape)] for path, p in function.now.items()]
        if known.paths != paths:
            known = self._memory = Memory(paths)
        before = replace(known, y=[*known.y], s=[*known.s], rho=[*known.rho])
        try:
            loss, gradient = function()
            known.evaluations += 1
            if _largest(gradient) > self.tolerance_grad:
                self._iterate(function, known, float(loss), gradient)
        except BaseException:
            function.put(start)
            self._memory = before
            raise
        self.steps += 1
        return loss

    def _iterate(self, function: Function, known: Memory, loss: float, gradient: Array) -> None:
        evaluations = 1
        for iteration in range(1, self.max_iter + 1):
            known.iterations += 1
            if known.iterations == 1:
                known.direction = -gradient
                known.t = min(1.0, 1.0 / _total(gradient)) * self.lr
            else:
                known.learn(gradient, self.history_size)
                known.direction, known.t = known.newton(gradient), self.lr
            known.gradient, before = gradient, loss
            slope = _dot(gradient, known.direction)
            if slope > -self.tolerance_change:
                return
            last = iteration == self.max_iter
            most = self.max_eval - evaluations
            loss, gradient, used = self._advance(function, known, Point(0.0, loss, slope, gradient), most, last)
            evaluations += used
            known.evaluations += used
            if (
                last
                or evaluations >= self.max_eval
                or _largest(gradient) <= self.tolerance_grad
                or _largest(known.direction) * abs(known.t) <= self.tolerance_change
                or abs(loss - before) < self.tolerance_change
            ):
                return

    def _advance(
        self, function: Function, known: Memory, origin: Point, most: int, last: bool
    ) -> tuple[float, Array, int]:
        """Move along the direction: (the loss there, its gradient, evaluations)."""
        x, d = function.x, known.direction

        def evaluate(t: float) -> Point:
            function.put(x + d * t)
            loss, gradient = function()
            return Point(t, float(loss), _dot(gradient, d), gradient)

        if self.line_search_fn is not None:
            found, used = strong_wolfe(evaluate, origin, known.t, _largest(d), self.tolerance_change, most)
            known.t = found.t
        elif last:  # where nobody will look at the gradient
            found, used = origin, 0
        else:
            found, used = evaluate(known.t), 1
        function.x = x + d * known.t
        function.put(function.x)
        return found.f, found.gradient, used

    # ---- checkpoints ---------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """See Optimizer.state_dict; the memory is in the slots, too."""
        known = self._memory
        arrays = {f"memory/{name}{k}": x for name in ("y", "s") for k, x in enumerate(getattr(known, name))}
        if known.iterations:
            arrays |= {"memory/direction": known.direction, "memory/gradient": known.gradient}
        numbers = {name: getattr(known, name) for name in ("paths", "iterations", "evaluations", "t", "scale")}
        return {
            **super().state_dict(),
            "memory": {**numbers, "rho": list(known.rho)},
            "slots": {name: copy_of(x) for name, x in arrays.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Optimizer.load_state_dict; the memory goes to the active backend."""
        super().load_state_dict({**state, "slots": {}})
        arrays = {name.removeprefix("memory/"): copy_of(asarray(x)) for name, x in state["slots"].items()}
        numbers, count = state["memory"], len(state["memory"]["rho"])
        self._memory = Memory(
            **{**numbers, "rho": list(numbers["rho"])},
            y=[arrays[f"y{k}"] for k in range(count)],
            s=[arrays[f"s{k}"] for k in range(count)],
            direction=arrays.get("direction"),
            gradient=arrays.get("gradient"),
        )


def _dot(a: Array, b: Array) -> float:
    return float(namespace(a).matmul(a, b))


def _largest(x: Array) -> float:
    xp = namespace(x)
    return float(xp.max(xp.abs(x)))


def _total(x: Array) -> float:
    xp = namespace(x)
    return float(xp.sum(xp.abs(x)))


def _size(x: Array) -> int:
    size = 1
    for n in x.shape:
        size *= n
    return size
