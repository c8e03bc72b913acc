"""An LSTM layer over a sequence in NumPy's memory, in place: what nnx/functional/recurrent.py computes out of place.

Each step is one product with h and a few passes over arrays that stay in cache. The rows of the weights are put in the
order i, f, o, g, and those of the three sigmoids are halved: σ(z) = (1 + tanh(z/2)) / 2, so that one tanh serves all.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from nnx.typing import Array

IN_CACHE = 1 << 18
"""Numbers of the gates' slopes that are made at once: a few steps' worth."""

KEPT = 1 << 16
"""Numbers of the gates that are made at once where no gradient is asked for."""

Pullback = Callable[[tuple[Array, Array, Array]], tuple[Any, ...]]


def recurrent(
    mode: str,
    x: Array,
    h: Array,
    c: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    w_hr: Array | None,
    reverse: bool,
) -> tuple[tuple[Array, Array, Array], Pullback] | None:
    """See nnx.functional.recurrent; None for what this cannot do: another unit, a projection, mixed dtypes."""
    if not _suits(mode, w_hr, x, h, c, w_ih, w_hh, b_ih, b_hh):
        return None
    run = _Run(x, h, c, w_ih, w_hh, reverse)
    found = run.forward(None if b_ih is None or b_hh is None else b_ih + b_hh)
    return found, lambda dys: run.backward(*dys, bias=b_ih is not None)


def recurrent_alone(
    mode: str,
    x: Array,
    h: Array,
    c: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    w_hr: Array | None,
    reverse: bool,
) -> tuple[Array, Array, Array] | None:
    """The same where nobody asks for a gradient: a few steps' gates at a time, and one c."""
    if not _suits(mode, w_hr, x, h, c, w_ih, w_hh, b_ih, b_hh):
        return None
    steps, n, _ = x.shape
    k, size = h.shape[-1], max(1, KEPT // max(1, n * 4 * h.shape[-1]))
    inward, across = (np.ascontiguousarray(_arranged(w, k).T) for w in (w_ih, w_hh))
    bias = None if b_ih is None or b_hh is None else _arranged(b_ih + b_hh, k)
    gates, z_h = np.empty((min(size, steps) * n, 4 * k), x.dtype), np.empty((n, 4 * k), x.dtype)
    part, tanh_c = np.empty((2, n, k), x.dtype)
    hs, c, halves = np.empty((steps, n, k), x.dtype), np.array(c), _halves(z_h)
    order = range(steps)[::-1] if reverse else range(steps)
    for start in range(0, steps, size):
        some = order[start : start + size]
        first, last = min(some), max(some) + 1
        z = np.matmul(x[first:last].reshape(-1, x.shape[-1]), inward, out=gates[: (last - first) * n])
        if bias is not None:
            z += bias
        for t in some:
            _step(z[(t - first) * n :][:n], np.matmul(h, across, out=z_h), halves, c, c, tanh_c, part, hs[t])
            h = hs[t]
    return hs, np.array(h), c


def _suits(mode: str, w_hr: Array | None, x: Array, *others: Array | None) -> bool:
    floating = (np.float32, np.float64)
    alike = all(a is None or a.dtype == x.dtype for a in others)
    return mode == "lstm" and w_hr is None and x.dtype in floating and alike and len(x) > 0


def _step(
    z: Array, across: Array, halves: Array, before: Array, c: Array, tanh_c: Array, part: Array, h: Array
) -> None:
    """Makes z the gates i, f, o and g, and writes c, tanh c and h; c may be the c before."""
    k = h.shape[-1]
    z += across
    np.tanh(z, out=z)
    z *= halves[0]
    z += halves[1]
    np.multiply(z[:, k : 2 * k], before, out=c)
    np.multiply(z[:, :k], z[:, 3 * k :], out=part)
    c += part
    np.tanh(c, out=tanh_c)
    np.multiply(z[:, 2 * k : 3 * k], tanh_c, out=h)


def _halves(z: Array) -> Array:
    """What tanh(z/2) is multiplied by, and what is added, for a sigmoid; 1 and 0 for g. Whole arrays: one long run."""
    y = np.full((2, *z.shape), 0.5, z.dtype)
    y[0, :, z.shape[1] * 3 // 4 :], y[1, :, z.shape[1] * 3 // 4 :] = 1.0, 0.0
    return y


def _arranged(w: Array, size: int) -> Array:
    """Rows of i, f, g, o as i/2, f/2, o/2, g."""
    i, f, g, o = w[:size], w[size : 2 * size], w[2 * size : 3 * size], w[3 * size :]
    y = np.concatenate((i, f, o, g))
    y[: 3 * size] *= 0.5
    return y


class _Run:
    """One pass over a sequence: gates (t, n, 4h), tanh c (t, n, h), and h and c of every step and before the first."""

    def __init__(self, x: Array, h: Array, c: Array, w_ih: Array, w_hh: Array, reverse: bool) -> None:
        self.x, self.w_ih, self.w_hh = x, w_ih, w_hh
        self.steps, self.size = x.shape[0], h.shape[-1]
        self.rows = x.reshape(x.shape[0] * x.shape[1], x.shape[2])
        self.order = range(self.steps)[::-1] if reverse else range(self.steps)
        # h[t + after] is what step t gives, h[t + before] what it begins with
        self.before, self.after = (1, 0) if reverse else (0, 1)
        self.h = np.empty((self.steps + 1, *h.shape), x.dtype)
        self.c = np.empty_like(self.h)
        first = -1 if reverse else 0
        self.h[first], self.c[first] = h, c
        self.tanh_c = np.empty((self.steps, *h.shape), x.dtype)

    def forward(self, bias: Array | None) -> tuple[Array, Array, Array]:
        """Every h, the last h, the last c."""
        k = self.size
        gates = np.matmul(self.rows, _arranged(self.w_ih, k).T)
        if bias is not None:
            gates += _arranged(bias, k)
        self.gates = gates.reshape(self.steps, self.x.shape[1], 4 * k)
        turned = np.ascontiguousarray(_arranged(self.w_hh, k).T)
        across, part = np.empty(self.gates.shape[1:], gates.dtype), np.empty(self.h.shape[1:], gates.dtype)
        halves = _halves(across)
        for t in self.order:
            np.matmul(self.h[t + self.before], turned, out=across)
            c = self.c[t + self.before], self.c[t + self.after]
            _step(self.gates[t], across, halves, *c, self.tanh_c[t], part, self.h[t + self.after])
        last = 0 if self.before else -1
        return self.h[self.after : self.after + self.steps], self.h[last].copy(), self.c[last].copy()

    def backward(self, dy: Array, dh: Array, dc: Array, bias: bool) -> tuple[Any, ...]:
        """∂L/∂ x, first h, first c, w_ih, w_hh, b_ih, b_hh and the projection that there is not."""
        k = self.size
        dz = np.empty((self.steps, dh.shape[0], 4 * k), dh.dtype)  # in the weights' order: i, f, g, o
        dh, dc, part = np.array(dh), np.array(dc), np.empty_like(dh)
        back = list(reversed(self.order))
        size = max(1, IN_CACHE // max(1, dh.size * 4))
        for start in range(0, self.steps, size):
            steps = back[start : start + size]
            first, last = min(steps), max(steps) + 1
            to_c = self._slopes(dz[first:last], first, last)
            for t in steps:
                gates = dz[t].reshape(-1, 4, k)
                dh += dy[t]
                np.multiply(dh, to_c[t - first], out=part)
                dc += part
                gates[:, :3] *= dc[:, None]
                gates[:, 3] *= dh
                dc *= self.gates[t, :, k : 2 * k]
                np.matmul(dz[t], self.w_hh, out=dh)
        flat = dz.reshape(self.steps * dh.shape[0], 4 * k)
        before = self.h[self.before : self.before + self.steps].reshape(len(flat), k)
        db = flat.sum(axis=0) if bias else None
        return (
            lambda: np.matmul(flat, self.w_ih).reshape(self.x.shape),
            dh,
            dc,
            lambda: np.matmul(flat.T, self.rows),
            lambda: np.matmul(flat.T, before),
            db,
            db,
            None,
            None,
            None,
            None,
        )

    def _slopes(self, dz: Array, first: int, last: int) -> Array:
        """Writes ∂z's factors to dz, of ∂L/∂c for i, f and g, of ∂L/∂h for o; returns ∂c/∂h's, o (1 - tanh² c)."""
        k, z, tanh_c = self.size, self.gates[first:last], self.tanh_c[first:last]
        i, o, g = z[..., :k], z[..., 2 * k : 3 * k], z[..., 3 * k :]
        np.multiply(z, z, out=dz)
        np.subtract(z[..., : 2 * k], dz[..., : 2 * k], out=dz[..., : 2 * k])  # σ′ = σ - σ²
        of_o = o - dz[..., 2 * k : 3 * k]
        np.subtract(1.0, dz[..., 3 * k :], out=dz[..., 2 * k : 3 * k])  # tanh′ = 1 - tanh²
        dz[..., :k] *= g
        dz[..., k : 2 * k] *= self.c[first + self.before : last + self.before]
        dz[..., 2 * k : 3 * k] *= i
        np.multiply(of_o, tanh_c, out=dz[..., 3 * k :])
        to_c = np.multiply(tanh_c, tanh_c, out=of_o)
        np.subtract(1.0, to_c, out=to_c)
        to_c *= o
        return to_c


KERNELS: dict[str, Callable[..., Any]] = {"recurrent": recurrent, "recurrent_alone": recurrent_alone}
