"""Attention with several heads: features divided among heads, each of which attends by itself (Vaswani et al. 2017)."""

import math
from typing import Any

from nnx.autodiff import op
from nnx.backend import device_of, innermost, namespace
from nnx.functional.attention import scaled_dot_product_attention
from nnx.functional.attention_scores import attention_weights, earlier, is_boolean
from nnx.functional.dropout import dropout
from nnx.typing import Array

__all__ = ["attend", "combined_mask", "lengthened", "merge_heads", "split_heads"]


@op
def split_heads(x: Array, parts: int, heads: int, batch_first: bool = True) -> Any:
    """`parts` arrays (n, h, t, d) of what was projected at once, as (n, t, parts · h · d), or (t, n, ...)."""
    xp = namespace(x)
    shape = tuple(x.shape)
    width = shape[-1] // (parts * heads)
    order = (2, 0, 3, 1, 4) if batch_first else (2, 1, 3, 0, 4)
    back = (0, 2, 1, 3) if batch_first else (2, 0, 1, 3)
    y = xp.permute_dims(xp.reshape(x, (*shape[:2], parts, heads, width)), order)

    def pullback(dys: Any) -> tuple[Any, None, None, None]:
        turned = [xp.permute_dims(dy, back) for dy in dys]  # (n, t, h, d) each: side by side in one copy
        return xp.reshape(xp.stack(turned, axis=2), shape), None, None, None

    return tuple(y[k, ...] for k in range(parts)), pullback


def merge_heads(y: Array, batch_first: bool = True) -> Array:
    """(n, h, t, d) as (n, t, h · d), or (t, n, h · d)."""
    xp = namespace(y)
    n, h, t, d = y.shape
    turned = xp.permute_dims(y, (0, 2, 1, 3) if batch_first else (2, 0, 1, 3))
    return xp.reshape(turned, (n, t, h * d) if batch_first else (t, n, h * d))


def attend(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    need_weights: bool = False,
) -> tuple[Array, Array | None]:
    """scaled_dot_product_attention, and the weights (n, h, t, s) if they are wanted, after dropout."""
    if not need_weights:
        return scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal), None
    weights = dropout(attention_weights(q, k, mask, is_causal, 1.0 / math.sqrt(q.shape[-1])), dropout_p)
    return namespace(weights, v).matmul(weights, v), weights


def combined_mask(
    attn_mask: Array | None, key_padding_mask: Array | None, is_causal: bool, q: Array, keys: int
) -> tuple[Array | None, bool]:
    """PyTorch's two masks as one of scaled_dot_product_attention's, and whether it is left to be causal by itself.

    attn_mask: (t, s) or (n · h, t, s)   key_padding_mask: (n, s)   True where one may not look, or numbers to add
    q: (n, h, t, d)   keys: s
    Raises ValueError for other shapes.
    """
    n, heads, t, _ = q.shape
    found = []
    if attn_mask is not None:
        found.append(_whole(attn_mask, n, heads, t, keys))
    if key_padding_mask is not None:
        if tuple(key_padding_mask.shape) != (n, keys):
            raise ValueError(f"key_padding_mask must be {(n, keys)}, got {tuple(key_padding_mask.shape)}")
        found.append(namespace(key_padding_mask).reshape(key_padding_mask, (n, 1, 1, keys)))
    if not found:
        return None, is_causal
    if is_causal and attn_mask is None:
        found.append(namespace(innermost(q)).logical_not(earlier(q, t, 0, keys)))
    if all(is_boolean(mask) for mask in found):
        blocked = found[0] if len(found) == 1 else found[0] | found[1]
        return namespace(blocked).logical_not(blocked), False
    numbers = [_numbers(mask, q) for mask in found]
    return numbers[0] if len(numbers) == 1 else numbers[0] + numbers[1], False


def _whole(attn_mask: Array, n: int, heads: int, t: int, keys: int) -> Array:
    """(t, s) as it is, (n · h, t, s) as (n, h, t, s)."""
    if tuple(attn_mask.shape) == (t, keys):
        return attn_mask
    if tuple(attn_mask.shape) == (n * heads, t, keys):
        return namespace(attn_mask).reshape(attn_mask, (n, heads, t, keys))
    raise ValueError(f"attn_mask must be {(t, keys)} or {(n * heads, t, keys)}, got {tuple(attn_mask.shape)}")


def _numbers(mask: Array, like: Array) -> Array:
    """A mask as numbers to add."""
    if not is_boolean(mask):
        return mask
    plain = innermost(mask)
    xp = namespace(plain)
    zeros = xp.zeros(plain.shape, dtype=innermost(like).dtype, device=device_of(plain))
    return xp.where(plain, -math.inf, zeros)


def lengthened(mask: Array | None, keys: int) -> Array | None:
    """A mask with `keys` more columns, where everybody may look."""
    if mask is None:
        return None
    plain = innermost(mask)
    more = namespace(plain).zeros((*plain.shape[:-1], keys), dtype=plain.dtype, device=device_of(plain))
    return namespace(mask).concat([mask, more], axis=-1)
