"""A recurrent layer over a whole sequence, as one rule: backpropagation through time in one loop (Werbos 1990).

Before the loop, one matmul takes all steps' inputs to the gates; after the way back, one matmul for each weight sums
its gradient over all steps. Only h W_hhᵀ and the gates remain inside. A sequence that has ended keeps its state, and
its outputs are 0: what PyTorch's packed sequences give.
"""

from typing import Any, NamedTuple

from nnx.autodiff import op
from nnx.autodiff.casting import in_half
from nnx.backend import device_of, innermost, kernel, namespace
from nnx.functional.joining import stacked
from nnx.functional.recurrent_cells import CELLS, Cell
from nnx.typing import Array

__all__ = ["RecurrentWeights", "recurrent"]


class RecurrentWeights(NamedTuple):
    """The arrays of one layer in one direction, PyTorch's names.

    ih: (g, i)   hh: (g, p)   bias_ih, bias_hh: (g,) or None   hr: (p, h) or None: LSTM's projection; without it p = h
    """

    ih: Array
    hh: Array
    bias_ih: Array | None = None
    bias_hh: Array | None = None
    hr: Array | None = None


@in_half
def recurrent(
    mode: str,
    x: Array,
    h: Array,
    c: Array | None,
    weights: RecurrentWeights,
    lengths: Array | None = None,
    reverse: bool = False,
) -> tuple[Array, ...]:
    """One layer, one direction: every step's h (t, n, p), the last h, and the last c if there is one.

    mode: "rnn_tanh", "rnn_relu", "lstm" or "gru"   x: (t, n, i)   h: (n, p)   c: (n, h)
    lengths: (n,) integers, how many steps of each sequence count; all of them without it
    reverse: from the last step to the first; the outputs stay in the order of x
    """
    mask = None
    if lengths is not None:
        plain = innermost(lengths)
        xp = namespace(plain)
        steps = xp.reshape(xp.arange(x.shape[0], dtype=plain.dtype, device=device_of(plain)), (-1, 1, 1))
        mask = namespace(innermost(x)).astype(steps < xp.reshape(plain, (1, -1, 1)), innermost(x).dtype)
    alone = kernel("recurrent_alone", x) if mask is None else None
    if alone is not None and all(a is None or type(a) is type(x) for a in (h, c, *weights)):  # nobody watches
        y: tuple[Array, ...] | None = alone(mode, x, h, c, *weights, reverse)
        if y is not None:
            return y
    found: tuple[Array, ...] = _sequence(x, h, c, *weights, mask, mode, reverse)
    return found


@op
def _sequence(
    x: Array,
    h: Array,
    c: Array | None,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    w_hr: Array | None,
    mask: Array | None,
    mode: str,
    reverse: bool,
) -> Any:
    """See recurrent. mask: (t, n, 1) numbers, 1 where a step counts"""
    own = kernel("recurrent", x)
    if own is not None and mask is None:
        found = own(mode, x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, reverse)
        if found is not None:
            return found
    cell = CELLS[mode]
    run = _Run(cell, x, (h, c), RecurrentWeights(w_ih, w_hh, b_ih, b_hh, w_hr), mask, reverse)
    y = run.forward()

    def pullback(dys: tuple[Array, ...]) -> tuple[Any, ...]:
        return *run.backward(dys), None, None, None

    return y if cell.memory else y[:2], pullback


class _Run:
    """One pass over a sequence: what the steps kept, in the order of running."""

    def __init__(
        self, cell: Cell, x: Array, state: tuple[Array, Any], w: RecurrentWeights, mask: Array | None, reverse: bool
    ) -> None:
        self.cell, self.x, self.state, self.w, self.mask = cell, x, state, w, mask
        steps = list(range(x.shape[0]))
        self.order, self.reverse = steps[::-1] if reverse else steps, reverse
        self.xp = namespace(x, w.ih)
        self.kept: list[Any] = []
        self.before: list[Array] = []  # the h that each step began with
        self.raw: list[Array] = []  # each step's h before the projection

    def forward(self) -> tuple[Array, Array, Any]:
        """The outputs in the order of x, the last h, the last c."""
        xp, w, cell = self.xp, self.w, self.cell
        steps, n, _ = self.x.shape
        z = xp.matmul(xp.reshape(self.x, (steps * n, -1)), w.ih.T)
        biases = [w.bias_ih, None if cell.apart else w.bias_hh]
        for b in biases:
            z = z if b is None else z + b
        z, turned = xp.reshape(z, (steps, n, -1)), xp.matrix_transpose(w.hh)
        h, c = self.state
        ys = []
        for t in self.order:
            zh = xp.matmul(h, turned)
            if cell.apart and w.bias_hh is not None:
                zh = zh + w.bias_hh
            new, memory, kept = cell.forward(z[t, ...], zh, h, c)
            self.kept.append(kept)
            self.before.append(h)
            if w.hr is not None:
                self.raw.append(new)
                new = xp.matmul(new, xp.matrix_transpose(w.hr))
            if self.mask is None:
                h, c = new, memory
                ys.append(new)
            else:
                m = self.mask[t, ...]
                ys.append(new * m)
                h = ys[-1] + h * (1.0 - m)
                c = None if memory is None else memory * m + c * (1.0 - m)
        return stacked(self._in_time(ys)), h, c

    def backward(self, dys: tuple[Array, ...]) -> tuple[Any, ...]:
        """∂L/∂x, ∂L/∂(first h), ∂L/∂(first c), and one entry a weight."""
        xp, w = namespace(dys[0]), self.w
        dy, dh = dys[0], dys[1]
        dc = dys[2] if self.cell.memory else None
        dzx, dzh, projected = [], [], []
        for k in reversed(range(len(self.order))):
            t = self.order[k]
            m = None if self.mask is None else self.mask[t, ...]
            d = dh + dy[t, ...] if m is None else (dh + dy[t, ...]) * m
            if w.hr is not None:
                projected.append(d)
                d = xp.matmul(d, w.hr)
            dm = dc if m is None or dc is None else dc * m
            zx, zh, rest, memory = self.cell.backward(self.kept[k], d, dm)
            dzx.append(zx)
            dzh.append(zh)
            back = xp.matmul(zh, w.hh)
            back = back if rest is None else back + rest
            dh = back if m is None else back + dh * (1.0 - m)
            if dc is not None:
                dc = memory if m is None else memory + dc * (1.0 - m)
        return self._gradients(dzx[::-1], dzh[::-1], projected[::-1], dh, dc)

    def _gradients(
        self, dzx: list[Array], dzh: list[Array], projected: list[Array], dh: Array, dc: Any
    ) -> tuple[Any, ...]:
        """What the loop found, summed over all steps: a matmul a weight."""
        xp, w = namespace(dh), self.w
        width = w.ih.shape[0]
        gx = xp.reshape(stacked(self._in_time(dzx)), (-1, width))
        gh = gx if dzh[0] is dzx[0] else xp.reshape(stacked(self._in_time(dzh)), (-1, width))
        bias = xp.sum(gx, axis=0) if w.bias_ih is not None else None
        return (
            lambda: xp.reshape(xp.matmul(gx, w.ih), self.x.shape),
            dh,
            dc,
            lambda: xp.matmul(gx.T, xp.reshape(self.x, (gx.shape[0], -1))),
            lambda: xp.matmul(gh.T, self._flat(self.before)),
            bias,
            bias if gh is gx or w.bias_hh is None else xp.sum(gh, axis=0),
            None if w.hr is None else lambda: xp.matmul(self._flat(projected).T, self._flat(self.raw)),
        )

    def _flat(self, parts: list[Array]) -> Array:
        """A step's arrays (n, k) of every step, as rows (t · n, k) in the order of x."""
        return namespace(*parts).reshape(stacked(self._in_time(parts)), (-1, parts[0].shape[-1]))

    def _in_time(self, parts: list[Array]) -> list[Array]:
        return parts[::-1] if self.reverse else parts
