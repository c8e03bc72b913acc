"""Losses for a class that is rare: focal loss, which listens to what is still wrong, and Dice, which counts overlap."""

from nnx.autodiff.casting import in_full
from nnx.backend import namespace
from nnx.functional import sigmoid
from nnx.losses.binary import binary_cross_entropy_with_logits
from nnx.losses.common import Reduction, reduced, same_form
from nnx.typing import Array

__all__ = ["dice_loss", "sigmoid_focal_loss"]


@in_full
def sigmoid_focal_loss(
    inputs: Array, targets: Array, alpha: float = 0.25, gamma: float = 2.0, reduction: Reduction = "none"
) -> Array:
    """-α_t (1 - p_t)^γ log p_t, p_t = σ(x) where t = 1 and 1 - σ(x) where t = 0 (Lin et al. 2017; torchvision's).

    inputs: x, logits of any shape   targets: t in [0, 1], the same shape   gamma: >= 0; 0 is cross-entropy
    alpha: α_t is alpha where t = 1 and 1 - alpha where t = 0; below 0: 1 for both
    returns the inputs' shape, or () with reduction "mean" or "sum"

    >>> import numpy as np
    >>> round(float(sigmoid_focal_loss(np.asarray([0.0]), np.asarray([1.0]))[0]), 4)
    0.0433
    """
    if gamma < 0.0:
        raise ValueError(f"sigmoid_focal_loss: gamma must be >= 0, got {gamma}")
    losses = binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    if gamma:
        p = sigmoid(inputs)
        wrong = p + targets - p * targets * 2.0
        if gamma < 2.0 and gamma != 1.0:  # 0 to a power below 0 would be in its slopes
            xp = namespace(wrong)
            wrong = xp.maximum(wrong, float(xp.finfo(wrong.dtype).smallest_normal) ** 0.5)
        losses = losses * wrong ** float(gamma)
    if alpha >= 0.0:
        losses = losses * (targets * (2.0 * alpha - 1.0) + (1.0 - alpha))
    return reduced(losses, reduction)


@in_full
def dice_loss(input: Array, target: Array, smooth: float = 1.0, reduction: Reduction = "mean") -> Array:
    """1 - (2 Σ p t + s) / (Σ p + Σ t + s), the sums over a sample's entries of one class.

    Dice's coefficient of two sets, made soft; Milletari et al. (2016) square p and t below the line.

    input: p, probabilities (n, c, d1, ...), or (n, c) for one entry a class   target: t in [0, 1], the same shape
    smooth: s >= 0; above 0 a class that is nowhere, and is found nowhere, costs nothing
    returns (), or (n, c) with reduction="none"

    >>> import numpy as np
    >>> p, t = np.asarray([[[0.5, 0.5, 0.0]]]), np.asarray([[[1.0, 0.0, 0.0]]])
    >>> round(float(dice_loss(p, t)), 4)
    0.3333
    """
    same_form("dice_loss", input, target)
    if smooth < 0.0:
        raise ValueError(f"dice_loss: smooth must be >= 0, got {smooth}")
    if input.ndim < 2:
        raise ValueError(f"dice_loss expects probabilities (n, c, ...), got {tuple(input.shape)}")
    xp, axes = namespace(input, target), tuple(range(2, input.ndim))
    both, either = input * target * 2.0, input + target
    if axes:
        both, either = xp.sum(both, axis=axes), xp.sum(either, axis=axes)
    return reduced(1.0 - (both + smooth) / (either + smooth), reduction)
