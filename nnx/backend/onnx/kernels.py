"""What ONNX has an operator for, in place of the many that the standard's functions would need."""

import math
from collections.abc import Callable
from typing import Any, Never

from nnx.backend.onnx.functions import wrapped
from nnx.backend.onnx.library import op
from nnx.backend.onnx.namespace import NAMESPACE
from nnx.backend.onnx.sizes import NotTraceable
from nnx.backend.windows import Windows
from nnx.typing import Array, Shape


def _attributes(at: Windows) -> dict[str, Any]:
    pads = [before for before, _ in at.padding] + [after for _, after in at.padding]
    return {"strides": at.stride, "dilations": at.dilation, "pads": pads, "kernel_shape": at.kernel}


def convolve(x: Array, weight: Array, bias: Array | None, at: Windows, groups: int) -> Array:
    """See nnx.functional.conv_core.convolve."""
    given = [a.array.unwrap_spox() for a in (x, weight, bias) if a is not None]
    shape = (x.shape[0], weight.shape[0], *at.outputs(tuple(x.shape[2:])))
    return wrapped(op().conv(*given, group=groups, **_attributes(at)), shape)


def spread(dy: Array, weight: Array, at: Windows, groups: int, size: Shape) -> Array:
    """See nnx.functional.conv_core.spread: what is left of the input beyond the last window is output padding."""
    spans = zip(dy.shape[2:], at.stride, at.spans(), at.padding, size, strict=True)
    more = [n - ((k - 1) * stride + span - before - after) for k, stride, span, (before, after), n in spans]
    y = op().conv_transpose(
        dy.array.unwrap_spox(), weight.array.unwrap_spox(), group=groups, output_padding=more, **_attributes(at)
    )
    return wrapped(y, (dy.shape[0], weight.shape[1] * groups, *size))


def correlate(x: Array, dy: Array, at: Windows, groups: int) -> Array:
    """See nnx.functional.conv_core.correlate: a convolution in which samples and channels change places."""
    if groups != 1:
        raise NotTraceable("the gradient of a grouped convolution's weight is not traced for ONNX")
    order = (1, 0, *range(2, x.ndim))
    turned, kernel = NAMESPACE.permute_dims(x, order), NAMESPACE.permute_dims(dy, order)
    swapped = at._replace(kernel=tuple(map(int, dy.shape[2:])), stride=at.dilation, dilation=at.stride)
    attributes = _attributes(swapped)
    del attributes["kernel_shape"]
    y = op().conv(turned.array.unwrap_spox(), kernel.array.unwrap_spox(), **attributes)
    found = wrapped(y, (x.shape[1], dy.shape[1], *swapped.outputs(tuple(x.shape[2:]))))
    inner = tuple(slice(0, k) for k in at.kernel)
    return NAMESPACE.permute_dims(found[(slice(None), slice(None), *inner)], order)


def max_pool(x: Array, at: Windows) -> tuple[Array, Any]:
    """See nnx.functional.pool_core.max_pool."""
    attributes = _attributes(at)
    y, _ = op().max_pool(x.array.unwrap_spox(), **attributes)
    return wrapped(y, (*x.shape[:2], *at.outputs(tuple(x.shape[2:])))), None


def sum_pool(x: Array, at: Windows) -> Array:
    """See nnx.functional.pool_core.sum_pool."""
    y = op().average_pool(x.array.unwrap_spox(), count_include_pad=1, **_attributes(at))
    mean: Array = wrapped(y, (*x.shape[:2], *at.outputs(tuple(x.shape[2:]))))
    return mean * float(math.prod(at.kernel))


def erf(x: Array) -> Array:
    """See nnx.functional.special.erf."""
    return wrapped(op().erf(x.array.unwrap_spox()), x.shape)


def words(*args: Any) -> Never:
    """Random numbers would be the same at every run of the graph."""
    raise NotTraceable(
        "random numbers (dropout, noise) have no place in an ONNX graph, which would draw the same at every run: "
        "call model.eval(), or set dropout to 0"
    )


KERNELS: dict[str, Callable[..., Any]] = {
    "convolve": convolve,
    "spread": spread,
    "correlate": correlate,
    "max_pool": max_pool,
    "sum_pool": sum_pool,
    "erf": erf,
    "words": words,
}
