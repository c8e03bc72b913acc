"""Special functions by SciPy's names, as the namespace's extension `special`: SciPy looks there for what it needs.

With SCIPY_ARRAY_API=1, scipy.special.gammaln(x) of a watched x asks x's namespace for special.gammaln, and so do the
p-values of scipy.stats. SciPy computes the values; here stand the derivatives, from the NIST Digital Library of
Mathematical Functions (dlmf.nist.gov). An argument that has none in closed form has no entry: watched, it raises.
"""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from nnx.autodiff.rules.common import like, named, unbroadcast, where_zero
from nnx.autodiff.tape import op, recorded
from nnx.autodiff.var import Var
from nnx.backend import is_array, namespace
from nnx.backend.special import special
from nnx.typing import Array

Slope = Callable[..., Array]

SPECIAL = SimpleNamespace(__name__="nnx.over.special")
"""The extension: a function an attribute."""

OPS: dict[str, Callable[..., Array]] = {}
"""The same functions for use in slopes: plain arrays stay plain."""

_DEGREE = math.pi / 180
_ROOT_2PI = math.sqrt(2 * math.pi)


def _xp(x: Array) -> Any:
    return namespace(x)


def _exp(x: Array) -> Array:
    return namespace(x).exp(x)


def _add(name: str, *slopes: Slope | None) -> None:
    """A function whose derivative for argument k is slopes[k](*args, y); None if it has none."""

    def rule(*args: Any) -> Any:
        nested = any(type(a) is Var for a in args)
        y = _sp(name, *args) if nested else special(name, *args)
        likes = [like(a) for a in args]

        def entry(k: int, dy: Array) -> Any:
            slope = slopes[k]
            if slope is None:
                return lambda: _refuse(name, k)
            return lambda: unbroadcast(dy * slope(*args, y), likes[k])

        return y, lambda dy: tuple(entry(k, dy) for k in range(len(args)))

    named(name, rule, f"scipy.special.{name}, which see.")
    OPS[name] = op(rule)
    setattr(SPECIAL, name, recorded(rule, boxes=True))


def _refuse(name: str, k: int) -> None:
    raise NotImplementedError(
        f"special.{name} has no derivative in closed form for its argument {k}: take nnx.stop_gradient of it"
    )


def _sp(name: str, *args: Any) -> Array:
    return OPS[name](*args)


def _psi(a: Array) -> Array:
    return _sp("psi", a)


def _log_gamma(a: Any) -> Any:
    return _sp("gammaln", a) if is_array(a) else math.lgamma(a)


def _of_power(c: Any, log: Any, x: Array) -> Array:
    """c log(x), which is 0 where c is, also at x = 0."""
    c = namespace(x).zeros_like(x) + c
    return c * log(where_zero(c, 1.0, x))


def _beta_density(a: Any, b: Any, x: Array) -> Array:
    """x^(a-1) (1-x)^(b-1) / B(a, b)."""
    xp = namespace(x)
    log_beta = _log_gamma(a) + _log_gamma(b) - _log_gamma(a + b)
    return xp.exp(_of_power(a - 1, xp.log, x) + _of_power(b - 1, xp.log1p, -x) - log_beta)


def _gamma_density(a: Any, x: Array) -> Array:
    """x^(a-1) e^-x / Γ(a)."""
    return _exp(_of_power(a - 1, namespace(x).log, x) - x - _log_gamma(a))


def _f_density(m: Any, n: Any, x: Array) -> Array:
    """The density of Fisher's F with m and n degrees of freedom."""
    z = m * x / (m * x + n)
    return _beta_density(m / 2, n / 2, z) * (1 - z) * m / (m * x + n)


I1_OVER_X = (1 / 2, 1 / 16, 1 / 384, 1 / 18432, 1 / 1474560)
"""I₁(x) / x in powers of x² (10.25.2)."""


def _ratio(a: Array, x: Array, n: int, *series: float, scale: Any = 1.0) -> Array:
    """a / xⁿ; near 0, where both vanish, its power series in x², times scale, whose slopes are right there, too."""
    xp: Any = _xp(x)
    found: Any = 0.0
    near = xp.abs(x) < 0.1
    inside, outside = xp.where(near, x, 0.0), xp.where(near, 1.0, x)
    for coefficient in reversed(series):
        found = found * inside * inside + coefficient
    return xp.where(near, scale * found, a / outside**n)


def _exprel_slope(x: Array) -> Array:
    """d/dx (eˣ - 1) / x, as a confluent hypergeometric function: without the 0/0 at 0 (13.6.2, 13.3.15)."""
    return 0.5 * _sp("hyp1f1", 2.0, 3.0, x)


def _boxcox_slope(log: Array, c: Any) -> Array:
    """∂/∂c (e^(c log) - 1) / c."""
    return log * log * _exprel_slope(c * log)


def _inv_boxcox_slope(z: Array, c: Any) -> Array:
    """∂/∂c log(1 + c z) / c (15.4.1, 15.5.1)."""
    return -0.5 * z * z * _sp("hyp2f1", 2.0, 2.0, 3.0, -c * z)


def _ellipk_slope(m: Array, rest: Array) -> Array:
    """dK/dm of the complete elliptic integral K(m), with rest = 1 - m (19.5.1, 15.5.1, 15.8.1)."""
    return math.pi / 8 / rest * _sp("hyp2f1", 0.5, 0.5, 2.0, m)


ONE: dict[str, Slope] = {
    # probability and error functions (DLMF 7.2, 7.10)
    "erf": lambda x, y: 2 / math.sqrt(math.pi) * _exp(-x * x),
    "erfc": lambda x, y: -2 / math.sqrt(math.pi) * _exp(-x * x),
    "erfcx": lambda x, y: 2 * x * y - 2 / math.sqrt(math.pi),
    "erfinv": lambda x, y: math.sqrt(math.pi) / 2 * _exp(y * y),
    "ndtr": lambda x, y: _exp(-0.5 * x * x) / _ROOT_2PI,
    "log_ndtr": lambda x, y: _exp(-0.5 * x * x - y) / _ROOT_2PI,
    "ndtri": lambda x, y: _exp(0.5 * y * y) * _ROOT_2PI,
    "expit": lambda x, y: y * (1 - y),
    "logit": lambda x, y: 1 / (x * (1 - x)),
    "entr": lambda x, y: -_xp(x).log(x) - 1,
    # exponentials, powers, angles in degrees
    "exp2": lambda x, y: y * math.log(2),
    "exp10": lambda x, y: y * math.log(10),
    "exprel": lambda x, y: _exprel_slope(x),
    "cbrt": lambda x, y: y / (3 * x),
    "cosm1": lambda x, y: -_xp(x).sin(x),
    "sindg": lambda x, y: _DEGREE * _sp("cosdg", x),
    "cosdg": lambda x, y: -_DEGREE * _sp("sindg", x),
    "tandg": lambda x, y: _DEGREE * (1 + y * y),
    "cotdg": lambda x, y: -_DEGREE * (1 + y * y),
    "sinc": lambda x, y: (
        math.pi**2
        * x
        * _ratio(_xp(x).cos(math.pi * x) - y, math.pi * x, 2, -1 / 3, 1 / 30, -1 / 840, 1 / 45360, -1 / 3991680)
    ),
    # exponential integrals and the dilogarithm (6.2, 25.12)
    "exp1": lambda x, y: -_exp(-x) / x,
    "expi": lambda x, y: _exp(x) / x,
    "spence": lambda x, y: -1 / _sp("exprel", _xp(x).log(x)),
    # the gamma function (5.2)
    "gamma": lambda x, y: y * _sp("psi", x),
    "gammaln": lambda x, y: _sp("psi", x),
    "loggamma": lambda x, y: _sp("psi", x),
    "rgamma": lambda x, y: -y * _sp("psi", x),
    "psi": lambda x, y: _sp("polygamma", 1, x),
    # complete elliptic integrals of the parameter m (19.4)
    "ellipk": lambda m, y: _ellipk_slope(m, 1 - m),
    "ellipkm1": lambda p, y: -_ellipk_slope(1 - p, p),
    "ellipe": lambda m, y: -math.pi / 8 * _sp("hyp2f1", 0.5, 1.5, 2.0, m),
    # Bessel functions (10.6, 10.29)
    "j0": lambda x, y: -_sp("j1", x),
    "j1": lambda x, y: _sp("j0", x) - _ratio(y, x, 1, 1 / 2, -1 / 16, 1 / 384, -1 / 18432, 1 / 1474560),
    "y0": lambda x, y: -_sp("y1", x),
    "y1": lambda x, y: _sp("y0", x) - y / x,
    "i0": lambda x, y: _sp("i1", x),
    "i1": lambda x, y: _sp("i0", x) - _ratio(y, x, 1, *I1_OVER_X),
    "i0e": lambda x, y: _sp("i1e", x) - _xp(x).sign(x) * y,
    "i1e": lambda x, y: _sp("i0e", x) - _ratio(y, x, 1, *I1_OVER_X, scale=_exp(-_xp(x).abs(x))) - _xp(x).sign(x) * y,
    "k0": lambda x, y: -_sp("k1", x),
    "k1": lambda x, y: -_sp("k0", x) - y / x,
    "k0e": lambda x, y: y - _sp("k1e", x),
    "k1e": lambda x, y: y - _sp("k0e", x) - y / x,
}

MORE: dict[str, tuple[Slope | None, ...]] = {
    "polygamma": (None, lambda n, x, y: _sp("polygamma", n + 1, x)),
    "zeta": (None, lambda s, q, y: -s * _sp("zeta", s + 1, q)),
    "betaln": (
        lambda a, b, y: _psi(a) - _psi(a + b),
        lambda a, b, y: _psi(b) - _psi(a + b),
    ),
    "poch": (
        lambda z, m, y: y * (_psi(z + m) - _psi(z)),
        lambda z, m, y: y * _psi(z + m),
    ),
    "binom": (
        lambda n, k, y: y * (_psi(n + 1) - _psi(n - k + 1)),
        lambda n, k, y: y * (_psi(n - k + 1) - _psi(k + 1)),
    ),
    "multigammaln": (lambda a, d, y: sum(_psi(a - 0.5 * k) for k in range(d)), None),
    "expn": (None, lambda n, x, y: -_sp("expn", n - 1, x)),
    "yn": (None, lambda n, x, y: _sp("yn", n - 1, x) - n / x * y),
    "hyp1f1": (None, None, lambda a, b, x, y: a / b * _sp("hyp1f1", a + 1, b + 1, x)),
    "hyp2f1": (None, None, None, lambda a, b, c, x, y: a * b / c * _sp("hyp2f1", a + 1, b + 1, c + 1, x)),
    "radian": (
        lambda d, m, s, y: _DEGREE,
        lambda d, m, s, y: _DEGREE / 60,
        lambda d, m, s, y: _DEGREE / 3600,
    ),
    # the incomplete integrals: of the upper limit (8.8, 8.17)
    "gammainc": (None, lambda a, x, y: _gamma_density(a, x)),
    "gammaincc": (None, lambda a, x, y: -_gamma_density(a, x)),
    "gammaincinv": (None, lambda a, p, y: 1 / _gamma_density(a, y)),
    "gammainccinv": (None, lambda a, p, y: -1 / _gamma_density(a, y)),
    "betainc": (None, None, lambda a, b, x, y: _beta_density(a, b, x)),
    "betaincinv": (None, None, lambda a, b, p, y: 1 / _beta_density(a, b, y)),
    # distribution functions
    "gdtr": (lambda a, b, x, y: x * _gamma_density(b, a * x), None, lambda a, b, x, y: a * _gamma_density(b, a * x)),
    "gdtrc": (lambda a, b, x, y: -x * _gamma_density(b, a * x), None, lambda a, b, x, y: -a * _gamma_density(b, a * x)),
    "fdtr": (None, None, lambda m, n, x, y: _f_density(m, n, x)),
    "fdtrc": (None, None, lambda m, n, x, y: -_f_density(m, n, x)),
    "fdtri": (None, None, lambda m, n, p, y: 1 / _f_density(m, n, y)),
    "pdtr": (None, lambda k, m, y: -_gamma_density(k + 1, m)),
    "pdtrc": (None, lambda k, m, y: _gamma_density(k + 1, m)),
    "chdtri": (None, lambda v, p, y: -2 / _gamma_density(v / 2, y / 2)),
    # piecewise functions and Box-Cox transforms
    "xlog1py": (lambda x, z, y: _xp(z).log1p(z), lambda x, z, y: x / (1 + z)),
    "kl_div": (lambda p, q, y: _xp(p).log(p / q), lambda p, q, y: 1 - p / q),
    "boxcox": (
        lambda x, c, y: x ** (c - 1),
        lambda x, c, y: _boxcox_slope(_xp(x).log(x), c),
    ),
    "boxcox1p": (
        lambda x, c, y: (1 + x) ** (c - 1),
        lambda x, c, y: _boxcox_slope(_xp(x).log1p(x), c),
    ),
    "inv_boxcox": (
        lambda z, c, y: y ** (1 - c),
        lambda z, c, y: y * _inv_boxcox_slope(z, c),
    ),
    "inv_boxcox1p": (
        lambda z, c, y: (1 + y) ** (1 - c),
        lambda z, c, y: (1 + y) * _inv_boxcox_slope(z, c),
    ),
    "huber": (
        lambda d, r, y: _xp(r).maximum(_xp(r).abs(r) - d, 0.0),
        lambda d, r, y: _xp(r).clip(r, -d, d),
    ),
    "pseudo_huber": (
        lambda d, r, y: 2 * y / d - (r / d) ** 2 * d / _xp(r).sqrt(1 + (r / d) ** 2),
        lambda d, r, y: r / _xp(r).sqrt(1 + (r / d) ** 2),
    ),
}

for _name, _slope in ONE.items():
    _add(_name, _slope)
for _name, _slopes in MORE.items():
    _add(_name, *_slopes)
