"""The work that is measured: a network in nnx and the same in PyTorch, its batch, its loss and its optimizer."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

import nnx
from benchmarks.suite import in_torch
from nnx.models.gpt import Block
from nnx.models.resnet import BasicBlock, ResNet

LR = 1e-4


@dataclass(frozen=True)
class Case:
    """loss: the name in nnx.losses and in torch.nn.functional   optimizer: its class's name; None: gradients alone"""

    title: str
    nnx: Callable[[], Any]
    torch: Callable[[], Any]
    shape: tuple[int, ...]
    classes: int
    loss: str = "cross_entropy"
    optimizer: str | None = "Adam"
    target: tuple[int, ...] | None = None  # of regression, without the batch
    family: str = "mlp"  # which hand-written forward pass computes the same
    widths: tuple[int, ...] = ()

    def batch(self):
        """x and y as NumPy arrays, the same at each call."""
        rng = np.random.default_rng(0)
        x = rng.normal(size=self.shape).astype("float32")
        if self.target is not None:
            return x, rng.normal(size=(self.shape[0], *self.target)).astype("float32")
        return x, rng.integers(0, self.classes, self.shape[0])

    def weights(self):
        """The initial state dict, as NumPy arrays, the same at each call; every contestant begins with it."""
        with nnx.use_backend("numpy"), nnx.random.scope(0):
            return {name: np.array(x) for name, x in self.nnx().state_dict().items()}

    def smaller(self, n):
        """The same with n samples a batch."""
        return replace(self, shape=(n, *self.shape[1:]))


class FirstOutput(nnx.Module):
    """A recurrent network's outputs, without its state."""

    def __init__(self, *sizes):
        self.rnn = nnx.LSTM(*sizes, batch_first=True)

    def __call__(self, x):
        """x: (n, t, i)   returns (n, t, h)"""
        return self.rnn(x)[0]


def mlp(*widths, batch, **options):
    """Fully connected layers with ReLU between them."""

    def build():
        layers = [nnx.Linear(*widths[:2])]
        for i, o in pairwise(widths[1:]):
            layers += [nnx.ReLU(), nnx.Linear(i, o)]
        return nnx.Sequential(*layers)

    options = {"target": (widths[-1],), "loss": "mse_loss", **options} if widths[-1] == 1 else options
    optimizer = options.get("optimizer", "Adam")
    title = f"{'-'.join(map(str, widths))}, batch {batch}, {optimizer}"
    return Case(title, build, lambda: in_torch.mlp(widths), (batch, widths[0]), widths[-1], widths=widths, **options)


CASES = {
    "small": mlp(784, 30, 10, batch=10, optimizer="SGD"),
    "tiny": mlp(20, 64, 64, 1, batch=32),
    "middle": mlp(784, 128, 10, batch=64),
    "wide": mlp(784, 512, 512, 10, batch=128),
    "wider": mlp(784, 1024, 1024, 10, batch=512),
    "lenet": Case(
        "LeNet-5, 28×28, batch 64, Adam", nnx.models.LeNet5, in_torch.LeNet5, (64, 1, 28, 28), 10, family="lenet"
    ),
    "resnet": Case(
        "ResNet of 3 blocks, 28×28, batch 64, Adam",
        lambda: ResNet(BasicBlock, (1, 1, 1), 10, 1, width=16, small=True),
        lambda: in_torch.ResNet(16),
        (64, 1, 28, 28),
        10,
        family="resnet",
    ),
    "gpt": Case(
        "GPT block, d 128, 4 heads, 64 tokens, batch 32",
        lambda: Block(128, 4, 0, 0.0, True, "float32"),
        lambda: in_torch.Block(128, 4),
        (32, 64, 128),
        0,
        "mse_loss",
        None,
        (64, 128),
        "gpt",
    ),
    "lstm": Case(
        "LSTM, 128, 50 steps, batch 32",
        lambda: FirstOutput(128, 128),
        lambda: in_torch.FirstOutput(128, 128),
        (32, 50, 128),
        0,
        "mse_loss",
        None,
        (50, 128),
        "lstm",
    ),
}
