"""Losses of one class among several, and of sequences of classes, as modules."""

from collections.abc import Sequence
from typing import Literal

from nnx.losses.classes import cross_entropy, nll_loss
from nnx.losses.common import Reduction
from nnx.losses.ctc import ctc_loss
from nnx.losses.divergence import kl_div
from nnx.losses.margins import multi_margin_loss, multilabel_margin_loss, multilabel_soft_margin_loss
from nnx.losses.modules.base import Loss
from nnx.typing import Array

__all__ = [
    "CTCLoss",
    "CrossEntropyLoss",
    "KLDivLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
]


class CrossEntropyLoss(Loss):
    """-log softmax(x)[target]: see nnx.losses.cross_entropy."""

    weight: Array | None

    def __init__(
        self,
        weight: Array | None = None,
        ignore_index: int | None = None,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self.register_buffer("weight", weight)
        self.ignore_index, self.reduction, self.label_smoothing = ignore_index, reduction, label_smoothing

    def __call__(self, input: Array, target: Array) -> Array:
        """See the class."""
        return cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(Loss):
    """-x[target], of log-probabilities x: see nnx.losses.nll_loss."""

    weight: Array | None

    def __init__(
        self, weight: Array | None = None, ignore_index: int | None = None, reduction: Reduction = "mean"
    ) -> None:
        self.register_buffer("weight", weight)
        self.ignore_index, self.reduction = ignore_index, reduction

    def __call__(self, input: Array, target: Array) -> Array:
        """See the class."""
        return nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class KLDivLoss(Loss):
    """t (log t - x), of log-probabilities x: see nnx.losses.kl_div."""

    def __init__(self, reduction: Reduction | Literal["batchmean"] = "mean", log_target: bool = False) -> None:
        self.reduction, self.log_target = reduction, log_target

    def __call__(self, input: Array, target: Array) -> Array:
        """See the class."""
        return kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class CTCLoss(Loss):
    """-log of the sum over all paths that read as the targets: see nnx.losses.ctc_loss."""

    def __init__(self, blank: int = 0, reduction: Reduction = "mean", zero_infinity: bool = False) -> None:
        self.blank, self.reduction, self.zero_infinity = blank, reduction, zero_infinity

    def __call__(
        self,
        log_probs: Array,
        targets: Array,
        input_lengths: Array | Sequence[int],
        target_lengths: Array | Sequence[int],
    ) -> Array:
        """See the class."""
        return ctc_loss(
            log_probs,
            targets,
            input_lengths,
            target_lengths,
            blank=self.blank,
            reduction=self.reduction,
            zero_infinity=self.zero_infinity,
        )


class MultiMarginLoss(Loss):
    """Σ_j max(0, margin - x_y + x_j)ᵖ / c over the wrong classes j: see nnx.losses.multi_margin_loss."""

    weight: Array | None

    def __init__(
        self, p: int = 1, margin: float = 1.0, weight: Array | None = None, reduction: Reduction = "mean"
    ) -> None:
        self.register_buffer("weight", weight)
        self.p, self.margin, self.reduction = p, margin, reduction

    def __call__(self, input: Array, target: Array) -> Array:
        """See the class."""
        return multi_margin_loss(
            input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction
        )


class MultiLabelMarginLoss(Loss):
    """Σ max(0, 1 - (x_j - x_i)) / c over right classes j and wrong ones i: see nnx.losses.multilabel_margin_loss."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        self.reduction = reduction

    def __call__(self, input: Array, target: Array) -> Array:
        """See the class."""
        return multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(Loss):
    """The binary cross-entropy of each class, its mean over the classes: see nnx.losses.multilabel_soft_margin_loss."""

    weight: Array | None

    def __init__(self, weight: Array | None = None, reduction: Reduction = "mean") -> None:
        self.register_buffer("weight", weight)
        self.reduction = reduction

    def __call__(self, input: Array, target: Array) -> Array:
        """See the class."""
        return multilabel_soft_margin_loss(input, target, weight=self.weight, reduction=self.reduction)
