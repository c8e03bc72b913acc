"""Stacks of transformer layers, and the transformer of two stacks."""

import copy

from nnx import init
from nnx.backend import get_backend
from nnx.layers.module import Module
from nnx.layers.normalization import LayerNorm
from nnx.layers.transformer import Activation, TransformerDecoderLayer, TransformerEncoderLayer
from nnx.typing import Array

__all__ = ["Transformer", "TransformerDecoder", "TransformerEncoder"]


class TransformerEncoder(Module):
    """num_layers copies of a layer above each other, and a norm at the end if one is given.

    The copies start with the same numbers, as PyTorch's do. src: what the layer takes; the masks go to every layer
    """

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        self.layers = [copy.deepcopy(encoder_layer) for _ in range(_counted(num_layers))]
        self.num_layers, self.norm = num_layers, norm

    def __call__(
        self,
        src: Array,
        mask: Array | None = None,
        src_key_padding_mask: Array | None = None,
        is_causal: bool = False,
    ) -> Array:
        """See the class."""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal)
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """num_layers copies of a decoder layer above each other, each attending to memory, and a norm at the end."""

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        self.layers = [copy.deepcopy(decoder_layer) for _ in range(_counted(num_layers))]
        self.num_layers, self.norm = num_layers, norm

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
        """See the class."""
        masks = tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask
        for layer in self.layers:
            tgt = layer(tgt, memory, *masks, tgt_is_causal, memory_is_causal)
        return tgt if self.norm is None else self.norm(tgt)


def _counted(num_layers: int) -> int:
    if num_layers < 1:
        raise ValueError(f"num_layers must be at least 1, got {num_layers}")
    return num_layers


class Transformer(Module):
    """An encoder that reads src and a decoder that writes tgt (Vaswani et al. 2017). Matrices are Xavier uniform.

    src: (s, n, d_model), tgt: (t, n, d_model), or n first with batch_first; returns tgt's shape
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        dtype: str = "float32",
    ) -> None:
        rest = dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, dtype
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        self.encoder = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(d_model, nhead, *rest),
            num_encoder_layers,
            LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype),
        )
        self.decoder = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(d_model, nhead, *rest),
            num_decoder_layers,
            LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype),
        )
        matrices = {path: tuple(x.shape) for path, x in self.named_parameters() if x.ndim > 1}
        self.update({path: init.xavier_uniform(shape, dtype=dtype) for path, shape in matrices.items()})

    def __call__(
        self,
        src: Array,
        tgt: Array,
        src_mask: Array | None = None,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        src_key_padding_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        src_is_causal: bool = False,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Array:
        """See the class. Raises ValueError unless src and tgt hold as many samples, of d_model features."""
        batch = 0 if self.batch_first else 1
        alike = src.ndim == tgt.ndim and (src.ndim < 3 or src.shape[batch] == tgt.shape[batch])
        if not alike or src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise ValueError(
                f"Transformer expects src and tgt of {self.d_model} features and one batch (axis {batch}), got "
                f"{tuple(src.shape)} and {tuple(tgt.shape)}"
            )
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        masks = tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask
        return self.decoder(tgt, memory, *masks, tgt_is_causal, memory_is_causal)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, dtype: str = "float32") -> Array:
        """(sz, sz) numbers: 0 where a query may look, -inf above the diagonal."""
        backend = get_backend()
        xp = backend.xp
        infinite = xp.full((sz, sz), -float("inf"), dtype=getattr(xp, dtype), device=backend.device)
        return xp.triu(infinite, k=1)
