"""Convolution on JAX: XLA's own, compiled once for each geometry; its two gradients are its transposes."""

import math
from functools import cache
from typing import Any

from nnx.backend.windows import Windows
from nnx.typing import Array, Shape


def convolve(x: Array, weight: Array, bias: Array | None, at: Windows, groups: int) -> Array:
    """See nnx.functional.conv_core.convolve."""
    y = _compiled()[0](x, weight, at, groups)
    return y if bias is None else y + bias.reshape((-1,) + (1,) * (x.ndim - 2))


def spread(dy: Array, weight: Array, at: Windows, groups: int, size: Shape) -> Array:
    """See nnx.functional.conv_core.spread."""
    return _compiled()[1](dy, weight, at, groups, tuple(size))


def correlate(x: Array, dy: Array, at: Windows, groups: int) -> Array:
    """See nnx.functional.conv_core.correlate."""
    return _compiled()[2](x, dy, at, groups)


@cache
def _compiled() -> tuple[Any, Any, Any]:
    import jax

    def forward(x: Array, weight: Array, at: Windows, groups: int) -> Array:
        return jax.lax.conv_general_dilated(
            x, weight, at.stride, at.padding, rhs_dilation=at.dilation, feature_group_count=groups
        )

    def to_input(dy: Array, weight: Array, at: Windows, groups: int, size: Shape) -> Array:
        if max(at.stride) > 1 and math.prod(dy.shape[2:]) <= math.prod(at.kernel):
            # XLA (of jax 0.10.2) exchanges a small image with its larger kernel, gets it wrong under strides, and ends
            # the process: the zeros between dy's numbers are written out here, where it does not see them
            at, every = at._replace(stride=(1,) * len(size)), at.stride
            axes = zip(at.outputs(size), dy.shape[2:], every, strict=True)
            zeros = [(0, n - (m - 1) * s - 1, s - 1) for n, m, s in axes]
            dy = jax.lax.pad(dy, jax.numpy.zeros((), dtype=dy.dtype), [(0, 0, 0)] * 2 + zeros)
            dy = jax.lax.optimization_barrier(dy)
        shape = (dy.shape[0], weight.shape[1] * groups, *size)
        x = jax.ShapeDtypeStruct(shape, dy.dtype)
        return jax.linear_transpose(lambda x: forward(x, weight, at, groups), x)(dy)[0]

    def to_weight(x: Array, dy: Array, at: Windows, groups: int) -> Array:
        shape = (dy.shape[1], x.shape[1] // groups, *at.kernel)
        weight = jax.ShapeDtypeStruct(shape, dy.dtype)
        return jax.linear_transpose(lambda w: forward(x, w, at, groups), weight)(dy)[0]

    return (
        jax.jit(forward, static_argnums=(2, 3)),
        jax.jit(to_input, static_argnums=(2, 3, 4)),
        jax.jit(to_weight, static_argnums=(2, 3)),
    )


KERNELS = {"convolve": convolve, "correlate": correlate, "spread": spread}
