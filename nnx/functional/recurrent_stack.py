"""Recurrent layers above each other, each in one direction or both, around the rule of one layer."""

from nnx.backend import device_of, innermost, namespace
from nnx.functional.dropout import dropout
from nnx.functional.joining import stacked
from nnx.functional.recurrent import RecurrentWeights, recurrent
from nnx.typing import Array, Shape

__all__ = ["Layers", "recurrent_layers", "start"]

Layers = list[list[RecurrentWeights]]
"""For each layer, the weights of each direction."""


def recurrent_layers(
    mode: str, x: Array, h: Array, c: Array | None, layers: Layers, p: float = 0.0, lengths: Array | None = None
) -> tuple[Array, Array, Array | None]:
    """The last layer's outputs at every step, and the last h and c of every layer and direction.

    x: (t, n, i)   h: (layers · directions, n, p)   c: (layers · directions, n, h), LSTM's alone
    p: the share of each layer's outputs that is dropped, but the last one's   lengths: see nnx.functional.recurrent
    returns (t, n, directions · p), and what h and c were
    """
    hs, cs = [], []
    for k, directions in enumerate(layers):
        if k and p:
            x = dropout(x, p)
        outputs = []
        for d, weights in enumerate(directions):
            at = k * len(directions) + d
            memory = None if c is None else c[at, ...]
            y, last, *rest = recurrent(mode, x, h[at, ...], memory, weights, lengths, reverse=d == 1)
            outputs.append(y)
            hs.append(last)
            cs += rest
        x = outputs[0] if len(outputs) == 1 else namespace(outputs[0]).concat(outputs, axis=-1)
    return x, stacked(hs), stacked(cs) if cs else None


def start(x: Array, shape: Shape) -> Array:
    """A first state of zeros, beside x."""
    plain = innermost(x)
    return namespace(plain).zeros(shape, dtype=plain.dtype, device=device_of(plain))
