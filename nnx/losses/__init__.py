"""Losses: one number that says how wrong the network is, and its gradient, with which BP1 begins: δᴸ = ∇ₐC ⊙ σ′(zᴸ).

Names, arguments and reductions are those of `torch.nn.functional`.
"""

from nnx.losses.binary import binary_cross_entropy, binary_cross_entropy_with_logits
from nnx.losses.classes import cross_entropy, nll_loss
from nnx.losses.divergence import kl_div
from nnx.losses.regression import huber_loss, l1_loss, mse_loss, quadratic_cost, smooth_l1_loss

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "quadratic_cost",
    "smooth_l1_loss",
]
