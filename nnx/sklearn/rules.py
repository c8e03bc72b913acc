"""The solvers of scikit-learn's MLPs: Adam and SGD where they differ from PyTorch's.

In host memory they work in place, in blocks that stay in the cache: the arrays are the estimator's own. Elsewhere the
same rules run as those of every optimizer do.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.backend import namespace
from nnx.layers import Module
from nnx.optim import SGD, Adam, Optimizer
from nnx.typing import Array

BLOCK = 1 << 17
"""Bytes of a block: six arrays of it stay in a core's second cache."""

InPlace = Callable[..., None]


class OnHost(Optimizer):
    """An update in place, block by block.

    _penalty: times the weights (matrices), added to their gradients; for the update in place alone
    """

    _penalty: float = 0.0

    def update(self, model: Module, grads: dict[str, Array]) -> None:
        """See Optimizer.update."""
        params = model.trainable()
        if not all(type(p) is np.ndarray and p.flags.c_contiguous and p.flags.writeable for p in params.values()):
            super().update(model, grads)
            return
        if self._loaded:
            self._move_to(params)
            self.state = {path: tuple(map(np.array, slots)) for path, slots in self.state.items()}  # to be written to
        if not self.state:
            self.init(model)
        step = self._in_place(self.steps + 1)
        for path, p in params.items():
            _in_blocks(step, self._penalty if p.ndim == 2 else 0.0, p, grads[path], self.state[path])
        self.steps += 1

    def _in_place(self, age: int) -> InPlace:
        """The rule, (p, g, t, *slots) with room t for results in between; g is t if it may be written to."""
        raise NotImplementedError


def _in_blocks(step: InPlace, penalty: float, p: Any, g: Any, slots: tuple[Array, ...]) -> None:
    size = BLOCK // p.itemsize
    if p.size <= size:
        t, d = np.empty_like(p), g
        if penalty:
            d = np.multiply(p, penalty)
            np.add(d, g, out=d)
        step(p, d, t, *slots)
        return
    t, u = np.empty(size, p.dtype), np.empty(size, p.dtype)
    flat = [x.reshape(-1) for x in (p, g, *slots)]
    for start in range(0, p.size, size):
        q, d, *kept = (x[start : start + size] for x in flat)
        if penalty:
            d = np.add(np.multiply(q, penalty, out=u[: q.size]), d, out=u[: q.size])
        step(q, d, t[: q.size], *kept)


class ScikitAdam(OnHost, Adam):
    """p ← p - lr √(1 - β₂ᵗ) / (1 - β₁ᵗ) · m / (√v + eps): eps is not corrected for the start (Kingma and Ba, §2).

    The slots hold m / (1 - β₁) and v / (1 - β₂), which saves two passes over the arrays.
    """

    def _numbers(self, age: int) -> tuple[float, float, float, float]:
        """β₁, β₂, and eps and the step's size for slots of that scale."""
        b1, b2 = self.betas
        root = math.sqrt(1.0 - b2)
        return b1, b2, self.eps / root, self.lr * (1.0 - b2**age) ** 0.5 / (1.0 - b1**age) * (1.0 - b1) / root

    def _step(self, age: int) -> Any:
        b1, b2, eps, size = self._numbers(age)

        def rule(p: Array, g: Array, m: Array, v: Array) -> tuple[Array, ...]:
            m = m * b1 + g
            v = v * b2 + g * g
            return p - m / (namespace(v).sqrt(v) + eps) * size, m, v

        return rule

    def _in_place(self, age: int) -> InPlace:
        b1, b2, eps, size = self._numbers(age)

        def step(p: Any, g: Any, t: Any, m: Any, v: Any) -> None:
            m *= b1
            m += g
            v *= b2
            np.multiply(g, g, out=t)
            v += t
            np.sqrt(v, out=t)
            t += eps
            np.divide(m, t, out=t)
            t *= size
            p -= t

        return step


class ScikitSGD(OnHost, SGD):
    """v ← μ v - lr g, p ← p + v, with Nesterov p ← p + μ v - lr g: a new lr does not count for the old velocity."""

    def _validate(self) -> None:
        self._check(lr=self.lr, momentum=self.momentum)

    def _step(self, age: int) -> Any:
        lr, mu, ahead = self.lr, self.momentum, self.nesterov
        if not mu:
            return lambda p, g: (p - g * lr,)

        def rule(p: Array, g: Array, v: Array) -> tuple[Array, ...]:
            step = g * lr
            v = v * mu - step
            return p + (v * mu - step if ahead else v), v

        return rule

    def _in_place(self, age: int) -> InPlace:
        lr, mu, ahead = self.lr, self.momentum, self.nesterov

        def step(p: Any, g: Any, t: Any, v: Any = None) -> None:
            np.multiply(g, lr, out=t)
            if v is not None:
                v *= mu
                v -= t
                if not ahead:
                    p += v
                    return
                p += v * mu
            p -= t

        return step
