"""From an array to its library, between libraries, and what two of them in one call are told."""

import operator
import re
import types

import numpy as np
import pytest

import nnx
from nnx import MixedBackends, Var
from nnx.backend import arrays, backend_of, base, is_array, is_scalar, table
from tests import support
from tests.backend.fakes import Boxed, boxed
from tests.support import assert_close, assert_same


def opened(name):
    try:
        return support.open_backend(name)
    except nnx.BackendUnavailable as error:
        pytest.skip(str(error).partition("\n")[0])


@pytest.fixture(params=list(dict.fromkeys(["numpy", *support.BACKENDS])))
def other(request):
    """A second backend."""
    return opened(request.param)


# ---- what is an array ------------------------------------------------------------------------------------------------


def test_an_array_of_each_library(backend):
    x = backend.asarray([1.0, 2.0])
    assert is_array(x)
    assert not is_scalar(x)
    assert not is_scalar(backend.asarray(1.0))
    assert backend_of(x) is type(backend)
    assert nnx.namespace(x) is backend.xp
    assert nnx.namespace(1.0, x, 2) is backend.xp
    assert nnx.namespace(x, x) is backend.xp


def test_a_var_is_an_array_of_its_library(backend):
    x = backend.asarray([1.0, 2.0])
    with nnx.Tape() as tape:
        v = tape.watch(x)
        assert is_array(v)
        assert backend_of(v) is type(backend)
        assert nnx.namespace(v) is v.__array_namespace__()
        assert nnx.namespace(v, x) is nnx.namespace(x, v) is nnx.namespace(v)
        assert nnx.backend.innermost(v) is x


@pytest.mark.parametrize(
    "x", [1.0, 2, True, 1j, "a", None, [1.0], (1.0,), {}, object(), np, np.ones, np.float32, np.dtype("f4")]
)
def test_what_is_no_array(x):
    assert not is_array(x)
    with pytest.raises(TypeError, match=r"expected an array, got \w+: make one with nnx\.asarray"):
        nnx.namespace(x)
    with pytest.raises(TypeError, match="expected an array"):
        backend_of(x)
    with pytest.raises(TypeError, match="expected an array"):
        nnx.to_numpy(x)


def test_things_with_a_shape_that_are_no_arrays():
    class Shaped:
        shape = (2,)

    assert not is_array(Shaped())
    assert not is_array(types.SimpleNamespace(shape=(), dtype=None, ndim=0))


def test_numpy_scalars_and_subclasses():
    class Own(np.ndarray):
        pass

    for x in (np.float64(1.0), np.float32(1.0), np.ma.ones(2), np.ones(2).view(Own), np.ones(2, dtype="int8")):
        assert backend_of(x).name == "numpy"
    assert is_scalar(np.float64(1.0))
    assert is_scalar(np.int32(1))
    assert not is_scalar(1.0)


def test_the_namespace_is_looked_up_by_type(backend, monkeypatch):
    x = backend.asarray([1.0])
    nnx.namespace(x)
    monkeypatch.setattr(arrays, "_search", lambda x: pytest.fail("searched again"))
    nnx.namespace(x, x)


# ---- moving ----------------------------------------------------------------------------------------------------------

VALUES = {
    "matrix": np.arange(6, dtype="float32").reshape(2, 3),
    "float64": np.asarray([1.5, -2.5]),
    "complex64": np.asarray([1 + 2j, 3 - 4j], dtype="complex64"),
    "zero dimensions": np.asarray(2.5),
    "empty": np.zeros((0, 3), dtype="float32"),
    "bool": np.asarray([True, False]),
    "int8": np.asarray([1, -2], dtype="int8"),
    "int64": np.asarray([2**40, -1]),
    "uint8": np.asarray([0, 255], dtype="uint8"),
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "every other": np.arange(10.0)[::2],
    "backwards": np.arange(4.0)[::-1],
    "backwards twice": np.arange(6.0).reshape(2, 3)[::-1, ::-1],
    "broadcast": np.broadcast_to(np.arange(3.0), (2, 3)),
    "big-endian": np.asarray([1.0, 2.0], dtype=">f4"),
}


@pytest.mark.parametrize("which", VALUES)
def test_between_all_pairs(backend, other, which):
    value = VALUES[which]
    native = value.astype(value.dtype.newbyteorder("="))
    x = backend.asarray(value)
    assert backend_of(x) is type(backend)
    assert x.device == backend.device
    assert_same(x, native)
    y = other.asarray(x)
    assert backend_of(y) is type(other)
    assert y.device == other.device
    assert_same(y, native)
    assert_same(nnx.asarray(y), native)


def test_views_of_the_librarys_own(backend, other):
    x = backend.asarray(np.arange(12.0).reshape(3, 4))
    for view, expected in (
        (x.T, np.arange(12.0).reshape(3, 4).T),
        (x[:, 1], np.asarray([1.0, 5.0, 9.0])),
        (x[1:, ::2], np.asarray([[4.0, 6.0], [8.0, 10.0]])),
    ):
        assert_same(other.asarray(view), expected)


def test_read_only_memory(backend):
    value = np.arange(3.0)
    value.flags.writeable = False
    x = backend.asarray(value)
    assert_same(type(backend).set_item(x, 0, backend.asarray(9.0)), [9.0, 1.0, 2.0])
    np.testing.assert_array_equal(value, [0.0, 1.0, 2.0])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
def test_a_dtype_by_name_and_by_object(backend, dtype):
    for given in (dtype, backend.dtype(dtype)):
        for value in ([1.0, 0.0], np.asarray([1.0, 0.0])):
            assert_same(backend.asarray(value, given), np.asarray([1.0, 0.0]).astype(dtype))


def test_numbers_and_lists(backend):
    assert_close(backend.asarray([[1.0, 2.0], [3.0, 4.0]], "float64"), [[1.0, 2.0], [3.0, 4.0]])
    assert_same(backend.asarray(3, "int32"), np.int32(3))
    assert_same(backend.asarray(np.float64(2.5)), np.asarray(2.5))


def test_to_numpy(backend):
    x = backend.asarray([1.0, 2.0], "float64")
    assert isinstance(nnx.to_numpy(x), np.ndarray)
    assert_same(nnx.to_numpy(Var(x)), [1.0, 2.0])
    with nnx.Tape() as tape:
        v = tape.watch(x)
        with pytest.raises(TypeError, match="would lose its gradient"):
            nnx.to_numpy(v)
        assert_same(nnx.to_numpy(nnx.stop_gradient(v)), [1.0, 2.0])
    assert_same(nnx.to_numpy(v), [1.0, 2.0])


def test_asarray_of_a_watched_array_would_lose_its_gradient(backend):
    def loss(x):
        with pytest.raises(TypeError, match="would lose its gradient"):
            nnx.asarray(x)
        return nnx.namespace(x).sum(x)

    nnx.grad(loss)(backend.asarray([1.0, 2.0]))
    assert_same(nnx.asarray(Var(backend.asarray([1.0], "float64"))), [1.0])


def test_torch_tensors_come_with_nothing_that_torch_hangs_on_them():
    torch = pytest.importorskip("torch")
    leaf = torch.ones(2, requires_grad=True)
    with nnx.use_backend("torch"):
        assert not nnx.asarray(leaf).requires_grad
    assert_same(nnx.to_numpy(leaf * 2), np.full(2, 2.0, dtype="float32"))
    promised = torch.asarray([1 + 2j]).conj()
    assert_same(nnx.to_numpy(promised), np.asarray([1 - 2j], dtype="complex64"))
    assert_same(nnx.to_numpy(promised.imag), np.asarray([-2.0], dtype="float32"))


def test_on_a_cpu_torch_and_numpy_share_memory():
    torch = pytest.importorskip("torch")
    x = torch.zeros(2)
    y = nnx.asarray(x, backend="numpy")
    y[0] = 5.0
    assert float(x[0]) == 5.0


# ---- DLPack, for devices that NumPy does not reach -------------------------------------------------------------------


def test_dlpack_where_both_sides_share_a_device(backend, other, monkeypatch):
    if backend.name == other.name or "cupy" in (backend.name, other.name) or not hasattr(other.xp, "from_dlpack"):
        pytest.skip("one side")
    x = backend.asarray(np.arange(6.0).reshape(2, 3))
    if not hasattr(x, "__dlpack_device__") or int(x.__dlpack_device__()[0]) != other._dlpack_kind:
        pytest.skip("no device that both know")
    monkeypatch.setattr(base, "HOST_MEMORY", frozenset())  # as if the CPU were a GPU
    monkeypatch.setattr(type(backend), "to_numpy", classmethod(lambda cls, x: pytest.fail("went through the host")))
    if "array_api_strict" in (backend.name, other.name) and "device1" in str((x.device, other.device)):
        monkeypatch.undo()  # this device pretends to be no CPU and has no DLPack: through the host
        monkeypatch.setattr(base, "HOST_MEMORY", frozenset())
    y = other.asarray(x)
    monkeypatch.undo()
    assert y.device == other.device
    assert_same(y, np.arange(6.0).reshape(2, 3))


def test_what_does_not_cross_by_dlpack_goes_through_the_host(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(base, "HOST_MEMORY", frozenset())
    promised = torch.asarray([1 + 2j]).conj()  # DLPack has no conjugate bit
    assert_same(nnx.get_backend("numpy").asarray(promised), np.asarray([1 - 2j], dtype="complex64"))


def test_dlpack_drops_what_torch_hangs_on_a_tensor(monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(base, "HOST_MEMORY", frozenset())
    monkeypatch.setattr(
        table.find("torch"), "to_numpy", classmethod(lambda cls, x: pytest.fail("went through the host"))
    )
    assert_same(nnx.get_backend("numpy").asarray(torch.ones(2, requires_grad=True)), np.ones(2, dtype="float32"))


# ---- two libraries in one call ---------------------------------------------------------------------------------------

FUNCTIONS = {
    "namespace": nnx.namespace,
    "linear": lambda a, b: nnx.functional.linear(a, b),
    "mse_loss": nnx.losses.mse_loss,
    "quadratic_cost": nnx.losses.quadratic_cost,
}
OPERATORS = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.pow,
    operator.matmul,
    operator.lt,
    operator.eq,
]


def both_names(error, a, b):
    return f"'{a}'" in str(error.value) and f"'{b}'" in str(error.value)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("watched", [False, True])
def test_a_function_of_two_libraries(backend, other, name, watched):
    if backend.name == other.name:
        pytest.skip("one library")
    a, b = backend.asarray(np.ones((2, 2))), other.asarray(np.ones((2, 2)))
    with nnx.Tape() as tape:
        if watched:
            a = tape.watch(a)
        for x, y in ((a, b), (b, a)):
            with pytest.raises(MixedBackends, match="in one call: nothing is converted silently") as error:
                FUNCTIONS[name](x, y)
            assert both_names(error, backend.name, other.name)


@pytest.mark.parametrize("f", OPERATORS, ids=lambda f: f.__name__)
def test_an_operator_of_a_watched_array_and_another_librarys(backend, other, f):
    if backend.name == other.name:
        pytest.skip("one library")
    b = other.asarray(np.ones((2, 2)))
    with nnx.Tape() as tape:
        for v in (tape.watch(backend.asarray(np.ones((2, 2)))), Var(backend.asarray(np.ones((2, 2))))):
            with pytest.raises(MixedBackends) as error:
                f(v, b)
            assert both_names(error, backend.name, other.name)
            with pytest.raises(MixedBackends) as error:
                f(v, Var(b))
            if other.name != "array_api_strict":  # it raises before the watched array is asked
                with pytest.raises(MixedBackends) as error:
                    f(b, v)
                assert both_names(error, backend.name, other.name)


def test_a_model_and_a_batch_of_two_libraries(backend, other):
    if backend.name == other.name:
        pytest.skip("one library")
    model = nnx.Linear(2, 2)
    x = other.asarray(np.ones((3, 2)), "float32")
    for call in (model, lambda x: nnx.grad(lambda m, x: nnx.namespace(x).sum(m(x)))(model, x)):
        with pytest.raises(MixedBackends) as error:
            call(x)
        assert both_names(error, backend.name, other.name)
    assert isinstance(model.weight, type(backend.asarray([1.0])))


@pytest.mark.parametrize("watched", [False, True])
def test_two_devices_of_one_library(watched):
    strict = pytest.importorskip("array_api_strict")
    one = strict.ones((2, 2), device=strict.Device("CPU_DEVICE"))
    two = strict.ones((2, 2), device=strict.Device("device1"))
    with nnx.Tape() as tape:
        one = tape.watch(one) if watched else one
        calls = [lambda: FUNCTIONS["linear"](one, two), lambda: FUNCTIONS["mse_loss"](one, two)]
        if watched:
            calls += [lambda: one + two, lambda: one @ two, lambda: nnx.namespace(one).maximum(one, two)]
        for call in calls:
            with pytest.raises(MixedBackends) as error:
                call()
            assert "CPU_DEVICE" in str(error.value)
            assert "device1" in str(error.value)
            assert "device=" in str(error.value)


def test_the_way_out_that_the_error_names_works(backend, other):
    if backend.name == other.name:
        pytest.skip("one library")
    x, y = backend.asarray([1.0]), other.asarray([1.0])
    with pytest.raises(MixedBackends, match=f"nnx.asarray\\(x, backend='{backend.name}'\\)"):
        nnx.namespace(x, y)
    assert backend_of(nnx.asarray(y, backend=backend.name)) is type(backend)


# ---- a library that nobody has heard of ------------------------------------------------------------------------------


@pytest.fixture
def _forgotten(monkeypatch):
    monkeypatch.setattr(arrays, "_BACKENDS", dict(arrays._BACKENDS))
    monkeypatch.setattr(arrays, "_NAMESPACES", dict(arrays._NAMESPACES))
    monkeypatch.setattr(table, "_REGISTERED", dict(table._REGISTERED))
    arrays._BACKENDS.pop(Boxed, None)
    arrays._NAMESPACES.pop(Boxed, None)


@pytest.mark.usefixtures("_forgotten")
def test_an_unknown_library_is_known_by_its_namespace():
    x = Boxed([1.0, 2.0, 3.0])
    assert is_array(x)
    assert nnx.namespace(x) is boxed
    assert backend_of(x).namespace() is boxed
    assert backend_of(x).is_inexact(x.dtype)
    assert backend_of(x).name == "tests"
    assert_same(nnx.to_numpy(x), [1.0, 2.0, 3.0])
    assert_same(nnx.asarray(x, backend="numpy"), [1.0, 2.0, 3.0])
    assert_same(backend_of(x).set_item(x, 0, 9.0), [9.0, 2.0, 3.0])
    assert_same(backend_of(x).index_add(2, Boxed([0, 1, 0]), x), [4.0, 2.0])
    with pytest.raises(MixedBackends) as error:
        nnx.namespace(x, np.ones(3))
    assert both_names(error, "tests", "numpy")


@pytest.mark.usefixtures("_forgotten")
def test_an_unknown_library_is_differentiated():
    def loss(x, w):
        xp = x.__array_namespace__()
        y = xp.tanh(x * w)
        return xp.sum(y * y + x[1])

    x, w = np.asarray([0.1, 0.2, 0.3]), np.asarray([1.0, -1.0, 2.0])
    found = nnx.grad(loss, argnums=(0, 1))(Boxed(x), Boxed(w))
    expected = nnx.grad(loss, argnums=(0, 1))(x, w)
    for a, b in zip(found, expected, strict=True):
        assert type(a) is Boxed
        assert_close(a, b)


@pytest.mark.usefixtures("_forgotten")
def test_a_model_of_an_unknown_library_trains_and_loads():
    model = nnx.Linear(2, 1, dtype="float64")
    model.update({path: Boxed(p) for path, p in model.named_parameters()})
    x = Boxed([[1.0, 2.0], [3.0, 4.0]])
    grads = nnx.grad(lambda m, x: nnx.namespace(x).sum(m(x)))(model, x)
    assert_close(grads["weight"], [[4.0, 6.0]])
    nnx.optim.Adam().update(model, grads)
    model.load_state_dict({path: nnx.to_numpy(p) for path, p in model.state_dict().items()})
    assert type(model.weight) is Boxed


@pytest.mark.usefixtures("_forgotten")
def test_a_library_that_registers_after_it_was_met():
    x = Boxed([1.0])
    assert backend_of(x).__name__ == "ForeignBackend"

    @nnx.backend.register
    class BoxedBackend(base.Backend):
        name = "boxed"
        package = "tests.backend.fakes"
        install = "pip install boxed"

        @classmethod
        def namespace(cls):
            return boxed

        @classmethod
        def library_version(cls):
            return "1"

        @classmethod
        def devices(cls):
            return {"box": "box"}

    assert backend_of(x) is BoxedBackend
    with nnx.use_backend("boxed"):
        model = nnx.Linear(2, 2)
        assert type(model.weight) is Boxed
        assert type(nnx.asarray(np.ones(2))) is Boxed


# ---- what libraries do differently -----------------------------------------------------------------------------------


def test_set_item(backend):
    x = backend.asarray(np.arange(6.0).reshape(2, 3))
    y = type(backend).set_item(x, (0, slice(None)), backend.asarray([7.0, 8.0, 9.0], "float64"))
    assert_same(y, [[7.0, 8.0, 9.0], [3.0, 4.0, 5.0]])
    assert_same(x, np.arange(6.0).reshape(2, 3))
    assert_same(
        type(backend).set_item(backend.asarray(1.0, "float64"), (), backend.asarray(2.0, "float64")), np.asarray(2.0)
    )


@pytest.mark.parametrize("integer", ["int32", "int64", "uint8"])
def test_index_add_adds_repeated_indices(backend, integer):
    index = backend.asarray([2, 0, 2, 2], integer)
    for dtype in ("float32", "float64"):
        x = backend.asarray([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]], dtype)
        expected = np.asarray([[2.0, 20.0], [0.0, 0.0], [8.0, 80.0], [0.0, 0.0]], dtype=dtype)
        assert_same(type(backend).index_add(4, index, x), expected)
        assert_same(type(backend).index_add(4, index, x[:, 0]), expected[:, 0])
    assert_same(type(backend).index_add(4, index, backend.xp.reshape(x, (4, 1, 2))), expected.reshape(4, 1, 2))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (0, 2, 2), (2, 0)])
def test_index_add_of_nothing(backend, shape):
    index = backend.asarray(np.zeros(shape[0], dtype="int64"))
    found = type(backend).index_add(4, index, backend.asarray(np.ones(shape)))
    assert_same(found, np.zeros((4, *shape[1:])))
    assert found.device == backend.device


def test_own_functions_agree_with_the_generic_ones(backend):
    rng = np.random.default_rng(0)
    index, x = rng.integers(0, 5, 20), rng.normal(size=(20, 3))
    own = type(backend).index_add(5, backend.asarray(index), backend.asarray(x))
    generic = base.Backend.index_add.__func__(type(backend), 5, backend.asarray(index), backend.asarray(x))
    assert_close(own, nnx.to_numpy(generic), rtol=1e-12)


def test_what_stands_in_for_the_librarys_wrapper_conforms(backend):
    """maximum, minimum and the reductions, whose short ways have the standard's results and dtypes."""
    x = backend.asarray([[1.0, -2.0], [3.0, np.nan]], "float32")
    i = backend.asarray([[1, -2], [3, 4]], "int8")
    xp, f = backend.xp, np.asarray([[1.0, -2.0], [3.0, np.nan]], dtype="float32")
    assert_same(xp.maximum(x, 0.0), np.maximum(f, np.float32(0.0)))
    assert_same(xp.maximum(x, xp.zeros_like(x)), np.maximum(f, 0))
    assert_same(xp.minimum(x, 0.0), np.minimum(f, np.float32(0.0)))
    assert_same(xp.maximum(i, 0), np.maximum(nnx.to_numpy(i), np.int8(0)))
    assert_same(xp.where(x > 0.0, x, xp.zeros_like(x)), np.where(f > 0, f, np.float32(0)))
    for name in ("sum", "max", "min", "mean"):
        for axis in (None, 0, (0, 1), -1):
            for keepdims in (False, True):
                found = getattr(xp, name)(x, axis=axis, keepdims=keepdims)
                assert_close(found, getattr(np, name)(f, axis=axis, keepdims=keepdims), rtol=1e-6)
    assert_same(xp.sum(i), np.sum(nnx.to_numpy(i)))
    assert_same(xp.max(i, axis=0), np.max(nnx.to_numpy(i), axis=0))
    assert_same(xp.astype(x, xp.float64, copy=False), f.astype("float64"))
    assert_same(xp.ones_like(xp.sum(x)), np.asarray(1.0, dtype="float32"))


def test_the_advice_for_two_devices_works():
    strict = [nnx.get_backend("array_api_strict", name) for name in ("CPU_DEVICE", "device1")]
    x, w = (backend.asarray(np.ones((2, 3))) for backend in strict)
    with pytest.raises(nnx.MixedBackends) as caught:
        nnx.functional.linear(x, w)
    advice = re.search(r"nnx\.asarray\(x, [^)]*\)", str(caught.value))[0]
    # what to move is the user's to say: the other side
    moved = eval(advice, {"nnx": nnx, "x": w})
    assert nnx.functional.linear(x, moved).shape == (2, 2)


def test_a_device_is_named_as_it_is_chosen(backend):
    library = type(backend)
    for name, device in library.devices().items():
        assert library.device_name(device) == name
        assert backend.open(name).device == device
