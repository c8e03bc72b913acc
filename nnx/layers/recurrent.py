"""RNN, LSTM and GRU: layers that read a sequence step by step and remember."""

import math
from typing import Any, Literal

from nnx import init
from nnx.backend import backend_of, innermost, namespace
from nnx.functional.recurrent import RecurrentWeights
from nnx.functional.recurrent_cells import CELLS
from nnx.functional.recurrent_stack import Layers, recurrent_layers, start
from nnx.layers.module import Module
from nnx.typing import Array, Shape

__all__ = ["GRU", "LSTM", "RNN"]


class _Recurrent(Module):
    """What the three have in common: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, ..., with _reverse behind."""

    def __init__(
        self,
        mode: str,
        sizes: tuple[int, int, int],
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        dtype: str,
    ) -> None:
        self.input_size, self.hidden_size, self.proj_size = sizes
        self.mode, self.num_layers, self.bias, self.batch_first = mode, num_layers, bias, batch_first
        self.dropout, self.bidirectional = dropout, bidirectional
        self._check_arguments()
        bound = 1.0 / math.sqrt(self.hidden_size)
        for name, shape in self._shapes():
            setattr(self, name, init.uniform(shape, -bound, bound, dtype))

    def _check_arguments(self) -> None:
        name = type(self).__name__
        if min(self.input_size, self.hidden_size, self.num_layers) < 1:
            raise ValueError(
                f"{name}({self.input_size}, {self.hidden_size}, num_layers={self.num_layers}): all must be at least 1"
            )
        if not 0.0 <= self.dropout <= 1.0:
            raise ValueError(f"{name}'s dropout is a probability in [0, 1], got {self.dropout}")
        if not 0 <= self.proj_size < self.hidden_size:
            raise ValueError(
                f"{name}'s proj_size must be in [0, hidden_size = {self.hidden_size}), got {self.proj_size}"
            )

    @property
    def _width(self) -> int:
        """What a step gives to the next."""
        return self.proj_size or self.hidden_size

    def _suffixes(self) -> list[list[str]]:
        ends = ("", "_reverse") if self.bidirectional else ("",)
        return [[f"_l{k}{end}" for end in ends] for k in range(self.num_layers)]

    def _shapes(self) -> list[tuple[str, Shape]]:
        """Every parameter, in the order of PyTorch's state dict."""
        rows = CELLS[self.mode].gates * self.hidden_size
        found: list[tuple[str, Shape]] = []
        for k, suffixes in enumerate(self._suffixes()):
            width = self._width * len(suffixes) if k else self.input_size
            for s in suffixes:
                found += [(f"weight_ih{s}", (rows, width)), (f"weight_hh{s}", (rows, self._width))]
                found += [(f"bias_ih{s}", (rows,)), (f"bias_hh{s}", (rows,))] if self.bias else []
                found += [(f"weight_hr{s}", (self.proj_size, self.hidden_size))] if self.proj_size else []
        return found

    def _weights(self) -> Layers:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        return [
            [RecurrentWeights(*(getattr(self, name + s, None) for name in names)) for s in suffixes]
            for suffixes in self._suffixes()
        ]

    def _run(self, x: Array, h: Array | None, c: Array | None, lengths: Array | None) -> tuple[Array, Array, Any]:
        """Outputs and last states, in the layout of x."""
        self._check_input(x, lengths)
        xp, single = namespace(x), x.ndim == 2
        if single:
            x = xp.expand_dims(x, axis=1)
        elif self.batch_first:
            x = xp.permute_dims(x, (1, 0, 2))
        memory = CELLS[self.mode].memory
        h = self._state("hidden", x, h, self._width, single)
        c = self._state("cell", x, c, self.hidden_size, single) if memory else None
        p = self.dropout if self.training else 0.0
        y, h, c = recurrent_layers(self.mode, x, h, c, self._weights(), p, lengths)
        if single:
            return y[:, 0, :], h[:, 0, :], None if c is None else c[:, 0, :]
        return namespace(y).permute_dims(y, (1, 0, 2)) if self.batch_first else y, h, c

    def _check_input(self, x: Array, lengths: Array | None) -> None:
        name, layout = type(self).__name__, "(n, t, i)" if self.batch_first else "(t, n, i)"
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            raise ValueError(
                f"{name} expects x of shape {layout} or (t, i) with i = {self.input_size}, got {tuple(x.shape)}"
            )
        batch_first = self.batch_first and x.ndim == 3
        steps = x.shape[1 if batch_first else 0]
        if not steps:
            raise ValueError(f"{name} needs a sequence of at least one step, got x of shape {tuple(x.shape)}")
        if lengths is None:
            return
        n = x.shape[0 if batch_first else 1] if x.ndim == 3 else 1
        if tuple(lengths.shape) != (n,):
            raise ValueError(f"{name}: lengths must be ({n},), one a sequence, got {tuple(lengths.shape)}")
        plain = innermost(lengths)
        if n and backend_of(plain).host:
            xp = namespace(plain)
            if int(xp.max(plain)) > steps or int(xp.min(plain)) < 0:
                raise ValueError(
                    f"{name}: lengths must be in [0, {steps}], got {int(xp.min(plain))} to {int(xp.max(plain))}"
                )

    def _state(self, kind: str, x: Array, given: Array | None, width: int, single: bool) -> Array:
        """The first h or c, (layers · directions, n, width): zeros unless one is given."""
        layers = self.num_layers * (2 if self.bidirectional else 1)
        shape = (layers, x.shape[1], width)
        if given is None:
            return start(x, shape)
        expected = (layers, width) if single else shape
        if tuple(given.shape) != expected:
            raise ValueError(f"{type(self).__name__} expects a first {kind} state {expected}, got {tuple(given.shape)}")
        return namespace(given).reshape(given, shape)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        known = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        given = [f"{k}={getattr(self, k)}" for k, v in {**known, "proj_size": 0}.items() if getattr(self, k) != v]
        return ", ".join([str(self.input_size), str(self.hidden_size), *given])


class RNN(_Recurrent):
    """hₜ = tanh(W_ih xₜ + b_ih + W_hh hₜ₋₁ + b_hh), or with ReLU (Elman 1990).

    All weights and biases from U(-k, k), k = 1/√hidden_size
    x: (t, n, i), or (n, t, i) with batch_first, or (t, i)   hx: (layers · directions, n, h), zeros if not given
    lengths: (n,), how many steps of each sequence count; its last state is then the one after these, and its outputs
    beyond are 0, as with PyTorch's packed sequences
    returns the outputs of the last layer (t, n, directions · hidden_size), and the last h of each layer and direction
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: str = "float32",
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN's nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        sizes = (input_size, hidden_size, 0)
        super().__init__(f"rnn_{nonlinearity}", sizes, num_layers, bias, batch_first, dropout, bidirectional, dtype)

    def __call__(self, x: Array, hx: Array | None = None, lengths: Array | None = None) -> tuple[Array, Array]:
        """See the class."""
        return self._run(x, hx, None, lengths)[:2]


class GRU(_Recurrent):
    """hₜ = (1 - u) ⊙ n + u ⊙ hₜ₋₁, with gates r and u, n = tanh(W_in x + b_in + r ⊙ (W_hn h + b_hn)) (Cho et al. 2014).

    Arguments, shapes and initialisation as RNN has them; the weights' rows are those of r, u and n.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: str = "float32",
    ) -> None:
        sizes = (input_size, hidden_size, 0)
        super().__init__("gru", sizes, num_layers, bias, batch_first, dropout, bidirectional, dtype)

    def __call__(self, x: Array, hx: Array | None = None, lengths: Array | None = None) -> tuple[Array, Array]:
        """See the class."""
        return self._run(x, hx, None, lengths)[:2]


class LSTM(_Recurrent):
    """cₜ = f ⊙ cₜ₋₁ + i ⊙ g,  hₜ = o ⊙ tanh cₜ, with gates i, f, o and g = tanh(...) (Hochreiter and Schmidhuber 1997).

    Arguments, shapes and initialisation as RNN has them; the weights' rows are those of i, f, g and o. hx: (h, c)
    proj_size: if not 0, h is W_hr (o ⊙ tanh c), of that size (Sak et al. 2014)
    returns the outputs, and (h, c)

    >>> import nnx
    >>> y, (h, c) = LSTM(3, 4, num_layers=2)(nnx.init.ones((5, 2, 3)))
    >>> y.shape, h.shape, c.shape
    ((5, 2, 4), (2, 2, 4), (2, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        dtype: str = "float32",
    ) -> None:
        sizes = (input_size, hidden_size, proj_size)
        super().__init__("lstm", sizes, num_layers, bias, batch_first, dropout, bidirectional, dtype)

    def __call__(
        self, x: Array, hx: tuple[Array, Array] | None = None, lengths: Array | None = None
    ) -> tuple[Array, tuple[Array, Array]]:
        """See the class."""
        h, c = (None, None) if hx is None else hx
        y, h, c = self._run(x, h, c, lengths)
        return y, (h, c)
