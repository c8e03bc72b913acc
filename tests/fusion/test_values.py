"""A fused function is the plain one: values, gradients and derivatives of those, on every backend."""

import numpy as np
import pytest

import nnx
from nnx.fusion import enabled, fuse
from tests.fusion.cases import BINARY, CASES, INTEGER, UNARY, gelu, huber
from tests.support import assert_close, assert_same

CLOSE = {"float64": 1e-12, "float32": 2e-6, "float16": 2e-3}


def arrays(shapes, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def fuses(backend):
    return backend.fuser() is not None


def several(y):
    return y if type(y) is tuple else (y,)


def compare(found, expected, rtol):
    assert len(several(found)) == len(several(expected))
    for ours, theirs in zip(several(found), several(expected), strict=True):
        assert ours.device == theirs.device
        assert_close(ours, nnx.to_numpy(theirs), rtol, rtol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_values(backend, name, dtype):
    function, shapes, others = CASES[name]
    fused, given = fuse(function), [nnx.asarray(x) for x in arrays(shapes, dtype)]
    with np.errstate(all="ignore"), always(backend):
        found = fused(*given, *others)
        compare(found, function(*given, *others), CLOSE[dtype])
    assert type(found) is type(function(*given, *others))
    assert not any(y is x for y in several(found) for x in given) or not fuses(backend)
    left = name == "floor_mod" and backend.name == "cupy"  # whose remainder has edges of its own
    assert [t is None for t in fused.traces.values()] == ([left] if fuses(backend) else [])


class always:
    """Small arrays are fused, too, which NumPy's are not for want of a gain."""

    def __init__(self, backend):
        self.fuser = backend.fuser()

    def __enter__(self):
        if self.fuser is not None:
            self.before = vars(self.fuser).copy()
            self.fuser.smallest = 0

    def __exit__(self, *exc):
        if self.fuser is not None:
            vars(self.fuser).clear()
            vars(self.fuser).update(self.before)


@pytest.mark.parametrize("name", sorted(CASES.keys() - {"itself"}))
def test_gradients(backend, name):
    function, shapes, others = CASES[name]
    given = [nnx.asarray(x) for x in arrays(shapes, "float64")]
    fused, found = fuse(function), []
    for call in (fused, function):
        y, pullback = nnx.vjp(lambda *xs, call=call: call(*xs, *others), *given)
        seeds = [nnx.asarray(np.random.default_rng(k).standard_normal(o.shape)) for k, o in enumerate(several(y))]
        found.append((*several(y), *pullback(tuple(seeds) if type(y) is tuple else seeds[0])))
    compare(found[0], found[1], 1e-10)


@pytest.mark.parametrize("name", ["gelu", "huber", "bias_relu", "numbers", "erf", "parts"])
def test_derivatives_of_derivatives(backend, name):
    function, shapes, others = CASES[name]
    given = [nnx.asarray(x) for x in arrays(shapes, "float64")]
    results = []
    for call in (fuse(function), function):

        def total(*xs, call=call):
            return sum(nnx.namespace(y).sum(y * y * y) for y in several(call(*xs, *others)))

        def slope(*xs, total=total):
            return sum(nnx.namespace(g).sum(g * g) for g in nnx.grad(total, argnums=tuple(range(len(xs))))(*xs))

        results.append(nnx.grad(slope, argnums=tuple(range(len(given))))(*given))
    compare(*results, 1e-10)


def test_a_derivative_by_what_flows_back(backend):
    """The pullback is linear in dy: its derivative by dy, with x held, is a pullback forwards."""
    (x,) = (nnx.asarray(a) for a in arrays([(5, 7)], "float64"))
    found = []
    for call in (fuse(gelu), gelu):
        _, pullback = nnx.vjp(call, x)
        found.append(nnx.grad(lambda dy, pullback=pullback: nnx.namespace(dy).sum(pullback(dy)[0] * x))(x))
    compare(*found, 1e-12)


def test_two_outputs_flow_back_together(backend):
    function, shapes, _ = CASES["parts"]
    x, y = (nnx.asarray(a) for a in arrays(shapes, "float64"))

    def total(call):
        return lambda x, y: nnx.namespace(x).sum(call(x, y)[0] * call(x, y)[1])

    found = [nnx.grad(total(call), argnums=(0, 1))(x, y) for call in (fuse(function), function)]
    compare(*found, 1e-12)
    one = [nnx.grad(lambda x, call=call: nnx.namespace(x).sum(call(x, y)[0]))(x) for call in (fuse(function), function)]
    compare(*one, 1e-12)


def test_outputs_of_several_shapes(backend):
    """Each has the shape of what it was made of, and what flows back into one is not stretched to the other's."""
    function = CASES["parts"][0]
    x, y = (nnx.asarray(a) for a in arrays([(4,), (3, 4)], "float64"))
    with always(backend):
        compare(fuse(function)(x, y), function(x, y), 1e-12)
    found = []
    for call in (fuse(function), function):
        values, pullback = nnx.vjp(call, x, y)
        found.append(pullback(values))
    compare(*found, 1e-12)


def test_one_record_on_the_tape(backend):
    if not fuses(backend):
        pytest.skip("one library is enough of those that call the function as it is")
    tape = nnx.Tape()
    x = tape.watch(nnx.asarray(arrays([(5, 7)], "float32")[0]))
    fuse(gelu)(x)
    assert len(tape.nodes) == 1
    gelu(x)
    assert len(tape.nodes) > 5


def test_constants_stay_constants(backend):
    """Inside of value_and_grad every array is a Var: what depends on no watched one is a constant."""
    x, y = (nnx.asarray(a) for a in arrays([(5, 7), (7,)], "float64"))
    fused = fuse(huber)

    def loss(x, y):
        constant = fused(y, y * 0.5, 0.3)
        assert type(constant) is nnx.Var
        assert not constant.watched
        return nnx.namespace(x).sum(fused(x, y, 0.3) * constant)

    found = nnx.value_and_grad(loss)(x, y)
    with enabled(False):
        compare(found, nnx.value_and_grad(loss)(x, y), 1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*UNARY, *BINARY, *(f"int {name}" for name in INTEGER)])
def test_every_function(backend, name, dtype):
    """The standard's own functions, at NaN, infinities, zeros of both signs and halves."""
    if not fuses(backend):
        pytest.skip("one library is enough of those that call the function as it is")
    special = np.asarray([np.nan, np.inf, -np.inf, 0.0, -0.0, 0.5, 1.5, -2.5, 0.3, 7.0, -1e30, 1e-30], dtype)
    other = np.roll(special, 5)[:, None]
    if name[:4] == "int ":
        kind = "int32" if dtype == "float32" else "uint8"
        special, other = np.asarray([0, 1, 2, 7, 100], kind), np.asarray([[1], [3], [5]], kind)
    arity = 1 if name in UNARY else 2
    function = lambda *xs: getattr(nnx.namespace(xs[0]), name.removeprefix("int "))(*xs)
    fused, given = fuse(function), [nnx.asarray(special), nnx.asarray(other)][:arity]
    with np.errstate(all="ignore"), always(backend):
        found, expected = nnx.to_numpy(fused(*given)), nnx.to_numpy(function(*given))
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=2e-6 if dtype == "float32" else 1e-13)
    if found.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(found[found == found]), np.signbit(expected[found == found]))


MIXED = [
    ("float32", "float64"),
    ("float16", "float32"),
    ("int32", "float32"),
    ("int64", "float32"),
    ("bool", "float32"),
]
MIXED += [("uint8", "int8"), ("int16", "int64"), ("float16", "float16"), ("bool", "bool"), ("uint8", "uint8")]


@pytest.mark.parametrize(("one", "two"), MIXED)
def test_mixed_dtypes(backend, one, two):
    if not fuses(backend):
        pytest.skip("one library is enough of those that call the function as it is")
    a = np.asarray([[0, 1, 3], [2, 5, 1]]).astype(one)
    b = np.asarray([[1, 0, 1], [1, 1, 0]]).astype(two)

    def function(x, y, n):
        xp = nnx.namespace(x)
        return (
            xp.where(x > y, x, y),
            xp.astype(x, y.dtype) + y,
            xp.maximum(x, y) * n,
            xp.astype(y, xp.bool),
            (x == 1) | (y == 1),
        )

    given = nnx.asarray(a), nnx.asarray(b)
    with always(backend):
        for number in (2, 0.5):
            for found, expected in zip(fuse(function)(*given, number), function(*given, number), strict=True):
                assert_same(found, nnx.to_numpy(expected))


def test_shapes(backend):
    """0-d, empty, sliced, transposed, Fortran's order."""
    base = arrays([(6, 8)], "float64")[0]
    x = nnx.asarray(base)
    xp = nnx.namespace(x)
    fused = fuse(huber)
    views = [(x, xp.flip(x)), (x[::2, 1::3], x[1, 1::3]), (xp.permute_dims(x, (1, 0)), x[:, 0]), (x[0, 0], x[1, 1])]
    views += [(x[:0, :], x[:0, :]), (x[:0, :], x[0, :]), (xp.broadcast_to(x[0, :], (3, 8)), x[:3, :1])]
    with always(backend):
        for a, b in views:
            compare(fused(a, b, 0.5), huber(a, b, 0.5), 1e-12)
    y, pullback = nnx.vjp(lambda a, b: fused(a, b, 0.5), xp.permute_dims(x, (1, 0)), x[:, 0])
    compare(pullback(y), nnx.vjp(lambda a, b: huber(a, b, 0.5), xp.permute_dims(x, (1, 0)), x[:, 0])[1](y), 1e-12)


def test_what_is_returned_is_new(backend):
    x = nnx.asarray(np.ones((3, 3)))
    fused = fuse(lambda x: (x, x + 0.0))
    with always(backend):
        found = fused(x)
        for _ in range(3):
            fused(x * 5.0)
    for y in found:
        assert_same(y, np.ones((3, 3)))


def test_numbers_are_no_reason_to_trace_anew(backend):
    calls = []

    def scaled(x, a):
        calls.append(a)
        return x * a

    fused, x = fuse(scaled), nnx.asarray(np.ones(3, "float32"))
    with always(backend):
        for a in (1.0, 2.0, 0.5, float("inf"), -0.0):
            assert_same(fused(x, a), np.full(3, a, "float32"))
    assert len(calls) == (1 if fuses(backend) else 5)


def test_static_arguments_are(backend):
    function, _, _ = CASES["chosen"]
    fused = fuse(function)
    x, w = (nnx.asarray(a) for a in arrays([(3,), (3,)], "float64"))
    with always(backend):
        for name in ("sin", "cos"):
            for scale in (None, 2.0):
                compare(fused(x, w, name, scale=scale), function(x, w, name, scale), 1e-12)
    assert len(fused.traces) == (4 if fuses(backend) else 0)


def test_the_switch(backend):
    fused, x = fuse(gelu), nnx.asarray(np.ones(3))
    with enabled(False), always(backend):
        compare(fused(x), gelu(x), 0.0)
        assert not fused.traces
        with enabled(True):
            fused(x)
    assert bool(fused.traces) == fuses(backend)


def test_complex_numbers_are_left_to_the_library(backend):
    x = nnx.asarray(np.asarray([1.0 + 2.0j, 3.0]))
    fused = fuse(lambda x: x * x + 1.0)
    assert_close(fused(x), np.asarray([1.0 + 2.0j, 3.0]) ** 2 + 1.0, 1e-12)


def test_mixed_backends_are_named(backend):
    if backend.name == "numpy":
        pytest.skip("needs another library than NumPy")
    with pytest.raises(nnx.MixedBackends):
        fuse(huber)(nnx.asarray(np.ones(3)), np.ones(3), 1.0)


def test_rows(backend):
    """The same function of many arrays, of several shapes and dtypes and orders in memory, equals a call for each."""
    function = CASES["adam"][0]
    fused, rng = fuse(function), np.random.default_rng(0)
    rows = []
    for k, shape in enumerate([(20, 3), (7,), (), (0,), (3, 5), (40, 60), *[(2,)] * 130]):
        dtype = "float64" if k == 1 else "float32"
        rows.append([nnx.asarray(rng.random(shape).astype(dtype)) for _ in range(4)])
    xp = nnx.namespace(rows[0][0])
    rows.append([xp.permute_dims(x, (1, 0)) for x in rows[4]])
    rows.append([xp.permute_dims(x, (1, 0)) if k % 2 else xp.reshape(x, (5, 3)) for k, x in enumerate(rows[4])])
    found = fused.each(rows, 0.1, 0.9, 0.99)
    assert len(found) == len(rows)
    for row, new in zip(rows, found, strict=True):
        with enabled(False):
            expected = fused(*row, 0.1, 0.9, 0.99)
        compare(new, expected, CLOSE[nnx.to_numpy(row[0]).dtype.name])
        assert not any(x is y for x in row for y in new)
