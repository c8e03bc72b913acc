"""Elementwise functions to fuse, a row each: what the standard has, and what networks are made of."""

import math

import nnx
from nnx import functional as F


def gelu(x):
    k = math.sqrt(2.0 / math.pi)
    return x * 0.5 * (nnx.namespace(x).tanh((x + x * x * x * 0.044715) * k) + 1.0)


def huber(x, y, delta):
    xp = nnx.namespace(x)
    d = xp.abs(x - y)
    return xp.where(d < delta, d * d * 0.5, (d - delta * 0.5) * delta)


def adam(p, g, m, v, lr, b1, b2):
    m = m * b1 + g * (1.0 - b1)
    v = v * v * b2 + (g * g) * (1.0 - b2)
    return p - m / (nnx.namespace(v).sqrt(v) + 1e-8) * lr, m, v


def bias_relu(x, b):
    return nnx.namespace(x).maximum(x + b, 0.0)


def chosen(x, w, name, scale=None):
    xp = nnx.namespace(x)
    y = {"sin": xp.sin, "cos": xp.cos}[name](x * w)
    return y if scale is None else y * scale


def parts(x, y):
    """Outputs of which one does not reach y."""
    xp = nnx.namespace(x)
    return xp.exp(x * 0.5), x * y + 1.0


def floor_mod(x, y):
    return nnx.namespace(x).floor(x) + x % (y * y + 0.5)


# name -> (function, shapes of the arrays, other arguments)
CASES = {
    "gelu": (gelu, [(5, 7)], ()),
    "huber": (huber, [(5, 7), (7,)], (0.7,)),
    "adam": (adam, [(4, 3)] * 4, (0.1, 0.9, 0.99)),
    "bias_relu": (bias_relu, [(5, 7), (7,)], ()),
    "stretched": (lambda x, y, z: x * y + z, [(5, 1), (1, 7), (2, 1, 1)], ()),
    "chosen": (chosen, [(5, 7), ()], ("sin", 2.0)),
    "parts": (parts, [(3, 4), (3, 4)], ()),
    "floor_mod": (floor_mod, [(5, 7), (5, 7)], ()),
    "pow": (lambda x, n: (x * x + 0.1) ** n + x**2, [(5, 7)], (1.5,)),
    "integer_number": (lambda x, n: x * n + n, [(5, 7)], (3,)),
    "numbers": (lambda x, a, b: x * ((a + b) / (a * 2 - b)) ** 2 - abs(-a), [(5, 7)], (0.3, 1.7)),
    "clip": (lambda x, low: nnx.namespace(x).clip(x, low, 0.5), [(5, 7)], (-0.5,)),
    "itself": (lambda x, y: (x, x, y), [(5, 7), (5, 7)], ()),
    "sigmoid": (lambda x: F.sigmoid(x), [(5, 7)], ()),
    "selu": (lambda x: F.selu(x), [(5, 7)], ()),
    "erf": (lambda x: F.gelu(x), [(5, 7)], ()),
    "hyperbolic": (lambda x, y: nnx.namespace(x).atan2(x, y) + nnx.namespace(x).logaddexp(x, y), [(5, 7), (7,)], ()),
    "full": (lambda x, a: nnx.namespace(x).full_like(x, a) * x - nnx.namespace(x).ones_like(x), [(5, 7)], (0.25,)),
}

UNARY = """abs acos acosh asin asinh atan atanh ceil cos cosh exp expm1 floor isfinite isinf isnan log log10 log1p log2
logical_not negative positive reciprocal round sign signbit sin sinh sqrt square tan tanh trunc""".split()  # noqa: SIM905
BINARY = """add atan2 copysign divide equal floor_divide greater greater_equal hypot less less_equal logaddexp
logical_and logical_or logical_xor maximum minimum multiply nextafter not_equal pow remainder subtract""".split()  # noqa: SIM905
INTEGER = """add bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor equal floor_divide greater
maximum minimum multiply remainder subtract less not_equal""".split()  # noqa: SIM905
