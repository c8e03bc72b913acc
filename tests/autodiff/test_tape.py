"""The tape and its watched arrays: what is recorded, what stays a constant, and what is freed when."""

import copy
import operator
import threading
import tracemalloc
import weakref

import array_api_strict as strict
import numpy as np
import pytest

import nnx
from nnx import Tape, Var
from nnx.autodiff.tape import op
from tests.support import assert_close, assert_same

BINARY = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "truediv": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": operator.pow,
    "matmul": operator.matmul,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
}
UNARY = {"neg": operator.neg, "pos": operator.pos, "abs": operator.abs}
INTEGER = {
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "lshift": operator.lshift,
    "rshift": operator.rshift,
}
A, B = np.asarray([[1.5, 2.0], [3.0, 0.5]]), np.asarray([[2.0, 2.0], [0.5, 4.0]])


def vector(backend, *values):
    return backend.asarray(np.asarray(values))


# ---- Var as an array ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BINARY)
def test_operator_between_two_vars(backend, name):
    f, a, b = BINARY[name], backend.asarray(A), backend.asarray(B)
    with Tape() as tape:
        y = f(tape.watch(a), tape.watch(b))
    assert type(y) is Var
    assert_close(y.value, f(A, B))


@pytest.mark.parametrize("name", [name for name in BINARY if name != "matmul"])
def test_operator_with_a_number_on_either_side(backend, name):
    f, a = BINARY[name], backend.asarray(A)
    with Tape() as tape:
        v = tape.watch(a)
        right, left = f(v, 2.0), f(2.0, v)
    assert type(right) is type(left) is Var
    assert_close(right.value, f(A, 2.0))
    assert_close(left.value, f(2.0, A))


@pytest.mark.parametrize("name", BINARY)
def test_operator_with_a_plain_array_on_either_side(backend, name):
    f, a, b = BINARY[name], backend.asarray(A), backend.asarray(B)
    with Tape() as tape:
        v = tape.watch(a)
        right = f(v, b)
        assert_close(right.value, f(A, B))
        assert type(right) is Var
        if backend.name in ("array_api_strict", "dpnp"):  # they raise before the watched array is asked
            with pytest.raises(TypeError):
                f(b, v)
        else:
            left = f(b, v)
            assert type(left) is Var
            assert_close(left.value, f(B, A))


@pytest.mark.parametrize("name", UNARY)
def test_operator_of_one_var(backend, name):
    with Tape() as tape:
        y = UNARY[name](tape.watch(backend.asarray(A)) - 1.75)
    assert type(y) is Var
    assert y.tape is tape
    assert_close(y.value, UNARY[name](A - 1.75))


@pytest.mark.parametrize("name", INTEGER)
def test_operator_of_integers_gives_constants(backend, name):
    f, i, j = INTEGER[name], np.asarray([5, 6]), np.asarray([3, 1])
    x, y = Var(backend.asarray(i)), Var(backend.asarray(j))
    for result, expected in ((f(x, y), f(i, j)), (f(x, 1), f(i, 1)), (f(9, x), f(9, i))):
        assert type(result) is Var
        assert result.tape is None
        assert_same(result.value, expected)
    inverted = ~x
    assert type(inverted) is Var
    assert_same(inverted.value, ~i)


@pytest.mark.parametrize("name", ["lt", "le", "gt", "ge", "eq", "ne", "floordiv"])
def test_functions_without_slope_give_constants(backend, name):
    with Tape() as tape:
        y = BINARY[name](tape.watch(backend.asarray(A)), 2.0)
    assert y.tape is None


def test_attributes_are_those_of_the_array(backend):
    x = backend.asarray(np.zeros((2, 3, 4), np.float32))
    v = Var(x)
    assert tuple(v.shape) == (2, 3, 4)
    assert (v.ndim, v.size, v.dtype, v.device) == (3, 24, x.dtype, x.device)
    assert type(v.mT) is Var
    assert tuple(v.mT.shape) == (2, 4, 3)
    assert tuple(Var(x[0, ...]).T.shape) == (4, 3)
    with pytest.raises(ValueError, match=r"two dimensions, got 3.*permute_dims"):
        _ = v.T


def test_namespace_is_one_object_at_every_level(backend):
    x = backend.asarray(A)
    with Tape() as outer:
        v = outer.watch(x)
        with Tape() as inner:
            w = inner.watch(v)
            assert w.__array_namespace__() is v.__array_namespace__() is Var(x).__array_namespace__()
    xp = v.__array_namespace__()
    assert nnx.namespace(v) is nnx.namespace(v, x) is nnx.namespace(x, v) is xp
    assert nnx.namespace(v, 2.0) is xp
    assert xp.__name__ == f"nnx.over.{backend.xp.__name__}"
    assert xp.__array_namespace_info__().default_dtypes()["integral"] is not None


def test_namespace_of_a_version():
    v = Var(np.ones(2))
    assert v.__array_namespace__(api_version="2024.12") is v.__array_namespace__()
    with pytest.raises(ValueError, match=r"1999\.01 is not served: use one of .*2024\.12"):
        v.__array_namespace__(api_version="1999.01")


def test_numbers_are_read_out(backend):
    v = Var(backend.asarray(2.5))
    assert (float(v), int(v), complex(v), bool(v)) == (2.5, 2, 2.5 + 0j, True)
    index = backend.asarray(1)
    if hasattr(index, "__index__"):
        assert [10, 11, 12][Var(index)] == 11
    else:  # CuPy's arrays are no indices
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            operator.index(Var(index))


def test_iteration_ends(backend):
    rows = list(Var(backend.asarray(A)))
    assert [type(row) for row in rows] == [Var, Var]
    assert_same(rows[1].value, A[1])


def test_numpy_never_swallows_a_var():
    v = Var(np.ones(3))
    assert Var.__array_ufunc__ is None
    with pytest.raises(TypeError, match=r"lose its gradient silently: use xp = x.__array_namespace__\(\)"):
        np.asarray(v)
    with pytest.raises(TypeError):
        np.sum(v)
    with pytest.raises(TypeError):
        np.exp(v)
    assert type(np.ones(3) + v) is Var  # without __array_ufunc__ = None: an ndarray of objects
    assert type(np.float64(2.0) * v) is Var


def test_var_is_not_hashable_and_not_copied_by_dlpack_while_watched():
    with pytest.raises(TypeError, match="unhashable"):
        hash(Var(np.ones(2)))
    assert_same(np.from_dlpack(Var(np.ones(2))), np.ones(2))
    with Tape() as tape:
        v = tape.watch(np.ones(2))
        with pytest.raises(TypeError, match="stop_gradient"):
            np.from_dlpack(v)
        with pytest.raises(TypeError, match="stop_gradient"):
            nnx.to_numpy(v)
        assert_same(nnx.to_numpy(nnx.stop_gradient(v)), np.ones(2))


def test_repr_says_whether_it_is_watched():
    assert repr(Var(np.ones(1))) == "Var(array([1.]), constant)"
    with Tape() as tape:
        v = tape.watch(np.ones(1))
        assert repr(v) == "Var(array([1.]), watched)"
    assert repr(v) == "Var(array([1.]), constant)"


def test_format_is_the_librarys():
    x = np.asarray(2.0)
    assert nnx.grad(lambda x: x * (f"{x * x:.2f}" == "4.00") + 0.0 * (f"{x}" != repr(x)))(x) == 1.0


def test_a_deep_copy_stays_watched(backend):
    x = backend.asarray(np.asarray([1.0, 2.0]))
    nodes = []

    def f(x):
        y = copy.deepcopy({"x": x})["x"]
        nodes.append(y.tape is x.tape)
        y[0] = 5.0
        return nnx.namespace(x).sum(x * y)

    assert_close(nnx.grad(f)(x), [5.0, 4.0])
    assert nodes == [True]
    assert_close(
        nnx.grad(lambda x: nnx.grad(lambda z: nnx.namespace(z).sum(copy.deepcopy(z) * z * x))(x)[1])(x), [0.0, 8.0]
    )


def test_in_place_operators_rebind():
    x = np.asarray([1.0, 2.0])
    with Tape() as tape:
        v = tape.watch(x)
        before = v
        v += 1.0
        v *= 2.0
        assert v is not before
        assert not any(hasattr(Var, f"__i{name}__") for name in ("add", "sub", "mul", "truediv", "matmul", "pow"))
        assert_same(tape.gradient(v, [before], np.ones(2))[0], [2.0, 2.0])
    assert_same(x, [1.0, 2.0])


# ---- mutation -------------------------------------------------------------------------------------------------------


def test_assignment_is_recorded(backend):
    x = vector(backend, 1.0, 2.0, 3.0)
    with Tape() as tape:
        v = tape.watch(x)
        start = Var(v.value, v.tape, v.index)
        before = v * v  # keeps the old value: its gradient is 2x of the old x
        v[1] = v[0] * 10.0
        y = before + v
        grads = tape.gradient(y, [start], vector(backend, 1.0, 100.0, 10000.0))
    assert_same(y.value, [2.0, 14.0, 12.0])
    # 2x of the square, 1 of every kept entry, and 10 · 100 from the assigned one
    assert_same(grads[0], [2.0 + 1.0 + 1000.0, 400.0, 60000.0 + 10000.0])
    assert_same(x, [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ((slice(0, 1), slice(None)), 7.0),
        ((slice(None), 1), 7.0),
        (Ellipsis, 7.0),
        ((0, 1), 7.0),
        ((slice(1, None), slice(0, 2)), np.asarray([[5.0, 6.0]])),
    ],
)
def test_assignment_of_constants_stops_the_old_gradient(backend, key, value):
    expected, mask = A, np.ones((2, 2))
    expected[key], mask[key] = value, 0.0
    with Tape() as tape:
        v = tape.watch(backend.asarray(A))
        start = Var(v.value, v.tape, v.index)
        v[key] = value if isinstance(value, float) else backend.asarray(value)
        assert_same(v.value, expected)
        assert_same(tape.gradient(v, [start], backend.asarray(np.ones((2, 2))))[0], mask)


def test_assignment_through_a_mask_and_to_a_constant(backend):
    with Tape() as tape:
        x = tape.watch(vector(backend, 1.0, -2.0, 3.0))
        y = Var(vector(backend, 0.0, 0.0, 0.0))
        y[1:] = x[:2] * x[:2]
        assert y.tape is tape
        y[y == 4.0] = 0.5
        assert_same(y.value, [0.0, 1.0, 0.5])
        assert_same(tape.gradient(y, [x], vector(backend, 1.0, 1.0, 1.0))[0], [2.0, 0.0, 0.0])


def test_assignment_broadcasts_and_sums_back(backend):
    with Tape() as tape:
        x, s = tape.watch(backend.asarray(A)), tape.watch(vector(backend, 3.0))
        x[:, 0] = s
        dy = backend.asarray(np.asarray([[1.0, 2.0], [10.0, 20.0]]))
        assert_same(tape.gradient(x, [s], dy)[0], [11.0])


def test_assignment_into_integers_is_refused():
    with Tape() as tape:
        x, n = tape.watch(np.asarray([1.5])), Var(np.asarray([1, 2]))
        with pytest.raises(TypeError, match=r"assigned into one of dtype int64.*convert it"):
            n[:1] = x
        n[:1] = nnx.stop_gradient(x)
    assert_same(n.value, [1, 2])


# ---- recording ------------------------------------------------------------------------------------------------------


def test_several_upstream_gradients_are_summed_out_of_place():
    handed = []

    @op
    def twice(a, b):
        def pullback(dy):
            handed.append(dy)
            return dy, dy  # one array to two parents: whoever adds in place to it spoils the other

        return a + b, pullback

    x = np.asarray([1.0, 2.0])
    with Tape() as tape:
        u, v = tape.watch(x), tape.watch(x)
        y = twice(u, v) + u * 3.0 + u * 4.0
        du, dv = tape.gradient(y, [u, v], np.ones(2))
    assert_same(du, [8.0, 8.0])
    assert_same(dv, [1.0, 1.0])
    assert_same(handed[0], [1.0, 1.0])


def test_costly_entries_are_made_for_watched_arguments_alone():
    called = []

    @op
    def product(a, b):
        def of(name, d):
            called.append(name)
            return d

        return a * b, lambda dy: (lambda: of("a", dy * b), lambda: of("b", dy * a))

    with Tape() as tape:
        v = tape.watch(np.asarray([2.0]))
        assert_same(tape.gradient(product(np.asarray([5.0]), v), [v], np.ones(1))[0], [5.0])
    assert called == ["b"]


def test_an_op_records_on_the_innermost_tape_of_its_arguments():
    with Tape() as outer:
        x = outer.watch(np.asarray(3.0))
        with Tape() as inner:
            y = inner.watch(x)
            w = inner.watch(np.asarray(2.0))
            assert (x * w).tape is inner
            assert (x * x).tape is outer
            assert (x * 2.0).tape is outer
            assert (Var(np.asarray(1.0)) * 2.0).tape is None
            z = y * y * x
            (dz,) = inner.gradient(z, [y], np.asarray(1.0))  # 2xy, as an array of the outer tape
        assert dz.tape is outer
        assert float(dz) == 18.0
        (ddz,) = outer.gradient(dz, [x], np.asarray(1.0))
        assert_same(ddz, 2.0 * 3.0 + 2.0 * 3.0)


def test_closed_tape_makes_constants_and_holds_no_graph():
    with Tape() as tape:
        v = tape.watch(np.asarray([1.0]))
        y = v * v
        assert y.watched
    assert not v.watched
    assert not y.watched
    assert (v * v).tape is None
    with Tape() as later:
        w = later.watch(np.asarray([3.0]))
        z = w * y  # y is a constant of value 1 by now
        assert_same(later.gradient(z, [w], np.ones(1))[0], [1.0])


def test_watch_refuses_what_has_no_gradient(backend):
    with Tape() as tape:
        with pytest.raises(TypeError, match=r"floating arrays, got dtype .*int.*: convert it first"):
            tape.watch(vector(backend, 1, 2))
        with pytest.raises(TypeError, match=r"cannot watch list.*nnx\.asarray"):
            tape.watch([1.0, 2.0])
        with pytest.raises(TypeError, match="cannot watch float"):
            tape.watch(1.0)


def test_op_takes_arrays_by_name_and_refuses_keyword_only_ones():
    @op
    def scaled(x, w):
        return x * w, lambda dy: (dy * w, dy * x)

    @op
    def hidden(x, *, w):
        return x * w, lambda dy: (dy * w,)

    with Tape() as tape:
        v, w = tape.watch(np.asarray(2.0)), tape.watch(np.asarray(5.0))
        assert_same(tape.gradient(scaled(w=w, x=v), [v, w], np.asarray(1.0))[1], 2.0)
    with Tape() as tape, pytest.raises(TypeError, match=r"hidden takes arrays as positional arguments only"):
        hidden(np.asarray(2.0), w=tape.watch(np.asarray(5.0)))


def test_a_pullback_that_returns_no_tuple_is_an_error():
    @op
    def double(x):
        return x * 2.0, lambda dy: dy * 2.0  # an array of which entry 0 is a number

    with pytest.raises(TypeError, match=r"pullback of .*double returned ndarray: return a tuple.*lambda dy: \(dx,\)"):
        nnx.grad(lambda x: nnx.namespace(x).sum(double(x)))(np.ones(3))


def test_op_of_several_outputs_fills_in_zeros():
    seen = []

    @op
    def both(x):
        def pullback(dys):
            seen.append(dys)
            return (dys[0] * 2.0 + dys[1] * 3.0,)

        return (x * 2.0, x * 3.0), pullback

    with Tape() as tape:
        v = tape.watch(np.asarray([1.0, 2.0]))
        first, second = both(v)
        assert type(first) is type(second) is Var
        assert_same(tape.gradient(second, [v], np.ones(2))[0], [3.0, 3.0])
    assert_same(seen[0][0], [0.0, 0.0])
    plain = both(np.asarray([1.0]))
    assert isinstance(plain, tuple)
    assert type(plain[0]) is not Var
    constant = both(Var(np.asarray([1.0])))
    assert type(constant[1]) is Var


def test_arrays_of_tapes_that_are_closed_are_constants_to_any_op():
    @op
    def both(x, y):
        return (x + y, x * y), lambda dys: (dys[0] + dys[1] * y, dys[0] + dys[1] * x)

    with Tape() as closed:
        x = closed.watch(np.asarray([2.0]))
    found = both(x, x)
    assert [type(y) for y in found] == [Var, Var]
    assert [y.watched for y in found] == [False, False]
    with Tape() as tape:
        v = tape.watch(np.asarray([5.0]))
        total, product = both(v, x)
        assert_same(tape.gradient(total * product, [v], np.ones(1))[0], [10.0 + 2.0 * 7.0])


def test_none_and_unused_outputs_stop_the_flow():
    @op
    def deaf(x):
        return x * 2.0, lambda dy: (None,)

    with Tape() as tape:
        v = tape.watch(np.asarray([1.0]))
        unused = v * v  # noqa: F841  recorded, but nothing reaches it
        assert tape.gradient(deaf(v), [v], np.ones(1)) == [None]
    with Tape() as tape:
        v = tape.watch(np.asarray([1.0]))
        assert tape.gradient(Var(np.asarray([1.0])), [v], np.ones(1)) == [None]


def test_threads_do_not_see_each_other():
    """A tape that is open in one thread must not make another thread's tape a nested one."""
    found = {}
    ready, done = threading.Event(), threading.Event()

    def other():
        ready.wait(10)
        tape = Tape()
        found["nested"] = tape.nested
        v = tape.watch(np.asarray(3.0))
        found["dx"] = tape.gradient(v * v, [v], np.asarray(1.0))[0]
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with Tape():
        ready.set()
        assert done.wait(10)
    thread.join()
    assert found["nested"] is False
    assert_same(found["dx"], 6.0)


def test_exception_inside_closes_the_tape():
    def fails(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        nnx.grad(fails)(np.asarray(1.0))
    assert Tape().nested is False
    assert_same(nnx.grad(lambda x: x * x)(np.asarray(3.0)), 6.0)


# ---- memory ---------------------------------------------------------------------------------------------------------


def test_each_step_frees_what_it_kept_as_soon_as_it_has_run():
    class Kept:
        pass

    alive = weakref.WeakSet()
    counts = []

    @op
    def step(x):
        kept = Kept()
        alive.add(kept)

        def pullback(dy):
            counts.append(len(alive))
            return (dy * (2.0 if kept else 0.0),)

        return x * 2.0, pullback

    with Tape() as tape:
        v = y = tape.watch(np.asarray(1.0))
        for _ in range(5):
            y = step(y)
        tape.gradient(y, [v], np.asarray(1.0))
    assert counts == [5, 4, 3, 2, 1]
    assert not alive


def test_backward_of_a_deep_chain_needs_no_second_memory():
    n, depth = 10_000, 60
    x = np.ones(n)
    tracemalloc.start()
    try:
        with Tape() as tape:
            v = y = tape.watch(x)
            for _ in range(depth):
                y = y * y
            forward = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            tape.gradient(y, [v], np.ones(n))
            peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert forward > 0.9 * depth * x.nbytes  # every step kept its argument
    assert peak - forward < 8 * x.nbytes


def test_chain_deeper_than_the_recursion_limit():
    def deep(x):
        for _ in range(5000):
            x = x + 1.0
        return x

    assert_same(nnx.grad(deep)(np.asarray(0.0)), 1.0)


# ---- two libraries in one call --------------------------------------------------------------------------------------

MIXES = {
    "multiply": lambda v, other: v * other,
    "add": lambda v, other: v + other,
    "matmul": lambda v, other: v @ other,
    "maximum": lambda v, other: nnx.namespace(v).maximum(v, other),
    "where": lambda v, other: nnx.namespace(v).where(v > 0.0, v, other),
    "equal": lambda v, other: nnx.namespace(v).equal(v, other),
    "less": lambda v, other: v < other,
    "concat": lambda v, other: nnx.namespace(v).concat([v, other]),
    "assignment": lambda v, other: v.__setitem__((0, slice(None)), other[0, :]),
}


@pytest.mark.parametrize("name", MIXES)
@pytest.mark.parametrize("watched", ["numpy", "array_api_strict"])
def test_mixed_backends_are_one_error_that_names_both(name, watched):
    arrays = {"numpy": np.ones((2, 2)), "array_api_strict": strict.ones((2, 2), device=strict.Device("device1"))}
    x, other = arrays.pop(watched), arrays.popitem()[1]
    with Tape() as tape, pytest.raises(nnx.MixedBackends) as error:
        MIXES[name](tape.watch(x), other)
    assert "'numpy' on cpu" in str(error.value)
    assert "'array_api_strict' on" in str(error.value)
    assert f"nnx.asarray(x, backend='{watched}'" in str(error.value)


def test_mixed_devices_are_the_same_error():
    x, y = strict.ones(2, device=strict.Device("device1")), strict.ones(2)
    with Tape() as tape, pytest.raises(nnx.MixedBackends, match=r"device1.*CPU_DEVICE"):
        tape.watch(x) * y
