"""At kinks, at edges and for complex numbers nnx's gradient is PyTorch's: the oracle is torch.autograd itself."""

import contextlib
import re

import numpy as np
import pytest

import nnx
from tests.autodiff.cases import CASES
from tests.autodiff.test_rules import curved, drawn
from tests.support import assert_close, assert_same

INF = np.inf
Z = [0.0, 0.0 + 0.0j, 1.0 + 2.0j, -1.0j]


def _singular(xp, x):
    return xp.linalg.svd(x, full_matrices=False)[1]


# name: (function, arrays); at places where a convention decides
EDGES = {
    "abs": (lambda xp, x: xp.abs(x), [[-1.0, 0.0, 2.0]]),
    "sign": (lambda xp, x: xp.sign(x) + x, [[-1.0, 0.0, 2.0]]),
    "sqrt": (lambda xp, x: xp.sqrt(x), [[0.0, 4.0]]),
    "log": (lambda xp, x: xp.log(x), [[0.0, 4.0]]),
    "reciprocal": (lambda xp, x: xp.reciprocal(x), [[0.0, 4.0]]),
    "asin": (lambda xp, x: xp.asin(x) + xp.acos(x) * 2.0, [[1.0, -1.0, 0.0]]),
    "atanh": (lambda xp, x: xp.atanh(x), [[1.0, 0.0]]),
    "acosh": (lambda xp, x: xp.acosh(x), [[1.0, 2.0]]),
    "tanh": (lambda xp, x: xp.tanh(x), [[0.0, 1e3, -1e3]]),
    "square of 0": (lambda xp, x: x**2 + x**1 + x**0, [[0.0, -3.0]]),
    "root of 0": (lambda xp, x: x**0.5, [[0.0, 4.0]]),
    "inverse of 0": (lambda xp, x: x**-1.0, [[0.0, 4.0]]),
    "pow": (lambda xp, x, y: x**y, [[0.0, 0.0, 0.0, 2.0, 2.0, -2.0], [0.0, 2.0, 0.5, 0.0, 3.0, 0.0]]),
    "pow at 0 and 1": (lambda xp, x, y: x**y, [[0.0, 0.0, 0.0, 2.0, 2.0, 1.0], [0.0, 2.0, 1.0, 0.0, 1.0, 3.0]]),
    "pow of 0 to a negative one": (lambda xp, x, y: x**y, [[0.0, 2.0], [-1.0, -1.0]]),
    "power of a negative number": (lambda xp, x: (-2.0) ** x, [[1.0, 2.0, 3.0]]),
    "complex pow of arrays": (lambda xp, z, w: z**w, [[0.0, 1.0 + 2.0j], [2.0 + 0.0j, 0.5j]]),
    "power of a number": (lambda xp, x: 2.0**x + 0.0**x, [[0.0, 1.0, 2.0]]),
    "maximum": (lambda xp, x, y: xp.maximum(x, y), [[1.0, 2.0, 0.0, INF], [1.0, 1.0, 0.0, 1.0]]),
    "minimum": (lambda xp, x, y: xp.minimum(x, y), [[1.0, 2.0, 0.0, INF], [1.0, 1.0, 0.0, 1.0]]),
    "clip": (lambda xp, x: xp.clip(x, 0.0, 1.0), [[-1.0, 0.0, 0.5, 1.0, 2.0]]),
    "clip by arrays": (
        lambda xp, x, a, b: xp.clip(x, a, b),
        [[-1.0, 0.0, 0.5, 1.0, 2.0], [0.0] * 5, [1.0] * 5],
    ),
    "clip by bounds that cross": (lambda xp, x, a, b: xp.clip(x, a, b), [[0.0, 2.0, 4.0], [3.0] * 3, [1.0] * 3]),
    "max": (lambda xp, x: xp.max(x), [[1.0, 3.0, 3.0, 2.0, 3.0]]),
    "min along an axis": (lambda xp, x: xp.min(x, axis=1), [[[1.0, 1.0, 2.0], [0.0, 0.0, 0.0]]]),
    "prod": (lambda xp, x: xp.prod(x), [[2.0, 0.0, 3.0]]),
    "prod of two zeros": (lambda xp, x: xp.prod(x), [[2.0, 0.0, 0.0]]),
    "cumulative_prod": (lambda xp, x: xp.cumulative_prod(x), [[2.0, 0.0, 3.0, 0.0, 5.0]]),
    "std of equal ones": (lambda xp, x: xp.std(x), [[2.0, 2.0, 2.0]]),
    "var of equal ones": (lambda xp, x: xp.var(x), [[2.0, 2.0, 2.0]]),
    "hypot": (lambda xp, x, y: xp.hypot(x, y), [[0.0, 0.0, 3.0], [0.0, 2.0, 4.0]]),
    "atan2": (lambda xp, x, y: xp.atan2(x, y), [[0.0, 0.0, 3.0], [-1.0, 2.0, 0.0]]),
    "copysign": (lambda xp, x, y: xp.copysign(x, y), [[0.0, -1.0, 2.0, 3.0], [1.0, 1.0, -0.0, -3.0]]),
    "remainder": (lambda xp, x, y: x % y, [[0.0, 4.0, -3.0, 3.0], [2.0, 2.0, 2.0, -2.0]]),
    "where hides nothing": (lambda xp, x: xp.where(x > 0.0, x * x, 3.0 * x), [[-1.0, 0.0, 2.0]]),
    "sort": (lambda xp, x: xp.sort(x) * xp.asarray([1.0, 10.0, 100.0, 1000.0]), [[2.0, 1.0, 2.0, 1.0]]),
    "take": (lambda xp, x: xp.take(x, xp.asarray([0, 2, 2, 2])) ** 2, [[2.0, 1.0, 3.0]]),
    "norm 2": (lambda xp, x: xp.linalg.vector_norm(x, axis=1), [[[0.0, 0.0], [3.0, 4.0]]]),
    "norm 1": (lambda xp, x: xp.linalg.vector_norm(x, ord=1, axis=1), [[[0.0, 0.0], [3.0, 0.0]]]),
    "norm 3": (lambda xp, x: xp.linalg.vector_norm(x, ord=3, axis=1), [[[0.0, 0.0], [3.0, 0.0]]]),
    "norm 0.5": (lambda xp, x: xp.linalg.vector_norm(x, ord=0.5, axis=1), [[[0.0, 0.0], [0.0, 4.0]]]),
    "norm inf": (lambda xp, x: xp.linalg.vector_norm(x, ord=INF, axis=1), [[[2.0, -2.0], [3.0, 0.0]]]),
    "matrix norm": (lambda xp, x: xp.linalg.matrix_norm(x), [[[0.0, 0.0], [0.0, 0.0]]]),
    "equal eigenvalues alone": (lambda xp, x: xp.linalg.eigh(x)[0], [[[2.0, 0.0], [0.0, 2.0]]]),
    "equal singular values alone": (lambda xp, x: _singular(xp, x), [[[2.0, 0.0], [0.0, 2.0], [0.0, 0.0]]]),
    "singular values of 0 alone": (lambda xp, x: _singular(xp, x), [[[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]),
    "logaddexp": (lambda xp, x, y: xp.logaddexp(x, y), [[-1e3, 1e3, 0.0], [0.0, 1e3, -INF]]),
    "fft of real numbers": (lambda xp, x: xp.fft.fft(x) + xp.fft.ifft(x), [[1.0, -2.0, 3.0]]),
    "complex abs": (lambda xp, z: xp.abs(z), [Z]),
    "complex pow": (lambda xp, z: z**2 + z**0, [Z]),
}


WARNS = {
    "sqrt",
    "log",
    "reciprocal",
    "asin",
    "atanh",
    "acosh",
    "root of 0",
    "inverse of 0",
    "pow",
    "pow of 0 to a negative one",
    "power of a negative number",
    "hypot",
    "atan2",
}
"""NumPy warns of an infinite slope, as it should; elsewhere nothing may be divided by 0 and then hidden."""


@pytest.mark.parametrize("name", EDGES)
def test_edges_are_pytorchs(name):
    f, values = EDGES[name]
    functions = [lambda *xs: f(nnx.namespace(xs[0]), *xs), lambda *xs: f(pytorch(), *xs)]
    with np.errstate(divide="ignore", invalid="ignore") if name in WARNS else contextlib.nullcontext():
        compare(functions, [np.asarray(v) for v in values])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ["mean", "var", "std"])
@pytest.mark.parametrize("shape", [(0, 2), (0,)])
def test_gradient_of_a_reduction_of_nothing_has_no_elements(name, shape):
    reduced = lambda x: nnx.namespace(x).sum(getattr(nnx.namespace(x), name)(x, axis=0))
    assert nnx.grad(reduced)(np.zeros(shape)).shape == shape


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ["var", "std"])
def test_no_degrees_of_freedom_have_no_slope(name):
    reduced = lambda x: getattr(nnx.namespace(x), name)(x, correction=1)
    assert np.isnan(nnx.grad(reduced)(np.asarray([2.0])))


@pytest.mark.parametrize("name", ["sum", "prod", "cumulative_sum", "cumulative_prod"])
def test_what_is_asked_for_in_whole_numbers_is_a_constant(name):
    x = np.asarray([1.0, 2.5, 3.5])
    rounded = lambda x: getattr(nnx.namespace(x), name)(x, dtype=np.int64)
    found = nnx.grad(lambda x: nnx.namespace(x).sum(x * rounded(x)))(x)  # as JAX; PyTorch refuses
    np.testing.assert_allclose(found, np.broadcast_to(nnx.to_numpy(rounded(x)), x.shape))


BEYOND_THE_STANDARD = {
    "a list": lambda xp, x: x[[0, 0, 2]],
    "lists": lambda xp, x: x[[0, 0, 2], [1, 1, 0]],
    "a list behind a slice": lambda xp, x: x[:, [1, 1]],
    "a matrix of indices": lambda xp, x: xp.take(x, np.asarray([[0, 0], [2, -1]]), axis=0),
    "a matrix of indices, last": lambda xp, x: xp.take(x, np.asarray([[0, 0], [2, -1]]), axis=-1),
    "one index": lambda xp, x: xp.take(x, np.asarray(1), axis=1),
    "real frequencies": lambda xp, x: xp.fft.irfft(x),
    "a mask and a list": lambda xp, x: x[np.asarray([True, False, True]), [1, 1]],
}


@pytest.mark.parametrize("name", BEYOND_THE_STANDARD)
def test_what_numpy_takes_beyond_the_standard_is_right_too(name):
    f = BEYOND_THE_STANDARD[name]
    nnx.gradcheck(lambda x: nnx.namespace(x).sum(f(nnx.namespace(x), x) ** 2), np.arange(12.0).reshape(3, 4), order=2)


SMOOTH_TO_SECOND_ORDER = {
    "norm at 0": (lambda xp, x: xp.linalg.vector_norm(x) * x, [0.0, 0.0]),
    "norm 3 with a zero": (lambda xp, x: xp.linalg.vector_norm(x, ord=3), [0.0, 2.0]),
    "std of equal ones": (lambda xp, x: xp.std(x) * x, [2.0, 2.0]),
    "square of 0": (lambda xp, x: x**2, [0.0, 2.0]),
    "prod with a zero": (lambda xp, x: xp.prod(x), [0.0, 2.0]),
    "abs of a complex 0": (lambda xp, x: xp.abs(x + 0j), [0.0, 2.0]),
}


@pytest.mark.parametrize("name", SMOOTH_TO_SECOND_ORDER)
def test_second_derivative_at_an_edge_is_finite(name):
    f, x = SMOOTH_TO_SECOND_ORDER[name]
    hessian = nnx.hessian(lambda x: nnx.namespace(x).sum(f(nnx.namespace(x), x)))(np.asarray(x))
    assert np.all(np.isfinite(hessian))


def pytorch():
    """torch as a namespace; where it is not installed, these tests have no oracle."""
    return pytest.importorskip("array_api_compat.torch", reason="PyTorch is the oracle")


def compare(functions, arrays, rtol=1e-9):
    ours, theirs = functions
    torch = pytorch()
    y, pullback = nnx.vjp(ours, *arrays)
    outputs = y if isinstance(y, list) else [y]
    rng = np.random.default_rng(0)
    seeds = [rng.normal(size=o.shape) + (1j * rng.normal(size=o.shape) if np.iscomplexobj(o) else 0) for o in outputs]
    found = pullback(seeds if isinstance(y, list) else seeds[0])
    tensors = [torch.tensor(x, requires_grad=True) for x in arrays]
    expected = theirs(*tensors)
    expected = expected if isinstance(expected, list) else [expected]
    grads = torch.autograd.grad(
        expected,
        tensors,
        [torch.as_tensor(np.asarray(s, o.detach().numpy().dtype)) for s, o in zip(seeds, expected, strict=True)],
        allow_unused=True,
        materialize_grads=True,
    )
    for o, e in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(o, e.detach().numpy(), rtol=rtol, atol=1e-12)
    for d, e in zip(found, grads, strict=True):
        assert_close(d, e.detach().resolve_conj().numpy(), rtol=rtol, atol=1e-10)


COMPLEX = [
    name for name in CASES if "complex" in name or name.partition(",")[0] in ("fft", "ifft", "irfft", "hfft", "fftn")
]


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_gradients_are_pytorchs(name):
    f = CASES[name][0]

    def theirs(*xs):
        from nnx.autodiff.tree import leaves

        return [y + 0.5 * y * y for y in leaves(f(pytorch(), *xs))]

    compare([curved(name), theirs], drawn(name), rtol=1e-7)


@pytest.mark.parametrize(
    "name", ["divide complex", "prod complex", "matmul complex", "slogdet complex", "abs complex", "fft, ortho"]
)
def test_complex_gradients_are_jaxs_conjugated(name):
    jax = pytest.importorskip("jax")
    from nnx.autodiff.tree import leaves

    f, arrays = CASES[name][0], drawn(name)
    ours, pullback = nnx.vjp(lambda *xs: leaves(f(nnx.namespace(xs[0]), *xs)), *arrays)
    theirs, back = jax.vjp(lambda *xs: leaves(f(jax.numpy, *xs)), *map(jax.numpy.asarray, arrays))
    rng = np.random.default_rng(0)
    seeds = [rng.normal(size=y.shape) + (1j * rng.normal(size=y.shape) if np.iscomplexobj(y) else 0) for y in ours]
    found = pullback(seeds)
    expected = back([jax.numpy.asarray(np.conj(s).astype(t.dtype)) for s, t in zip(seeds, theirs, strict=True)])
    for d, e in zip(found, expected, strict=True):
        assert_close(d, np.conj(np.asarray(e)), rtol=1e-7, atol=1e-10)


# ---- what PyTorch need not be asked ---------------------------------------------------------------------------------


SYMMETRIC = {
    "cholesky": lambda xp, a: xp.linalg.cholesky(a),
    "eigenvectors": lambda xp, a: xp.linalg.eigh(a).eigenvectors,
    "eigenvalues": lambda xp, a: xp.linalg.eigvalsh(a),
}


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("name", SYMMETRIC)
def test_gradient_of_a_symmetric_matrix_is_symmetric(name, dtype):
    rng = np.random.default_rng(0)
    a = rng.normal(size=(3, 3)) + (1j * rng.normal(size=(3, 3)) if dtype == "complex128" else 0.0)
    y, pullback = nnx.vjp(lambda a: SYMMETRIC[name](nnx.namespace(a), a), a @ a.conj().T + 3.0 * np.eye(3))
    (d,) = pullback(rng.normal(size=y.shape).astype(y.dtype))
    assert np.max(np.abs(d)) > 1e-3
    np.testing.assert_allclose(d, d.conj().T, atol=1e-12)


def test_vectors_of_equal_eigenvalues_have_no_derivative():
    with np.errstate(all="ignore"):
        dx = nnx.grad(lambda x: nnx.namespace(x).linalg.eigh(x)[1][0, 1])(np.eye(2))
    assert not np.all(np.isfinite(dx))


def test_pinv_cuts_singular_values_off(backend):
    a = np.diag([4.0, 3.0, 0.1])
    y, pullback = nnx.vjp(lambda a: nnx.namespace(a).linalg.pinv(a, rtol=0.5), backend.asarray(a))
    assert_close(y, np.diag([1 / 4, 1 / 3, 0.0]), atol=1e-12)
    (d,) = pullback(backend.asarray(np.eye(3)))
    assert_close(d, np.diag([-1 / 16, -1 / 9, 0.0]), atol=1e-12)


def test_equal_elements_share_evenly(backend):
    g = nnx.grad(lambda x: nnx.namespace(x).max(x))(backend.asarray(np.asarray([3.0, 1.0, 3.0])))
    assert_same(g, [0.5, 0.0, 0.5])


REAL32 = [
    name for name, (_, arrays) in CASES.items() if all(d(np.random.default_rng(0)).dtype == np.float64 for d in arrays)
]
WIDER = {
    "trace in another dtype",
    "sum in float64",
    "matrix_rank",
    "astype complex",
    "astype integers and back",
    "full of a watched number",
    "matmul real and complex",
}


@pytest.mark.parametrize("name", [name for name in REAL32 if name not in WIDER])
def test_float32_stays_float32(name):
    """No constant, scalar or default dtype in a rule widens what it touches."""
    arrays = [x.astype(np.float32) for x in drawn(name)]
    outputs, pullback = nnx.vjp(curved(name), *arrays)
    assert {str(y.dtype) for y in outputs} <= {"float32", "complex64"}
    seeds = [np.ones(y.shape, y.dtype) for y in outputs]
    arrived = set()
    for d, x in zip(pullback(seeds), arrays, strict=True):
        arrived.add(d.dtype)
        assert d.shape == x.shape
    assert arrived == {np.dtype("float32")}


ON_THE_LEFT = {
    "add": (lambda x: (1.0 + 2.0j) + x, lambda x: 1.0),
    "subtract": (lambda x: (1.0 + 2.0j) - x, lambda x: -1.0),
    "multiply": (lambda x: (1.0 + 2.0j) * x, lambda x: 1.0 + 2.0j),
    "divide": (lambda x: (1.0 + 2.0j) / x, lambda x: -(1.0 + 2.0j) / x**2),
    "pow": (lambda x: (1.0 + 2.0j) ** x, lambda x: (1.0 + 2.0j) ** x * np.log(1.0 + 2.0j)),
}


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])  # array-api-strict refuses such a mix
@pytest.mark.parametrize("name", ON_THE_LEFT)
def test_complex_number_on_the_left_of_a_real_one(name, library):
    f, slope = ON_THE_LEFT[name]
    try:
        x = nnx.get_backend(library).asarray(np.asarray([3.0, 5.0]))
    except nnx.BackendUnavailable as error:
        pytest.skip(str(error).partition("\n")[0])
    # of one element and of a sum NumPy makes scalars, which are Python floats, too
    y, pullback = nnx.vjp(lambda x: f(x[0]) * nnx.namespace(x).sum(x), x)
    assert_close(y, 8.0 * f(np.asarray(3.0)), rtol=1e-12)
    (dx,) = pullback(nnx.namespace(y).ones_like(y))
    both = [np.real(8.0 * slope(3.0) + f(3.0)), np.real(f(3.0))]
    assert_close(dx, both, rtol=1e-12)


def test_gradient_of_a_mixed_product_has_each_arguments_dtype():
    x, y, z = np.ones(3, np.float32), np.ones(3), np.ones(3) * 1j
    grads = nnx.grad(lambda x, y, z: nnx.namespace(x).real(nnx.namespace(x).sum(x * y * z)), argnums=(0, 1, 2))(x, y, z)
    assert [str(g.dtype) for g in grads] == ["float32", "float64", "complex128"]


def test_a_narrower_complex_argument_keeps_its_imaginary_part():
    x, y = np.asarray([1.0, 2.0j], np.complex64), np.asarray([3.0 + 4.0j, 5.0])
    dx = nnx.grad(lambda x: nnx.namespace(x).real(nnx.namespace(x).sum(x * y)))(x)
    assert dx.dtype == np.complex64
    assert_close(dx, np.conj(y).astype(np.complex64), rtol=1e-6)


WIDENING = {
    "sum": lambda xp, x: xp.sum(x, dtype=xp.float64),
    "prod": lambda xp, x: xp.prod(x, dtype=xp.float64),
    "cumulative_sum": lambda xp, x: xp.cumulative_sum(x, dtype=xp.float64),
    "cumulative_prod": lambda xp, x: xp.cumulative_prod(x, dtype=xp.float64),
    "concat": lambda xp, x: xp.concat([x, xp.zeros(2, dtype=xp.float64)]),
    "stack": lambda xp, x: xp.stack([xp.zeros(3, dtype=xp.float64), x]),
    "where": lambda xp, x: xp.where(x > 0.0, x, xp.zeros(3, dtype=xp.float64)),
    "matmul": lambda xp, x: xp.matmul(x, xp.ones(3, dtype=xp.float64)),
    "solve": lambda xp, x: xp.linalg.solve(xp.eye(3, dtype=xp.float64), x),
}


@pytest.mark.parametrize("name", WIDENING)
def test_a_gradient_comes_back_in_the_dtype_that_was_widened(name):
    x = np.asarray([1.0, 2.0, 3.0], np.float32)
    y, pullback = nnx.vjp(lambda x: WIDENING[name](nnx.namespace(x), x), x)
    assert y.dtype == np.float64
    (dx,) = pullback(np.ones(y.shape))
    assert dx.dtype == np.float32
    assert dx.shape == (3,)


@pytest.mark.parametrize("name", ["irfft", "hfft", "irfftn", "ifft"])
def test_complex64_stays_complex64(name):
    x = np.asarray([1.0, 2.0 + 1.0j, 3.0], np.complex64)
    y, pullback = nnx.vjp(lambda x: getattr(nnx.namespace(x).fft, name)(x), x)
    assert y.dtype in (np.float32, np.complex64)
    assert pullback(y)[0].dtype == np.complex64


def test_cast_there_and_back_keeps_the_dtype(backend):
    x = backend.asarray(np.asarray([1.0, 2.0]))

    def f(x):
        xp = nnx.namespace(x)
        return xp.sum(xp.astype(xp.astype(x, xp.float32) * 3.0, xp.float64))

    assert_same(nnx.grad(f)(x), [3.0, 3.0])


EMPTY = {
    "sum": lambda xp, x: xp.sum(x),
    "mean of rows": lambda xp, x: xp.sum(x, axis=0),
    "prod": lambda xp, x: xp.prod(x) * xp.prod(x, axis=0),
    "matmul": lambda xp, x: xp.matmul(xp.matrix_transpose(x), x),
    "elementwise": lambda xp, x: xp.exp(x) * x / (x + 1.0),
    "broadcast": lambda xp, x: x * xp.ones((1, 3), dtype=x.dtype, device=x.device),
    "concat": lambda xp, x: xp.concat([x, xp.ones((2, 3), dtype=x.dtype, device=x.device)]),
    "indexing": lambda xp, x: x[:, 1:],
    "take": lambda xp, x: xp.take(x, xp.asarray([0, 2, 2], device=x.device), axis=1),
    "sort": lambda xp, x: xp.sort(x, axis=1),
    "reshape": lambda xp, x: xp.reshape(x, (3, 0)),
    "cumulative_sum": lambda xp, x: xp.cumulative_sum(x, axis=1),
    "cumulative_prod": lambda xp, x: xp.cumulative_prod(x, axis=0),
    "stack": lambda xp, x: xp.stack([x, x]),
    "diff": lambda xp, x: xp.concat([xp.diff(x, axis=1), xp.diff(x, axis=0)[:, :2]]),
    "where": lambda xp, x: xp.where(x > 0.0, x, 0.0),
    "norm": lambda xp, x: xp.linalg.vector_norm(x),
}


@pytest.mark.parametrize("name", EMPTY)
def test_empty_arrays_have_empty_gradients(backend, name):
    if (backend.name, name) in {("torch", "take")}:
        pytest.skip("torch's take of an empty tensor is an error of its own")
    x = backend.asarray(np.zeros((0, 3)))
    y, pullback = nnx.vjp(lambda x: EMPTY[name](nnx.namespace(x), x), x)
    (dx,) = pullback(y * 0.0 + 1.0)
    assert_same(dx, np.zeros((0, 3)))


LENGTH_ONE = "sum mean var std prod max min".split()  # noqa: SIM905


@pytest.mark.parametrize("name", LENGTH_ONE)
def test_reductions_of_one_element_and_of_none(backend, name):
    expected = {"var": 0.0, "std": 0.0}.get(name, 1.0)
    for x in (np.asarray([3.0]), np.asarray(3.0)):
        g = nnx.grad(lambda x: nnx.namespace(x).sum(getattr(nnx.namespace(x), name)(x)))(backend.asarray(x))
        assert_same(g, np.full(x.shape, expected))


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("name", ["sum", "prod", "max"])
def test_a_number_of_numpys_is_reduced_along_an_axis_that_it_has_not(name, axis):
    """As NumPy's own functions do it."""
    assert_same(nnx.grad(lambda x: getattr(nnx.namespace(x), name)(x, axis=axis))(np.asarray(3.0)), np.asarray(1.0))


PLACED = {
    "repeat": lambda xp, x, axis: xp.repeat(x, 2, axis=axis),
    "take": lambda xp, x, axis: xp.take(x, xp.asarray([0]), axis=axis),
    "unstack": lambda xp, x, axis: xp.unstack(x, axis=axis)[0],
    "cumulative_sum": lambda xp, x, axis: xp.cumulative_sum(x, axis=axis),
}


@pytest.mark.parametrize("name", PLACED)
def test_an_axis_that_is_not_there_is_told_what_is(xp, name):
    for x, known in ((xp.asarray(3.0), "it has none"), (xp.asarray([3.0]), "use [-1, 0]")):
        for axis in (1, -2):
            with pytest.raises(
                (ValueError, IndexError), match=re.escape(f"axis {axis} of an array with {x.ndim} dim")
            ) as error:
                nnx.vjp(lambda x, axis=axis: PLACED[name](nnx.namespace(x), x, axis), x)
            assert known in str(error.value)


def test_each_value_of_a_set_is_the_first_that_has_it():
    """Of many equal ones: a sort that is not stable exchanges them from 17 elements on."""
    values = np.random.default_rng(0).integers(0, 5, 200)
    (dx,) = nnx.vjp(lambda x: nnx.namespace(x).unique_values(x), values + 0.5)[1](np.arange(1.0, 6.0))
    expected = np.zeros(200)
    for value in range(5):
        expected[np.flatnonzero(values == value)[0]] = value + 1.0
    assert_same(dx, expected)


def test_a_number_of_a_fused_function_is_real():
    """Rules meet it as a symbol that stands for a number, and has no conjugate."""
    tripled = nnx.fuse(lambda x, factor: x * factor)
    x = np.asarray([1.0, 2.0])
    np.testing.assert_array_equal(nnx.grad(lambda x: nnx.namespace(x).sum(tripled(x, 3.0)))(x), [3.0, 3.0])
