"""Losses between numbers, and between embeddings, as modules."""

from nnx.losses.common import Reduction
from nnx.losses.distances import Distance, cosine_embedding_loss, triplet_margin_loss, triplet_margin_with_distance_loss
from nnx.losses.likelihood import gaussian_nll_loss, poisson_nll_loss
from nnx.losses.margins import margin_ranking_loss
from nnx.losses.modules.base import Loss
from nnx.losses.regression import huber_loss, l1_loss, mse_loss, smooth_l1_loss
from nnx.typing import Array

__all__ = [
    "CosineEmbeddingLoss",
    "GaussianNLLLoss",
    "HuberLoss",
    "L1Loss",
    "MSELoss",
    "MarginRankingLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]


class L1Loss(Loss):
    """|x - t|: see nnx.losses.l1_loss."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        self.reduction = reduction

    def __call__(self, input: Array, target: Array) -> Array:
        """See the class."""
        return l1_loss(input, target, reduction=self.reduction)


class MSELoss(Loss):
    """(x - t)²: see nnx.losses.mse_loss."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        self.reduction = reduction

    def __call__(self, input: Array, target: Array) -> Array:
        """See the class."""
        return mse_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(Loss):
    """d²/2β where |d| < β, else |d| - β/2: see nnx.losses.smooth_l1_loss."""

    def __init__(self, reduction: Reduction = "mean", beta: float = 1.0) -> None:
        self.reduction, self.beta = reduction, beta

    def __call__(self, input: Array, target: Array) -> Array:
        """See the class."""
        return smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Loss):
    """d²/2 where |d| <= δ, else δ (|d| - δ/2): see nnx.losses.huber_loss."""

    def __init__(self, reduction: Reduction = "mean", delta: float = 1.0) -> None:
        self.reduction, self.delta = reduction, delta

    def __call__(self, input: Array, target: Array) -> Array:
        """See the class."""
        return huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class PoissonNLLLoss(Loss):
    """λ - t log λ: see nnx.losses.poisson_nll_loss."""

    def __init__(
        self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: Reduction = "mean"
    ) -> None:
        self.log_input, self.full, self.eps, self.reduction = log_input, full, eps, reduction

    def __call__(self, input: Array, target: Array) -> Array:
        """See the class."""
        return poisson_nll_loss(
            input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(Loss):
    """(log v + (x - t)² / v) / 2: see nnx.losses.gaussian_nll_loss."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: Reduction = "mean") -> None:
        self.full, self.eps, self.reduction = full, eps, reduction

    def __call__(self, input: Array, target: Array, var: Array | float) -> Array:
        """See the class."""
        return gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class MarginRankingLoss(Loss):
    """max(0, -t (x1 - x2) + margin): see nnx.losses.margin_ranking_loss."""

    def __init__(self, margin: float = 0.0, reduction: Reduction = "mean") -> None:
        self.margin, self.reduction = margin, reduction

    def __call__(self, input1: Array, input2: Array, target: Array) -> Array:
        """See the class."""
        return margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(Loss):
    """1 - cos(x1, x2) where t = 1, max(0, cos(x1, x2) - margin) where t = -1: see nnx.losses.cosine_embedding_loss."""

    def __init__(self, margin: float = 0.0, reduction: Reduction = "mean") -> None:
        self.margin, self.reduction = margin, reduction

    def __call__(self, input1: Array, input2: Array, target: Array) -> Array:
        """See the class."""
        return cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class TripletMarginLoss(Loss):
    """max(0, d(a, p) - d(a, n) + margin), d a p-norm: see nnx.losses.triplet_margin_loss."""

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False, reduction: Reduction = "mean"
    ) -> None:
        self.margin, self.p, self.eps, self.swap, self.reduction = margin, p, eps, swap, reduction

    def __call__(self, anchor: Array, positive: Array, negative: Array) -> Array:
        """See the class."""
        return triplet_margin_loss(
            anchor,
            positive,
            negative,
            margin=self.margin,
            p=self.p,
            eps=self.eps,
            swap=self.swap,
            reduction=self.reduction,
        )


class TripletMarginWithDistanceLoss(Loss):
    """max(0, d(a, p) - d(a, n) + margin), d a function of yours: see nnx.losses.triplet_margin_with_distance_loss."""

    def __init__(
        self,
        *,
        distance_function: Distance | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        self.distance_function, self.margin, self.swap, self.reduction = distance_function, margin, swap, reduction

    def __call__(self, anchor: Array, positive: Array, negative: Array) -> Array:
        """See the class."""
        return triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
