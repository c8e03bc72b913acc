"""Batch, layer, group, instance and RMS normalisation: the axes of one rule (nnx/functional/normalization_rule.py)."""

from collections.abc import Sequence

from nnx.autodiff import stop_gradient
from nnx.autodiff.rules.common import cast, product
from nnx.backend import kernel, namespace
from nnx.functional.normalization_rule import Form, normalized, times
from nnx.typing import Array, Shape

__all__ = [
    "batch_norm",
    "batch_norm_with_moments",
    "group_norm",
    "instance_norm",
    "instance_norm_with_moments",
    "layer_norm",
    "rms_norm",
]


def layer_norm(
    x: Array,
    normalized_shape: int | Sequence[int],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """(x - μ) / √(σ² + ε) · w + b over the last axes (Ba et al. 2016).

    x: (..., *normalized_shape)   weight, bias: normalized_shape   returns x's shape
    Raises ValueError if x does not end in normalized_shape.
    """
    return normalized(x, weight, bias, _last_axes("layer_norm", x, normalized_shape, weight, bias), eps)


def rms_norm(
    x: Array, normalized_shape: int | Sequence[int], weight: Array | None = None, eps: float | None = None
) -> Array:
    """x / √(mean(x²) + ε) · w over the last axes (Zhang and Sennrich 2019).

    x: (..., *normalized_shape)   weight: normalized_shape   eps: None for the spacing of x's numbers at 1
    Raises ValueError if x does not end in normalized_shape.
    """
    form = _last_axes("rms_norm", x, normalized_shape, weight)
    eps = float(namespace(x).finfo(x.dtype).eps) if eps is None else eps
    return normalized(x, weight, None, form, eps, centred=False)


def _last_axes(name: str, x: Array, normalized_shape: int | Sequence[int], *parameters: Array | None) -> Form:
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape:
        raise ValueError(f"{name}: normalized_shape must have at least one axis, got ()")
    if tuple(x.shape[-len(shape) :]) != shape:
        raise ValueError(f"{name} expected x of shape (..., {_listed(shape)}), got {tuple(x.shape)}")
    for parameter in parameters:
        if parameter is not None and tuple(parameter.shape) != shape:
            raise ValueError(f"{name}: weight and bias must have shape {shape}, got {tuple(parameter.shape)}")
    return Form(tuple(range(x.ndim - len(shape), x.ndim)), shape)


def _listed(shape: Shape) -> str:
    return ", ".join(map(str, shape))


def group_norm(
    x: Array, num_groups: int, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> Array:
    """(x - μ) / √(σ² + ε) · w + b over each of the groups of a sample's channels (Wu and He 2018).

    x: (n, c, ...)   num_groups: a divisor of c   weight, bias: (c,)   returns x's shape
    Raises ValueError if num_groups does not divide c.
    """
    if x.ndim < 2:
        raise ValueError(f"group_norm expected x of shape (n, c, ...), got {tuple(x.shape)}")
    n, c, rest = x.shape[0], x.shape[1], product(x.shape[2:])
    if num_groups < 1 or c % num_groups:
        raise ValueError(f"group_norm: {num_groups} groups do not divide the {c} channels of x {tuple(x.shape)}")
    if n * (c // num_groups) * rest == 1:
        raise ValueError(f"group_norm needs more than one value a channel, got x of shape {tuple(x.shape)}")
    _check_channels("group_norm", x, weight, bias)
    view = (n, num_groups, c // num_groups, rest)
    return normalized(x, weight, bias, Form((2, 3), (num_groups, c // num_groups, 1), (3,), view), eps)


def instance_norm(
    x: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """(x - μ) / √(σ² + ε) · w + b over each channel of each sample (Ulyanov et al. 2016).

    x: (n, c, ...)   weight, bias, running_mean, running_var: (c,)   use_input_stats: if false, the running ones
    The running statistics are not changed (see InstanceNorm2d), and momentum is not used.
    Raises ValueError if a channel has a single value: there is nothing to normalise.
    """
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, eps=eps)
    return instance_norm_with_moments(x, weight, bias, eps)[0]


def instance_norm_with_moments(
    x: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """instance_norm by x's own statistics, and the means over the batch of those: μ and the unbiased σ², (c,) each."""
    if x.ndim < 3:
        raise ValueError(f"instance_norm expected x of shape (n, c, ...), got {tuple(x.shape)}")
    count = product(x.shape[2:])
    if count == 1:
        raise ValueError(f"instance_norm needs more than one value a channel, got x of shape {tuple(x.shape)}")
    _check_channels("instance_norm", x, weight, bias)
    axes = tuple(range(2, x.ndim))
    seen: list[Array] = []
    y = normalized(x, weight, bias, Form(axes, _as_channels(x), axes), eps, True, seen)
    mean, var = _moments(seen, (x.shape[0], x.shape[1]), count)
    xp, share = namespace(mean), 1.0 / max(x.shape[0], 1)
    return y, xp.sum(mean, axis=0) * share, xp.sum(var, axis=0) * share


def batch_norm(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """(x - μ) / √(σ² + ε) · w + b over each channel of the batch (Ioffe and Szegedy 2015).

    x: (n, c, ...)   weight, bias, running_mean, running_var: (c,)   training: by x's μ and σ², else the running ones
    The running statistics are not changed (batch_norm_with_moments returns what moves them), and momentum is not used.
    Raises ValueError if a channel has a single value in training: there is nothing to normalise.
    """
    if training:
        return batch_norm_with_moments(x, weight, bias, eps)[0]
    if running_mean is None or running_var is None:
        raise ValueError("batch_norm needs running_mean and running_var unless it is training")
    _check_channels("batch_norm", x, weight, bias, running_mean, running_var)
    xp, scale = namespace(x, running_mean), _as_channels(x)
    gain = times(1.0 / xp.sqrt(running_var + eps), weight)
    shift = -gain * running_mean if bias is None else -gain * running_mean + bias
    own = kernel("scaled", x) if type(gain) is type(shift) is type(x) else None
    if own is not None and (y := own(x, gain, shift)) is not None:
        return y
    return cast(x * xp.reshape(gain, scale) + xp.reshape(shift, scale), x.dtype)


def batch_norm_with_moments(
    x: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """batch_norm in training, the batch's μ, and its unbiased σ²: (c,) each, constants that move running statistics."""
    if x.ndim < 2:
        raise ValueError(f"batch_norm expected x of shape (n, c, ...), got {tuple(x.shape)}")
    axes = (0, *range(2, x.ndim))
    count = product(x.shape[k] for k in axes)
    if count == 1:
        raise ValueError(
            f"batch_norm needs more than one value a channel in training, got x of shape {tuple(x.shape)}: "
            "give it larger batches, or call model.eval()"
        )
    _check_channels("batch_norm", x, weight, bias)
    seen: list[Array] = []
    y = normalized(x, weight, bias, Form(axes, _as_channels(x), axes), eps, True, seen)
    return y, *_moments(seen, (x.shape[1],), count)


def _moments(seen: list[Array], shape: Shape, count: int) -> tuple[Array, Array]:
    """μ and the unbiased σ² of what normalized has seen, in that shape, as constants."""
    mean, var = (stop_gradient(x) for x in seen)
    xp = namespace(mean)
    return xp.reshape(mean, shape), xp.reshape(var, shape) * (count / max(count - 1, 1))


def _as_channels(x: Array) -> Shape:
    """The shape in which one number a channel fits x: (c, 1, 1) for (n, c, h, w)."""
    return (x.shape[1], *(1,) * (x.ndim - 2))


def _check_channels(name: str, x: Array, *parameters: Array | None) -> None:
    for parameter in parameters:
        if parameter is not None and tuple(parameter.shape) != (x.shape[1],):
            raise ValueError(
                f"{name} expected {parameter.shape[0] if parameter.ndim == 1 else tuple(parameter.shape)} channels, "
                f"got x of shape {tuple(x.shape)}, whose axis 1 has {x.shape[1]}"
            )
