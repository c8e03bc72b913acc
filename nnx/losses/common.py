"""What losses share: how many numbers become one, and the checks that keep a mistake from being broadcast."""

import math
from typing import Any, Literal

from nnx.autodiff import op
from nnx.backend import backend_of, namespace
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


def weighted(losses: Array, weight: Array | None, reduction: Reduction, name: str) -> Array:
    """reduced, with a factor for each entry; the mean is then Σ w l / Σ w."""
    if weight is None:
        return reduced(losses, reduction)
    check_weight(name, weight, losses)
    if reduction != "mean":
        return reduced(losses * weight, reduction)
    xp = namespace(losses, weight)
    return xp.sum(losses * weight) / xp.sum(weight)


def check_weight(name: str, weight: Array, losses: Array) -> None:
    """Raises ValueError unless there is one weight an entry."""
    if tuple(weight.shape) != tuple(losses.shape):
        raise ValueError(
            f"{name}: weight has shape {tuple(weight.shape)}, the output {tuple(losses.shape)}: they must be equal, "
            "e.g. xp.broadcast_to(weight, output.shape)"
        )


@op
def hinge(x: Array) -> Any:
    """max(x, 0); its slope at 0 is 1, as PyTorch's clamp_min has it (relu's is 0)."""
    return namespace(x).maximum(x, 0.0), lambda dy: (dy * namespace(dy).astype(x >= 0, dy.dtype),)


def as_numbers(target: Array, input: Array) -> Array:
    """A target of integers in the output's dtype; floating ones as they are."""
    if backend_of(target).is_inexact(target.dtype):
        return target
    return namespace(target).astype(target, input.dtype)


def same_shape(name: str, **arrays: Array) -> None:
    """Raises ValueError unless all arrays have the shape of the first."""
    shapes = {key: tuple(x.shape) for key, x in arrays.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(
            f"{name} expects {', '.join(shapes)} of one shape, got {', '.join(map(str, shapes.values()))}: nothing is "
            "broadcast"
        )


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
