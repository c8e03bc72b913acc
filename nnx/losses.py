"""Losses: one number that says how wrong the network is, and its gradient, with which BP1 begins: δᴸ = ∇ₐC ⊙ σ′(zᴸ)."""

import math
from typing import Any, Literal

from nnx.autodiff import Var, op
from nnx.backend import backend_of, innermost, is_array, namespace
from nnx.typing import Array, Namespace

Reduction = Literal["mean", "sum", "none"]


def reduced(losses: Array, reduction: Reduction) -> Array:
    """One loss a sample made one: their mean, their sum, or left as they are."""
    if reduction == "none":
        return losses
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got '{reduction}'")
    xp = namespace(losses)
    return xp.mean(losses) if reduction == "mean" else xp.sum(losses)


def same_shape(name: str, a: Array, y: Array) -> None:
    """Raises ValueError unless the network's output and the target have one shape (broadcasting would hide a mistake)."""
    if tuple(a.shape) != tuple(y.shape):
        raise ValueError(f"{name}: the output has shape {tuple(a.shape)}, the target {tuple(y.shape)}: they must be equal")


def quadratic_cost(a: Array, y: Array) -> Array:
    """C = 1/2n Σ ‖y - a‖², over the n samples (Nielsen, chapter 1, eq. 6).

    a, y: (n, ...), the output and the target   returns ()

    >>> import numpy as np
    >>> float(quadratic_cost(np.asarray([[1.0, 0.0]]), np.asarray([[0.0, 2.0]])))
    2.5
    """
    same_shape("quadratic_cost", a, y)
    return _squares(a, y, 0.5 / a.shape[0] if a.ndim else 0.5)


def mse_loss(input: Array, target: Array, reduction: Reduction = "mean") -> Array:
    """(input - target)², its mean over all entries.

    input, target: any shape, the same   returns (), or their shape with reduction="none"

    >>> import numpy as np
    >>> float(mse_loss(np.asarray([1.0, 0.0]), np.asarray([0.0, 2.0])))
    2.5
    """
    same_shape("mse_loss", input, target)
    if reduction == "mean":
        return _squares(input, target, 1.0 / math.prod(input.shape) if math.prod(input.shape) else math.nan)
    d = input - target
    return reduced(d * d, reduction)


@op
def _squares(a: Array, y: Array, factor: float) -> Any:
    """factor · Σ (a - y)²."""
    xp = namespace(a, y)
    d = a - y

    def pullback(dc: Array) -> tuple[Any, ...]:
        da = d * (dc * (2.0 * factor))  # BP1: ∇ₐC; for the quadratic cost it is (a - y)/n
        return da, lambda: -da, None

    return xp.sum(d * d) * factor, pullback


def cross_entropy(input: Array, target: Array, reduction: Reduction = "mean") -> Array:
    """-log softmax(input)[target]: the surprise at the right class.

    input: (n, c) logits, not probabilities   target: (n,) integers in [0, c)   returns (), or (n,)
    Raises ValueError for labels out of range, where values can be looked at without waiting for a device (NumPy,
    array-api-strict, torch on a CPU); elsewhere the loss of such a sample is infinite.

    >>> import numpy as np
    >>> round(float(cross_entropy(np.zeros((2, 10)), np.asarray([3, 7]))), 4)
    2.3026
    """
    _check_classes(input, target)
    losses = _cross_entropy(input, target)
    loss = reduced(losses, reduction)
    if reduction != "none" and _readable(loss) and not math.isfinite(innermost(loss)):
        check_labels(target, input.shape[1])
    return loss


def _readable(x: Array) -> bool:
    """Whether a value can be looked at without waiting for a device."""
    return backend_of(x).host


def _check_classes(input: Array, target: Array) -> None:
    if not is_array(target):
        raise TypeError(f"cross_entropy's target must be an array of integers, got {type(target).__name__}")
    if input.ndim != 2 or tuple(target.shape) != (input.shape[0],):
        raise ValueError(
            f"cross_entropy expects logits (n, c) and labels (n,), got {tuple(input.shape)} and {tuple(target.shape)}: "
            "one label a row, e.g. y.reshape(-1)"
        )


def check_labels(target: Array, classes: int) -> None:
    """Raises ValueError if a label is not in [0, classes)."""
    y = innermost(target)
    xp = namespace(y)
    low, high = int(xp.min(y)), int(xp.max(y))
    if low < 0 or high >= classes:
        bad = low if low < 0 else high
        raise ValueError(f"label {bad} is out of range for {classes} classes: labels are integers in [0, {classes})")


@op
def _cross_entropy(x: Array, target: Array) -> Any:
    xp = namespace(x, target)
    z = x - xp.max(x, axis=1, keepdims=True)
    e = xp.exp(z)
    s = xp.sum(e, axis=1, keepdims=True)
    hit = one_hot_mask(target, x.shape[1])
    # a label that no class matches leaves -inf here, and an infinite loss: never a wrong number in silence
    picked = xp.max(xp.where(hit, z, -math.inf), axis=1)

    def pullback(dy: Array) -> tuple[Any, None]:
        # softmax - one-hot: δ at the logits, BP1 with σ′ already in it
        return (e / s - xp.astype(hit, x.dtype)) * xp.reshape(dy, (-1, 1)), None

    return xp.log(s[:, 0]) - picked, pullback


def one_hot_mask(target: Array, classes: int) -> Array:
    """(n,) labels as (n, classes) booleans."""
    y = innermost(target)
    xp: Namespace = namespace(y)
    mask = y[:, None] == xp.arange(classes, dtype=y.dtype, device=y.device)[None, :]
    return Var(mask) if type(target) is Var else mask
