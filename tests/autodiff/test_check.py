"""gradcheck itself: it finds each usual mistake, says which, and lets right gradients pass."""

import numpy as np
import pytest

import nnx
from nnx.autodiff import GradientMismatch, gradcheck, op

X = np.asarray([[1.0, -2.0, 0.5], [3.0, 0.25, -1.5]])


def square_with(change):
    """x² with a pullback that is changed into something else."""

    @op
    def square(x):
        return x * x, lambda dy: (change(dy * x * 2.0, x),)

    return square


def only_at(d, place, value):
    out = d * 1.0
    out[place] = value
    return out


MISTAKES = {
    "sign": (lambda d, x: -d, r"argument 0, at entry \(\d, \d\).*Likely a flipped sign \(the ratio is -1\)"),
    "twice": (lambda d, x: d * 2.0, "Likely counted twice"),
    "half": (lambda d, x: d / 2.0, "a forgotten factor of 2, or half of it lost"),
    "sum for mean": (lambda d, x: d * 6.0, "forgotten division by 6: mean or sum"),
    "mean for sum": (lambda d, x: d / 3.0, "a division by 3 too many: mean or sum"),
    "zero": (lambda d, x: d * 0.0, "Likely forgotten: no gradient reaches it"),
    "none": (lambda d, x: None, "Likely forgotten: no gradient reaches it"),
    "ratio": (lambda d, x: d * 1.25, r"6 of 6 entries are wrong.*The ratio is 1\.25"),
    "slightly": (lambda d, x: d * 1.00001, r"The ratio is 1\.00001"),
    "one place": (
        lambda d, x: only_at(d, (1, 2), 0.125),
        r"argument 0, at entry \(1, 2\).* is 0\.125,.*1 of 6 entries",
    ),
    "infinite": (lambda d, x: only_at(d, (0, 1), np.inf), r"at entry \(0, 1\): the gradient is inf.*One is not finite"),
    "nan": (lambda d, x: only_at(d, (1, 0), np.nan), r"at entry \(1, 0\).*One is not finite"),
    "wrong way round": (lambda d, x: (d / x)[::-1, :] * x, "argument 0, at entry"),  # a loss of Σ y would not see it
    "shape": (lambda d, x: d[:1, :], r"shape \(1, 3\) and dtype float64 for an array of shape \(2, 3\).*unbroadcast"),
    "dtype": (lambda d, x: d.astype(np.float32), "dtype float32 for an array .* dtype float64.*cast"),
}


@pytest.mark.parametrize("full", [False, True], ids=["directions", "full"])
@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_found_and_named(name, full):
    change, message = MISTAKES[name]
    if full:  # stops at the first entry, and has not counted the others
        message = message.replace("6 of 6 entries are wrong.*", "").replace(",.*1 of 6 entries", "")
    with pytest.raises(GradientMismatch, match=message):
        gradcheck(square_with(change), X, full=full)


def test_right_gradient_passes_and_is_reported():
    report = gradcheck(lambda x: x * x * x, X, order=2)
    assert 0 < report.worst < 1e-7
    assert [c.argument for c in report.comparisons] == ["argument 0"] * 2 + ["argument 0 (second order)"] * 2
    assert len(gradcheck(lambda x: x * x, X, full=True).comparisons) == X.size
    assert len(gradcheck(lambda x: x * x, X, directions=5).comparisons) == 5


def test_error_is_relative_to_the_larger_of_the_two():
    report = gradcheck(square_with(lambda d, x: d * 1.25), X, rtol=0.5)
    assert report.worst == pytest.approx(0.2, rel=1e-6)


def test_second_order_finds_what_the_first_cannot():
    @op
    def cube(x):
        plain = nnx.stop_gradient(x)
        return x * x * x, lambda dy: (dy * plain * plain * 3.0,)

    gradcheck(cube, X)
    with pytest.raises(GradientMismatch, match=r"argument 0 \(second order\).*no gradient reaches it"):
        gradcheck(cube, X, order=2)


def test_kink_is_called_one():
    with pytest.raises(GradientMismatch, match=r"kink: the slope is -\d.* to the left and \d.* to the right"):
        gradcheck(lambda x: nnx.namespace(x).abs(x), np.asarray([1e-7, 1.0]))


def test_gradient_where_there_is_no_dependence():
    @op
    def first(x):
        return x[:1] * 1.0, lambda dy: (np.concatenate([dy, dy, dy]),)

    with pytest.raises(GradientMismatch, match="does not depend on it: a gradient that belongs elsewhere"):
        gradcheck(first, np.asarray([1.0, 2.0, 3.0]))


def test_nests_and_constants(backend):
    x, i = backend.asarray(X), backend.asarray(np.asarray([1, 0, 1]))

    def f(p, index, scale, text):
        xp = nnx.namespace(p["w"][0])
        return {"a": xp.take(p["w"][0], index, axis=1) * scale, "b": [p["w"][1] ** 2, index], "text": text}

    report = gradcheck(f, {"w": (x, x)}, i, 2.0, "text", order=2)
    assert {c.argument for c in report.comparisons} >= {"argument 0['w'][0]", "argument 0['w'][1]"}


def test_names_the_wrong_one_of_several_arguments():
    @op
    def product(a, b):
        return a * b, lambda dy: (dy * b, -dy * a)

    with pytest.raises(GradientMismatch, match=r"argument 1\['b'\], at entry .* flipped sign"):
        gradcheck(lambda a, p: product(a, p["b"]), X, {"b": X + 1.0})


def test_parameters_of_a_module(backend):
    class Scaled(nnx.Module):
        def __init__(self, factor):
            self.weight = backend.asarray(X)
            self.bias = backend.asarray(X[0, :])
            self.factor = factor

        def __call__(self, x):
            return scaled(x, self.weight, self.factor) + self.bias * self.bias

    @op
    def scaled(x, w, factor):
        return x * w, lambda dy: (dy * w, dy * x * factor, None)

    x, good, bad = backend.asarray(X), Scaled(1.0), Scaled(2.0)
    before = good.weight
    report = gradcheck(lambda model, x: model(x), good, x, order=2)
    assert good.weight is before
    names = {c.argument for c in report.comparisons}
    assert {"argument 0, parameter 'weight'", "argument 0, parameter 'bias'", "argument 1"} <= names
    with pytest.raises(GradientMismatch, match=r"argument 0, parameter 'weight', at entry .*counted twice"):
        gradcheck(lambda model, x: model(x), bad, x)


def test_complex_arguments_have_two_slopes_an_entry():
    z = X[0, :] + 1j * X[1, :]
    assert len(gradcheck(lambda z: z * z, z, order=1, full=True).comparisons) == 6
    gradcheck(lambda z: z * z, z, order=2)

    @op
    def without_conjugate(z):
        return z * z, lambda dy: (dy * z * 2.0,)

    with pytest.raises(GradientMismatch, match=r"argument 0, at entry \(\d,\)"):
        gradcheck(without_conjugate, z)


def test_complex_step_is_exact_and_strict():
    def f(x):
        xp = nnx.namespace(x)
        return xp.exp(x) * xp.sin(x) / (x * x + 1.0)

    assert gradcheck(f, X, complex_step=True).worst < 1e-13
    with pytest.raises(GradientMismatch, match=r"They agree but for 1\.0e-10 of either: a constant with too"):
        gradcheck(square_with(lambda d, x: d * (1 + 1e-10)), X, complex_step=True)
    gradcheck(square_with(lambda d, x: d * (1 + 1e-10)), X)  # below what differences can see


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tolerance_fits_the_dtype(backend, dtype):
    x = backend.asarray(X, dtype)
    gradcheck(lambda x: nnx.namespace(x).tanh(x) * x, x)
    wrong = 1.01 if dtype == "float32" else 1.00001
    with pytest.raises(GradientMismatch):
        gradcheck(square_with(lambda d, x: d * wrong), x)


def test_large_arguments_and_large_offsets_pass():
    gradcheck(lambda x: x * x, X * 1e6, order=2)
    gradcheck(lambda x: x * x + 1e6, X)


def test_tolerances_and_step_of_the_users_own():
    wrong = square_with(lambda d, x: d * 1.01)
    gradcheck(wrong, X, rtol=0.1)
    gradcheck(wrong, X, atol=1.0)
    with pytest.raises(GradientMismatch, match=r"step 1\.0e-03"):
        gradcheck(wrong, X, eps=1e-3)


def test_empty_and_zero_dimensional_arguments():
    assert gradcheck(lambda x: x * x, np.zeros((0, 3))).comparisons == ()
    gradcheck(lambda x: x * x, np.asarray(3.0), order=2, full=True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"order": 3}, ValueError, "order must be 1 or 2, got 3"),
        ({"order": 2, "complex_step": True}, ValueError, "complex_step checks order 1 alone"),
        ({"eps": 0.0}, ValueError, "eps, the step, must be above 0, got 0.0"),
        ({"directions": 0}, ValueError, "directions must be at least 1, or nothing is compared"),
    ],
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        gradcheck(lambda x: x, X, **options)


def test_nothing_to_differentiate():
    with pytest.raises(TypeError, match="needs a floating array or a Module among its arguments"):
        gradcheck(lambda n: n, 3)
    with pytest.raises(TypeError, match="at least one floating array"):
        gradcheck(lambda x: nnx.namespace(x).argmax(x), X)


def test_function_that_is_random_is_called_so(backend):
    model = nnx.Dropout(0.5)
    x = backend.asarray(X)
    with pytest.raises(ValueError, match=r"another value when it was called again.*eval\(\) of a Module"):
        gradcheck(lambda x: model(x), x)
    model.eval()
    gradcheck(lambda x: model(x), x, order=2)

    def seeded(x):
        nnx.seed(3)
        return nnx.functional.dropout(x * x, 0.5)

    gradcheck(seeded, x)


def test_a_function_may_assign_to_its_arguments():
    x = X.copy()
    layer = nnx.Linear(3, 3)
    weight = nnx.to_numpy(layer.weight).copy()

    def changing(x, layer):
        x[0, 0] = x[0, 1] * x[0, 0]
        x *= 2.0
        layer.weight[0, 0] = 3.0
        return x * x * nnx.namespace(x).sum(layer.weight**2)

    gradcheck(changing, x, layer, rtol=1e-2)
    assert np.array_equal(x, X)
    assert np.array_equal(layer.weight, weight)


def test_a_function_may_assign_to_its_arguments_on_every_library(backend):
    def changing(x):
        x[0, ...] = x[0, ...] * x[1, ...]
        return x.__array_namespace__().exp(x) * x  # PyTorch's own tensors have no such method

    gradcheck(changing, backend.asarray(X), order=2)


def test_a_complex_step_through_abs_is_called_so():
    with pytest.raises(GradientMismatch, match="not analytic"):
        gradcheck(lambda x: nnx.namespace(x).abs(x), -X * X, complex_step=True)


def test_report_is_read_line_by_line():
    report = gradcheck(lambda x: x * x * x, np.asarray([1.0, -2.0]), full=True)
    first, second = str(report).splitlines()
    assert first.startswith("argument 0, at (0,): ")
    assert "by the rules" in first
    assert second.startswith("argument 0, at (1,): ")
    assert "along a direction" in str(gradcheck(lambda x: x * x, X))
    assert str(gradcheck(lambda x: x * x, np.zeros((0, 3)))) == "nothing to compare"


# ---- more digits ----------------------------------------------------------------------------------------------------


@pytest.fixture
def digits():
    """mparray with 60 digits: a library that nnx has no row for, known by its namespace alone."""
    mparray = pytest.importorskip("mparray", reason="mparray, which computes with as many digits as wanted, is missing")
    import mpmath

    with mpmath.workdps(60):
        yield mparray


def oscillating(x):
    xp = nnx.namespace(x)
    return xp.exp(x) * xp.sin(x) / (x * x + 1.0) + xp.sqrt(xp.sum(x * x)) * xp.tanh(x)


def test_thirty_digits_and_more(digits):
    x = digits.asarray([1.5, -0.25, 2.0])
    assert gradcheck(oscillating, x).worst < 1e-35
    assert gradcheck(oscillating, x, order=2, full=True).worst < 1e-33
    assert gradcheck(oscillating, x, complex_step=True).worst < 1e-55


@pytest.mark.parametrize("places", [15, 30, 50, 100])
def test_tolerance_fits_the_digits(digits, places):
    """What differences can tell is two thirds of the digits; what they cannot, no right gradient fails by."""
    import mpmath

    with mpmath.workdps(places):
        slightly = digits.asarray(mpmath.mpf(1) + mpmath.mpf(10) ** -(2 * places // 3 - 4))
        for x in (digits.asarray([1.5, -0.25, 2.0]), digits.asarray([150.0, -0.25, 20.0])):
            gradcheck(lambda x: oscillating(x * 0.01) * x, x, order=2)
            with pytest.raises(GradientMismatch, match=r"argument 0, at entry"):
                gradcheck(square_with(lambda d, x: d * slightly), x)


def test_an_error_in_the_twentieth_digit_is_found(digits):
    import mpmath

    slightly = digits.asarray(mpmath.mpf(1) + mpmath.mpf(10) ** -20)
    wrong = square_with(lambda d, x: d * slightly)
    x = digits.asarray([1.5, -0.25, 2.0])
    for options in ({}, {"complex_step": True}):
        with pytest.raises(GradientMismatch, match=r"argument 0, at entry .*They agree but for 1\.0e-20 of either"):
            gradcheck(wrong, x, **options)


def test_network_in_sixty_digits(digits):
    """A fully connected layer and its loss, whose library's name nnx never heard."""
    w, x = digits.asarray([[0.5, -1.0, 0.25], [2.0, 0.125, -0.75]]), digits.asarray([[0.3, 0.7, -0.2]])

    def loss(w, x):
        z = nnx.functional.linear(x, w)
        return nnx.namespace(z).sum(nnx.functional.sigmoid(z) ** 2)

    assert gradcheck(loss, w, x, order=2).worst < 1e-33
