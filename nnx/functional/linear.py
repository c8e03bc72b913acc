"""The fully connected layer, and with it two and a half of the four equations of backpropagation.

Rows are samples: z = x Wᵀ + b, W is (out, in) as in PyTorch. With a column for a sample the books write z = W a + b,
and BP3 as δ aᵀ; it is the same product, transposed. The equations' numbers are those of Nielsen, "Neural Networks and
Deep Learning", chapter 2.
"""

from typing import Any

from nnx.autodiff import op
from nnx.autodiff.casting import in_half
from nnx.backend import kernel, namespace
from nnx.typing import Array

__all__ = ["linear"]


@in_half
@op
def linear(x: Array, weight: Array, bias: Array | None = None) -> Any:
    """z = x Wᵀ + b.

    x: (..., i)   weight: (o, i)   bias: (o,)   returns (..., o)
    Raises ValueError if x's last axis is not i long.
    """
    if x.ndim != 2:
        return _linear_nd(x, weight, bias)
    xp = namespace(x, weight)
    if x.shape[1] != weight.shape[1]:
        raise wrong_width(x, weight.shape[1])
    z = xp.matmul(x, weight.T)
    if bias is not None:
        z = z + bias

    def pullback(delta: Array) -> tuple[Any, ...]:
        return (
            lambda: xp.matmul(delta, weight),  # BP2: δˡ⁺¹ Wˡ⁺¹; the activation's pullback does the ⊙ σ′(zˡ)
            lambda: xp.matmul(delta.T, x),  # BP3: ∂C/∂W = δᵀ a
            lambda: xp.sum(delta, axis=0),  # BP4: ∂C/∂b = Σ δ
        )

    return z, pullback


def _linear_nd(x: Array, weight: Array, bias: Array | None) -> Any:
    """The same for one sample, or for several axes of them: flattened to rows, as every library multiplies fastest."""
    xp = namespace(x, weight)
    if not x.ndim or x.shape[-1] != weight.shape[1]:
        raise wrong_width(x, weight.shape[1])
    rows = xp.reshape(x, (-1, weight.shape[1]))
    own = kernel("affine", rows)
    if own is not None:
        z = own(rows, weight, bias)
    else:
        z = xp.matmul(rows, weight.T)
        z = z if bias is None else z + bias

    def pullback(delta: Array) -> tuple[Any, ...]:
        flat = xp.reshape(delta, (-1, weight.shape[0]))
        return (
            lambda: xp.reshape(xp.matmul(flat, weight), x.shape),  # BP2
            lambda: xp.matmul(flat.T, rows),  # BP3
            lambda: xp.sum(flat, axis=0),  # BP4
        )

    return xp.reshape(z, (*x.shape[:-1], weight.shape[0])), pullback


def wrong_width(x: Array, width: int) -> ValueError:
    """The error for an input whose last axis does not fit the weights."""
    hint = ": flatten each sample, e.g. x.reshape(n, -1)" if x.ndim > 1 and x.shape[-1] != width else ""
    return ValueError(f"expected x of shape (n, {width}), got {tuple(x.shape)}{hint}")
