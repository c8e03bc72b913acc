"""PyTorch's loss modules by its names: each a function and its options, `nnx.CrossEntropyLoss()(z, y)`."""

from nnx.losses.modules.base import Loss
from nnx.losses.modules.binary import (
    BCELoss,
    BCEWithLogitsLoss,
    DiceLoss,
    HingeEmbeddingLoss,
    SigmoidFocalLoss,
    SoftMarginLoss,
)
from nnx.losses.modules.classes import (
    CrossEntropyLoss,
    CTCLoss,
    KLDivLoss,
    MultiLabelMarginLoss,
    MultiLabelSoftMarginLoss,
    MultiMarginLoss,
    NLLLoss,
)
from nnx.losses.modules.numbers import (
    CosineEmbeddingLoss,
    GaussianNLLLoss,
    HuberLoss,
    L1Loss,
    MarginRankingLoss,
    MSELoss,
    PoissonNLLLoss,
    SmoothL1Loss,
    TripletMarginLoss,
    TripletMarginWithDistanceLoss,
)

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CTCLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "DiceLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "Loss",
    "MSELoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "SigmoidFocalLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]
