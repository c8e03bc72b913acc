"""The table of rules: a row a case, (function of the namespace and arrays, how to draw each array).

NumPy's gradient of each is held to differences, first and second order (test_rules); every other library's value,
gradient and Hessian-vector product to NumPy's. Few distinct shapes: JAX compiles each anew.
"""

import numpy as np

SHAPE = (3, 4)


def real(*shape, low=-2.0, high=2.0):
    return lambda rng: np.asarray(rng.uniform(low, high, shape))


def cplx(*shape):
    return lambda rng: np.asarray(rng.uniform(-1.5, 1.5, shape) + 1j * rng.uniform(-1.5, 1.5, shape))


def apart(*shape):
    """Numbers no two of which are close, none close to 0 or to a whole number: differences must not cross a kink."""
    n = int(np.prod(shape))
    return lambda rng: (rng.permutation(n).reshape(shape) - n / 2 + 0.37) * 0.31


def given(*values, dtype=None):
    return lambda rng: np.asarray(values, dtype=dtype)


def integers(*values):
    return lambda rng: np.asarray(values)


def matrix(*shape, kind="real"):
    """A well-conditioned square matrix: diagonally dominant, with distinct singular values."""

    def draw(rng):
        x = rng.uniform(-1.0, 1.0, shape) + (1j * rng.uniform(-1.0, 1.0, shape) if kind == "complex" else 0.0)
        return x + np.diag(2.0 + 1.5 * np.arange(shape[-1]))

    return draw


R, P, U = real(*SHAPE), real(*SHAPE, low=0.4, high=2.0), real(*SHAPE, low=-0.85, high=0.85)
A, C, M = apart(*SHAPE), cplx(*SHAPE), matrix(3, 3)
ROW, COLUMN, SCALAR = apart(4), apart(3, 1), real()
CASES = {}


def case(name, f, *arrays):
    assert name not in CASES, f"two cases {name}"
    CASES[name] = (f, arrays)


# ---- elementwise ----------------------------------------------------------------------------------------------------

UNARY = {
    **dict.fromkeys("exp expm1 square sin cos atan sinh cosh tanh asinh negative positive conj real".split(), R),  # noqa: SIM905
    **dict.fromkeys("log log1p log2 log10 sqrt reciprocal".split(), P),  # noqa: SIM905
    **dict.fromkeys("tan asin acos atanh".split(), U),  # noqa: SIM905
    "acosh": real(*SHAPE, low=1.2, high=3.0),
    "abs": A,
}
for _name, _domain in UNARY.items():
    case(_name, lambda xp, x, name=_name: getattr(xp, name)(x), _domain)
    if _name != "acosh":  # away from branch cuts, which are another's
        case(f"{_name} complex", lambda xp, x, name=_name: getattr(xp, name)(x), cplx(4))
case("acosh complex", lambda xp, x: xp.acosh(x), cplx(4))
case("imag complex", lambda xp, x: xp.imag(x), cplx(4))
case("sign complex", lambda xp, x: xp.sign(x), cplx(4))
case("abs complex, real part", lambda xp, x: xp.abs(x) + xp.real(x) * xp.imag(x), cplx(4))

BINARY = {
    "add": (R, R),
    "subtract": (R, R),
    "multiply": (R, R),
    "divide": (R, P),
    "pow": (P, R),
    "maximum": (A, P),
    "minimum": (A, P),
    "hypot": (R, P),
    "atan2": (A, P),
    "logaddexp": (R, R),
    "copysign": (A, A),
    "remainder": (A, P),
    "nextafter": (R, R),
}
for _name, _domains in BINARY.items():
    case(_name, lambda xp, x, y, name=_name: getattr(xp, name)(x, y), *_domains)
    _second = real(4, low=0.4, high=2.0) if _domains[1] is P else apart(4)
    _first = real(3, 1, low=0.4, high=2.0) if _domains[0] is P else apart(3, 1)
    case(f"{_name} of a column and a row", lambda xp, x, y, name=_name: getattr(xp, name)(x, y), _first, _second)
for _name in ("add", "subtract", "multiply", "divide", "pow"):
    case(f"{_name} complex", lambda xp, x, y, name=_name: getattr(xp, name)(x, y), cplx(4), cplx(4))
    case(f"{_name} real and complex", lambda xp, x, y, name=_name: getattr(xp, name)(x, y), apart(4), cplx(3, 4))
    case(f"{_name} complex and real", lambda xp, x, y, name=_name: getattr(xp, name)(x, y), cplx(4), apart(3, 4))
case("add, stretched between axes", lambda xp, x, y: (x + y) * y, real(1, 1), real(1, 3, 1))
case("arithmetic with numbers", lambda xp, x: (2.0 - x) * 3.0 / (1.5 + x) - x / 4.0 + 1.0 / x - (-x), P)
case("power of numbers", lambda xp, x: x**3 + x**2.5 + x**-1 + x**1 + x**0 + 2.0**x + 0.0**x, P)
case("power of negative ones", lambda xp, x: x**3 + x**2 + x**-2, A)
case(
    "power of numbers, complex",
    lambda xp, x: x**3 + (1.5 + 0.5j) ** x + x ** (0.5 + 1j) + 2.0**x + (-2.0) ** x,
    cplx(4),
)
case("complex powers of real ones", lambda xp, x: x ** (0.5 + 1j) + (1.5 + 0.5j) ** x + 0.5**x, P)
case("operators with arrays", lambda xp, x, y: (x + y) * (x - y) / y + x**2 % y, P, P)
case("maximum with a number", lambda xp, x: xp.maximum(x, 0.5) + xp.minimum(-0.5, x), A)
case("where", lambda xp, x, y: xp.where(x > y, x * y, y), A, ROW)
case("where with numbers", lambda xp, x: xp.where(x > 0.0, x, 0.1) + xp.where(x < 1.0, 2.0, x), A)
case("clip", lambda xp, x: xp.clip(x, -0.7, 0.8), A)
case("clip below", lambda xp, x: xp.clip(x, min=-0.7), A)
case("clip above", lambda xp, x: xp.clip(x, max=0.8), A)
case("clip by arrays", lambda xp, x, a, b: xp.clip(x, a - 2.0, b), A, ROW, real(3, 1, low=0.2, high=0.9))
case(
    "clip of a row by columns",
    lambda xp, x, a, b: xp.clip(x, a, b),
    ROW,
    real(3, 1, low=-0.4, high=-0.3),
    real(3, 1, low=0.3, high=0.4),
)
case("clip to nothing", lambda xp, x: xp.clip(x), R)
case(
    "floor and other steps",
    lambda xp, x: xp.floor(x) + xp.ceil(x) + xp.round(x) + xp.trunc(x) + xp.sign(x) + x // 0.7 + x,
    A,
)

# ---- reductions -----------------------------------------------------------------------------------------------------

for _name in ("sum", "mean", "var", "std", "prod", "max", "min"):
    for _axis in (None, 0, -1, (0, 1), (1, 0), ()):
        if _axis == () and _name in ("var", "std"):
            continue
        case(f"{_name}, axis {_axis}", lambda xp, x, name=_name, axis=_axis: getattr(xp, name)(x, axis=axis), A)
    case(f"{_name}, keepdims", lambda xp, x, name=_name: x * getattr(xp, name)(x, axis=1, keepdims=True), A)
    case(f"{_name} of three axes", lambda xp, x, name=_name: getattr(xp, name)(x, axis=(0, -1)), apart(2, 3, 2))
case("var, corrected", lambda xp, x: xp.var(x, axis=1, correction=1.0, keepdims=True), R)
case("std, corrected", lambda xp, x: xp.std(x, axis=0, correction=1.0), R)
case("sum complex", lambda xp, x: xp.sum(x, axis=0), C)
case("mean complex", lambda xp, x: xp.mean(x, axis=1), C)
case("prod complex", lambda xp, x: xp.prod(x, axis=1), C)
case(
    "prod with a zero",
    lambda xp, x: xp.prod(x, axis=1),
    given([1.5, 0.0, -2.0, 0.7], [0.0, 3.0, 0.0, 1.2], [0.5, 2.0, 1.1, -3.0]),
)
for _name in ("cumulative_sum", "cumulative_prod"):
    for _axis in (0, -1, -2):
        case(f"{_name}, axis {_axis}", lambda xp, x, n=_name, axis=_axis: getattr(xp, n)(x, axis=axis), A)
    case(f"{_name} of a vector", lambda xp, x, n=_name: getattr(xp, n)(x), apart(5))
    case(f"{_name}, initial", lambda xp, x, n=_name: getattr(xp, n)(x, axis=1, include_initial=True), A)
    case(f"{_name} complex", lambda xp, x, n=_name: getattr(xp, n)(x, axis=1), C)
case("cumulative_prod with zeros", lambda xp, x: xp.cumulative_prod(x), given(1.5, 0.0, -2.0, 0.7, 0.0, 3.0))
case("sum in float64", lambda xp, x: xp.sum(x, dtype=xp.float64) + xp.prod(x, dtype=xp.float64), P)
case("logsumexp", lambda xp, x: xp.max(x) + xp.log(xp.sum(xp.exp(x - xp.max(x)))), A)

# ---- manipulation ---------------------------------------------------------------------------------------------------

case("reshape", lambda xp, x: xp.reshape(x, (2, 6)), R)
case("reshape to -1, copied", lambda xp, x: xp.reshape(x, (-1,), copy=True), R)
case("permute_dims", lambda xp, x: xp.permute_dims(x, (2, 0, 1)), real(2, 3, 2))
case("permute_dims, negative", lambda xp, x: xp.permute_dims(x, (-1, 0, 1)), real(2, 3, 2))
case("moveaxis", lambda xp, x: xp.moveaxis(x, (0, 1), (2, 0)), real(2, 3, 2))
case("matrix_transpose", lambda xp, x: xp.matrix_transpose(x) + x.mT, real(2, 3, 2))
case("transpose", lambda xp, x: x.T, R)
case("broadcast_to", lambda xp, x: xp.broadcast_to(x, (2, 3, 4)), COLUMN)
case("broadcast_arrays", lambda xp, x, y: xp.broadcast_arrays(x, y, x * y), COLUMN, ROW)
case("broadcast_arrays, the shorter first", lambda xp, x, y: xp.broadcast_arrays(x, y), ROW, COLUMN)
case("squeeze", lambda xp, x: xp.squeeze(x, axis=1), COLUMN)
case("expand_dims", lambda xp, x: [xp.expand_dims(x, axis=k) for k in (0, 1, -1, -3, (2, 0), ())], R)
case("flip", lambda xp, x: [xp.flip(x), xp.flip(x, axis=0), xp.flip(x, axis=(0, -1))], R)
case("roll", lambda xp, x: [xp.roll(x, 2), xp.roll(x, (1, -1), axis=(0, 1)), xp.roll(x, 1, axis=-1)], R)
case("concat", lambda xp, x, y: xp.concat([x, y * x, x], axis=0), R, ROW)
case("concat, last axis", lambda xp, x, y: xp.concat((x, y), axis=-1), R, COLUMN)
case("concat, flat", lambda xp, x, y: xp.concat([x, y], axis=None), R, ROW)
case("stack", lambda xp, x, y: [xp.stack([x, y]), xp.stack([x, y * x], axis=1), xp.stack([x, y], axis=-1)], R, A)
case("unstack", lambda xp, x: [*xp.unstack(x), *xp.unstack(x, axis=-1)[:2]], R)
case("iteration", lambda xp, x: [row * k for k, row in enumerate(x)], R)
case("tile", lambda xp, x: [xp.tile(x, (2,)), xp.tile(x, (2, 1, 3)), xp.tile(x, (1, 2))], R)
case("repeat", lambda xp, x: [xp.repeat(x, 2), xp.repeat(x, 3, axis=1)], R)
case("repeat by counts", lambda xp, x, n: xp.repeat(x, n, axis=0), R, integers(2, 0, 1))
case("triangles", lambda xp, x: [xp.tril(x), xp.tril(x, k=1), xp.triu(x, k=-1), xp.triu(x, k=1)], R)
case(
    "meshgrid",
    lambda xp, x, y: [*xp.meshgrid(x, y), *xp.meshgrid(y, x, x, indexing="ij"), *xp.meshgrid(x)],
    ROW,
    apart(3),
)
case("meshgrid of three", lambda xp, x, y: xp.meshgrid(x, y, x, indexing="xy"), ROW, apart(3))
case("diff", lambda xp, x: [xp.diff(x), xp.diff(x, axis=0, n=2)], R)
case("diff, extended", lambda xp, x, y: xp.diff(x, axis=1, prepend=y, append=y * y), R, COLUMN)
case("diff, extended on one side", lambda xp, x, y: [xp.diff(x, prepend=y), xp.diff(x, append=y)], R, COLUMN)
case("astype complex", lambda xp, x: xp.astype(x, xp.complex128) * (1.0 + 2.0j), R)
case("astype integers and back", lambda xp, x: xp.astype(xp.astype(x, xp.int32), xp.float64) * x, A)
case("asarray to a device", lambda xp, x: xp.asarray(x, device=x.device) * x, R)
case("from_dlpack", lambda xp, x: xp.from_dlpack(x) * xp.from_dlpack(x * x), R)
case("asarray", lambda xp, x: xp.asarray(x) * xp.asarray(x, copy=True), R)
case(
    "full of a watched number",
    lambda xp, x: xp.full((3, 4), x) + xp.full_like(xp.ones(2, device=x.device), x)[0],
    SCALAR,
)

# ---- indexing -------------------------------------------------------------------------------------------------------

case("new axes of a number", lambda xp, x: x[None, None] ** 2, SCALAR)
case("slices", lambda xp, x: [x[1:, ::2], x[..., 1], x[0, :], x[-1, -2], x[None, 1:, :], x[:, None, 0]], R)
case("integer arrays", lambda xp, x, i, j: x[i, j], R, integers(0, 2, 2, 0), integers(1, 3, 3, 0))
case("a mask", lambda xp, x: x[x > 0.0], A)
case("assignment", lambda xp, x, y: _assigned(x, y), R, ROW)
case("assignment to what is watched twice", lambda xp, x: _assigned(x * x, x[1, :] * 2.0) * x, R)
case("take", lambda xp, x, i: [xp.take(x, i, axis=1), xp.take(x, i, axis=-2)], R, integers(0, 2, 2, -1))
case("take of a vector", lambda xp, x, i: xp.take(x, i), ROW, integers(0, 2, 2, -1))
case("take_along_axis", lambda xp, x, i: xp.take_along_axis(x, i, axis=0), R, integers([0, 1, 2, 0], [0, 0, 2, 1]))
case(
    "take_along_axis of three axes",
    lambda xp, x, i: xp.take_along_axis(x, i, axis=1),
    real(2, 3, 2),
    integers([[0, 2], [2, 2]], [[1, 0], [0, 0]]),
)
case("take_along_axis, one line for all", lambda xp, x, i: xp.take_along_axis(x, i, axis=1), R, integers([0, 3, 3]))
case("take_along_axis of one line", lambda xp, x, i: xp.take_along_axis(x, i), real(1, 4), integers([0, 0], [1, 3]))
case("take_along_axis, last", lambda xp, x, i: xp.take_along_axis(x, i), R, integers([0, 0], [1, 3], [2, 1]))
case("sort", lambda xp, x: [xp.sort(x), xp.sort(x, axis=0, descending=True), xp.sort(x, stable=False)], A)
case("unique_all", lambda xp, x: xp.unique_all(xp.concat([x, x])).values * x[0, 0], apart(2, 3))
case("unique_counts", lambda xp, x: xp.unique_counts(xp.concat([x, x])).values, A)
case("unique_inverse", lambda xp, x: xp.unique_inverse(xp.stack([x, x * x])).values, apart(2, 3))
case("unique_values", lambda xp, x: xp.unique_values(xp.concat([x, x[:1, :]])) ** 2, A)
case(
    "argsort and argmax",
    lambda xp, x: xp.take_along_axis(x, xp.argsort(x, axis=1), axis=1) * x[0, xp.argmax(x[0, :])],
    A,
)


def _assigned(x, y):
    z = x * 1.0
    z[1, :] = y * y
    z[0, 0] = 3.0
    z[:, 3] = z[:, 2] * z[:, 1]
    return z


# ---- products of matrices -------------------------------------------------------------------------------------------

V3, V4 = real(3), real(4)
case("matmul", lambda xp, a, b: xp.matmul(a, b), R, real(4, 2))
case("matmul operator", lambda xp, a, b: a @ b, R, real(4, 2))
case("matmul of stacks", lambda xp, a, b: xp.matmul(a, b), real(2, 3, 4), real(2, 4, 3))
case("matmul of broadcast stacks", lambda xp, a, b: xp.matmul(a, b), real(2, 1, 2, 3), real(3, 3, 2))
case("matmul by a vector", lambda xp, a, b: xp.matmul(a, b), R, V4)
case("matmul of a vector", lambda xp, a, b: xp.matmul(a, b), V3, R)
case("matmul of vectors", lambda xp, a, b: xp.matmul(a, b), V4, V4)
case("matmul of a stack by a vector", lambda xp, a, b: xp.matmul(a, b), real(2, 3, 4), V4)
case("matmul of a vector by a stack", lambda xp, a, b: xp.matmul(a, b), V4, real(2, 4, 3))
case("matmul complex", lambda xp, a, b: xp.matmul(a, b), C, cplx(4, 3))
case("matmul real and complex", lambda xp, a, b: [xp.matmul(xp.astype(a, xp.complex128), b)], R, cplx(4, 3))
case("vecdot", lambda xp, a, b: [xp.vecdot(a, b), xp.linalg.vecdot(a, a * b, axis=-1)], R, V4)
case("vecdot complex", lambda xp, a, b: xp.vecdot(a, b, axis=0), C, cplx(3, 4))
case(
    "tensordot",
    lambda xp, a, b: [xp.tensordot(a, b, axes=1), xp.tensordot(a, a, axes=2), xp.tensordot(b, b, axes=0)],
    R,
    V4,
)
case(
    "tensordot of named axes",
    lambda xp, a, b: xp.tensordot(a, b, axes=((-1, 0), (-1, 1))),
    real(2, 3, 4),
    real(3, 2, 4),
)
case("outer", lambda xp, a, b: xp.linalg.outer(a, b), V3, V4)
case("cross", lambda xp, a, b: xp.linalg.cross(a, b), real(4, 3), V3)
case("cross of as many", lambda xp, a, b: xp.linalg.cross(a, b, axis=1), real(4, 3), real(4, 3))
case("cross, axis 0", lambda xp, a, b: xp.linalg.cross(a, b, axis=0), R, real(3, 4))
case("diagonal", lambda xp, a: [xp.linalg.diagonal(a, offset=k) for k in (0, 1, -1, 3, -2, -4)], R)
case("trace", lambda xp, a: [xp.linalg.trace(a), xp.linalg.trace(a, offset=-1)], real(2, 3, 4))
case("matrix functions by linalg's names", lambda xp, a, b: _by_linalgs_names(xp.linalg, a, b), R, R)

case("outer complex", lambda xp, a, b: xp.linalg.outer(a, b), cplx(3), cplx(4))
case("cross complex", lambda xp, a, b: xp.linalg.cross(a, b), cplx(4, 3), cplx(3))
case("tensordot complex", lambda xp, a, b: xp.tensordot(a, b, axes=1), cplx(3, 4), cplx(4, 2))
case("diagonal and trace complex", lambda xp, a: [xp.linalg.diagonal(a, offset=1), xp.linalg.trace(a)], cplx(3, 4))
case("trace in another dtype", lambda xp, a: xp.linalg.trace(a, dtype=xp.complex128) * (1.0 + 0.5j), real(3, 4))


def _by_linalgs_names(linalg, a, b):
    return [linalg.matmul(a, linalg.matrix_transpose(b)), linalg.tensordot(a, b, axes=2)]


# ---- linear algebra -------------------------------------------------------------------------------------------------

STACK, CM = matrix(2, 3, 3), matrix(3, 3, kind="complex")


def hermitian(xp, a):
    """A positive definite matrix of any one: what is checked must not leave the symmetric ones."""
    return xp.matmul(a, xp.conj(xp.matrix_transpose(a)))


def squared(xp, x):
    """|x|²: free of the signs and phases that a decomposition may choose."""
    return xp.real(x * xp.conj(x))


for _name, _m in (("", STACK), (" complex", CM)):
    case(f"inv{_name}", lambda xp, a: xp.linalg.inv(a), _m)
    case(f"det{_name}", lambda xp, a: xp.linalg.det(a * 0.4), _m)
    case(f"slogdet{_name}", lambda xp, a: list(xp.linalg.slogdet(a)), _m)
    case(f"cholesky{_name}", lambda xp, a: xp.linalg.cholesky(hermitian(xp, a)), _m)
    case(f"cholesky, upper{_name}", lambda xp, a: xp.linalg.cholesky(hermitian(xp, a), upper=True), _m)
    case(f"qr{_name}", lambda xp, a: [squared(xp, y) for y in xp.linalg.qr(a)], _m)
    case(f"eigvalsh{_name}", lambda xp, a: xp.linalg.eigvalsh(hermitian(xp, a) * 0.2), _m)
    case(f"eigh{_name}", lambda xp, a: [squared(xp, y * 0.3) for y in xp.linalg.eigh(hermitian(xp, a))], _m)
    case(f"svdvals{_name}", lambda xp, a: xp.linalg.svdvals(a), _m)
    case(f"svd{_name}", lambda xp, a: [squared(xp, y) for y in xp.linalg.svd(a)], _m)
    case(f"pinv{_name}", lambda xp, a: xp.linalg.pinv(a), _m)
    case(f"matrix_power{_name}", lambda xp, a: [xp.linalg.matrix_power(a * 0.3, n) for n in (0, 1, 2, 5, -2)], _m)
    for _ord in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        case(f"matrix_norm {_ord}{_name}", lambda xp, a, o=_ord: xp.linalg.matrix_norm(a, ord=o), _m)
    _tall, _wide = (cplx(4, 2), cplx(2, 4)) if _name else (real(4, 2), real(2, 4))
    for _label, _draw in (("tall", _tall), ("wide", _wide)):
        case(f"qr {_label}{_name}", lambda xp, a: [squared(xp, y) for y in xp.linalg.qr(a, mode="reduced")], _draw)
        case(
            f"svd {_label}{_name}", lambda xp, a: [squared(xp, y) for y in xp.linalg.svd(a, full_matrices=False)], _draw
        )
        case(
            f"svd product {_label}{_name}", lambda xp, a: _recomposed(xp, *xp.linalg.svd(a, full_matrices=False)), _draw
        )
        case(f"pinv {_label}{_name}", lambda xp, a: xp.linalg.pinv(a), _draw)
    for _ord in (2, 1, 3, 2.5, 0.5, np.inf, -np.inf):
        _x = cplx(3, 4) if _name else A
        case(f"vector_norm {_ord}{_name}", lambda xp, a, o=_ord: xp.linalg.vector_norm(a, ord=o, axis=1), _x)
case("vector_norm inf, keepdims", lambda xp, a: a / xp.linalg.vector_norm(a, ord=np.inf, axis=1, keepdims=True), A)
case("svdvals tall", lambda xp, a: xp.linalg.svdvals(a), real(4, 2))
case("solve", lambda xp, a, b: xp.linalg.solve(a, b), STACK, real(3, 2))
case("solve of one matrix", lambda xp, a, b: xp.linalg.solve(a, b), M, real(2, 3, 2))
case("solve for a vector", lambda xp, a, b: xp.linalg.solve(a, b), STACK, V3)
case("solve complex", lambda xp, a, b: xp.linalg.solve(a, b), CM, cplx(3, 2))
case("qr complete", lambda xp, a: [squared(xp, y) for y in xp.linalg.qr(a, mode="complete")], M)
case(
    "vector_norm, keepdims",
    lambda xp, a: [
        xp.linalg.vector_norm(a, keepdims=True),
        a / xp.linalg.vector_norm(a, axis=(0, 1), ord=3, keepdims=True),
    ],
    A,
)
case("vector_norm of all, 0", lambda xp, a: xp.linalg.vector_norm(a, ord=0) * xp.linalg.vector_norm(a), A)
case(
    "matrix_norm, keepdims",
    lambda xp, a: [a / xp.linalg.matrix_norm(a, ord=o, keepdims=True) for o in ("fro", "nuc", 1)],
    STACK,
)
for _ord in (-1, -2.5):
    case(f"vector_norm {_ord}", lambda xp, a, o=_ord: xp.linalg.vector_norm(a, ord=o, axis=1), A)
    case(f"vector_norm {_ord} complex", lambda xp, a, o=_ord: xp.linalg.vector_norm(a, ord=o), cplx(4))
case("vector_norm of the first axes", lambda xp, a: xp.linalg.vector_norm(a, axis=(0, 1), keepdims=True), real(2, 3, 2))
for _name, _m in (("", M), (" complex", CM)):  # sums over all of them: they are in no order
    case(f"eigvals{_name}", lambda xp, a: _in_any_order(xp, 0.2 * xp.linalg.eigvals(a)), _m)
    case(f"eig{_name}", lambda xp, a: _of_vectors(xp, *xp.linalg.eig(0.3 * a)), _m)
case("eig of a stack", lambda xp, a: _of_vectors(xp, *xp.linalg.eig(0.3 * a)), STACK)
case("eig of a matrix that turns", lambda xp, a: _of_vectors(xp, *xp.linalg.eig(a)), given([0.3, -1.4], [0.9, 0.5]))
case("matrix_rank", lambda xp, a: xp.astype(xp.linalg.matrix_rank(a), xp.float64) * xp.linalg.trace(a), M)
case("pinv with rtol", lambda xp, a: xp.linalg.pinv(a, rtol=1e-10), M)


def _in_any_order(xp, w):
    return [xp.sum(w * w, axis=-1), xp.sum(xp.exp(w), axis=-1)]


def _of_vectors(xp, w, v):
    weight = xp.astype(squared(xp, v), w.dtype)  # free of the phase that a vector may have
    return [*_in_any_order(xp, w), xp.sum(weight * w[..., None, :], axis=-1), xp.sum(weight * weight, axis=-1)]


def _recomposed(xp, u, s, vh):
    return xp.matmul(u * (s * s)[..., None, :], vh)


# ---- Fourier transforms ---------------------------------------------------------------------------------------------

for _norm in ("backward", "ortho", "forward"):
    for _name in ("fft", "ifft"):
        case(f"{_name}, {_norm}", lambda xp, x, f=_name, o=_norm: getattr(xp.fft, f)(x, norm=o), C)
    for _name in ("rfft", "ihfft"):
        case(f"{_name}, {_norm}", lambda xp, x, f=_name, o=_norm: getattr(xp.fft, f)(x, norm=o, axis=1), R)
    for _name in ("irfft", "hfft"):
        case(f"{_name}, {_norm}", lambda xp, x, f=_name, o=_norm: getattr(xp.fft, f)(x, norm=o), C)
    for _name in ("fftn", "ifftn", "irfftn"):
        case(f"{_name}, {_norm}", lambda xp, x, f=_name, o=_norm: getattr(xp.fft, f)(x, norm=o), C)
    case(f"rfftn, {_norm}", lambda xp, x, o=_norm: xp.fft.rfftn(x, norm=o), R)
for _name in ("fft", "ifft", "irfft", "hfft"):
    case(
        f"{_name}, padded and cut", lambda xp, x, f=_name: [getattr(xp.fft, f)(x, n=n, axis=0) for n in (5, 4, 2, 3)], C
    )
for _name in ("rfft", "ihfft"):
    case(
        f"{_name}, padded and cut",
        lambda xp, x, f=_name: [getattr(xp.fft, f)(x, n=n, axis=-2) for n in (5, 4, 2, 3)],
        R,
    )
case("fft of given lengths, last axis", lambda xp, x: [xp.fft.fft(x, n=n) for n in (5, 3)] + [xp.fft.irfft(x, n=5)], C)
case("rfft of given lengths, last axis", lambda xp, x: [xp.fft.rfft(x, n=n) for n in (5, 3)], R)
case(
    "fftn of some axes",
    lambda xp, x: [
        xp.fft.fftn(x, axes=(0,)),
        xp.fft.ifftn(x, s=(5, 2), axes=(1, 0)),
        xp.fft.fftn(x, s=(3,), axes=(1,)),
    ],
    C,
)
case("rfftn of some axes", lambda xp, x: [xp.fft.rfftn(x, axes=(1, 0)), xp.fft.rfftn(x, s=(2, 5), axes=(0, 1))], R)
case("irfftn of some axes", lambda xp, x: [xp.fft.irfftn(x, axes=(1, 0)), xp.fft.irfftn(x, s=(4, 5), axes=(0, 1))], C)
case("shifts back", lambda xp, x: [xp.fft.ifftshift(x), xp.fft.ifftshift(x, axes=[1])], R)
case("shifts", lambda xp, x: [xp.fft.fftshift(x), xp.fft.ifftshift(x, axes=0), xp.fft.fftshift(x, axes=(1,))], R)
case("filter", lambda xp, x: xp.fft.irfft(xp.fft.rfft(x) * xp.fft.rfft(x), n=4), R)

# ---- degenerate shapes ----------------------------------------------------------------------------------------------

case(
    "0-d, elementwise",
    lambda xp, x: [xp.exp(x) * x, x / (x + 4.0), xp.abs(x), xp.maximum(x, 0.3), xp.where(x > 0.0, x, x * x), x**2, -x],
    SCALAR,
)
case("0-d and an array", lambda xp, x, y: [x * y, y - x, xp.maximum(x, y), x**2 / y], SCALAR, P)
for _label, _x in (("0-d", SCALAR), ("length one", real(1))):
    case(
        f"reductions, {_label}",
        lambda xp, x: [x * getattr(xp, f)(x) for f in ("sum", "prod", "mean", "max", "min")] + [x + xp.var(x)],
        _x,
    )
case(
    "0-d, moved",
    lambda xp, x: [
        xp.reshape(x, (1,)),
        xp.reshape(xp.broadcast_to(x, (2, 1)), (2,)),
        xp.expand_dims(x, axis=0),
        x[...],
        x[None, ...],
        xp.stack([x, x * x]),
        xp.flip(x),
        xp.permute_dims(x, ()),
        xp.linalg.vector_norm(x),
        *xp.broadcast_arrays(x, x),
        *xp.meshgrid(x, x * x),
    ],
    real(low=0.4),
)
case(
    "length one, moved",
    lambda xp, x: [
        xp.sort(x),
        xp.cumulative_sum(x) * xp.cumulative_prod(x),
        xp.roll(x, 3),
        xp.flip(x),
        xp.concat([x]),
        xp.tile(x, (2,)),
        xp.repeat(x, 2),
        xp.squeeze(x, axis=0),
        xp.take(x, xp.asarray([0, 0], device=x.device)),
        xp.diff(x) + x,
        *xp.unstack(x),
        xp.linalg.outer(x, x),
        xp.vecdot(x, x),
    ],
    real(1, low=0.4),
)
case(
    "one by one matrices",
    lambda xp, a: [
        xp.linalg.inv(a),
        xp.linalg.det(a),
        xp.linalg.cholesky(a),
        xp.linalg.eigvalsh(a),
        xp.linalg.svdvals(a),
        xp.linalg.pinv(a),
        xp.linalg.solve(a, a * a),
        xp.linalg.matrix_norm(a),
        xp.linalg.trace(a),
        xp.linalg.slogdet(a).logabsdet,
    ],
    real(1, 1, low=0.5),
)
case(
    "empty parts",
    lambda xp, x: [
        x + xp.sum(x[:0, :]),
        x * xp.prod(x[:, :0]),
        xp.concat([x, x[:0, :]]),
        xp.matmul(x[:, :0], xp.matrix_transpose(x)[:0, :]) + x[:, :3],
        xp.sum(xp.exp(x[:0, :]) * x[:0, :], axis=0) + x,
        xp.sum(xp.cumulative_sum(x[:0, :], axis=0)) + xp.sum(xp.sort(x[:, :0])) + x,
        xp.linalg.vector_norm(x[:0, :]) + x,
        xp.sum(xp.where(x[:0, :] > 0.0, x[:0, :], 0.0)) + x,
    ],
    R,
)
case("transform of one element", lambda xp, x: [xp.fft.fft(x), xp.fft.ifft(x), xp.fft.irfft(x, n=1)], cplx(1))
case("stacks without a matrix", lambda xp, x: x + xp.sum(xp.linalg.inv(xp.reshape(x[:0, :], (0, 2, 2)))), R)
