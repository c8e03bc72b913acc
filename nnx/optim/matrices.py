"""Optimizers that look at a parameter as a whole: LAMB at its norm, Muon at the matrix that it is."""

import math
from collections.abc import Mapping
from typing import Any, Literal

from nnx.backend import namespace
from nnx.optim.base import Optimizer
from nnx.optim.numbers import norm
from nnx.optim.saved import Slots
from nnx.typing import Array

__all__ = ["LAMB", "Muon"]


class LAMB(Optimizer):
    """p ← p - lr · ‖p‖ / ‖u‖ · u, u = m̂ / (√v̂ + eps) + λ p: Adam's step as long as its parameter (You et al. 2020).

    ‖p‖ / ‖u‖ counts as 1 where one of them is 0. betas: in [0, 1)   eps: > 0   weight_decay: λ >= 0
    maximize, groups: see Optimizer
    """

    calls = 0  # a norm is not elementwise

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 1e-2,
        *,
        maximize: bool = False,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.betas, self.eps, self.weight_decay = tuple(betas), eps, weight_decay
        super().__init__(lr, maximize=maximize, groups=groups)

    def _validate(self) -> None:
        super()._validate()
        self._check_betas(self.betas)
        self._check(eps=self.eps, weight_decay=self.weight_decay)

    @property
    def slots(self) -> tuple[str, ...]:
        """See Optimizer.slots."""
        return "m", "v"

    def _step(self, age: int) -> Any:
        b1, b2 = self.betas
        lr, eps, decay = self.lr, self.eps, self.weight_decay
        first, root = 1.0 / (1.0 - b1**age), (1.0 - b2**age) ** -0.5

        def rule(p: Array, g: Array, m: Array, v: Array) -> tuple[Array, ...]:
            xp = namespace(v)
            m = m * b1 + g * (1.0 - b1)
            v = v * b2 + (g * g) * (1.0 - b2)
            u = m * first / (xp.sqrt(v) * root + eps) + p * decay
            size, length = norm(p), norm(u)
            none = xp.astype(size * length == 0.0, p.dtype)
            return p - u * (lr * (size * (1.0 - none) + none) / (length * (1.0 - none) + none)), m, v

        return rule


class Muon(Optimizer):
    """p ← (1 - lr λ) p - lr · r · O, O the nearest orthogonal matrix to the momentum, nearly (Jordan et al. 2024).

    b ← μ b + (1 - μ) g; O is what ns_steps Newton-Schulz steps X ← a X + (b A + c A²) X with A = X Xᵀ make of
    X = b / max(‖b‖, eps) (nesterov: of (1 - μ) g + μ b in the place of b). Parameters must be matrices, those of hidden
    layers; others (biases, embeddings, the last layer) belong to another optimizer: see ByPath. Raises ValueError for
    a parameter that is none.
    momentum: μ   weight_decay: λ >= 0, decoupled   ns_coefficients: (a, b, c)   ns_steps: below 100
    adjust_lr_fn: "original" (None): r = √max(1, rows / columns); "match_rms_adamw": r = 0.2 √max(rows, columns)
    It computes in the parameter's dtype, where PyTorch's goes over to bfloat16.   maximize, groups: see Optimizer
    """

    calls = 0  # a matrix product is not elementwise

    def __init__(
        self,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: Literal["original", "match_rms_adamw"] | None = None,
        *,
        maximize: bool = False,
        groups: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.weight_decay, self.momentum, self.nesterov = weight_decay, momentum, nesterov
        self.ns_coefficients, self.eps, self.ns_steps = tuple(ns_coefficients), eps, ns_steps
        self.adjust_lr_fn = adjust_lr_fn
        super().__init__(lr, maximize=maximize, groups=groups)

    def _validate(self) -> None:
        super()._validate()
        self._check(momentum=self.momentum, weight_decay=self.weight_decay, eps=self.eps)
        if self.adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(
                f"Muon: adjust_lr_fn must be 'original', 'match_rms_adamw' or None, got '{self.adjust_lr_fn}'"
            )
        if len(self.ns_coefficients) != 3 or not 0 <= self.ns_steps < 100:
            raise ValueError(
                f"Muon: expected three ns_coefficients and ns_steps in [0, 100), got {self.ns_coefficients} and "
                f"{self.ns_steps}"
            )

    @property
    def slots(self) -> tuple[str, ...]:
        """See Optimizer.slots."""
        return ("momentum",)

    def _join(self, path: str, p: Array) -> Slots:
        if p.ndim != 2:
            raise ValueError(
                f"Muon moves matrices, and '{path}' has shape {tuple(p.shape)}: give it to another optimizer, e.g. "
                "ByPath({'*': AdamW(), '*.weight': Muon()})"
            )
        return super()._join(path, p)

    def _step(self, age: int) -> Any:
        lr, mu, ahead = self.lr, self.momentum, self.nesterov
        shrink = 1.0 - lr * self.weight_decay

        def rule(p: Array, g: Array, b: Array) -> tuple[Array, ...]:
            b = b * mu + g * (1.0 - mu)
            return p * shrink - self._orthogonal(g * (1.0 - mu) + b * mu if ahead else b) * (lr * self._ratio(p)), b

        return rule

    def _ratio(self, p: Array) -> float:
        rows, columns = p.shape
        if self.adjust_lr_fn == "match_rms_adamw":
            return 0.2 * math.sqrt(max(rows, columns))
        return math.sqrt(max(1.0, rows / columns))

    def _orthogonal(self, x: Array) -> Array:
        """Newton and Schulz's steps on the matrix, turned so that it has no more rows than columns."""
        xp, tall = namespace(x), x.shape[0] > x.shape[1]
        x = xp.matrix_transpose(x) if tall else x
        x = x / xp.maximum(norm(x), self.eps)
        a, b, c = self.ns_coefficients
        for _ in range(self.ns_steps):
            gram = xp.matmul(x, xp.matrix_transpose(x))
            x = x * a + xp.matmul(gram * b + xp.matmul(gram, gram) * c, x)
        return xp.matrix_transpose(x) if tall else x
