"""Losses between embeddings: what is alike is to lie close together, what is not, at least a margin apart."""

from collections.abc import Callable

from nnx.autodiff.casting import in_full
from nnx.backend import namespace
from nnx.losses.common import Reduction, as_numbers, hinge, reduced, same_shape
from nnx.typing import Array

__all__ = ["cosine_embedding_loss", "triplet_margin_loss", "triplet_margin_with_distance_loss"]

Distance = Callable[[Array, Array], Array]


@in_full
def triplet_margin_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: Reduction = "mean",
) -> Array:
    """max(0, d(a, p) - d(a, n) + margin), d the p-norm of the difference (Balntas et al. 2016).

    anchor, positive, negative: (n, d) or (d,), one shape   margin: > 0   eps: added to each difference
    swap: where the positive is closer to the negative than the anchor is, take that distance
    returns (), or (n,) with reduction="none"

    >>> import numpy as np
    >>> a, p, n = np.asarray([[0.0, 0.0]]), np.asarray([[3.0, 4.0]]), np.asarray([[0.0, 1.0]])
    >>> round(float(triplet_margin_loss(a, p, n)), 4)
    5.0
    """
    same_shape("triplet_margin_loss", anchor=anchor, positive=positive, negative=negative)

    def distance(x: Array, y: Array) -> Array:
        return namespace(x, y).linalg.vector_norm(x - y + eps, ord=p, axis=-1)

    return _triplet("triplet_margin_loss", distance, anchor, positive, negative, margin, swap, reduction)


@in_full
def triplet_margin_with_distance_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    *,
    distance_function: Distance | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: Reduction = "mean",
) -> Array:
    """triplet_margin_loss with a distance of your own: distance_function(x, y) -> (n,); ‖x - y + 1e-6‖₂ for None.

    >>> import numpy as np
    >>> a, p, n = np.asarray([[0.0, 0.0]]), np.asarray([[3.0, 4.0]]), np.asarray([[0.0, 1.0]])
    >>> city = lambda x, y: np.sum(np.abs(x - y), axis=-1)
    >>> float(triplet_margin_with_distance_loss(a, p, n, distance_function=city))
    7.0
    """
    name = "triplet_margin_with_distance_loss"
    same_shape(name, anchor=anchor, positive=positive, negative=negative)
    distance = distance_function or (lambda x, y: namespace(x, y).linalg.vector_norm(x - y + 1e-6, axis=-1))
    return _triplet(name, distance, anchor, positive, negative, margin, swap, reduction)


def _triplet(
    name: str, distance: Distance, a: Array, p: Array, n: Array, margin: float, swap: bool, reduction: Reduction
) -> Array:
    if not margin > 0.0:
        raise ValueError(f"{name}: margin must be > 0, got {margin}")
    apart = distance(a, n)
    if swap:
        apart = namespace(apart).minimum(apart, distance(p, n))
    return reduced(hinge(distance(a, p) - apart + margin), reduction)


@in_full
def cosine_embedding_loss(
    input1: Array, input2: Array, target: Array, margin: float = 0.0, reduction: Reduction = "mean"
) -> Array:
    """1 - cos(x1, x2) where the target is 1, max(0, cos(x1, x2) - margin) where it is -1.

    input1, input2: (n, d) or (d,), one shape   target: (n,) or (), 1 or -1   margin: in [-1, 1]
    returns (), or target's shape with reduction="none"

    >>> import numpy as np
    >>> x = np.asarray([[1.0, 0.0]])
    >>> round(float(cosine_embedding_loss(x, x, np.asarray([-1]))), 4)
    1.0
    """
    same_shape("cosine_embedding_loss", input1=input1, input2=input2)
    if input1.ndim not in (1, 2) or tuple(target.shape) != tuple(input1.shape[:-1]):
        raise ValueError(
            "cosine_embedding_loss expects inputs (n, d) with a target (n,), or (d,) with (), got "
            f"{tuple(input1.shape)} and {tuple(target.shape)}"
        )
    xp = namespace(input1, input2)
    # 1e-12 is PyTorch's, and keeps a vector of zeros from a division by 0
    squares = (xp.sum(input1 * input1, axis=-1) + 1e-12) * (xp.sum(input2 * input2, axis=-1) + 1e-12)
    cosine = xp.sum(input1 * input2, axis=-1) / xp.sqrt(squares)
    sign, zero = as_numbers(target, cosine), xp.zeros_like(cosine)
    losses = xp.where(sign == 1, 1.0 - cosine, zero) + xp.where(sign == -1, hinge(cosine - margin), zero)
    return reduced(losses, reduction)
