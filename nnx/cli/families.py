"""The families of layers that `nnx backends --check` holds to NumPy: a row is a small network and what it takes."""

from collections.abc import Callable
from typing import NamedTuple

import nnx
from nnx.typing import Array

SAMPLES, CLASSES, WORDS = 32, 4, 12


class Family(NamedTuple):
    """A network that ends in CLASSES scores. shape: of one sample   words: it takes numbers of words, not floats."""

    shape: tuple[int, ...]
    layers: Callable[[], list[nnx.Module]]
    words: bool = False


def _last(found: tuple[Array, Array]) -> Array:
    """Of what a recurrent layer gives, the output at the last step."""
    return found[0][:, -1, :]


def _mean(x: Array) -> Array:
    return nnx.namespace(x).mean(x, axis=1)


FAMILIES: dict[str, Family] = {
    "linear": Family((6,), lambda: [nnx.Linear(6, 16), nnx.ReLU(), nnx.Linear(16, 4)]),
    "sigmoid and tanh": Family(
        (6,), lambda: [nnx.Linear(6, 16), nnx.Sigmoid(), nnx.Linear(16, 16), nnx.Tanh(), nnx.Linear(16, 4)]
    ),
    "smooth": Family(
        (6,), lambda: [nnx.Linear(6, 16), nnx.GELU(), nnx.SiLU(), nnx.Softplus(), nnx.Mish(), nnx.Linear(16, 4)]
    ),
    "rectifiers": Family(
        (6,), lambda: [nnx.Linear(6, 16), nnx.LeakyReLU(), nnx.ELU(), nnx.SELU(), nnx.PReLU(), nnx.Linear(16, 4)]
    ),
    "gated": Family((6,), lambda: [nnx.Linear(6, 16), nnx.GLU(), nnx.Hardswish(), nnx.Linear(8, 4), nnx.LogSoftmax()]),
    "dropout": Family((6,), lambda: [nnx.Linear(6, 16), nnx.Dropout(0.5), nnx.ReLU(), nnx.Linear(16, 4)]),
    "flattened": Family((2, 3), lambda: [nnx.Linear(3, 8), nnx.Flatten(), nnx.ReLU(), nnx.Linear(16, 4)]),
    "convolution": Family(
        (2, 8, 8),
        lambda: [
            nnx.Conv2d(2, 4, 3, padding=1),
            nnx.ReLU(),
            nnx.MaxPool2d(2),
            nnx.Conv2d(4, 6, 3, stride=2, bias=False),
            nnx.Tanh(),
            nnx.AvgPool2d(1),
            nnx.Flatten(),
            nnx.Linear(6, 4),
        ],
    ),
    "transposed": Family(
        (3, 7), lambda: [nnx.ConvTranspose1d(3, 4, 3, stride=2), nnx.ReLU(), nnx.Flatten(), nnx.Linear(60, 4)]
    ),
    "normalization": Family(
        (4, 6),
        lambda: [
            nnx.BatchNorm1d(4),
            nnx.Linear(6, 8),
            nnx.RMSNorm(8),
            nnx.ReLU(),
            nnx.GroupNorm(2, 4),
            nnx.Tanh(),  # a scale before another norm would have the gradient 0, which rounding alone decides
            nnx.Linear(8, 8),
            nnx.LayerNorm(8),
            nnx.Flatten(),
            nnx.Linear(32, 4),
        ],
    ),
    "words": Family(
        (5,), lambda: [nnx.Embedding(WORDS, 8), nnx.Linear(8, 8), nnx.Tanh(), nnx.Lambda(_mean), nnx.Linear(8, 4)], True
    ),
    "recurrent": Family(
        (5, 3),
        lambda: [
            nnx.LSTM(3, 6, batch_first=True),
            nnx.Lambda(lambda found: found[0]),
            nnx.GRU(6, 6, batch_first=True),
            nnx.Lambda(_last),
            nnx.Linear(6, 4),
        ],
    ),
}
