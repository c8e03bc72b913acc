"""Losses of yes or no as modules."""

from nnx.losses.binary import binary_cross_entropy, binary_cross_entropy_with_logits
from nnx.losses.common import Reduction
from nnx.losses.margins import hinge_embedding_loss, soft_margin_loss
from nnx.losses.modules.base import Loss
from nnx.losses.overlap import dice_loss, sigmoid_focal_loss
from nnx.typing import Array

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "DiceLoss",
    "HingeEmbeddingLoss",
    "SigmoidFocalLoss",
    "SoftMarginLoss",
]


class BCELoss(Loss):
    """-(t log p + (1 - t) log(1 - p)): see nnx.losses.binary_cross_entropy."""

    weight: Array | None

    def __init__(self, weight: Array | None = None, reduction: Reduction = "mean") -> None:
        self.register_buffer("weight", weight)
        self.reduction = reduction

    def __call__(self, input: Array, target: Array) -> Array:
        """See the class."""
        return binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Loss):
    """-(w t log σ(x) + (1 - t) log(1 - σ(x))): see nnx.losses.binary_cross_entropy_with_logits."""

    weight: Array | None
    pos_weight: Array | None

    def __init__(
        self, weight: Array | None = None, reduction: Reduction = "mean", pos_weight: Array | None = None
    ) -> None:
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)
        self.reduction = reduction

    def __call__(self, input: Array, target: Array) -> Array:
        """See the class."""
        return binary_cross_entropy_with_logits(
            input, target, weight=self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class SoftMarginLoss(Loss):
    """log(1 + e^(-t x)): see nnx.losses.soft_margin_loss."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        self.reduction = reduction

    def __call__(self, input: Array, target: Array) -> Array:
        """See the class."""
        return soft_margin_loss(input, target, reduction=self.reduction)


class HingeEmbeddingLoss(Loss):
    """x where the target is 1, max(0, margin - x) where it is -1: see nnx.losses.hinge_embedding_loss."""

    def __init__(self, margin: float = 1.0, reduction: Reduction = "mean") -> None:
        self.margin, self.reduction = margin, reduction

    def __call__(self, input: Array, target: Array) -> Array:
        """See the class."""
        return hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class SigmoidFocalLoss(Loss):
    """-α_t (1 - p_t)^γ log p_t: see nnx.losses.sigmoid_focal_loss."""

    def __init__(self, alpha: float = 0.25, gamma: float = 2.0, reduction: Reduction = "none") -> None:
        self.alpha, self.gamma, self.reduction = alpha, gamma, reduction

    def __call__(self, inputs: Array, targets: Array) -> Array:
        """See the class."""
        return sigmoid_focal_loss(inputs, targets, alpha=self.alpha, gamma=self.gamma, reduction=self.reduction)


class DiceLoss(Loss):
    """1 - (2 Σ p t + s) / (Σ p + Σ t + s): see nnx.losses.dice_loss."""

    def __init__(self, smooth: float = 1.0, reduction: Reduction = "mean") -> None:
        self.smooth, self.reduction = smooth, reduction

    def __call__(self, input: Array, target: Array) -> Array:
        """See the class."""
        return dice_loss(input, target, smooth=self.smooth, reduction=self.reduction)
