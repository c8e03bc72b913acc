"""The derivatives of special functions: each by differences, to the second order, and on every library."""

import functools

import numpy as np
import pytest

import nnx
from nnx.autodiff.rules.special import MORE, ONE, OPS
from tests.foreign.table import ARGUMENTS
from tests.support import assert_close

pytest.importorskip("scipy", reason="scipy, which computes the values, is not installed")

P, U = np.asarray(ARGUMENTS["p"]), np.asarray(ARGUMENTS["u"])
A = np.full(P.shape, 1.5)
FIXED = {
    "polygamma": (2,),
    "zeta": (2.5,),
    "gammainc": (1.5,),
    "gammaincc": (1.5,),
    "gammaincinv": (1.5,),
    "gammainccinv": (1.5,),
    "betainc": (1.5, 2.5),
    "betaincinv": (1.5, 2.5),
    "fdtr": (3.0, 4.0),
    "fdtrc": (3.0, 4.0),
    "fdtri": (3.0, 4.0),
    "hyp1f1": (1.5, 2.5),
    "hyp2f1": (0.5, 1.5, 2.5),
    "expn": (3,),
    "yn": (2,),
    "pdtr": (2,),
    "pdtrc": (2,),
    "chdtri": (3.0,),
}
"""What stands before the arguments that have a derivative."""


def of(name, x):
    return getattr(nnx.namespace(x).special, name) if isinstance(x, nnx.Var) else OPS[name]


def call(name):
    if name == "multigammaln":
        return (lambda a: of(name, a)(a + 2.0, 2)), [P]
    if name in ("gdtr", "gdtrc"):
        return (lambda a, x: of(name, a)(a, 1.5, x)), [P, U]
    fixed = FIXED.get(name, ())
    free = 1 if name in ONE else len(MORE[name]) - len(fixed)
    return (lambda *xs: of(name, xs[0])(*fixed, *xs)), [U, P + 0.2, U + 0.5][:free]


@pytest.mark.parametrize("name", [*ONE, *MORE])
def test_derivative_and_its_derivative(name):
    f, arrays = call(name)
    nnx.gradcheck(f, *arrays, order=2)


PI2 = np.pi**2
REMOVABLE = {
    "sinc": (0.0, [0, -PI2 / 3, 0, PI2**2 / 5]),
    "exprel": (0.0, [1 / 2, 1 / 3, 1 / 4, 1 / 5]),
    "j0": (0.0, [0, -1 / 2, 0, 3 / 8]),
    "j1": (0.0, [1 / 2, 0, -3 / 8, 0]),
    "i0": (0.0, [0, 1 / 2, 0, 3 / 8]),
    "i1": (0.0, [1 / 2, 0, 3 / 8, 0]),
    "i1e": (0.0, [1 / 2]),
    "ellipk": (0.0, [np.pi / 8, 9 * np.pi / 64]),
    "ellipkm1": (1.0, [-np.pi / 8, 9 * np.pi / 64]),
    "ellipe": (0.0, [-np.pi / 8, -3 * np.pi / 64]),
    "spence": (1.0, [-1, 1 / 2, -2 / 3]),
}
"""Places where the derivative as the books write it is 0/0, and the derivatives of the first orders there."""


@pytest.mark.parametrize("name", REMOVABLE)
@pytest.mark.parametrize("beside", [0.0, 1e-9])
def test_derivatives_where_the_formula_is_0_over_0(name, beside):
    place, expected = REMOVABLE[name]
    f = functools.partial(of_one, name)
    for slope in expected:
        f = nnx.grad(f)
        assert_close(f(np.asarray(place + beside)), float(slope), atol=1e-7)


BOUNDARY = {
    "gammainc": ((1.0,), 0.0, [1, -1]),
    "gammaincc": ((1.0,), 0.0, [-1, 1]),
    "pdtrc": ((0,), 0.0, [1, -1]),
    "betainc": ((1.0, 2.0), 0.0, [2, -2]),
    "betainc at 1": ((2.0, 1.0), 1.0, [2, 2]),
    "fdtr": ((2.0, 4.0), 0.0, [1, -3 / 2]),
}
"""Where a density is a power 0 of 0: what stands before x, x, and the derivatives of the first orders."""


@pytest.mark.parametrize("name", BOUNDARY)
def test_densities_at_the_end_of_their_range(name):
    before, place, expected = BOUNDARY[name]
    f = lambda x: of(name.partition(" ")[0], x)(*before, x)
    for slope in expected:
        f = nnx.grad(f)
        assert_close(f(np.asarray(place)), float(slope), rtol=1e-12)


SERIES = {
    "sinc": (lambda mp, x: mp.sincpi(x), 0.0999 / np.pi),
    "j1": (lambda mp, x: mp.besselj(1, x), 0.0999),
    "i1": (lambda mp, x: mp.besseli(1, x), 0.0999),
    "i1e": (lambda mp, x: mp.exp(-abs(x)) * mp.besseli(1, x), 0.0999),
}
"""Slopes that near 0 are power series, their functions in mpmath, and a place where the series is just in use still."""


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("share", [0.3, 1.0, -1.0, 1.1, 9.0])
def test_power_series_have_all_their_terms(name, share):
    mpmath = pytest.importorskip("mpmath", reason="mpmath, which computes with more digits, is missing")
    exact, edge = SERIES[name]
    f = functools.partial(of_one, name)
    with mpmath.workdps(50):
        for order in (1, 2, 3):
            f = nnx.grad(f)
            expected = mpmath.diff(lambda x: exact(mpmath, x), mpmath.mpf(share * edge), order)
            assert_close(f(np.asarray(share * edge)), float(expected), rtol=1e-11)


def of_one(name, x):
    return of(name, x)(x)


@pytest.mark.parametrize("name", ["boxcox", "boxcox1p", "inv_boxcox", "inv_boxcox1p"])
@pytest.mark.parametrize("c", [0.0, 1e-9])
def test_box_cox_near_the_logarithm(name, c):
    x = np.asarray([0.5, 2.0])
    nnx.gradcheck(lambda c: of(name, c)(x, c), np.asarray([c, c]), order=2)


@pytest.mark.parametrize("name", ["gammaln", "erf", "j1", "betainc", "xlog1py"])
def test_on_every_library(backend, name):
    f, arrays = call(name)
    own = [backend.asarray(x) for x in arrays]
    y, pullback = nnx.vjp(f, *own)
    z, expected = nnx.vjp(f, *arrays)
    assert_close(y, z, rtol=1e-12)
    for found, right in zip(pullback(y), expected(z), strict=True):
        assert_close(found, right, rtol=1e-12)


def test_float32_stays_float32(backend):
    g = nnx.grad(lambda x: nnx.namespace(x).sum(of("psi", x)(x)))(backend.asarray(P, "float32"))
    assert_close(g, nnx.grad(lambda x: nnx.namespace(x).sum(of("psi", x)(x)))(P).astype("float32"), rtol=1e-5)


def test_argument_without_a_closed_form_is_refused_by_name():
    with pytest.raises(
        NotImplementedError, match=r"special.gammainc has no derivative in closed form for its argument 0"
    ):
        nnx.grad(lambda a: nnx.namespace(a).sum(of("gammainc", a)(a, P)))(P)


def test_arguments_that_are_stretched():
    nnx.gradcheck(lambda x, y: of("xlog1py", x)(x, y), U, P[0, :])
    nnx.gradcheck(lambda x, y: of("betaln", x)(x, y), P[:1, :], U)


def test_value_has_the_dtype_of_the_array_even_where_scipys_has_not():
    x = P.astype("float32")
    assert of("polygamma", x)(1, x).dtype == x.dtype
    assert of("zeta", x)(np.asarray(2.5, "float32"), x).dtype == x.dtype


ELSEWHERE = {
    "i0e of negative numbers": (lambda x: of("i0e", x)(x), [-P]),
    "i1e of negative numbers": (lambda x: of("i1e", x)(x), [-P]),
    "huber on either side of a number": (lambda r: of("huber", r)(1.0, r), [[-2.5, -0.4, 0.3, 1.7]]),
    "huber on either side of numbers": (
        lambda d, r: of("huber", d)(d, r),
        [[1.0, 0.5, 2.0, 0.7], [-2.5, -0.4, 0.3, 1.7]],
    ),
    "betaln of two arrays": (lambda a, b: of("betaln", a)(a, b), [P, U]),
    "betaln of a number": (lambda b: of("betaln", b)(2.5, b), [P]),
    "incomplete gamma of arrays": (lambda x: of("gammainc", x)(nnx.stop_gradient(x) * 0.0 + A, x), [P]),
    "incomplete beta of arrays": (lambda x: of("betainc", x)(nnx.stop_gradient(x) * 0.0 + A, 2.5, x), [U]),
}
"""Where the derivative is another, or the argument before it an array."""


@pytest.mark.parametrize("name", ELSEWHERE)
def test_derivative_elsewhere(name):
    f, arrays = ELSEWHERE[name]
    nnx.gradcheck(f, *map(np.asarray, arrays), order=2)


def test_what_the_extension_returns_is_a_var(backend):
    x = nnx.Var(backend.asarray(P))
    assert isinstance(x.__array_namespace__().special.gammaln(x), nnx.Var)
    assert isinstance(x.__array_namespace__().special.gammaln(x.value), nnx.Var)
    assert not isinstance(OPS["gammaln"](x.value), nnx.Var)
