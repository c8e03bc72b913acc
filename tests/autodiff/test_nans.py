"""nnx.debug_nans: the operation that makes the first NaN is named, forward and backward; harmless ones are not."""

import threading

import numpy as np
import pytest

import nnx
from nnx.autodiff import tape, tree
from nnx.autodiff.nans import NaNFound

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def loss(f):
    """Σ f(x, xp) as a function of x that can be differentiated."""
    return lambda x: nnx.namespace(x).sum(f(x, nnx.namespace(x)))


X = [[-1.0, 0.0, 2.0], [3.0, 1.0, -2.0]]

# name: (the function of x, the operation, whether in its pullback, words of the message)
FAULTS = {
    "log": (lambda x, xp: xp.log(x), "log", False, r"2 of 6 values|3 of 6 values"),
    "sqrt": (lambda x, xp: xp.sqrt(x), "sqrt", False, "root of a number below 0"),
    "division": (lambda x, xp: x / (x * 0.0) * 0.0, "divide", False, r"1 of 6|6 of 6|0/0"),
    "power": (lambda x, xp: x**0.5, "pow", False, "not whole"),
    "overflow": (lambda x, xp: xp.exp(x * 1e6) - xp.exp(x * 1e6), "subtract", False, "inf - inf"),
    "product": (lambda x, xp: xp.exp(x * 1e6) * 0.0, "multiply", False, "0 · inf"),
    "norm at 0": (lambda x, xp: xp.sqrt(xp.sum((x * 0.0) ** 2)), "pow", True, "in argument|derivative is infinite"),
    "acos": (lambda x, xp: xp.acos(x), "acos", False, r"outside of \[-1, 1\]"),
    "a rule of several steps": (lambda x, xp: nnx.functional.softmax(x * 1e38 * 1e38, 1), "softmax", False, "softmax"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_the_operation_is_named(case, backend):
    f, op, backward, words = FAULTS[case]
    with nnx.debug_nans(), pytest.raises(NaNFound, match=words) as found:
        nnx.value_and_grad(loss(f))(nnx.asarray(X, "float32"))
    assert found.value.op in op.split("|")
    assert found.value.backward is backward
    assert not found.value.given
    assert ("the pullback of" in str(found.value)) is backward
    assert "test_nans.py" in str(found.value), "the line that called it"
    assert found.value.layer is None


def test_the_message():
    with nnx.debug_nans(), pytest.raises(NaNFound) as found:
        nnx.grad(loss(lambda x, xp: xp.log(x - 1.5)))(nnx.asarray([1.0, 2.0, 4.0], "float32"))
    assert str(found.value).startswith("log made the first NaN, 1 of 3 values, called at test_nans.py:")
    assert str(found.value).endswith("from shape (3,) in [-0.5, 2.5]: the logarithm of a number below 0")


HARMLESS = {
    "finite": lambda x, xp: xp.exp(x) * x,
    "a division by 0": lambda x, xp: 1.0 / (nnx.stop_gradient(x) ** 2 * 0.0) + x,
    "a masked softmax": lambda x, xp: nnx.functional.softmax(xp.where(x > 0, x, xp.full_like(x, -float("inf"))), 1),
    "whole powers of what is below 0": lambda x, xp: x**3,
    "a causal attention": lambda x, xp: nnx.functional.scaled_dot_product_attention(x, x, x, is_causal=True),
    "a logsumexp": lambda x, xp: nnx.functional.log_softmax(x, 1),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_is_finite_passes_and_is_the_same(case, backend):
    x = nnx.asarray(X, "float32")
    f = nnx.value_and_grad(loss(HARMLESS[case]))
    expected = f(x)
    with nnx.debug_nans():
        found = f(x)
    for one, other in zip(found, expected, strict=True):
        assert type(one) is type(other), "plain arrays, as ever"
        np.testing.assert_allclose(nnx.to_numpy(one), nnx.to_numpy(other), rtol=1e-5, atol=1e-7)


class Inner(nnx.Module):
    def __call__(self, x):
        return nnx.namespace(x).log(x)


def test_the_layer_is_named_by_its_path(backend):
    nnx.seed(0)
    model = nnx.Sequential(nnx.Linear(3, 4), nnx.ReLU(), nnx.Sequential(nnx.Linear(4, 4), Inner()), nnx.Linear(4, 2))
    step = nnx.value_and_grad(lambda model, x: nnx.namespace(x).sum(model(x)))
    with (
        nnx.debug_nans(),
        pytest.raises(NaNFound, match=r"in layer 2\.1 \(Inner\), called at test_nans.py:\d+ \(__call__\)"),
    ):
        step(model, nnx.asarray(X, "float32"))
    assert type(model[0].weight) is type(nnx.asarray(X)), "the model is as it was"


def test_nan_that_was_given(backend):
    x = nnx.asarray(X, "float32") * float("nan")
    with (
        nnx.debug_nans(),
        pytest.raises(NaNFound, match="linear was given NaN in argument 0, in layer Linear") as found,
    ):
        nnx.grad(lambda m, x: nnx.namespace(x).sum(m(x)))(nnx.Linear(3, 2), x)
    assert found.value.given


def test_infinities_on_request(backend):
    f = nnx.grad(loss(lambda x, xp: xp.exp(x * 1e6)))
    with nnx.debug_nans(infinities=True), pytest.raises(NaNFound, match="exp made the first NaN or infinity, 3 of 6"):
        f(nnx.asarray(X, "float32"))


def test_functions_without_a_gradient_are_looked_at(backend):
    with nnx.debug_nans(), pytest.raises(NaNFound, match="softmax"):
        nnx.functional.softmax(nnx.asarray(X, "float32") * float("inf"), 1)


def test_rules_of_ones_own():
    @nnx.op
    def half(x):
        return x * 0.5, lambda dy: (dy * float("nan"),)

    with (
        nnx.debug_nans(),
        pytest.raises(NaNFound, match=r"the pullback of half \(in its multiply\) made the first NaN"),
    ):
        nnx.grad(loss(lambda x, xp: half(x)))(nnx.asarray(X))


def test_second_order(backend):
    """x log x: the second derivative of what the first one leaves finite is 1/x."""
    f = nnx.hessian(lambda x: nnx.namespace(x).sum(x**3))
    x = nnx.asarray([1.0, 2.0], "float32")
    expected = nnx.to_numpy(f(x))
    with nnx.debug_nans():
        np.testing.assert_allclose(nnx.to_numpy(f(x)), expected, rtol=1e-6)
        pull = nnx.vjp(lambda x: x * x, x)[1]
        assert type(pull(x)[0]) is type(x)


def test_nothing_is_left_behind():
    """Closed, also after an error and one inside of the other, everything is the very object that it was."""

    def now():
        return tape._plain, tape._call_anywhere, tree.Lifted.__enter__, tree.Lifted.gradients

    before = now()
    with nnx.debug_nans(), nnx.debug_nans(infinities=True):
        assert now() != before
    assert now() == before
    with pytest.raises(NaNFound), nnx.debug_nans():
        nnx.grad(loss(FAULTS["log"][0]))(nnx.asarray(X))
    assert now() == before
    nnx.grad(loss(FAULTS["log"][0]))(nnx.asarray(X))


def test_other_threads_are_left_alone():
    found = []

    def other():
        found.append(nnx.grad(loss(FAULTS["log"][0]))(nnx.asarray(X)))

    with nnx.debug_nans():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(found) == 1
