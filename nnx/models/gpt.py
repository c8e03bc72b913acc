"""GPT-2: a transformer that predicts the next token from those before it (Radford et al. 2019).

The layout and the names are those of nanoGPT (Karpathy 2022): learned positions, the norm before each part, GELU, and
one matrix that both reads tokens and scores them.
"""

import math
from typing import Any

from nnx import functional as F
from nnx import init
from nnx.backend import backend_of, device_of, innermost, namespace
from nnx.functional.multihead import attend, merge_heads, split_heads
from nnx.layers import Dropout, Embedding, LayerNorm, Linear, Module
from nnx.models.sampling import evaluating, sampled
from nnx.typing import Array

__all__ = ["GPT"]


class Cache:
    """The keys and values of the tokens that were read, (n, h, room, d) for each layer; `length` of them so far."""

    def __init__(self, room: int) -> None:
        self.room, self.length = room, 0
        self.layers: dict[int, tuple[Array, Array]] = {}

    def append(self, layer: int, k: Array, v: Array) -> tuple[Array, Array]:
        """k and v behind those of before; what comes back has room for all, so that its shape stays the same."""
        k, v = innermost(k), innermost(v)
        library = backend_of(k)
        if layer not in self.layers:
            n, h, _, d = k.shape
            zeros = library.zeros((n, h, self.room, d), k)
            self.layers[layer] = zeros, zeros
        at = (slice(None), slice(None), slice(self.length, self.length + k.shape[2]), slice(None))
        old_k, old_v = self.layers[layer]
        self.layers[layer] = library.set_item(old_k, at, k), library.set_item(old_v, at, v)
        return self.layers[layer]

    def mask(self, steps: int, like: Array) -> Array:
        """(steps, room) booleans: the new tokens look at themselves and at those before."""
        xp = namespace(like)
        new = xp.reshape(xp.arange(steps, device=device_of(like)), (-1, 1)) + self.length
        return xp.arange(self.room, device=device_of(like)) <= new


class Attention(Module):
    """Causal self-attention: c_attn makes q, k and v at once, c_proj mixes the heads."""

    def __init__(self, width: int, heads: int, layer: int, dropout: float, bias: bool, dtype: str) -> None:
        self.heads, self.layer, self.dropout = heads, layer, dropout
        self.c_attn = Linear(width, 3 * width, bias, dtype)
        self.c_proj = Linear(width, width, bias, dtype)
        self.resid_dropout = Dropout(dropout)

    def __call__(self, x: Array, cache: Cache | None = None) -> Array:
        """x: (n, t, width)   returns its shape"""
        q, k, v = split_heads(self.c_attn(x), 3, self.heads)
        if cache is None:
            y, _ = attend(q, k, v, dropout_p=self.dropout if self.training else 0.0, is_causal=True)
        else:
            k, v = cache.append(self.layer, k, v)
            y, _ = attend(q, k, v, cache.mask(x.shape[1], k))
        return self.resid_dropout(self.c_proj(merge_heads(y)))


class MLP(Module):
    """W₂ gelu(W₁ x), four times as wide inside."""

    def __init__(self, width: int, dropout: float, bias: bool, dtype: str) -> None:
        self.c_fc = Linear(width, 4 * width, bias, dtype)
        self.c_proj = Linear(4 * width, width, bias, dtype)
        self.dropout = Dropout(dropout)

    def __call__(self, x: Array) -> Array:
        """x: (..., width)   returns its shape"""
        return self.dropout(self.c_proj(F.gelu(self.c_fc(x))))


class Block(Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int, layer: int, dropout: float, bias: bool, dtype: str) -> None:
        self.ln_1 = LayerNorm(width, bias=bias, dtype=dtype)
        self.attn = Attention(width, heads, layer, dropout, bias, dtype)
        self.ln_2 = LayerNorm(width, bias=bias, dtype=dtype)
        self.mlp = MLP(width, dropout, bias, dtype)

    def __call__(self, x: Array, cache: Cache | None = None) -> Array:
        """x: (n, t, width)   returns its shape"""
        x = x + self.attn(self.ln_1(x), cache)
        return x + self.mlp(self.ln_2(x))


class GPT(Module):
    """The scores of every next token.   tokens: (n, t) integers in [0, vocab_size)   returns (n, t, vocab_size)

    block_size: the most tokens it can see   n_layer, n_head, n_embd: blocks, heads, features   dropout: in training
    Weights from N(0, 0.02²), those at the end of a shortcut from N(0, 0.02² / 2 n_layer), biases 0.
    Raises ValueError for more tokens than block_size, or n_embd that n_head does not divide.

    >>> import nnx
    >>> model = GPT(vocab_size=65, block_size=16, n_layer=2, n_head=2, n_embd=8)
    >>> model(nnx.asarray([[1, 2, 3]])).shape
    (1, 3, 65)
    """

    def __init__(
        self,
        vocab_size: int,
        block_size: int,
        n_layer: int = 12,
        n_head: int = 12,
        n_embd: int = 768,
        dropout: float = 0.0,
        bias: bool = True,
        dtype: str = "float32",
    ) -> None:
        if n_embd % n_head:
            raise ValueError(f"GPT: n_embd must be divisible by n_head, got {n_embd} and {n_head}")
        self.vocab_size, self.block_size = vocab_size, block_size
        self.transformer: dict[str, Any] = {
            "wte": Embedding(vocab_size, n_embd, dtype=dtype),
            "wpe": Embedding(block_size, n_embd, dtype=dtype),
            "drop": Dropout(dropout),
            "h": [Block(n_embd, n_head, layer, dropout, bias, dtype) for layer in range(n_layer)],
            "ln_f": LayerNorm(n_embd, bias=bias, dtype=dtype),
        }
        self.lm_head = Linear(n_embd, vocab_size, bias=False, dtype=dtype)
        self._initialise(n_layer, dtype)
        self.lm_head.weight = self.transformer["wte"].weight  # one matrix (Press and Wolf 2017)

    def _initialise(self, n_layer: int, dtype: str) -> None:
        for path, x in list(self.named_parameters()):
            if ".ln_" in path:
                continue
            std = 0.02 / math.sqrt(2 * n_layer) if path.endswith("c_proj.weight") else 0.02
            shape = tuple(x.shape)
            new = init.zeros(shape, dtype) if path.endswith("bias") else init.normal(shape, std=std, dtype=dtype)
            self.update({path: new})

    def __call__(self, tokens: Array, cache: Cache | None = None) -> Array:
        """The scores; with a cache, those of tokens that follow the ones it has seen (n, t) more."""
        start = cache.length if cache is not None else 0
        if tokens.ndim != 2 or start + tokens.shape[1] > self.block_size:
            raise ValueError(
                f"GPT expects tokens (n, t) with t at most {self.block_size}, got {tuple(tokens.shape)}"
                + (f" after {start}" if start else "")
            )
        parts, steps = self.transformer, tokens.shape[1]
        x = parts["drop"](parts["wte"](tokens) + parts["wpe"].weight[start : start + steps, :])
        for block in parts["h"]:
            x = block(x, cache)
        if cache is not None:
            cache.length += steps
        return self.lm_head(parts["ln_f"](x))

    def generate(
        self,
        tokens: Array,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        seed: int | None = None,
    ) -> Array:
        """tokens (n, t), and max_new_tokens behind them, each drawn from softmax(scores / temperature).

        temperature: 0 takes the likeliest   top_k: only the k likeliest are drawn from   seed: the same, the same text
        Keys and values are kept, so that a new token costs one position; beyond block_size the last block_size tokens
        are read again for each, as their positions have moved.
        """
        if tokens.ndim != 2 or not tokens.shape[1]:
            raise ValueError(f"generate continues at least one token: expected (n, t), got {tuple(tokens.shape)}")
        with evaluating(self, seed):
            cache = Cache(min(self.block_size, tokens.shape[1] + max_new_tokens))
            for _ in range(max_new_tokens):
                if tokens.shape[1] > self.block_size:
                    scores = self(tokens[:, -self.block_size :])
                else:
                    scores = self(tokens[:, cache.length :], cache)
                new = sampled(scores[:, -1, :], temperature, top_k)
                xp = namespace(tokens)
                tokens = xp.concat([tokens, xp.astype(new, tokens.dtype)], axis=1)
        return tokens
