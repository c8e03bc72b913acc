"""The namespace is the standard's: all of it, with its signatures, and everything that it returns is a Var."""

import inspect
import re

import array_api_strict as strict
import numpy as np
import pytest

import nnx
from nnx import Tape, Var
from nnx.autodiff.operators import ELSEWHERE
from nnx.autodiff.rules import RULES
from nnx.autodiff.tree import leaves
from tests.support import assert_same

STANDARD = """
abs acos acosh add all any arange argmax argmin argsort asarray asin asinh astype atan atan2 atanh bitwise_and
bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor broadcast_arrays broadcast_to can_cast ceil
clip concat conj copysign cos cosh count_nonzero cumulative_prod cumulative_sum diff divide empty empty_like equal exp
expand_dims expm1 eye finfo flip floor floor_divide from_dlpack full full_like greater greater_equal hypot iinfo imag
isdtype isfinite isinf isnan less less_equal linspace log log10 log1p log2 logaddexp logical_and logical_not logical_or
logical_xor matmul matrix_transpose max maximum mean meshgrid min minimum moveaxis multiply negative nextafter nonzero
not_equal ones ones_like permute_dims positive pow prod real reciprocal remainder repeat reshape result_type roll round
searchsorted sign signbit sin sinh sort sqrt square squeeze stack std subtract sum take take_along_axis tan tanh
tensordot tile tril triu trunc unique_all unique_counts unique_inverse unique_values unstack var vecdot where zeros
zeros_like __array_namespace_info__
bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128 e inf nan newaxis pi
""".split()  # noqa: SIM905
LINALG = """cholesky cross det diagonal eigh eigvalsh inv matmul matrix_norm matrix_power matrix_rank matrix_transpose
outer pinv qr slogdet solve svd svdvals tensordot trace vecdot vector_norm""".split()  # noqa: SIM905
FFT = "fft ifft fftn ifftn rfft irfft rfftn irfftn hfft ihfft fftfreq rfftfreq fftshift ifftshift".split()  # noqa: SIM905
OPERATORS = """abs add and bool complex dlpack dlpack_device eq float floordiv ge getitem gt index int invert le
lshift lt matmul mod mul ne neg or pos pow radd rand rfloordiv rlshift rmatmul rmod rmul ror rpow rrshift rshift rsub
rtruediv rxor setitem sub truediv xor array_namespace""".split()  # noqa: SIM905
X = np.asarray([[1.5, -2.0, 0.25], [0.5, 3.0, -1.0]])


@pytest.fixture
def watched(backend):
    with Tape() as tape:
        yield tape.watch(backend.asarray(X))


def test_everything_of_the_standard_is_there(watched):
    xp = nnx.namespace(watched)
    missing = [name for name in STANDARD if not hasattr(xp, name)]
    missing += [f"linalg.{name}" for name in LINALG if not hasattr(xp.linalg, name)]
    missing += [f"fft.{name}" for name in FFT if not hasattr(xp.fft, name)]
    missing += [f"__{name}__" for name in OPERATORS if not hasattr(watched, f"__{name}__")]
    missing += [
        a for a in ("dtype", "device", "mT", "ndim", "shape", "size", "T", "to_device") if not hasattr(watched, a)
    ]
    assert not missing
    assert {"sum", "float32", "linalg"} <= set(dir(xp))
    assert "inv" in dir(xp.linalg)
    with pytest.raises(AttributeError):
        _ = xp.no_such_function


@pytest.mark.float64("float64 is its subject")
def test_dtypes_and_constants_are_the_librarys(backend, watched):
    xp = nnx.namespace(watched)
    assert xp.float64 is backend.xp.float64
    assert xp.pi == np.pi
    assert xp.isdtype(watched.dtype, "real floating")
    assert xp.result_type(watched, xp.float32) == xp.float64
    assert xp.can_cast(watched.dtype, xp.float64)
    limits, integers = xp.finfo(watched.dtype), xp.iinfo(xp.int32)
    assert (limits.bits, limits.eps, limits.max) == (64, np.finfo(np.float64).eps, np.finfo(np.float64).max)
    assert (integers.bits, integers.min, integers.max) == (32, -(2**31), 2**31 - 1)
    assert {type(limits.eps), type(limits.min), type(integers.max)} == {float, int}
    assert limits.dtype == watched.dtype


def of_the_standard(name):
    function = strict
    for part in name.split("."):
        function = getattr(function, part)
    return inspect.signature(function)


@pytest.mark.parametrize("name", sorted(RULES))
def test_signatures_are_the_standards(name):
    if not hasattr(strict, name) and hasattr(strict.linalg, name):
        expected = of_the_standard(f"linalg.{name}")
    else:
        expected = of_the_standard(name)
    found = inspect.signature(RULES[name])
    names = lambda s: [
        (p.name.rstrip("_"), str(p.kind)) for p in s.parameters.values() if p.name not in ("_", "kwargs")
    ]
    defaults = lambda s: {p.name: p.default for p in s.parameters.values() if p.default is not p.empty}
    kinds = lambda s, kind: [p.name for p in s.parameters.values() if p.kind is kind]
    assert kinds(found, inspect.Parameter.KEYWORD_ONLY) == kinds(expected, inspect.Parameter.KEYWORD_ONLY)
    assert [n for n, _ in names(found)] == [n for n, _ in names(expected)]
    assert kinds(found, inspect.Parameter.POSITIONAL_ONLY) == kinds(expected, inspect.Parameter.POSITIONAL_ONLY)
    for key, value in defaults(expected).items():
        if "UNDEF" not in repr(value):  # array-api-strict's own way to say None
            assert defaults(found)[key] == value, key


CREATION = {
    "arange": lambda xp, d: xp.arange(3, device=d),
    "empty": lambda xp, d: xp.empty((2, 3), device=d),
    "eye": lambda xp, d: xp.eye(3, device=d),
    "full": lambda xp, d: xp.full((2, 3), 1.0, device=d),
    "linspace": lambda xp, d: xp.linspace(0.0, 1.0, 3, device=d),
    "ones": lambda xp, d: xp.ones(3, device=d),
    "zeros": lambda xp, d: xp.zeros(3, device=d),
    "asarray": lambda xp, d: xp.asarray([1.0, 2.0], device=d),
    "fftfreq": lambda xp, d: xp.fft.fftfreq(4, device=d),
    "rfftfreq": lambda xp, d: xp.fft.rfftfreq(4, device=d),
}


@pytest.mark.parametrize("name", CREATION)
def test_creation_gives_constants(watched, name):
    y = CREATION[name](nnx.namespace(watched), watched.device)
    assert type(y) is Var
    assert not y.watched
    assert y.device == watched.device


CONSTANT = {
    "like": lambda xp, x: [f(x) for f in (xp.zeros_like, xp.ones_like, xp.empty_like)] + [xp.full_like(x, 2.0)],
    "comparisons": lambda xp, x: [
        f(x, 0.5) for f in (xp.equal, xp.not_equal, xp.less, xp.less_equal, xp.greater, xp.greater_equal)
    ],
    "logic": lambda xp, x: [
        xp.logical_and(x > 0.0, x < 1.0),
        xp.logical_or(x > 0.0, x < 1.0),
        xp.logical_xor(x > 0.0, x < 1.0),
        xp.logical_not(x > 0.0),
        xp.all(x > 0.0),
        xp.any(x > 0.0, axis=0),
    ],
    "bits": lambda xp, x: (
        [
            f(xp.astype(x, xp.int32), xp.asarray(1, dtype=xp.int32, device=x.device))
            for f in (xp.bitwise_and, xp.bitwise_or, xp.bitwise_xor, xp.bitwise_left_shift, xp.bitwise_right_shift)
        ]
        + [xp.bitwise_invert(xp.astype(x, xp.int32))]
    ),
    "steps": lambda xp, x: [f(x) for f in (xp.ceil, xp.floor, xp.round, xp.trunc, xp.sign)] + [xp.floor_divide(x, 2.0)],
    "tests": lambda xp, x: [f(x) for f in (xp.isfinite, xp.isinf, xp.isnan, xp.signbit)],
    "searching": lambda xp, x: [
        xp.argmax(x, axis=0),
        xp.argmin(x),
        xp.argsort(x, axis=1),
        xp.argsort(x, descending=True),
        xp.count_nonzero(x),
        xp.count_nonzero(x, axis=1),
        xp.searchsorted(xp.sort(x[0, :]), x[1, :]),
    ],
    "rank": lambda xp, x: [
        xp.linalg.matrix_rank(x),
        xp.linalg.vector_norm(x, ord=0),
        xp.linalg.vector_norm(xp.where(x > 0.0, x, xp.zeros_like(x)), ord=0, axis=1, keepdims=True),
        xp.linalg.vector_norm(xp.astype(x, xp.complex64), ord=0, axis=0),
    ],
    "integers": lambda xp, x: [xp.astype(x, xp.int32), xp.astype(x, xp.bool)],
    "stopped": lambda xp, x: [nnx.stop_gradient(x), nnx.stop_gradient(x) * 2.0, xp.exp(nnx.stop_gradient(x))],
}


@pytest.mark.parametrize("name", CONSTANT)
def test_functions_without_slope_give_constants(backend, watched, name):
    found = CONSTANT[name](nnx.namespace(watched), watched)
    expected = CONSTANT[name](backend.xp, backend.asarray(X)) if name != "stopped" else []
    for y in found:
        assert type(y) is Var
        assert not y.watched
    for y, right in zip(found, expected, strict=False):
        if name != "like":
            assert_same(y.value, nnx.to_numpy(right))


def test_argsort_and_sort_in_descending_order(backend):
    """NumPy's own have no `descending`; equal elements keep their order."""
    x = np.asarray([2.0, 3.0, 2.0, 1.0, 3.0])
    for xp, a in ((backend.xp, backend.asarray(x)), (nnx.namespace(Var(backend.asarray(x))), Var(backend.asarray(x)))):
        order, y = xp.argsort(a, descending=True), xp.sort(a, descending=True)
        assert_same(nnx.to_numpy(order), np.asarray([1, 4, 0, 2, 3]))
        assert_same(nnx.to_numpy(y), np.asarray([3.0, 3.0, 2.0, 2.0, 1.0]))


def test_every_rule_gives_vars_for_plain_arrays_too(backend, watched):
    """A closure's plain array must not leave the namespace plain: the next function would see two namespaces."""
    xp, plain = nnx.namespace(watched), backend.asarray(X)
    index = backend.asarray(np.asarray([0, 1]))
    found = [
        [
            xp.exp(plain),
            xp.sum(plain),
            xp.real(plain),
            xp.sign(plain),
            xp.equal(plain, plain),
            xp.clip(plain, 0.0, 1.0),
        ],
        [xp.concat([plain, plain]), xp.stack([plain]), xp.take(plain, index, axis=1), xp.matmul(plain, plain.T)],
        [xp.astype(plain, xp.float32), xp.broadcast_arrays(plain, plain), xp.unstack(plain)],
        [xp.linalg.vector_norm(plain), xp.fft.rfft(plain), list(xp.linalg.svd(plain, full_matrices=False))],
    ]
    assert {type(y) for y in leaves(found)} == {Var}


def test_results_of_decompositions_have_their_names(watched):
    xp = nnx.namespace(watched)
    square = xp.matmul(watched, watched.T)
    assert xp.linalg.eigh(square)._fields == ("eigenvalues", "eigenvectors")
    assert xp.linalg.qr(watched)._fields == ("Q", "R")
    assert xp.linalg.slogdet(square)._fields == ("sign", "logabsdet")
    assert xp.linalg.svd(square)._fields == ("U", "S", "Vh")


REFUSED = {
    "arange": (lambda xp, x: xp.arange(x[0, 0]), r"arange has no rule.*start \+ step \* xp.arange"),
    "linspace": (lambda xp, x: xp.linspace(0.0, x[0, 0], 3), r"linspace has no rule.*xp\.linspace\(0\.0, 1\.0, n\)"),
    "full svd": (lambda xp, x: xp.linalg.svd(x), r"full svd.*full_matrices=False or svdvals"),
    "complete qr": (lambda xp, x: xp.linalg.qr(x.T, mode="complete"), r'full qr.*mode="reduced"'),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_alternative(watched, name):
    f, message = REFUSED[name]
    with pytest.raises(NotImplementedError, match=message):
        f(nnx.namespace(watched), watched)


def test_what_is_refused_serves_constants():
    x = Var(np.asarray([[3.0, 1.0, 3.0], [1.0, 2.0, 2.0]]))
    xp = nnx.namespace(x)
    assert_same(xp.unique_values(x).value, np.asarray([1.0, 2.0, 3.0]))
    assert_same(xp.unique_all(x).counts.value, np.asarray([2, 2, 2]))
    assert tuple(xp.linalg.svd(x).Vh.shape) == (3, 3)
    assert type(xp.linalg.svd(x).U) is Var
    assert tuple(xp.linalg.qr(x.T, mode="complete").Q.shape) == (3, 3)
    assert_same(xp.linspace(0.0, 1.0, 3).value, np.asarray([0.0, 0.5, 1.0]))


def test_functions_outside_of_the_standard_are_refused_not_passed():
    with Tape() as tape:
        x = tape.watch(X)
        with pytest.raises(NotImplementedError, match=r"cbrt has no rule.*nnx\.op"):
            nnx.namespace(x).cbrt(x)


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (lambda xp, x: xp.squeeze(x, axis=0), ValueError, r"cannot squeeze axis 0 of shape \(2, 3\)"),
        (lambda xp, x: xp.squeeze(x, axis=-5), IndexError, "axis -5 of an array with 2 dimensions"),
        (lambda xp, x: xp.unstack(x, axis=2), ValueError, r"axis 2 of an array with 2 dimensions: use \[-2, 1\]"),
        (lambda xp, x: xp.diff(x, axis=-3), ValueError, "axis -3 of an array with 2 dimensions"),
        (lambda xp, x: xp.take(x, xp.asarray([0]), axis=2), IndexError, "axis 2 of an array with 2 dimensions"),
        (lambda xp, x: xp.cumulative_sum(x, axis=2), ValueError, "axis 2 of an array with 2 dimensions"),
        (lambda xp, x: xp.fft.fftshift(x, axes=(0, 2)), IndexError, "axis 2 of an array with 2 dimensions"),
        (lambda xp, x: xp.expand_dims(x, axis=4), IndexError, r"\[-3, 2\]"),
        (lambda xp, x: xp.expand_dims(x, axis=-4), IndexError, r"\[-3, 2\]"),
        (lambda xp, x: xp.take(x, xp.asarray([0])), ValueError, "take from an array of 2 dimensions needs an axis"),
        (lambda xp, x: xp.cumulative_sum(x), ValueError, "2 dimensions needs an axis"),
        (lambda xp, x: xp.cumulative_prod(x), ValueError, "2 dimensions needs an axis"),
        (lambda xp, x: xp.vecdot(x, x[:, :2]), ValueError, r"vecdot of shapes \(2, 3\) and \(2, 2\)"),
        (lambda xp, x: xp.tensordot(x, x, axes=1), ValueError, "tensordot of shapes .* over axes 1"),
        (lambda xp, x: xp.linalg.outer(x, x), ValueError, "outer of 2 and 2 dimensions"),
        (lambda xp, x: xp.linalg.outer(x[0, :], x), ValueError, "outer of 1 and 2 dimensions"),
        (lambda xp, x: xp.linalg.outer(x, x[0, :]), ValueError, "outer of 2 and 1 dimensions"),
        (lambda xp, x: xp.linalg.cross(x, x, axis=0), ValueError, "axis 0 must have length 3"),
        (lambda xp, x: xp.linalg.cross(x, x[:, :2]), ValueError, "axis -1 must have length 3"),
        (lambda xp, x: xp.linalg.cross(x[:, :2], x), ValueError, "axis -1 must have length 3"),
        (lambda xp, x: xp.linalg.matrix_norm(x, ord=3), ValueError, "'fro', 'nuc'"),
        (lambda xp, x: xp.meshgrid(x[0, :], indexing="yx"), ValueError, "'xy' or 'ij'"),
        (lambda xp, x: xp.broadcast_arrays(x, x[:, :2]), ValueError, r"shapes \(2, 3\) and \(2, 2\) do not broadcast"),
        (lambda xp, x: xp.asarray([x[0, 0], x[1, 1]]), TypeError, r"xp\.stack"),
    ],
)
def test_wrong_calls_say_what_is_wrong(f, error, message):
    with Tape() as tape, pytest.raises(error, match=message):
        f(nnx.namespace(tape.watch(X)), tape.watch(X))


def test_asarray_keeps_a_watched_array_watched(backend, watched):
    xp = nnx.namespace(watched)
    assert xp.asarray(watched) is watched
    assert xp.asarray(watched, device=watched.device) is watched
    copied = xp.asarray(watched, copy=True)
    assert copied is not watched
    assert copied.watched
    single = xp.asarray(watched, dtype=xp.float32)
    assert single.watched
    assert single.dtype == xp.float32
    assert not xp.asarray([1.0, 2.0]).watched


@pytest.mark.float64("two dtypes are its subject")
def test_asarray_without_a_copy_is_the_array_itself(watched):
    xp = nnx.namespace(watched)
    assert xp.asarray(watched, copy=False) is watched
    constant = Var(watched.value)
    assert xp.asarray(constant, copy=False) is constant
    assert xp.asarray(constant, copy=True) is not constant
    with pytest.raises(ValueError, match=r"a copy is needed to make .*float32"):
        xp.asarray(watched, dtype=xp.float32, copy=False)


def test_from_dlpack_takes_a_var_as_it_is(watched):
    xp = nnx.namespace(watched)
    assert xp.from_dlpack(watched) is watched
    copied = xp.from_dlpack(watched, copy=True)
    assert copied is not watched
    assert copied.watched


def test_equal_elements_of_a_set_send_their_gradient_to_the_first(backend):
    x = np.asarray([3.0, 1.0, 3.0, 2.0, 1.0])
    if backend.name == "array_api_strict":
        pytest.skip("one library: device1 has no data-dependent shapes")

    def loss(x):
        xp = nnx.namespace(x)
        values = xp.unique_values(x)
        found = xp.unique_all(x)
        assert_same(nnx.stop_gradient(found.counts).value, np.asarray([2, 1, 2]))
        assert_same(nnx.stop_gradient(found.indices).value, np.asarray([1, 3, 0]))
        return xp.sum(values**2) + xp.sum(found.values * xp.unique_inverse(x).values * xp.unique_counts(x).values)

    assert_same(nnx.grad(loss)(backend.asarray(x)), [2 * 3.0 + 27.0, 2 * 1.0 + 3.0, 0.0, 2 * 2.0 + 12.0, 0.0])


def test_a_wrong_call_raises_what_the_library_raises(watched):
    """Where a rule fails in its own way, the library is asked; an error that is caught alike says more than its."""
    xp = nnx.namespace(watched)
    with pytest.raises(ValueError, match="must have length 3"):
        xp.linalg.cross(watched[:1, ...], watched[:1, ...], axis=0)  # of two, NumPy and CuPy only disapprove
    library = strict.asarray(X)
    with Tape() as tape:
        x = tape.watch(library)
        for f in (lambda xp, x: xp.take(x, 1.5, axis=0), lambda xp, x: xp.tile(x, 2)):
            with pytest.raises(Exception) as ours:  # noqa: PT011
                f(nnx.namespace(x), x)
            with pytest.raises(Exception) as theirs:  # noqa: PT011
                f(strict, library)
            assert ours.type is theirs.type


def test_gradient_returns_to_the_device_that_the_array_came_from():
    here, there = strict.Device("CPU_DEVICE"), strict.Device("device1")
    x = strict.asarray([1.0, 2.0], device=here)

    def loss(x):
        xp = nnx.namespace(x)
        moved = [x.to_device(there), xp.asarray(x, device=there), xp.astype(x, xp.float32, device=there)]
        assert all(y.device == there for y in moved)
        return xp.sum(moved[0] * moved[1] * xp.astype(moved[2], xp.float64))

    value, g = nnx.value_and_grad(loss)(x)
    assert value.device == there
    assert g.device == here
    assert_same(g, np.asarray([3.0, 12.0]))


def test_transforms_of_given_lengths_without_axes_take_the_last_ones(watched):
    """The standard's rule; NumPy itself deprecates it."""
    fft = nnx.namespace(watched).fft
    found = fft.rfftn(watched, s=(5,))
    assert_same(found.value, nnx.to_numpy(fft.rfftn(watched, s=(5,), axes=(1,)).value))
    assert tuple(found.shape) == (2, 3)
    assert tuple(fft.rfftn(watched, s=(3, 4)).shape) == (3, 3)


def test_defaults_and_nothing(watched):
    xp = nnx.namespace(watched)
    assert tuple(xp.expand_dims(watched).shape) == (1, 2, 3)
    assert len(xp.meshgrid()) == 0


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_method_that_the_standard_has_not_says_where_it_is(watched, name):
    assert not hasattr(watched, name)
    with pytest.raises(AttributeError, match=re.escape(f"not '{name}': use {ELSEWHERE[name]}")):
        getattr(watched, name)
    for function in re.findall(r"xp\.(\w+)", ELSEWHERE[name]):
        assert hasattr(nnx.namespace(watched), function)
