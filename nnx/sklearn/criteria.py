"""What is minimised: scikit-learn's losses by name, any loss of nnx, or a function (output, target) -> loss.

A criterion has two forms: the mean over a batch, and one loss a sample, which weights need.
"""

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any

from nnx import losses
from nnx.backend import namespace
from nnx.layers import Module
from nnx.typing import Array


class Criterion:
    """mean(output, y) -> (), each(output, y) -> (n,).   scale: of the loss that is reported

    name: as the user gave it, a string, a loss Module or a function
    """

    def __init__(self, name: Any, mean: Callable[..., Array], each: Callable[..., Array], scale: float = 1.0) -> None:
        self.name, self.mean, self.each, self.scale = name, mean, each, scale

    def __call__(self, output: Array, y: Array, weight: Array | None = None) -> Array:
        """The mean; with weights Σ w l / Σ w."""
        if weight is None:
            return self.mean(output, y)
        each = self.each(output, y)
        xp = namespace(each, weight)
        return xp.sum(each * weight) / xp.sum(weight)


def log_loss(out_activation: str, outputs: int) -> Criterion:
    """scikit-learn's: cross entropy of classes, or the sum of the outputs' binary ones."""
    if out_activation == "softmax":
        return _named("log_loss", losses.cross_entropy)

    def each(output: Array, y: Array) -> Array:
        return _rows(losses.binary_cross_entropy_with_logits(output, y, reduction="none"), 1.0)

    def mean(output: Array, y: Array) -> Array:
        return losses.binary_cross_entropy_with_logits(output, y) * float(outputs)

    return Criterion("log_loss", mean, each)


def squared_error(outputs: int) -> Criterion:
    """½ Σ (output - y)² over the outputs; scikit-learn reports their mean, and descends along the sum's gradient."""

    def each(output: Array, y: Array) -> Array:
        return _rows((output - y) ** 2, 0.5)

    def mean(output: Array, y: Array) -> Array:
        return losses.mse_loss(output, y) * (0.5 * outputs)

    return Criterion("squared_error", mean, each, 1.0 / outputs)


def poisson(output: Array, y: Array) -> Array:
    """Half of the Poisson deviance, (n,): Σ y log(y / μ) - y + μ with log μ the output."""
    xp = namespace(output)
    constant = xp.where(y > 0, y * xp.log(xp.where(y > 0, y, xp.ones_like(y))), xp.zeros_like(y)) - y
    return _rows(xp.exp(output) - y * output + constant, 1.0)


def of_regression(loss: Any, outputs: int) -> Criterion:
    """The criterion of a regressor."""
    if loss == "squared_error":
        return squared_error(outputs)
    if loss == "poisson":
        return Criterion(loss, lambda output, y: namespace(output).mean(poisson(output, y)), poisson)
    return custom(loss)


def custom(loss: Any, options: dict[str, Any] | None = None) -> Criterion:
    """A loss of nnx by name ("huber_loss"), a loss Module (nnx.HuberLoss() or its class), or a function.

    options: further arguments of the function or the class
    """
    options = options or {}
    if isinstance(loss, str):
        found = getattr(losses, loss, None)
        if not inspect.isfunction(found) or loss.startswith("_"):
            raise ValueError(f"loss '{loss}' is not known: scikit-learn's, one of nnx.losses, or a function")
        return _named(loss, functools.partial(found, **options))
    if isinstance(loss, type) and issubclass(loss, Module):
        loss = loss(**options)
    if isinstance(loss, Module):
        return Criterion(loss, lambda output, y: _mean(loss(output, y)), _each_of(loss))
    if not callable(loss):
        raise TypeError(f"loss must be a name, a loss Module or a function (output, y), got {type(loss).__name__}")
    return _named(loss, functools.partial(loss, **options))


def _named(name: Any, loss: Callable[..., Array]) -> Criterion:
    def each(output: Array, y: Array) -> Array:
        if "reduction" not in inspect.signature(loss).parameters:
            raise TypeError(
                f"sample_weight and class_weight need one loss a sample: {getattr(name, '__name__', name)} has no "
                "argument reduction='none'"
            )
        return _rows(loss(output, y, reduction="none"))

    return Criterion(name, lambda output, y: _mean(loss(output, y)), each)


def _each_of(loss: Any) -> Callable[..., Array]:
    if not hasattr(loss, "reduction"):
        return lambda output, y: _rows(loss(output, y))
    apart = copy.copy(loss)
    apart.reduction = "none"
    return lambda output, y: _rows(apart(output, y))


def _rows(each: Array, factor: float | None = None) -> Array:
    """The losses of each sample: those of its entries averaged, or (with a factor) summed."""
    if not each.ndim:
        raise TypeError("sample_weight and class_weight need one loss a sample: with reduction='none' it gave a scalar")
    if each.ndim == 1:
        return each if factor in (None, 1.0) else each * factor
    xp = namespace(each)
    flat = xp.reshape(each, (each.shape[0], -1))
    return xp.mean(flat, axis=1) if factor is None else xp.sum(flat, axis=1) * factor


def _mean(loss: Array) -> Array:
    return namespace(loss).mean(loss) if loss.ndim else loss
