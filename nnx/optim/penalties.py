"""Penalties: what large weights cost, to be added to the loss inside of the function whose gradient is taken."""

from nnx.autodiff.tree import leaves
from nnx.backend import namespace
from nnx.layers.module import Module
from nnx.typing import Array, Tree

__all__ = ["l1_penalty", "l2_penalty"]


def l1_penalty(model_or_params: Tree) -> Array:
    """Σ |p|: it drives single weights to 0. The slope at 0 is 0.

    model_or_params: a Module, of which the trainable parameters count, an array, or a nest of arrays   returns ()

    >>> import numpy as np
    >>> float(l1_penalty({"w": np.asarray([3.0, -4.0])}))
    7.0
    """
    return _sum([namespace(p).sum(namespace(p).abs(p)) for p in _arrays(model_or_params)])


def l2_penalty(model_or_params: Tree) -> Array:
    """½ Σ p²: it keeps all weights small; λ times it is an optimizer's (coupled) weight_decay of λ.

    model_or_params: a Module, of which the trainable parameters count, an array, or a nest of arrays   returns ()

    >>> import numpy as np
    >>> float(l2_penalty({"w": np.asarray([3.0, -4.0])}))
    12.5
    """
    return _sum([namespace(p).sum(p * p) for p in _arrays(model_or_params)]) * 0.5


def _arrays(model_or_params: Tree) -> list[Array]:
    arrays: list[Array] = []
    for leaf in leaves(model_or_params):
        arrays += leaf.trainable().values() if isinstance(leaf, Module) else [leaf]
    if not arrays:
        raise ValueError("a penalty of no parameters: expected a Module with trainable ones, or arrays")
    return arrays


def _sum(terms: list[Array]) -> Array:
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
