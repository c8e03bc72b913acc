"""What losses share: how many numbers become one, and the checks that keep a mistake from being broadcast."""

import math
from typing import Literal

from nnx.backend import namespace
from nnx.typing import Array

Reduction = Literal["mean", "sum", "none"]


def reduced(losses: Array, reduction: Reduction) -> Array:
    """One loss an entry made one: their mean (of none: nan), their sum, or left as they are."""
    if reduction == "none":
        return losses
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got '{reduction}'")
    xp = namespace(losses)
    if reduction == "sum":
        return xp.sum(losses)
    return xp.mean(losses) if 0 not in losses.shape else xp.sum(losses) * math.nan


def same_form(name: str, input: Array, target: Array) -> None:
    """Raises unless the network's output and the target have one shape and one dtype.

    Broadcasting would hide a mistake, and a float64 target would make all gradients float64.
    """
    namespace(input, target)
    if tuple(input.shape) != tuple(target.shape):
        raise ValueError(
            f"{name}: the output has shape {tuple(input.shape)}, the target {tuple(target.shape)}: they must be equal, "
            "e.g. y.reshape(-1, 1)"
        )
    if input.dtype != target.dtype:
        raise TypeError(
            f"{name}: the output is {input.dtype}, the target {target.dtype}: convert it first, e.g. "
            "nnx.asarray(y, 'float32')"
        )
