"""One step of RNN, LSTM and GRU, for loops of one's own."""

import math
from typing import Any, Literal

from nnx import init
from nnx.backend import namespace
from nnx.functional.recurrent import RecurrentWeights, recurrent
from nnx.functional.recurrent_cells import CELLS
from nnx.functional.recurrent_stack import start
from nnx.layers.module import Module
from nnx.typing import Array

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]


class _Cell(Module):
    """weight_ih (g, i), weight_hh (g, h), bias_ih (g,), bias_hh (g,), all from U(-k, k), k = 1/√hidden_size."""

    weight_ih: Array
    weight_hh: Array
    bias_ih: Array | None
    bias_hh: Array | None

    def __init__(self, mode: str, input_size: int, hidden_size: int, bias: bool, dtype: str) -> None:
        if min(input_size, hidden_size) < 1:
            raise ValueError(f"{type(self).__name__}({input_size}, {hidden_size}): both sizes must be at least 1")
        self.mode, self.input_size, self.hidden_size = mode, input_size, hidden_size
        rows, bound = CELLS[mode].gates * hidden_size, 1.0 / math.sqrt(hidden_size)
        self.weight_ih = init.uniform((rows, input_size), -bound, bound, dtype)
        self.weight_hh = init.uniform((rows, hidden_size), -bound, bound, dtype)
        self.bias_ih = init.uniform((rows,), -bound, bound, dtype) if bias else None
        self.bias_hh = init.uniform((rows,), -bound, bound, dtype) if bias else None

    def _step(self, x: Array, *states: Array | None) -> list[Any]:
        """The new states, each in the form of x: (n, h), or (h,) for one sample."""
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__} expects x of shape (n, {self.input_size}) or ({self.input_size},), "
                f"got {tuple(x.shape)}"
            )
        shape = (*x.shape[:-1], self.hidden_size)
        rows = 1 if x.ndim == 1 else x.shape[0]
        full = [self._state(x, s, shape, (rows, self.hidden_size)) for s in states]
        weights = RecurrentWeights(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        h, c = full[0], full[1] if len(full) > 1 else None
        _, *new = recurrent(self.mode, namespace(x).reshape(x, (1, rows, self.input_size)), h, c, weights)
        return [namespace(s).reshape(s, shape) for s in new]

    def _state(self, x: Array, given: Array | None, shape: tuple[int, ...], full: tuple[int, int]) -> Array:
        if given is None:
            return start(x, full)
        if tuple(given.shape) != shape:
            raise ValueError(f"{type(self).__name__} expects a state of shape {shape}, got {tuple(given.shape)}")
        return namespace(given).reshape(given, full)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias_ih is not None else ", bias=False")


class RNNCell(_Cell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or with ReLU.   x: (n, i) or (i,)   hx: (n, h), zeros if not given"""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        dtype: str = "float32",
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNNCell's nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(f"rnn_{nonlinearity}", input_size, hidden_size, bias, dtype)

    def __call__(self, x: Array, hx: Array | None = None) -> Array:
        """See the class."""
        return self._step(x, hx)[0]


class GRUCell(_Cell):
    """One step of nnx.GRU.   x: (n, i) or (i,)   hx: (n, h), zeros if not given   returns h'"""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, dtype: str = "float32") -> None:
        super().__init__("gru", input_size, hidden_size, bias, dtype)

    def __call__(self, x: Array, hx: Array | None = None) -> Array:
        """See the class."""
        return self._step(x, hx)[0]


class LSTMCell(_Cell):
    """One step of nnx.LSTM.   x: (n, i) or (i,)   hx: (h, c), each (n, h), zeros if not given   returns (h', c')"""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, dtype: str = "float32") -> None:
        super().__init__("lstm", input_size, hidden_size, bias, dtype)

    def __call__(self, x: Array, hx: tuple[Array, Array] | None = None) -> tuple[Array, Array]:
        """See the class."""
        h, c = (None, None) if hx is None else hx
        h, c = self._step(x, h, c)
        return h, c
