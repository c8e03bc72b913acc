"""What convolutions and pools are told, made one form: a number an axis, checked, with errors that name both sides."""

from typing import Any

from nnx.backend import namespace
from nnx.backend.windows import Windows
from nnx.typing import Array, Shape

Size = int | tuple[int, ...]
"""One number for all spatial axes, or one for each."""

Padding = int | tuple[int, ...] | str


def per_axis(value: Any, dims: int, name: str, least: int = 1) -> Shape:
    """The number for each of the spatial axes. Raises ValueError unless there are that many, each at least `least`."""
    if isinstance(value, int):
        found: tuple[Any, ...] = (value,) * dims
    else:
        found = tuple(value) if isinstance(value, tuple | list) else (value,)
        found = found * dims if len(found) == 1 else found
    if len(found) != dims or any(not isinstance(k, int) or isinstance(k, bool) or k < least for k in found):
        raise ValueError(f"{name} must be an integer >= {least} or a tuple of {dims} of them, got {value!r}")
    return found


def batched(x: Array, dims: int, what: str) -> tuple[Array, bool]:
    """x with an axis of samples, and whether it had none. Raises ValueError for other numbers of axes, or one of 0."""
    if x.ndim not in (dims + 1, dims + 2):
        raise ValueError(f"{what}: expected x of shape {_form(dims)}, got {tuple(x.shape)}")
    if 0 in tuple(x.shape[x.ndim - dims - 1 :]):
        raise ValueError(f"{what}: x has shape {tuple(x.shape)}: only the axis of samples may be empty")
    return (x, False) if x.ndim == dims + 2 else (namespace(x).expand_dims(x, axis=0), True)


def unbatched(y: Array, single: bool) -> Array:
    """y, without the axis of samples that batched put before it."""
    return namespace(y).squeeze(y, axis=0) if single else y


def _form(dims: int) -> str:
    axes = ("c, l", "c, h, w", "c, d, h, w")[dims - 1]
    return f"(n, {axes}) or ({axes})"


def convolution_windows(
    kernel: Shape, size: Shape, stride: Size, padding: Padding, dilation: Size, what: str
) -> Windows:
    """The windows of a convolution. Raises ValueError unless a kernel fits into the padded input."""
    dims = len(kernel)
    steps, spread = per_axis(stride, dims, f"{what}: stride"), per_axis(dilation, dims, f"{what}: dilation")
    if isinstance(padding, str):
        pads = _named_padding(padding, kernel, steps, spread, what)
    else:
        pads = tuple((p, p) for p in per_axis(padding, dims, f"{what}: padding", 0))
    at = Windows(kernel, steps, spread, pads)
    if min(at.outputs(size)) < 1:
        padded = tuple(n + sum(p) for n, p in zip(size, pads, strict=True))
        raise ValueError(
            f"{what}: a kernel of {kernel} with dilation {spread} reaches over {at.spans()}, the padded input is "
            f"{padded}: it must not be smaller"
        )
    return at


def _named_padding(
    padding: str, kernel: Shape, stride: Shape, dilation: Shape, what: str
) -> tuple[tuple[int, int], ...]:
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding != "same":
        raise ValueError(f"{what}: padding must be numbers, 'same' or 'valid', got {padding!r}")
    if any(s != 1 for s in stride):
        raise ValueError(f"{what}: padding='same' keeps the size, which stride {stride} does not: use stride 1")
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return tuple((t // 2, t - t // 2) for t in totals)
