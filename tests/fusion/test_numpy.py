"""NumPy's kernels on large arrays: blocks, threads, numba's loops, and memory that is used again."""

import gc
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nnx
from nnx.backend import numba_fusion, numpy_fusion, numpy_memory, numpy_threads
from nnx.fusion import fuse
from tests.fusion.cases import CASES, gelu

N = 3 * numpy_fusion.BLOCK + 17
SHAPES = [(N,), (3, N // 3), (N // 64, 64), (2, 3, numpy_fusion.BLOCK // 2 + 1), (N, 1)]


def huber(x, y, delta):
    return CASES["huber"][0](x, y, delta)


@pytest.fixture
def two_threads(monkeypatch):
    monkeypatch.setattr(numpy_threads, "allowed", lambda: 2)
    monkeypatch.setattr(numpy_threads, "WORTHWHILE", 1000)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("form", ["whole", "row", "column", "sliced"])
def test_blocks(shape, form):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(shape).astype("float32"), rng.standard_normal(shape).astype("float32")
    if form == "row":
        y = y[..., :1, :] if y.ndim > 1 else y[:1]
    elif form == "column":
        y = y[..., :1]
    elif form == "sliced":
        x, y = np.repeat(x, 2, axis=-1)[..., ::2], np.asfortranarray(y)
    np.testing.assert_array_equal(fuse(huber)(x, y, 0.5), huber(x, y, 0.5), strict=True)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_threads(shape):
    x = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_array_equal(fuse(gelu)(x), gelu(x), strict=True)
    x[(-1,) * x.ndim] = 1e200
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):  # it holds in the thread that comes to the end
        fuse(gelu)(x)


def test_how_many_threads(monkeypatch):
    code = "from nnx.backend import numpy_threads as t; print(t.wanted(10), t.wanted(10**7))"
    for variable, found in (("OMP_NUM_THREADS", "1 1"), ("NNX_FUSE_THREADS", "1 3")):
        environment = {**os.environ, "OMP_NUM_THREADS": "1"} | ({variable: "3"} if found == "1 3" else {})
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == found


LOOPS = ["adam", "huber", "bias_relu", "stretched", "numbers", "clip", "full", "itself"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LOOPS)
def test_loops_are_bit_for_bit_the_functions(name, dtype, monkeypatch):
    pytest.importorskip("numba", reason="numba is not installed: the extra `fast`")
    monkeypatch.setattr(numba_fusion, "AFTER", N)
    function, shapes, others = CASES[name]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(N).astype(dtype) for _ in shapes]
    for k, x in enumerate(arrays):
        x[k : k + 5] = np.nan, np.inf, -np.inf, 0.0, -0.0
    fused = fuse(function)
    with np.errstate(all="ignore"):
        expected = function(*arrays, *others)
        for _ in range(3):
            found = fused(*arrays, *others)
    plan = next(iter(fused.traces.values())).forward.kernel
    assert plan.loop is not None
    assert plan.loop.runs
    for ours, theirs in zip(*(y if type(y) is tuple else (y,) for y in (found, expected)), strict=True):
        np.testing.assert_array_equal(ours, theirs, strict=True)


@pytest.mark.parametrize("after", [0, 1 << 29], ids=["loop", "blocks"])
@pytest.mark.parametrize("name", LOOPS)
def test_results_are_written_over_arguments_that_are_read_no_more(name, after, monkeypatch):
    if not after:
        pytest.importorskip("numba", reason="numba is not installed: the extra `fast`")
    monkeypatch.setattr(numba_fusion, "AFTER", after)
    function, shapes, others = CASES[name]
    arrays = [np.random.default_rng(k).standard_normal(N).astype("float32") for k, _ in enumerate(shapes)]
    fused = fuse(function)
    with np.errstate(all="ignore"):
        fused(*arrays, *others)
        forward = next(iter(fused.traces.values())).forward
        given = [[*arrays, *others][k] for k in forward.taken]
        expected = forward.kernel(given)
        given = [x.copy() if isinstance(x, np.ndarray) else x for x in given]
        out, left = [], list(map(id, given))
        for places in forward.kernel.over:
            out.append(next((given[k] for k in places if id(given[k]) in left), None))
            left = [at for at in left if at != id(out[-1])]
        found = forward.kernel(given, out)
    for y, place, theirs in zip(found, out, expected, strict=True):
        np.testing.assert_array_equal(y, theirs, strict=True)
        assert place is None or y is place
    assert name != "adam" or all(place is not None for place in out)


def test_what_numba_is_not_for():
    x = np.ones(N, "float32")
    for function in (gelu, lambda x: x + x.dtype.type(1) if False else nnx.namespace(x).astype(x, np.int32) + 1):
        fused = fuse(function)
        fused(x)
        assert next(iter(fused.traces.values())).forward.kernel.loop is None


def test_numba_can_be_turned_off_and_asked_for_at_once():
    pytest.importorskip("numba", reason="numba is not installed: the extra `fast`")
    code = "from nnx.backend import numba_fusion as f; print(f.available(), f.AFTER > 0)"
    for asked, expected in {"0": "False True", "1": "True True", "now": "True False"}.items():
        environment = {**os.environ, "NNX_FUSE_NUMBA": asked}
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == expected


# ---- memory ----------------------------------------------------------------------------------------------------------

LARGE = (numpy_memory.LEAST // 4 + 3,)
FLOAT = np.dtype("float32")


def place(x):
    return x.__array_interface__["data"][0]


def test_memory_is_used_again_once_nobody_can_reach_it():
    first = numpy_memory.empty(LARGE, FLOAT)
    at = place(first)
    assert place(numpy_memory.empty(LARGE, FLOAT)) != at
    del first
    assert place(numpy_memory.empty(LARGE, FLOAT)) == at


HOLDERS = {
    "a view": lambda x: x[5:6],
    "a view of a view": lambda x: x.reshape(1, -1)[:, ::2].T[3:],
    "a memoryview": memoryview,
    "an iterator": lambda x: x.flat,
    "dlpack": lambda x: np.from_dlpack(x),
    "another dtype": lambda x: x.view("int32"),
    "a list": lambda x: [x],
}


@pytest.mark.parametrize("name", HOLDERS)
def test_whatever_looks_into_it_holds_it(name):
    x = numpy_memory.empty(LARGE, FLOAT)
    x[:] = 7.0
    at, held = place(x), HOLDERS[name](x)
    del x
    gc.collect()
    others = [numpy_memory.empty(LARGE, FLOAT) for _ in range(4)]
    assert at not in [place(y) for y in others]
    for y in others:
        y[:] = 0.0
    assert held is not None
    del held
    gc.collect()
    assert at in [place(y) for y in [numpy_memory.empty(LARGE, FLOAT) for _ in range(4)]]


def test_small_arrays_and_too_much_are_numpys_own(monkeypatch):
    assert numpy_memory.empty((10,), FLOAT).base is None
    assert numpy_memory.empty((), FLOAT).shape == ()
    monkeypatch.setattr(numpy_memory, "MOST", 0)
    assert numpy_memory.empty((LARGE[0] + 1,), FLOAT).base is None
    assert numpy_memory.empty((LARGE[0], 2), np.dtype("int16")).flags.c_contiguous


def test_what_is_kept_has_a_limit(monkeypatch):
    nbytes = 4 * math.prod(LARGE)
    monkeypatch.setattr(numpy_memory, "_KEPT", numpy_memory._Kept())
    monkeypatch.setattr(numpy_memory, "MOST", 3 * nbytes)
    held = [numpy_memory.empty(LARGE, FLOAT) for _ in range(5)]
    assert [x.base is None for x in held] == [False] * 3 + [True] * 2
    assert numpy_memory.kept() == {"total": 3 * nbytes, "free": 0}
    del held
    assert numpy_memory.kept()["free"] == 3 * nbytes
    assert numpy_memory.empty((2 * LARGE[0],), FLOAT).base is not None  # in the place of blocks of another size
    assert numpy_memory.kept()["total"] <= 3 * nbytes


def test_an_update_of_large_parameters_changes_nothing_that_is_held():
    nnx.seed(0)
    model, optimizer, held = nnx.Linear(300, 300), nnx.optim.Adam(0.1), []
    x = np.ones((4, 300), "float32")
    step = nnx.value_and_grad(lambda model, x: nnx.namespace(x).mean(model(x) ** 2.0))
    for k in range(12):
        held.append((model.weight, model.weight.copy()))
        optimizer.update(model, step(model, x)[1])
        if k % 3:
            held += [(slot, slot.copy()) for slot in optimizer.state["weight"]]
    for array, then in held:
        np.testing.assert_array_equal(array, then)


# ---- random expressions ----------------------------------------------------------------------------------------------

OPERATIONS = [
    "add",
    "subtract",
    "multiply",
    "maximum",
    "minimum",
    "tanh",
    "square",
    "negative",
    "where",
    "number",
    "abs",
]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_random_expressions(steps):
    """Values and gradients of whatever can be written."""

    def function(x, y, a):
        xp, values = nnx.namespace(x), [x, y]
        for name, i, j in steps:
            one, two = values[i % len(values)], values[j % len(values)]
            if name == "where":
                values.append(xp.where(one > two, one, two * 0.5))
            elif name == "number":
                values.append(one * a - 0.25)
            elif name in ("tanh", "square", "negative", "abs"):
                values.append(xp.tanh(getattr(xp, name)(one)))
            else:
                values.append(xp.tanh(getattr(xp, name)(one, two)))
        return values[-1] + x * 0.0, values[-2] * values[-1] + y * 0.0

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    found = []
    for call in (fuse(function), function):
        values, pullback = nnx.vjp(lambda x, y, call=call: call(x, y, 0.7), x, y)
        found.append([*values, *pullback((x, y))])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


LAYOUTS = {
    "in order": lambda x: x,
    "samples last": lambda x: x.transpose(2, 0, 1),
    "turned": lambda x: x.T,
    "with gaps": lambda x: x[:, ::2],
    "turned, with gaps": lambda x: x.T[::2],
    "backwards": lambda x: x[::-1],
    "stretched": lambda x: np.broadcast_to(x[:1], x.shape),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_results_lie_in_memory_as_the_functions_own_do(name):
    """A network's next convolution reads them: in another order it has to move them first."""
    rng = np.random.default_rng(0)
    x, y = (LAYOUTS[name](rng.random((40, 50, 60), dtype="float32")) for _ in range(2))

    def f(x, y):
        return x * 2.0 + y, x - y

    for ours, theirs in zip(fuse(f)(x, y), f(x, y), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        if name not in ("stretched", "backwards"):  # of these NumPy's own lie as it likes
            assert ours.strides == theirs.strides
