"""Optimizers: an update rule is one elementwise function, its arguments and defaults are PyTorch's."""

from nnx.optim.adam import Adam, AdamW
from nnx.optim.adaptive import Adagrad, RMSprop
from nnx.optim.base import Optimizer
from nnx.optim.gradients import clip_grad_norm, clip_grad_value
from nnx.optim.penalties import l1_penalty, l2_penalty
from nnx.optim.plateau import ReduceLROnPlateau
from nnx.optim.schedules import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    Schedule,
    StepLR,
)
from nnx.optim.sequences import SequentialLR, warmup_cosine
from nnx.optim.sgd import SGD
from nnx.optim.waves import CosineAnnealingLR, CosineAnnealingWarmRestarts, OneCycleLR

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "Optimizer",
    "PolynomialLR",
    "RMSprop",
    "ReduceLROnPlateau",
    "Schedule",
    "SequentialLR",
    "StepLR",
    "clip_grad_norm",
    "clip_grad_value",
    "l1_penalty",
    "l2_penalty",
    "warmup_cosine",
]
