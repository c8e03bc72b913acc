"""Metrics between numbers: how far the outputs are from the targets, and how much of their spread they explain."""

import math

from nnx.backend import innermost, namespace
from nnx.losses.common import same_form
from nnx.metrics.base import Metric, State, widest
from nnx.typing import Array


def mean_squared_error(output: Array, target: Array) -> Array:
    """(output - target)², its mean over all entries. output, target: one shape   returns ()."""
    same_form("mean_squared_error", output, target)
    d = innermost(output) - innermost(target)
    return namespace(d).mean(d * d)


def mean_absolute_error(output: Array, target: Array) -> Array:
    """|output - target|, its mean over all entries. output, target: one shape   returns ()."""
    same_form("mean_absolute_error", output, target)
    d = innermost(output) - innermost(target)
    return namespace(d).mean(namespace(d).abs(d))


def root_mean_squared_error(output: Array, target: Array) -> Array:
    """√ of the mean over samples of (output - target)², its mean over outputs. output, target: (n, ...)   returns ().

    >>> import numpy as np
    >>> float(root_mean_squared_error(np.asarray([3.0, 0.0, 0.0, 4.0]), np.zeros(4)))
    2.5
    """
    return RootMeanSquaredError()(output, target)


def r2_score(output: Array, target: Array) -> Array:
    """1 - Σ (output - target)² / Σ (target - mean)², its mean over outputs: the share of the targets' spread explained.

    output, target: (n, ...), n >= 2 (else nan)   returns (): 1 if all is right, 0 for the mean, below it if worse.
    Where all targets are equal it is 1 if all is right, else 0, as in scikit-learn.

    >>> import numpy as np
    >>> float(r2_score(np.asarray([1.0, 2.0, 4.0]), np.asarray([1.0, 2.0, 3.0])))
    0.5
    """
    return R2Score()(output, target)


def _errors(name: str, output: Array, target: Array) -> Array:
    """output - target as (n, outputs), in the widest floating type."""
    same_form(name, output, target)
    return _columns(output) - _columns(target)


def _columns(x: Array) -> Array:
    xp = namespace(x)
    return xp.astype(xp.reshape(x, (x.shape[0] if x.ndim else 1, math.prod(x.shape[1:]))), widest(x))


class MeanSquaredError(Metric):
    """(output - target)², its mean over all entries of all batches."""

    name = "mean_squared_error"

    def _of_batch(self, output: Array, target: Array) -> State:
        d = _errors(self.name, output, target)
        return namespace(d).sum(d * d, axis=0), d.shape[0]

    def _result(self, state: State) -> Array:
        total, n = state
        return namespace(total).mean(total) * (1.0 / n if n else float("nan"))


class MeanAbsoluteError(MeanSquaredError):
    """|output - target|, its mean over all entries of all batches."""

    name = "mean_absolute_error"

    def _of_batch(self, output: Array, target: Array) -> State:
        d = _errors(self.name, output, target)
        return namespace(d).sum(namespace(d).abs(d), axis=0), d.shape[0]


class RootMeanSquaredError(MeanSquaredError):
    """√ of the mean of squared errors over all batches: see nnx.metrics.root_mean_squared_error."""

    name = "root_mean_squared_error"

    def _result(self, state: State) -> Array:
        total, n = state
        xp = namespace(total)
        return xp.mean(xp.sqrt(total * (1.0 / n if n else float("nan"))))


class R2Score(Metric):
    """1 - Σ (output - target)² / Σ (target - mean)²: see nnx.metrics.r2_score.

    Batches are joined by their means and squares around these (Chan et al. 1983): nothing cancels, however far the
    targets lie from 0.
    """

    name = "r2_score"

    def _of_batch(self, output: Array, target: Array) -> State:
        d, t = _errors(self.name, output, target), _columns(target)
        xp, n = namespace(d), d.shape[0]
        mean = xp.sum(t, axis=0) * (1.0 / n if n else 0.0)
        around = t - mean
        return n, mean, xp.sum(around * around, axis=0), xp.sum(d * d, axis=0)

    def _joined(self, a: State, b: State) -> State:
        n, mean, spread, errors = a
        m, other, more, wrong = b
        if not n or not m:
            return a if n else b
        apart = other - mean
        share = m / (n + m)
        return n + m, mean + apart * share, spread + more + apart * apart * (n * share), errors + wrong

    def _result(self, state: State) -> Array:
        n, _, spread, errors = state
        xp = namespace(spread)
        flat = spread == 0
        found = 1.0 - errors / xp.where(flat, xp.ones_like(spread), spread)
        found = xp.where(flat, xp.astype(errors == 0, spread.dtype), found)
        return xp.mean(found) if n > 1 else xp.mean(found) * float("nan")
