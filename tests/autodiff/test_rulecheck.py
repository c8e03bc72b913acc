"""check_rule: right rules of every kind pass, and each promise of a rule that is broken is named."""

import functools

import numpy as np
import pytest

import nnx
from nnx.autodiff.rules.common import like, unbroadcast
from tests.autodiff.test_check import X

V = X[0, :]


def cube(x):
    return x * x * x, lambda dy: (dy * x * x * 3.0,)


def lazily(x, w, n):
    """x wⁿ: one entry waits, one is an array, and n has none."""
    return x * w**n, lambda dy: (lambda: dy * w**n, dy * x * n * w ** (n - 1), None)


def broadcasting(x, w):
    a, b = like(x), like(w)
    return x * w, lambda dy: (unbroadcast(dy * w, a), unbroadcast(dy * x, b))


def two(x):
    """Two outputs."""
    return (x * x, x * 3.0), lambda dy: (dy[0] * x * 2.0 + dy[1] * 3.0,)


def gathered(x, index):
    xp = nnx.namespace(x)
    return xp.take(x, index, axis=1), lambda dy: (put_back(dy, index), None)


def put_back(dy, index):
    xp = nnx.namespace(dy)
    rows = xp.arange(3, device=index.device)[:, None] == index[None, :]
    return xp.matmul(dy, xp.astype(xp.matrix_transpose(rows), dy.dtype))


RIGHT = {
    "one argument": (cube, (X,), {}),
    "what op made of it": (nnx.op(cube), (X,), {}),
    "lazily given, None and a number": (lazily, (X, X + 5.0, 3), {}),
    "broadcasting": (broadcasting, (X, X + 5.0), {"broadcast": True}),
    "several outputs": (two, (X,), {}),
    "indices": (gathered, (X, np.asarray([2, 0, 2])), {}),
    "no dimensions": (cube, (np.asarray(2.0),), {"broadcast": True}),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_rules_pass(backend, name):
    rule, args, options = RIGHT[name]
    assert nnx.check_rule(rule, *args, **options).worst < 1e-6


def changing(where):
    def rule(x):
        def pullback(dy):
            if where == "pullback":
                x[0] = 5.0
            if where == "dy":
                dy[0] = 5.0
            return (dy * 2.0,)

        y = x * 2.0
        if where == "forward":
            x[0] = 5.0
        return y, pullback

    return rule


def counting(x):
    calls = []

    def pullback(dy):
        calls.append(1)
        return (dy * float(len(calls)),)

    return x * 1.0, pullback


def by_tape(x, w):
    """The gradient of w is another if x is watched."""

    def pullback(dy):
        other = []

        def dx():
            other.append(1)
            return dy * w

        return dx, lambda: dy * x * (2.0 if not other else 1.0)

    return x * w, pullback


@nnx.op
def frozen_pullback(x):
    plain = nnx.stop_gradient(x)
    return x * x, lambda dy: (dy * plain * 2.0,)


def by_numpy(x):
    """A pullback that knows NumPy only."""
    return x * x, lambda dy: (np.multiply(dy, x) * 2.0,)


WRONG = {
    "no pullback": (lambda x: x * 2.0, (V,), "returned an array of float64: return y, pullback"),
    "no array": (lambda x: (1.0, lambda dy: (dy,)), (V,), r"value is 1\.0: return an array"),
    "nothing": (lambda x: None, (V,), "returned None: return y, pullback"),
    "no floating argument": (lambda n: (n, lambda dy: (None,)), (np.asarray([1, 2]),), "was given no floating array"),
    "promoted": (
        lambda x: (x * np.ones(3), lambda dy: (dy.astype(np.float32),)),
        (V.astype(np.float32),),
        "value has dtype float64 for arguments of float32: use Python numbers",
    ),
    "too few": (lambda x, n: (x * n, lambda dy: (dy * n,)), (V, 2.0), "returned 1 entry for 2 arguments"),
    "not a tuple": (lambda x: (x * 2.0, lambda dy: dy * 2.0), (V,), "returned an array of float64 for 1 argument: "),
    "a number": (lambda x: (x * 2.0, lambda dy: (2.0,)), (V,), r"entry 0 is 2\.0: return an array, None, or a"),
    "a partial": (
        lambda x: (x * 2.0, lambda dy: (functools.partial(np.multiply, dy, 2.0),)),
        (V,),
        "entry 0 is partial: a costly entry is a function or lambda",
    ),
    "for a number": (lambda x, n: (x * n, lambda dy: (dy * n, dy)), (V, 2.0), r"argument 1 \(2\.0\) has no gradient"),
    "shape": (
        lambda x, w: (x * w, lambda dy: (dy * w, dy * x)),
        (X, V),
        r"entry 1 has shape \(2, 3\) for an argument of shape \(3,\): sum over the axes along which",
    ),
    "dtype": (
        lambda x: (x * 2.0, lambda dy: ((dy * 2.0).astype("f4"),)),
        (V,),
        "entry 0 has dtype float32 for an argument of dtype float64: convert it",
    ),
    "argument changed": (changing("forward"), (V,), "the forward pass changed argument 0: compute out of place"),
    "changed by the pullback": (changing("pullback"), (V,), "the pullback changed argument 0"),
    "dy changed": (changing("dy"), (V,), "changed dy, which other pullbacks are given"),
    "state": (counting, (V,), "counting: the pullback gave another entry 0 when it was called again"),
    "wrong number": (lambda x: (x * 2.0, lambda dy: (dy * 4.0,)), (V,), "<lambda>: argument 0, at .*counted twice"),
    "forgotten": (
        lambda x, w: (x * w, lambda dy: (dy * w, None)),
        (V, V + 1.0),
        "argument 1, at .*None from a pullback",
    ),
    "second order": (frozen_pullback, (V,), r"frozen_pullback: argument 0 \(second order\).*no gradient reaches it"),
    "by NumPy": (
        by_numpy,
        (V,),
        r"^by_numpy: the gradient of the gradient raised TypeError: .* ufuncs .*\. A pullback may use only operators "
        r"and functions of nnx\.namespace\(\.\.\.\), or give order=1$",
    ),
    "alone": (by_tape, (V, V + 1.0), "^by_tape: the gradient of argument 1 alone is not what it is beside the o"),
    "no function": (lambda x: (x, x), (V,), "a tuple of 2, the second of which is no function: return y, pullback"),
    "a nest": (lambda p: (p[0], lambda dy: (dy,)), ([V],), "no floating array: a rule takes arrays, no nests of them"),
    "whole numbers": (
        lambda x: (nnx.namespace(x).argmax(x), lambda dy: (None,)),
        (V,),
        "its value is .*int64, which has no gradient",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_broken_promise_is_named(name):
    rule, args, message = WRONG[name]
    args = tuple(a.copy() if isinstance(a, np.ndarray) else a for a in args)
    with pytest.raises(nnx.WrongRule, match=message):
        nnx.check_rule(rule, *args)


def test_what_op_made_of_a_rule_is_found_under_other_decorators():
    decorated = functools.wraps(cube)(lambda x: (x, None))  # not made by op: tried as it is
    with pytest.raises(nnx.WrongRule, match="the second of which is no function"):
        nnx.check_rule(decorated, X)
    made = nnx.op(cube)
    nnx.check_rule(functools.wraps(made)(lambda x: made(x)), X)


def test_first_order_alone_lets_such_rules_pass():
    for rule in (frozen_pullback, by_numpy):
        nnx.check_rule(rule, V, order=1)


def test_forgotten_stretch_is_found_by_broadcasting():
    def product(x, w):
        return x * w, lambda dy: (dy * w, dy * x)

    nnx.check_rule(product, X, X + 1.0)
    with pytest.raises(nnx.WrongRule, match=r"argument 0 of shape \(1, 3\)|argument 0: a gradient of shape \(2, 3\)"):
        nnx.check_rule(product, X, X + 1.0, broadcast=True)


def test_value_of_another_library():
    with (
        nnx.use_backend("array_api_strict"),
        pytest.raises(nnx.WrongRule, match=r"value is on 'numpy', cpu.*'array_api_strict'"),
    ):
        nnx.check_rule(lambda x: (V, lambda dy: (dy,)), V)


@pytest.mark.parametrize("function", [nnx.functional.linear], ids=lambda f: f.__name__)
def test_rules_of_nnx_itself(backend, function):
    nnx.check_rule(function, X, np.asarray([[0.5, 1.0, -1.0]]), np.asarray([0.25]))
