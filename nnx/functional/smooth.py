"""Activations without a kink. Each is written so that no exponential overflows, however large x is."""

from typing import Any

from nnx.autodiff import op
from nnx.backend import namespace
from nnx.functional.activations import sigmoid, softmax
from nnx.fusion import fused_rule
from nnx.typing import Array

__all__ = ["logsigmoid", "mish", "silu", "softmin", "softplus", "softsign", "tanhshrink"]


@fused_rule
def silu(x: Array) -> Any:
    """x σ(x), also called swish;  silu′ = σ (1 + x (1 - σ)) (Elfwing et al. 2018)."""
    s = sigmoid(x)
    return x * s, lambda dy: (dy * (s * (x * (1.0 - s) + 1.0)),)


@op
def softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + e^(βx)) / β: a ReLU without a kink;  softplus′ = σ(βx).

    threshold: where βx is above it, x itself, as PyTorch has it
    """
    xp = namespace(x)
    z = x * beta
    straight = z > threshold
    return xp.where(straight, x, _log_1_plus_exp(z) * (1.0 / beta)), lambda dy: (
        xp.where(straight, dy, dy * sigmoid(z)),
    )


def _log_1_plus_exp(z: Array) -> Array:
    xp = namespace(z)
    return xp.log1p(xp.exp(-xp.abs(z))) + xp.maximum(z, 0.0)


@fused_rule
def logsigmoid(x: Array) -> Any:
    """log σ(x) = -log(1 + e⁻ˣ);  its slope is σ(-x)."""
    return -_log_1_plus_exp(-x), lambda dy: (dy * sigmoid(-x),)


@fused_rule
def mish(x: Array) -> Any:
    """x tanh(log(1 + eˣ)) (Misra 2020)."""
    xp = namespace(x)
    t = xp.tanh(_log_1_plus_exp(x))
    return x * t, lambda dy: (dy * (t + x * (1.0 - t * t) * sigmoid(x)),)


@fused_rule
def softsign(x: Array) -> Any:
    """x / (1 + |x|): tanh's shape, with tails that never quite saturate;  softsign′ = 1 / (1 + |x|)²."""
    d = namespace(x).abs(x) + 1.0
    return x / d, lambda dy: (dy / d / d,)  # d · d could overflow


@fused_rule
def tanhshrink(x: Array) -> Any:
    """x - tanh x;  tanhshrink′ = tanh²."""
    t = namespace(x).tanh(x)
    return x - t, lambda dy: (dy * (t * t),)


def softmin(x: Array, dim: int = -1) -> Array:
    """softmax(-x): the smallest has the largest share."""
    return softmax(-x, dim)
