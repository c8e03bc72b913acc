"""Normalisation that remembers: statistics of the batches seen in training, as buffers, for evaluation."""

import warnings
from typing import Any, ClassVar

from nnx import functional as F
from nnx import init
from nnx.autodiff.rules.common import cast
from nnx.autodiff.tape import lift
from nnx.autodiff.var import Var
from nnx.backend import get_backend, innermost, namespace
from nnx.layers.module import Module
from nnx.typing import Array

__all__ = ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"]


class _Running(Module):
    """weight and bias of a channel each, and running statistics."""

    weight: Array | None
    bias: Array | None
    running_mean: Array | None
    running_var: Array | None
    num_batches_tracked: Array | None

    _shapes: ClassVar[dict[int, str]]
    """What an input may look like, by its number of axes."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: str = "float32",
        *,
        bias: bool = True,
    ) -> None:
        if num_features < 1:
            raise ValueError(f"{type(self).__name__}({num_features}): num_features must be at least 1")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = init.ones((num_features,), dtype) if affine else None
        self.bias = init.zeros((num_features,), dtype) if affine and bias else None
        self.register_buffer("running_mean", init.zeros((num_features,), dtype) if track_running_stats else None)
        self.register_buffer("running_var", init.ones((num_features,), dtype) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", _counter() if track_running_stats else None)

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1, no batch seen."""
        if self.running_mean is not None and self.running_var is not None:
            xp = namespace(self.running_mean)
            self.running_mean, self.running_var = xp.zeros_like(self.running_mean), xp.ones_like(self.running_var)
            self.num_batches_tracked = xp.zeros_like(self.num_batches_tracked)

    def _remember(self, mean: Array, var: Array, momentum: Any) -> None:
        """running = (1 - momentum) running + momentum new. momentum: a number, or an array without axes"""
        for name, new in (("running_mean", mean), ("running_var", var)):
            old = innermost(self.__dict__[name])
            self._put(name, old * (1.0 - momentum) + cast(innermost(new), old.dtype) * momentum)

    def _put(self, name: str, value: Array) -> None:
        """A plain array in the place of a buffer, as a constant while a gradient is taken."""
        setattr(self, name, lift(value) if type(self.__dict__[name]) is Var else value)

    def _misshapen(self, x: Array) -> ValueError:
        expected = " or ".join(f"({shape.format(c=self.num_features)})" for shape in self._shapes.values())
        return ValueError(
            f"{type(self).__name__}({self.num_features}) expected x of shape {expected}, got {tuple(x.shape)}"
        )

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


def _counter() -> Array:
    """0, as int64 where the backend has it."""
    backend = get_backend()
    integers = backend.xp.__array_namespace_info__().dtypes(device=backend.device, kind="signed integer")
    return backend.xp.zeros((), dtype=integers.get("int64", integers["int32"]), device=backend.device)


class _BatchNorm(_Running):
    """See BatchNorm2d."""

    def __call__(self, x: Array) -> Array:
        """By the batch's own statistics in training (and where none are tracked), else by the running ones."""
        if x.ndim not in self._shapes or x.shape[1] != self.num_features:
            raise self._misshapen(x)
        if self.running_mean is not None and not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        y, mean, var = F.batch_norm_with_moments(x, self.weight, self.bias, self.eps)
        if self.running_mean is not None:
            self._count(x, mean, var)
        return y

    def _count(self, x: Array, mean: Array, var: Array) -> None:
        """One batch more. An empty one has no statistics."""
        n = innermost(self.num_batches_tracked)
        xp = namespace(n)
        n = xp.reshape(xp.reshape(n, (1,)) + 1, ())  # an array on NumPy too, and no scalar
        self._put("num_batches_tracked", n)
        if 0 not in x.shape:
            average = 1.0 / xp.astype(n, innermost(mean).dtype) if self.momentum is None else self.momentum
            self._remember(mean, var, average)


class BatchNorm1d(_BatchNorm):
    """(x - μ) / √(σ² + ε) · w + b, μ and σ² of each channel over the batch. See BatchNorm2d.

    x: (n, c) or (n, c, l)   returns x's shape
    """

    _shapes: ClassVar[dict[int, str]] = {2: "n, {c}", 3: "n, {c}, l"}


class BatchNorm2d(_BatchNorm):
    """(x - μ) / √(σ² + ε) · w + b, μ and σ² of each channel over the batch (Ioffe and Szegedy 2015).

    x: (n, c, h, w)   returns x's shape   weight, bias: (c,), ones and zeros at first
    running_mean, running_var: (c,) buffers, moved by `momentum` towards μ and the unbiased σ² of each batch in training
    (None: their plain average) and used in evaluation; num_batches_tracked counts the batches.
    Raises ValueError if a channel has a single value in training, or x has another shape.

    >>> import nnx
    >>> BatchNorm2d(3)(nnx.random.normal((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    _shapes: ClassVar[dict[int, str]] = {4: "n, {c}, h, w"}


class BatchNorm3d(_BatchNorm):
    """(x - μ) / √(σ² + ε) · w + b, μ and σ² of each channel over the batch. See BatchNorm2d.

    x: (n, c, d, h, w)   returns x's shape
    """

    _shapes: ClassVar[dict[int, str]] = {5: "n, {c}, d, h, w"}


class _InstanceNorm(_Running):
    """See InstanceNorm2d."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        dtype: str = "float32",
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, dtype, bias=bias)

    def __call__(self, x: Array) -> Array:
        """By each sample's own statistics, but in evaluation, where some are tracked."""
        if x.ndim + 1 in self._shapes:  # one sample
            return namespace(x).squeeze(self(x[None, ...]), axis=0)
        if x.ndim not in self._shapes:
            raise self._misshapen(x)
        if x.shape[1] != self.num_features:
            if self.affine or self.track_running_stats:
                raise self._misshapen(x)
            warnings.warn(f"{self._misshapen(x)}: the number makes no difference without affine", stacklevel=2)
        if self.running_mean is not None and not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        y, mean, var = F.instance_norm_with_moments(x, self.weight, self.bias, self.eps)
        if self.running_mean is not None and 0 not in x.shape:
            self._remember(mean, var, self.momentum or 0.0)
        return y


class InstanceNorm1d(_InstanceNorm):
    """(x - μ) / √(σ² + ε) · w + b, μ and σ² of each channel of each sample. See InstanceNorm2d.

    x: (n, c, l) or (c, l)   returns x's shape
    """

    _shapes: ClassVar[dict[int, str]] = {3: "n, {c}, l"}


class InstanceNorm2d(_InstanceNorm):
    """(x - μ) / √(σ² + ε) · w + b, μ and σ² of each channel of each sample (Ulyanov et al. 2016).

    x: (n, c, h, w) or (c, h, w)   returns x's shape   affine: weight (c,) and bias (c,), ones and zeros at first
    track_running_stats: buffers as BatchNorm2d has them, moved by the mean over the batch and used in evaluation;
    num_batches_tracked stays 0, as PyTorch's does.
    Raises ValueError if a channel has a single value, or x has another shape.
    """

    _shapes: ClassVar[dict[int, str]] = {4: "n, {c}, h, w"}


class InstanceNorm3d(_InstanceNorm):
    """(x - μ) / √(σ² + ε) · w + b, μ and σ² of each channel of each sample. See InstanceNorm2d.

    x: (n, c, d, h, w) or (c, d, h, w)   returns x's shape
    """

    _shapes: ClassVar[dict[int, str]] = {5: "n, {c}, d, h, w"}
