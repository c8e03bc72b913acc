"""Activations without a kink as layers: they hold options, the functions of `nnx.functional` hold the math."""

from nnx import functional as F
from nnx.backend import is_array
from nnx.layers.module import Module
from nnx.typing import Array

__all__ = [
    "GELU",
    "GLU",
    "Identity",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softsign",
    "Tanh",
    "Tanhshrink",
]


class Activation(Module):
    """A layer that is a function and its options.

    inplace: taken for PyTorch's sake, and without effect: no array is changed in place
    """

    def __init__(self, inplace: bool = False) -> None:
        pass

    def extra_repr(self) -> str:
        """See Module.extra_repr."""
        options = {k: v for k, v in vars(self).items() if not k.startswith("_") and k != "training" and not is_array(v)}
        return ", ".join(f"{name}={value!r}" for name, value in options.items())


class Identity(Activation):
    """x, whatever it was made with: a place for another layer."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __call__(self, x: Array) -> Array:
        """x itself."""
        return x


class Sigmoid(Activation):
    """1 / (1 + e⁻ˣ)."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.sigmoid."""
        return F.sigmoid(x)


class LogSigmoid(Activation):
    """log σ(x)."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.logsigmoid."""
        return F.logsigmoid(x)


class Tanh(Activation):
    """tanh x."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.tanh."""
        return F.tanh(x)


class Tanhshrink(Activation):
    """x - tanh x."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.tanhshrink."""
        return F.tanhshrink(x)


class GELU(Activation):
    """x Φ(x). approximate: "none" or "tanh"."""

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.gelu."""
        return F.gelu(x, self.approximate)


class SiLU(Activation):
    """x σ(x)."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.silu."""
        return F.silu(x)


class Mish(Activation):
    """x tanh(log(1 + eˣ))."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.mish."""
        return F.mish(x)


class Softplus(Activation):
    """log(1 + e^(βx)) / β, and x where βx is above the threshold."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = beta, threshold

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.softplus."""
        return F.softplus(x, self.beta, self.threshold)


class Softsign(Activation):
    """x / (1 + |x|)."""

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.softsign."""
        return F.softsign(x)


class Softmax(Activation):
    """eˣ / Σ eˣ along the axis dim."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.softmax."""
        return F.softmax(x, self.dim)


class Softmin(Activation):
    """softmax(-x) along the axis dim."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.softmin."""
        return F.softmin(x, self.dim)


class LogSoftmax(Activation):
    """log softmax(x) along the axis dim."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.log_softmax."""
        return F.log_softmax(x, self.dim)


class Softmax2d(Activation):
    """Softmax over the channels, at every place of an image.

    x: (n, c, h, w) or (c, h, w)   returns its shape
    """

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.softmax."""
        if x.ndim not in (3, 4):
            raise ValueError(f"Softmax2d expects x of shape (n, c, h, w) or (c, h, w), got {tuple(x.shape)}")
        return F.softmax(x, -3)


class GLU(Activation):
    """a σ(b), a and b the two halves of x along the axis dim."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def __call__(self, x: Array) -> Array:
        """See nnx.functional.glu."""
        return F.glu(x, self.dim)
