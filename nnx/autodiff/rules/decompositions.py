"""Inverses, determinants and decompositions of stacks of matrices.

Each rule is the differential of the defining equation, turned around (Giles 2008). The derivative of an eigenvector or
a singular vector divides by the differences of the values: where two are equal there is none, and it is infinite
(that of the values alone is not).
What a decomposition leaves free (signs and phases of vectors) a loss must not depend on.
"""

from collections import namedtuple
from typing import Any, Literal

from nnx.autodiff.rules.common import RULES, adjoint, composed, conj, is_complex, pair, standard, unbroadcast
from nnx.autodiff.tape import op
from nnx.backend import device_of, innermost, namespace
from nnx.typing import Array

EighResult = namedtuple("EighResult", ["eigenvalues", "eigenvectors"])
QRResult = namedtuple("QRResult", ["Q", "R"])
SlogdetResult = namedtuple("SlogdetResult", ["sign", "logabsdet"])
SVDResult = namedtuple("SVDResult", ["U", "S", "Vh"])


def _mm(*factors: Array) -> Array:
    xp, found = namespace(*factors), factors[0]
    for factor in factors[1:]:
        found = xp.matmul(found, factor)
    return found


def _eye(like: Array, n: int) -> Array:
    return namespace(like).eye(n, dtype=like.dtype, device=device_of(like))


def _diagonal(x: Array) -> Array:
    """The matrix with its diagonal alone."""
    return x * _eye(x, x.shape[-1])


@standard
def inv(x: Array, /) -> Any:
    """A⁻¹."""
    y = namespace(x).linalg.inv(x)
    return y, lambda dy: (-_mm(adjoint(y), dy, adjoint(y)),)


@standard
def solve(x1: Array, x2: Array, /) -> Any:
    """A⁻¹ b.   x1: (..., n, n)   x2: (n,) or (..., n, k)."""
    xp, s1, s2 = pair(x1, x2)
    y = xp.linalg.solve(x1, x2)
    vector = x2.ndim == 1

    def dx2(dy: Array) -> Array:
        return xp.linalg.solve(adjoint(x1), xp.expand_dims(dy, axis=-1) if vector else dy)

    def dx1(dy: Array) -> Array | None:
        return unbroadcast(-_mm(dx2(dy), adjoint(xp.expand_dims(y, axis=-1) if vector else y)), s1)

    def dx2_as_given(dy: Array) -> Array | None:
        return unbroadcast(xp.squeeze(dx2(dy), axis=-1) if vector else dx2(dy), s2)

    return y, lambda dy: (lambda: dx1(dy), lambda: dx2_as_given(dy))


def _scaled(d: Array, x: Array) -> Array:
    """d, a number a matrix, times x."""
    return d[..., None, None] * x


@standard
def det(x: Array, /) -> Any:
    """|A|; the slope at a singular matrix raises or is infinite, as the library's inv does."""
    xp = namespace(x)
    y = xp.linalg.det(x)
    return y, lambda dy: (_scaled(dy * conj(y), adjoint(xp.linalg.inv(x))),)


@op
def _slogdet(x: Array) -> Any:
    xp = namespace(x)
    sign, logabsdet = xp.linalg.slogdet(x)

    def pullback(d: tuple[Array, Array]) -> tuple[Array]:
        slope = d[1]
        if is_complex(x):  # the phase turns, too
            slope = slope - xp.imag(conj(d[0]) * sign) * 1j
        return (_scaled(slope, adjoint(xp.linalg.inv(x))),)

    return (sign, logabsdet), pullback


@composed
def slogdet(x: Array, /) -> Any:
    """The sign of |A| and log of its size."""
    return SlogdetResult(*_slogdet(x))


@op
def _cholesky(x: Array) -> Any:
    xp = namespace(x)
    y = xp.linalg.cholesky(x)

    def pullback(dy: Array) -> tuple[Array]:
        inverse = xp.linalg.inv(y)
        phi = xp.tril(_mm(adjoint(y), xp.tril(dy)))
        phi = phi - 0.5 * _diagonal(phi)
        d = _mm(adjoint(inverse), phi, inverse)
        return (0.5 * (d + adjoint(d)),)

    return y, pullback


@composed
def cholesky(x: Array, /, *, upper: bool = False) -> Array:
    """L with L Lᴴ = A, or U = Lᴴ; the gradient is that of a symmetric (Hermitian) A."""
    return adjoint(_cholesky(x)) if upper else _cholesky(x)


@op
def _qr(x: Array) -> Any:
    """Q: (..., m, n)   R: (..., n, n)   for m ≥ n."""
    xp = namespace(x)
    q, r = xp.linalg.qr(x, mode="reduced")

    def pullback(d: tuple[Array, Array]) -> tuple[Array]:
        dq, dr = d
        a = xp.triu(_mm(dr, adjoint(r)) - _mm(adjoint(q), dq))
        both = a + adjoint(a)
        hermitian = both - 0.5 * _diagonal(both)
        return (_mm(_mm(q, hermitian) + dq, adjoint(xp.linalg.inv(r))),)

    return (q, r), pullback


@composed
def qr(x: Array, /, *, mode: Literal["reduced", "complete"] = "reduced") -> Any:
    """Q R = A with orthonormal columns in Q and R upper triangular; mode="complete" of a tall A has no slope."""
    m, n = x.shape[-2:]
    if mode == "complete" and m > n:
        raise _without_slope("qr", 'mode="reduced"')
    if m >= n:
        return QRResult(*_qr(x))
    xp = namespace(x)
    q, r = _qr(x[..., :m])  # a wide A is a square one and more columns of R
    return QRResult(q, xp.concat([r, _mm(adjoint(q), x[..., m:])], axis=-1))


def _without_slope(name: str, instead: str) -> NotImplementedError:
    return NotImplementedError(
        f"the extra vectors of a full {name} are arbitrary and have no derivative: use {instead}"
    )


def _over(a: Array, b: Array) -> Array:
    """a / b, and 0 where both are 0: a loss of the values alone sends nothing to the vectors."""
    xp = namespace(a, b)
    nothing = (a == 0) & (b == 0)
    return xp.where(nothing, 0.0, a / xp.where(nothing, 1.0, b))


def _differences(values: Array) -> Array:
    """λⱼ - λᵢ, and 1 on the diagonal."""
    return values[..., None, :] - values[..., :, None] + _eye(values, values.shape[-1])


@op
def _svd(x: Array) -> Any:
    """U: (..., m, k)   S: (..., k)   Vh: (..., k, n)   with k = min(m, n)."""
    xp = namespace(x)
    u, s, vh = xp.linalg.svd(x, full_matrices=False)
    m, n = x.shape[-2:]

    def pullback(d: tuple[Array, Array, Array]) -> tuple[Array]:
        du, ds, dvh = d
        turned_u, turned_v = _mm(adjoint(u), du), _mm(vh, adjoint(dvh))
        turned_u, turned_v = turned_u - adjoint(turned_u), turned_v - adjoint(turned_v)
        core = _over(turned_u * s[..., None, :] + s[..., :, None] * turned_v, _differences(s * s))
        core = core + ds[..., :, None] * _eye(x, s.shape[-1])
        if is_complex(x):
            core = core + _over(_diagonal(turned_u), 2.0 * s[..., None, :])
        left = _mm(u, core)
        if m > n:
            outside = _over(du, s[..., None, :])
            left = left + outside - _mm(u, adjoint(u), outside)
        dx = _mm(left, vh)
        if n > m:
            outside = _over(dvh, s[..., :, None])
            dx = dx + _mm(u, outside - _mm(outside, adjoint(vh), vh))
        return (dx,)

    return (u, s, vh), pullback


@composed
def svd(x: Array, /, *, full_matrices: bool = True) -> Any:
    """U S Vᴴ = A; full_matrices of an A that is not square has no slope."""
    if full_matrices and x.shape[-2] != x.shape[-1]:
        raise _without_slope("svd", "full_matrices=False or svdvals")
    return SVDResult(*_svd(x))


@standard
def svdvals(x: Array, /) -> Any:
    """The singular values, largest first."""
    xp = namespace(x)

    def pullback(dy: Array) -> tuple[Array]:
        u, _, vh = xp.linalg.svd(x, full_matrices=False)
        return (_mm(u * dy[..., None, :], vh),)

    return xp.linalg.svdvals(x), pullback


@op
def _eigh(x: Array) -> Any:
    values, vectors = namespace(x).linalg.eigh(x)

    def pullback(d: tuple[Array, Array]) -> tuple[Array]:
        turned = _mm(adjoint(vectors), d[1])
        core = _over(turned - _diagonal(turned), _differences(values)) + d[0][..., None, :] * _eye(x, x.shape[-1])
        dx = _mm(vectors, core, adjoint(vectors))
        return (0.5 * (dx + adjoint(dx)),)

    return (values, vectors), pullback


@composed
def eigh(x: Array, /) -> Any:
    """Eigenvalues and eigenvectors of a symmetric (Hermitian) A, whose gradient is symmetric, too."""
    return EighResult(*_eigh(x))


@standard
def eigvalsh(x: Array, /) -> Any:
    """Eigenvalues of a symmetric (Hermitian) A."""
    xp = namespace(x)

    def pullback(dy: Array) -> tuple[Array]:
        vectors = xp.linalg.eigh(x)[1]
        return (_mm(vectors * dy[..., None, :], adjoint(vectors)),)

    return xp.linalg.eigvalsh(x), pullback


@op
def _pinv(x: Array, rtol: Any) -> Any:
    """A⁺ (Golub and Pereyra 1973), where the rank does not change."""
    y = namespace(x).linalg.pinv(x, rtol=rtol)
    m, n = x.shape[-2:]

    def pullback(dy: Array) -> tuple[Array, None]:
        yh, dyh = adjoint(y), adjoint(dy)
        outside_columns, outside_rows = _eye(x, m) - _mm(x, y), _eye(x, n) - _mm(y, x)
        return _mm(outside_columns, dyh, y, yh) + _mm(yh, y, dyh, outside_rows) - _mm(yh, dy, yh), None

    return y, pullback


@composed
def pinv(x: Array, /, *, rtol: float | Array | None = None) -> Array:
    """The pseudo-inverse A⁺."""
    return _pinv(x, innermost(rtol))


@composed
def matrix_power(x: Array, n: int, /) -> Array:
    """Aⁿ by repeated squares; a negative n starts from A⁻¹."""
    if n < 0:
        return matrix_power(RULES["inv"](x), -n)
    found = None
    while n:
        if n % 2:
            found = x if found is None else _mm(found, x)
        n //= 2
        x = _mm(x, x) if n else x
    return namespace(x).broadcast_to(_eye(x, x.shape[-1]), x.shape) if found is None else found
