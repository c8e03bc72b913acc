"""The layers of a transformer: attention and a small network at each position, with a shortcut around both."""

from collections.abc import Callable
from typing import Literal

from nnx import functional as F
from nnx.layers.attention import MultiheadAttention
from nnx.layers.dropout import Dropout
from nnx.layers.linear import Linear
from nnx.layers.module import Module
from nnx.layers.normalization import LayerNorm
from nnx.typing import Array

__all__ = ["TransformerDecoderLayer", "TransformerEncoderLayer"]

Activation = Literal["relu", "gelu"] | Callable[[Array], Array]


def _activation(named: Activation) -> Callable[[Array], Array]:
    if callable(named):
        return named
    known: dict[str, Callable[[Array], Array]] = {"relu": F.relu, "gelu": F.gelu}
    if named not in known:
        raise ValueError(f"activation must be 'relu', 'gelu' or a function, got {named!r}")
    return known[named]


class _Block(Module):
    """What both layers share: self-attention, the network W₂ f(W₁ x), and the shortcuts' norms."""

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int,
        dropout: float,
        activation: Activation,
        layer_norm_eps: float,
        batch_first: bool,
        norm_first: bool,
        bias: bool,
        dtype: str,
        across: bool,
    ) -> None:
        self.norm_first, self.activation = norm_first, _activation(activation)
        names = ["self_attn", "multihead_attn"] if across else ["self_attn"]
        for name in names:
            attention = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype)
            setattr(self, name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype)
        for k in range(1, len(names) + 2):
            setattr(self, f"norm{k}", LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype))
            setattr(self, f"dropout{k}", Dropout(dropout))

    def _around(self, k: int, x: Array, part: Callable[[Array], Array]) -> Array:
        """x + part(norm(x)) with norm_first, norm(x + part(x)) without (Xiong et al. 2020 compare the two)."""
        norm, dropout = getattr(self, f"norm{k}"), getattr(self, f"dropout{k}")
        y: Array = x + dropout(part(norm(x))) if self.norm_first else norm(x + dropout(part(x)))
        return y

    def _feed_forward(self, x: Array) -> Array:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Block):
    """x + attention, then x + W₂ f(W₁ x), each with layer norm and dropout (Vaswani et al. 2017, section 3.1).

    src: (t, n, d_model), or (n, t, d_model) with batch_first; returns its shape
    activation: "relu", "gelu" or a function   norm_first: the norm before each part rather than after the sum

    >>> import nnx
    >>> TransformerEncoderLayer(8, 2, 16, batch_first=True)(nnx.init.ones((4, 3, 8))).shape
    (4, 3, 8)
    """

    self_attn: MultiheadAttention

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        dtype: str = "float32",
    ) -> None:
        super().__init__(
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, dtype,
            across=False,
        )  # fmt: skip

    def __call__(
        self,
        src: Array,
        src_mask: Array | None = None,
        src_key_padding_mask: Array | None = None,
        is_causal: bool = False,
    ) -> Array:
        """See the class; the masks are MultiheadAttention's."""

        def attend(x: Array) -> Array:
            return self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal)[0]

        x = self._around(1, src, attend)
        return self._around(2, x, self._feed_forward)


class TransformerDecoderLayer(_Block):
    """As TransformerEncoderLayer, with attention to the encoder's output between its two parts.

    tgt: (t, n, d_model), memory: (s, n, d_model), or n first with batch_first; returns tgt's shape
    """

    self_attn: MultiheadAttention
    multihead_attn: MultiheadAttention

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        dtype: str = "float32",
    ) -> None:
        super().__init__(
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, dtype,
            across=True,
        )  # fmt: skip

    def __call__(
        self,
        tgt: Array,
        memory: Array,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Array:
        """See the class; the masks are MultiheadAttention's."""

        def to_itself(x: Array) -> Array:
            return self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal)[0]

        def to_memory(x: Array) -> Array:
            return self.multihead_attn(
                x, memory, memory, memory_key_padding_mask, False, memory_mask, is_causal=memory_is_causal
            )[0]

        x = self._around(1, tgt, to_itself)
        x = self._around(2, x, to_memory)
        return self._around(3, x, self._feed_forward)
