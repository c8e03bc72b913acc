"""A step of each recurrent unit, forward and back, as rows of a table: nnx/functional/recurrent.py runs them over time.

A step is given zx = x W_ihᵀ and zh = h W_hhᵀ, biases added, and returns its states and what the way back needs. The way
back is given ∂L/∂states and returns ∂L/∂zx, ∂L/∂zh, the part of ∂L/∂h that does not flow through zh, and ∂L/∂c.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from nnx.backend import namespace
from nnx.functional.activations import sigmoid
from nnx.typing import Array

__all__ = ["CELLS", "Cell"]

Kept = tuple[Array, ...]


class Cell(NamedTuple):
    """A recurrent unit.

    gates: rows of the weights, in units of the hidden size   memory: whether there is a c beside h
    apart: whether zx and zh enter apart, so that each keeps its own bias
    """

    gates: int
    memory: bool
    apart: bool
    forward: Callable[..., tuple[Array, Any, Kept]]
    backward: Callable[..., tuple[Array, Array, Any, Any]]


def _tanh_forward(zx: Array, zh: Array, h: Array, c: None) -> tuple[Array, None, Kept]:
    """h' = tanh(zx + zh) (Elman 1990)."""
    y = namespace(zx, zh).tanh(zx + zh)
    return y, None, (y,)


def _tanh_backward(kept: Kept, dh: Array, dc: None) -> tuple[Array, Array, None, None]:
    (y,) = kept
    dz = dh * (1.0 - y * y)
    return dz, dz, None, None


def _relu_forward(zx: Array, zh: Array, h: Array, c: None) -> tuple[Array, None, Kept]:
    """h' = max(zx + zh, 0)."""
    y = namespace(zx, zh).maximum(zx + zh, 0.0)
    return y, None, (y,)


def _relu_backward(kept: Kept, dh: Array, dc: None) -> tuple[Array, Array, None, None]:
    (y,) = kept
    dz = dh * namespace(y).astype(y > 0, y.dtype)
    return dz, dz, None, None


def _lstm_forward(zx: Array, zh: Array, h: Array, c: Array) -> tuple[Array, Array, Kept]:
    """c' = f ⊙ c + i ⊙ g,  h' = o ⊙ tanh c' (Hochreiter and Schmidhuber 1997; f from Gers et al. 2000)."""
    z, n = zx + zh, c.shape[-1]
    xp = namespace(z)
    both, o = sigmoid(z[:, : 2 * n]), sigmoid(z[:, 3 * n :])
    i, f, g = both[:, :n], both[:, n:], xp.tanh(z[:, 2 * n : 3 * n])
    new = f * c + i * g
    t = xp.tanh(new)
    return o * t, new, (i, f, g, o, c, t)


def _lstm_backward(kept: Kept, dh: Array, dc: Array) -> tuple[Array, Array, None, Array]:
    i, f, g, o, c, t = kept
    dc = dc + dh * o * (1.0 - t * t)
    parts = [
        dc * g * (i * (1.0 - i)),
        dc * c * (f * (1.0 - f)),
        dc * i * (1.0 - g * g),
        dh * t * (o * (1.0 - o)),
    ]
    dz = namespace(dh).concat(parts, axis=-1)
    return dz, dz, None, dc * f


def _gru_forward(zx: Array, zh: Array, h: Array, c: None) -> tuple[Array, None, Kept]:
    """h' = (1 - u) ⊙ n + u ⊙ h,  n = tanh(zxₙ + r ⊙ zhₙ) (Cho et al. 2014, with PyTorch's place for r)."""
    k = h.shape[-1]
    gates = sigmoid(zx[:, : 2 * k] + zh[:, : 2 * k])
    r, u, zn = gates[:, :k], gates[:, k:], zh[:, 2 * k :]
    n = namespace(zx, zh).tanh(zx[:, 2 * k :] + r * zn)
    return n + u * (h - n), None, (r, u, n, zn, h)


def _gru_backward(kept: Kept, dh: Array, dc: None) -> tuple[Array, Array, Array, None]:
    r, u, n, zn, h = kept
    xp = namespace(dh)
    dn = dh * (1.0 - u) * (1.0 - n * n)
    gates = [dn * zn * (r * (1.0 - r)), dh * (h - n) * (u * (1.0 - u))]
    return xp.concat([*gates, dn], axis=-1), xp.concat([*gates, dn * r], axis=-1), dh * u, None


CELLS = {
    "rnn_tanh": Cell(1, False, False, _tanh_forward, _tanh_backward),
    "rnn_relu": Cell(1, False, False, _relu_forward, _relu_backward),
    "lstm": Cell(4, True, False, _lstm_forward, _lstm_backward),
    "gru": Cell(3, False, True, _gru_forward, _gru_backward),
}
