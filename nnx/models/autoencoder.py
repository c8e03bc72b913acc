"""Autoencoders: a network learns to return what it was given through a narrow place, which thus holds what matters."""

from collections.abc import Sequence
from itertools import pairwise

from nnx import functional as F
from nnx import random
from nnx.backend import namespace
from nnx.layers import Linear, Module, ReLU, Sequential
from nnx.losses import binary_cross_entropy_with_logits
from nnx.typing import Array

__all__ = ["VAE", "Autoencoder", "vae_loss"]


def _stack(sizes: Sequence[int], dtype: str) -> Sequential:
    """Linear layers with a ReLU between two of them, none at the end."""
    layers: list[Module] = []
    for n, m in pairwise(sizes):
        layers += [Linear(n, m, dtype=dtype), ReLU()]
    return Sequential(*layers[:-1])


class Autoencoder(Module):
    """decoder(encoder(x)), both fully connected (Hinton, Salakhutdinov 2006).

    sizes: of x, of the hidden layers, and of the code; the decoder has them the other way round
    x: (n, sizes[0])   returns (n, sizes[0])
    """

    def __init__(self, sizes: Sequence[int] = (784, 128, 32), dtype: str = "float32") -> None:
        self.encoder, self.decoder = _stack(sizes, dtype), _stack(sizes[::-1], dtype)

    def __call__(self, x: Array) -> Array:
        """What is left of x after the code."""
        return self.decoder(self.encoder(x))


class VAE(Module):
    """Kingma, Welling 2013, Auto-encoding variational Bayes: the code is a normal distribution, close to N(0, 1).

    sizes: of x, of the hidden layers, and of the code z
    x: (n, sizes[0]) in [0, 1]   returns the reconstruction's logits (n, sizes[0]), and z's mean and log variance
    In training z = mean + ε · std with ε from N(0, 1) (the gradient goes through mean and std); else z = mean.
    """

    def __init__(self, sizes: Sequence[int] = (784, 256, 16), dtype: str = "float32") -> None:
        *hidden, code = sizes
        self.encoder = Sequential(_stack(hidden, dtype), ReLU())
        self.mean = Linear(hidden[-1], code, dtype=dtype)
        self.log_variance = Linear(hidden[-1], code, dtype=dtype)
        self.decoder = _stack(sizes[::-1], dtype)

    def __call__(self, x: Array) -> tuple[Array, Array, Array]:
        """See the class."""
        h = self.encoder(x)
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean
        if self.training:
            z = mean + random.randn_like(mean) * namespace(h).exp(log_variance * 0.5)
        return self.decoder(z), mean, log_variance

    def decode(self, z: Array) -> Array:
        """Images in [0, 1] from codes (n, code)."""
        return F.sigmoid(self.decoder(z))


def vae_loss(output: tuple[Array, Array, Array], x: Array) -> Array:
    """The evidence lower bound, its sign turned: Σ cross entropy + KL(N(mean, variance) ‖ N(0, 1)), a sample's mean.

    KL = ½ Σ (variance + mean² - 1 - log variance)   (appendix B of the paper)
    """
    logits, mean, log_variance = output
    xp, n = namespace(logits), x.shape[0]
    likelihood = binary_cross_entropy_with_logits(logits, x, reduction="sum")
    divergence = 0.5 * xp.sum(xp.exp(log_variance) + mean * mean - 1.0 - log_variance)
    return (likelihood + divergence) * (1.0 / n)
