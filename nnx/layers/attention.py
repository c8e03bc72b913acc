"""Multi-head attention, with PyTorch's arguments, masks and parameter names."""

from typing import Any

from nnx import functional as F
from nnx import init
from nnx.backend import device_of, innermost, namespace
from nnx.functional.multihead import attend, combined_mask, lengthened, merge_heads, split_heads
from nnx.layers.linear import Linear
from nnx.layers.module import Module
from nnx.typing import Array

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """concat(head₁, ..., head_h) W_oᵀ + b_o,  headₖ = attention(q W_qkᵀ, k W_kkᵀ, v W_vkᵀ) (Vaswani et al. 2017).

    in_proj_weight: (3e, e), Xavier uniform, rows of q, k and v; or q_proj_weight (e, e), k_proj_weight (e, kdim) and
    v_proj_weight (e, vdim), if kdim or vdim is not e   in_proj_bias, out_proj.bias: 0   bias_k, bias_v: Xavier normal
    add_bias_kv: one more key and value, learnt   add_zero_attn: one more, of zeros   dropout: of the weights

    >>> import nnx
    >>> y, weights = MultiheadAttention(8, 2, batch_first=True)(*[nnx.init.ones((4, 3, 8))] * 3)
    >>> y.shape, weights.shape
    ((4, 3, 8), (4, 3, 3))
    """

    in_proj_weight: Array | None
    q_proj_weight: Array | None
    k_proj_weight: Array | None
    v_proj_weight: Array | None
    in_proj_bias: Array | None
    bias_k: Array | None
    bias_v: Array | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        dtype: str = "float32",
    ) -> None:
        if embed_dim < 1 or num_heads < 1 or embed_dim % num_heads:
            raise ValueError(f"embed_dim must be divisible by num_heads, got {embed_dim} and {num_heads}")
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        self.add_zero_attn, self.batch_first = add_zero_attn, batch_first
        alike = self.kdim == self.vdim == embed_dim
        self.in_proj_weight = init.xavier_uniform((3 * embed_dim, embed_dim), dtype=dtype) if alike else None
        for name, width in (("q", embed_dim), ("k", self.kdim), ("v", self.vdim)):
            apart = None if alike else init.xavier_uniform((embed_dim, width), dtype=dtype)
            setattr(self, f"{name}_proj_weight", apart)
        self.in_proj_bias = init.zeros((3 * embed_dim,), dtype) if bias else None
        self.bias_k = init.xavier_normal((1, 1, embed_dim), dtype=dtype) if add_bias_kv else None
        self.bias_v = init.xavier_normal((1, 1, embed_dim), dtype=dtype) if add_bias_kv else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype)
        if bias:
            self.out_proj.bias = init.zeros((embed_dim,), dtype)

    def __call__(
        self,
        query: Array,
        key: Array,
        value: Array,
        key_padding_mask: Array | None = None,
        need_weights: bool = True,
        attn_mask: Array | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Array, Array | None]:
        """The attended values, and the weights (n, t, s) averaged over the heads, (n, h, t, s) without
        average_attn_weights; None without need_weights: memory is then linear in the length of long sequences.

        query: (t, n, e), key: (s, n, kdim), value: (s, n, vdim), or n first with batch_first, or each without n
        key_padding_mask: (n, s), True for keys to leave out   attn_mask: (t, s) or (n · h, t, s), True where no look is
        allowed; either may hold numbers to add   is_causal: query k looks at keys up to k, unless an attn_mask says it
        A query that may look nowhere gives W_o's bias. Raises ValueError for shapes that do not fit.
        """
        self._check(query, key, value)
        if query.ndim == 2:
            return self._single(
                query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal
            )
        q, k, v = self._projected(query, key, value)
        keys = k.shape[2]
        if more := int(self.bias_k is not None) + int(self.add_zero_attn):
            k, v = self._more(k, self.bias_k), self._more(v, self.bias_v)
        if is_causal and more and attn_mask is None:
            raise ValueError("is_causal beside add_bias_kv or add_zero_attn: say what is meant with attn_mask")
        masks = lengthened(attn_mask, more), lengthened(key_padding_mask, more)
        mask, causal = combined_mask(*masks, is_causal, q, keys + more)
        p = self.dropout if self.training else 0.0
        y, weights = attend(q, k, v, mask, p, causal, need_weights)
        if weights is not None and average_attn_weights:
            weights = namespace(weights).mean(weights, axis=1)
        return self.out_proj(merge_heads(y, self.batch_first)), weights

    def _check(self, query: Array, key: Array, value: Array) -> None:
        shapes = f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}"
        widths = (self.embed_dim, self.kdim, self.vdim)
        fits = all(x.ndim == query.ndim and x.shape[-1] == w for x, w in zip((query, key, value), widths, strict=True))
        if query.ndim not in (2, 3) or not fits or key.shape[:-1] != value.shape[:-1]:
            raise ValueError(
                f"MultiheadAttention expects query (.., {widths[0]}), key (.., {widths[1]}), value (.., {widths[2]}), "
                f"one value a key, all of 2 or 3 axes, got {shapes}"
            )
        batch = 0 if self.batch_first else 1
        if query.ndim == 3 and query.shape[batch] != key.shape[batch]:
            raise ValueError(f"MultiheadAttention expects one batch (axis {batch}) in all three, got {shapes}")

    def _single(
        self, query: Array, key: Array, value: Array, padding: Array | None, *rest: Any
    ) -> tuple[Array, Array | None]:
        """One sample without its axis n."""
        axis = 0 if self.batch_first else 1
        q, k, v = (namespace(x).expand_dims(x, axis=axis) for x in (query, key, value))
        padding = None if padding is None else namespace(padding).expand_dims(padding, axis=0)
        y, weights = self(q, k, v, padding, *rest)
        y = namespace(y).squeeze(y, axis=axis)
        return y, None if weights is None else weights[0, ...]

    def _projected(self, query: Array, key: Array, value: Array) -> tuple[Array, Array, Array]:
        """q, k and v of all heads, (n, h, t, d): by one matmul if they come from one array."""
        w, b, e = self.in_proj_weight, self.in_proj_bias, self.embed_dim
        if w is not None and query is key and key is value:
            q, k, v = split_heads(F.linear(query, w, b), 3, self.num_heads, self.batch_first)
            return q, k, v
        if w is not None:
            weights = [w[j * e : (j + 1) * e, :] for j in range(3)]
        else:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        biases = [None if b is None else b[j * e : (j + 1) * e] for j in range(3)]
        q, k, v = (
            split_heads(F.linear(x, weight, bias), 1, self.num_heads, self.batch_first)[0]
            for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
        )
        return q, k, v

    def _more(self, x: Array, learnt: Array | None) -> Array:
        """Keys or values (n, h, s, d) with the learnt one and the one of zeros behind."""
        n, h, _, d = x.shape
        parts = [x]
        if learnt is not None:
            xp = namespace(learnt)
            parts.append(xp.broadcast_to(xp.reshape(learnt, (1, h, 1, d)), (n, h, 1, d)))
        if self.add_zero_attn:
            plain = innermost(x)
            parts.append(namespace(plain).zeros((n, h, 1, d), dtype=plain.dtype, device=device_of(plain)))
        return namespace(x).concat(parts, axis=2)

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return f"{self.embed_dim}, {self.num_heads}, batch_first={self.batch_first}"
