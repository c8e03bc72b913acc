"""Which backend is chosen, and what is said when it cannot be."""

import asyncio
import contextvars
import importlib.metadata
import os
import subprocess
import sys
import threading
import types

import numpy as np
import pytest

import nnx
from nnx.backend import base, select, table
from tests.backend.fakes import CUDARuntimeError, DynamicLibNotFoundError, fake_cupy


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    """No default of the process, no environment, nothing opened or registered by the test before."""
    monkeypatch.setattr(select, "_default", None)
    monkeypatch.delenv("NNX_BACKEND", raising=False)
    monkeypatch.delenv("NNX_DEVICE", raising=False)
    monkeypatch.setattr(base, "_OPENED", {})
    monkeypatch.setattr(table, "_REGISTERED", {})
    token = select._context.set(None)
    yield
    select._context.reset(token)
    table._entry_points.cache_clear()
    table._loaded.cache_clear()
    base.Backend.namespace.cache_clear()
    table.find("cupy").namespace.cache_clear()


def message(name=None, device=None):
    with pytest.raises(nnx.BackendUnavailable) as caught:
        nnx.get_backend(name, device)
    return str(caught.value)


# ---- the order of choice ---------------------------------------------------------------------------------------------


def test_numpy_is_the_default():
    assert nnx.get_backend().name == "numpy"


def test_environment(monkeypatch):
    monkeypatch.setenv("NNX_BACKEND", "array_api_strict")
    monkeypatch.setenv("NNX_DEVICE", "device1")
    active = nnx.get_backend()
    assert (active.name, active.device) == ("array_api_strict", active.xp.Device("device1"))


def test_the_environment_is_read_by_a_fresh_process():
    code = "import nnx; b = nnx.get_backend(); print(b.name, type(nnx.Linear(2, 2).weight).__module__)"
    environment = {**os.environ, "NNX_BACKEND": "array_api_strict"}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["array_api_strict", "array_api_strict._array_object"]


def test_set_backend_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv("NNX_BACKEND", "torch")
    assert nnx.set_backend("array_api_strict", "device1").name == "array_api_strict"
    assert nnx.get_backend().name == "array_api_strict"
    assert nnx.init.zeros((2,)).device == nnx.get_backend().device


def test_the_context_goes_before_set_backend():
    nnx.set_backend("array_api_strict", "device1")
    with nnx.use_backend("array_api_strict") as outer:
        assert nnx.get_backend() is outer
        with nnx.use_backend("numpy"):
            assert nnx.get_backend().name == "numpy"
        assert nnx.get_backend() is outer
    assert "device1" in str(nnx.get_backend().device)


def test_the_argument_goes_before_the_context():
    with nnx.use_backend("array_api_strict"):
        assert nnx.get_backend("numpy").name == "numpy"
        assert isinstance(nnx.asarray([1.0], backend="numpy"), np.ndarray)
        assert not isinstance(nnx.asarray([1.0]), np.ndarray)


def test_a_device_alone_is_one_of_the_active_backend():
    with nnx.use_backend("array_api_strict"):
        assert str(nnx.get_backend(device="device1").device) == "array_api_strict.Device('device1')"


def test_the_device_of_the_environment_belongs_to_the_backend_of_the_environment(monkeypatch):
    monkeypatch.setenv("NNX_BACKEND", "array_api_strict")
    monkeypatch.setenv("NNX_DEVICE", "device1")
    assert nnx.get_backend("numpy").device == "cpu"
    assert "device1" in str(nnx.get_backend("array_api_strict").device)
    assert "device2" in str(nnx.get_backend("array_api_strict", "device2").device)


def test_the_context_is_restored_after_an_exception():
    with pytest.raises(KeyError), nnx.use_backend("array_api_strict"):
        raise KeyError
    assert nnx.get_backend().name == "numpy"


def test_threads_have_contexts_of_their_own():
    found = {}
    with nnx.use_backend("array_api_strict"):
        thread = threading.Thread(target=lambda: found.update(plain=nnx.get_backend().name))
        thread.start()
        thread.join()
        copied = contextvars.copy_context()
        thread = threading.Thread(target=lambda: found.update(copied=copied.run(nnx.get_backend).name))
        thread.start()
        thread.join()
    assert found == {"plain": "numpy", "copied": "array_api_strict"}


def test_tasks_have_contexts_of_their_own():
    async def task(name, turn, other):
        with nnx.use_backend(name):
            turn.set()
            await other.wait()
            return nnx.get_backend().name

    async def both():
        one, two = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(task("numpy", one, two), task("array_api_strict", two, one))

    assert asyncio.run(both()) == ["numpy", "array_api_strict"]


def test_opening_is_done_once_a_device(monkeypatch):
    probes = []
    monkeypatch.setattr(base.Backend, "_probe", lambda self: probes.append(self.device))
    strict = nnx.get_backend("array_api_strict", "device1")
    assert nnx.get_backend("array_api_strict", "device1") is strict
    nnx.get_backend("array_api_strict")
    assert len(probes) == 2


def test_a_device_of_the_librarys_own(backend):
    again = type(backend).open(backend.device)
    assert again.device == backend.device
    x = again.asarray([1.0])
    assert type(backend).open(x.device).device == x.device


# ---- what cannot be used ---------------------------------------------------------------------------------------------


def test_unknown_name():
    found = message("tensorflow")
    assert "unknown backend 'tensorflow'" in found
    for name in (
        "numpy",
        "cupy",
        "torch",
        "jax",
        "dpnp",
        "array_api_strict",
        "auto",
        "NNX_BACKEND",
        "installed here: numpy",
    ):
        assert name in found


def test_an_unknown_name_in_the_environment(monkeypatch):
    monkeypatch.setenv("NNX_BACKEND", "nunpy")
    assert "unknown backend 'nunpy'" in message()


def test_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "dpnp", None)
    monkeypatch.delitem(sys.modules, "dpnp")
    monkeypatch.setattr(table.find("dpnp"), "package", "a_package_that_nobody_has")
    found = message("dpnp")
    assert "backend 'dpnp': a_package_that_nobody_has is not installed: ModuleNotFoundError: No module named" in found
    assert "install it with: pip install dpnp" in found
    assert "installed here: numpy" in found


def test_an_installation_that_cannot_be_imported(monkeypatch):
    def load(cls):
        raise OSError("libcudart.so.13: cannot open shared object file")

    monkeypatch.setattr(table.find("array_api_strict"), "namespace", classmethod(load))
    found = message("array_api_strict")
    assert "array_api_strict cannot be imported: OSError: libcudart.so.13: cannot open shared object file" in found
    assert "reinstall it with: pip install array-api-strict" in found


def test_unknown_device():
    found = message("array_api_strict", "cuda:3")
    assert "no device 'cuda:3'; there is CPU_DEVICE, device1" in found
    assert "no device 'gpu'; there is cpu" in message("numpy", "gpu")


def test_the_probe_fails(monkeypatch):
    def broken(self):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(table.find("array_api_strict"), "_probe", broken)
    found = message("array_api_strict", "device1")
    assert (
        "a first computation on device array_api_strict.Device('device1') failed: RuntimeError: out of memory" in found
    )


def test_the_probe_computes_something_wrong(monkeypatch):
    wrong = types.SimpleNamespace(
        **{name: getattr(np, name) for name in ("float32", "ones", "matmul")}, sum=lambda x: 15.0
    )
    monkeypatch.setattr(table.find("numpy"), "namespace", classmethod(lambda cls: wrong))
    assert "ArithmeticError" in message("numpy")


def test_a_failure_is_not_remembered(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(table.find("array_api_strict"), "_probe", lambda self: 1 / 0)
        message("array_api_strict")
    assert nnx.get_backend("array_api_strict").name == "array_api_strict"


# ---- CuPy, which fails in more ways than others ----------------------------------------------------------------------

INSTALL = "pip install 'cupy-cuda13x[ctk]'"


def test_cupy_that_works(monkeypatch):
    fake_cupy(monkeypatch, devices=2)
    assert nnx.get_backend("cupy").device.id == 0
    assert nnx.get_backend("cupy", "cuda").device.id == 0
    assert nnx.get_backend("cupy", "cuda:1").device.id == 1
    assert type(nnx.get_backend("cupy")).open(nnx.get_backend("cupy", "cuda:1").device).device.id == 1


def test_cupy_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", None)
    monkeypatch.setattr(table.find("cupy"), "installed", classmethod(lambda cls: False))
    monkeypatch.setitem(sys.modules, "cupy", None)
    found = message("cupy")
    assert "cupy is not installed" in found
    assert f"install it with: {INSTALL}" in found


def test_cupy_without_a_driver(monkeypatch):
    fake_cupy(monkeypatch, status=35, driver=0)
    found = message("cupy")
    assert "backend 'cupy': no device can be used: CUDARuntimeError: cudaErrorInsufficientDriver" in found
    assert "no NVIDIA driver was found" in found
    assert INSTALL in found
    assert "installed here: numpy" in found


def test_cupy_with_a_driver_that_is_too_old(monkeypatch):
    fake_cupy(monkeypatch, status=35, driver=11040)
    found = message("cupy", "cuda:0")
    assert "device 'cuda:0' cannot be used: CUDARuntimeError: cudaErrorInsufficientDriver" in found
    assert "too old: it knows CUDA 11.4, this CuPy is for 13.2" in found
    assert "'cupy-cuda12x[ctk]'" in found


@pytest.mark.parametrize("how", [{"status": 100}, {"devices": 0}])
def test_cupy_without_a_device(monkeypatch, how):
    fake_cupy(monkeypatch, **how)
    found = message("cupy")
    assert "no device can be used" in found
    if "status" in how:
        assert "cudaErrorNoDevice: no CUDA-capable device is detected" in found
        assert "CUDA_VISIBLE_DEVICES" in found
    assert INSTALL in found


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libcublas.so.13: cannot open shared object file: No such file or directory"),
        DynamicLibNotFoundError('Failure finding "libnvrtc.so"'),
    ],
    ids=["cublas", "nvrtc"],
)
def test_cupy_without_a_part_of_cuda(monkeypatch, error):
    fake_cupy(monkeypatch, computing=error)
    found = message("cupy")
    assert f"a first computation on device <CUDA Device 0> failed: {type(error).__name__}: {error}" in found
    assert f"a part of the CUDA toolkit is missing: {INSTALL}" in found


def test_cupy_on_a_device_that_is_not_there(monkeypatch):
    fake_cupy(monkeypatch, devices=2)
    assert "no device 'cuda:7'; there is cuda:0, cuda:1" in message("cupy", "cuda:7")


def test_cupy_on_a_device_that_it_was_not_built_for(monkeypatch):
    fake_cupy(monkeypatch, computing=CUDARuntimeError(209))
    found = message("cupy")
    assert "no kernel image is available" in found
    assert INSTALL in found


# ---- auto ------------------------------------------------------------------------------------------------------------


def test_auto_takes_a_gpu_that_answers(monkeypatch):
    fake_cupy(monkeypatch, devices=2)
    assert nnx.get_backend("auto").name == "cupy"
    assert nnx.get_backend("auto", "cuda:1").device.id == 1
    monkeypatch.setenv("NNX_BACKEND", "auto")
    assert nnx.get_backend().name == "cupy"


@pytest.mark.parametrize("how", [{"status": 35}, {"devices": 0}, {"computing": ImportError("libcublas.so.13")}])
def test_auto_goes_on_to_the_next_and_to_numpy_at_last(monkeypatch, how):
    fake_cupy(monkeypatch, **how)
    for name in ("torch", "jax"):
        monkeypatch.setattr(table.find(name), "is_gpu", classmethod(lambda cls, device: False))
    assert nnx.get_backend("auto").name == "numpy"


def test_auto_is_not_stopped_by_a_broken_entry_point(monkeypatch):
    plug(monkeypatch, broken="no_such_module:Backend")
    for name in ("torch", "jax", "cupy"):
        monkeypatch.setattr(table.find(name), "is_gpu", classmethod(lambda cls, device: False))
    assert nnx.get_backend("auto").device == "cpu"


def test_auto_does_not_ignore_a_device_that_nobody_has(monkeypatch):
    fake_cupy(monkeypatch, status=100)
    found = message("auto", "cuda:5")
    assert "'auto' found no device 'cuda:5'" in found
    assert "cudaErrorNoDevice" in found


# ---- the table -------------------------------------------------------------------------------------------------------


def plug(monkeypatch, **points):
    """Entry points, as if packages with them were installed."""
    found = [importlib.metadata.EntryPoint(name, value, "nnx.backends") for name, value in points.items()]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: found if group == "nnx.backends" else [])
    table._entry_points.cache_clear()


def test_rows(monkeypatch):
    fake_cupy(monkeypatch, status=35, driver=0)
    rows = {row.name: row for row in nnx.backends()}
    assert list(rows)[:6] == ["numpy", "cupy", "torch", "jax", "dpnp", "array_api_strict"]
    assert rows["numpy"] == nnx.backend.BackendInfo(
        "numpy", True, True, np.__version__, ("cpu",), None, "pip install 'numpy>=2.1'"
    )
    assert rows["array_api_strict"].devices[:2] == ("CPU_DEVICE", "device1")
    cupy = rows["cupy"]
    assert (cupy.installed, cupy.usable, cupy.devices) == (True, False, ())
    assert "cudaErrorInsufficientDriver" in cupy.reason
    assert "\n" not in cupy.reason
    assert INSTALL in cupy.install


def test_the_version_of_a_package_that_comes_under_another_name(monkeypatch):
    fake_cupy(monkeypatch, status=35)
    monkeypatch.setattr(
        importlib.metadata, "packages_distributions", lambda: {"cupy": ["cupy-cuda13x"], "cupyx": ["x"]}
    )
    monkeypatch.setattr(importlib.metadata, "version", lambda name: {"cupy-cuda13x": "14.2.0"}[name])
    assert {row.name: row for row in nnx.backends()}["cupy"].version == "14.2.0"


class Third(base.Backend):
    """A third party's: NumPy under another name."""

    name = "third"
    package = "numpy"
    install = "pip install third"
    modules = ("third",)

    @classmethod
    def devices(cls):
        return {"cpu": "cpu"}


def test_a_backend_that_was_registered():
    assert nnx.backend.register(Third) is Third
    with nnx.use_backend("third"):
        assert isinstance(nnx.Linear(2, 2).weight, np.ndarray)
    assert {row.name: row.usable for row in nnx.backends()}["third"]


def test_a_backend_from_an_entry_point(monkeypatch):
    plug(monkeypatch, third=f"{__name__}:Third")
    assert nnx.get_backend("third").name == "third"
    assert {row.name: row.usable for row in nnx.backends()}["third"]


@pytest.mark.parametrize("value", ["no_such_module:Backend", f"{__name__}:plug", f"{__name__}:Nothing"])
def test_a_broken_entry_point_breaks_nothing_else(monkeypatch, value):
    plug(monkeypatch, broken=value)
    monkeypatch.setattr(nnx.backend.arrays, "_BACKENDS", {})
    monkeypatch.setattr(nnx.backend.arrays, "_NAMESPACES", {})
    assert nnx.namespace(np.ones(2)).__name__ == "numpy"
    assert not nnx.backend.is_array(object())
    assert not nnx.backend.is_array(type("Shaped", (), {"shape": (), "ndim": 0, "dtype": None})())
    rows = {row.name: row for row in nnx.backends()}
    assert rows["numpy"].usable
    assert (rows["broken"].installed, rows["broken"].usable) == (False, False)
    assert value in rows["broken"].reason
    found = message("broken")
    assert f"its entry point '{value}' cannot be loaded" in found
    assert "installed here: numpy" in found
    assert "unknown backend" in message("nonsense")


def test_a_third_party_that_raises_anything_is_a_row_too(monkeypatch):
    class Odd(Third):
        name = "odd"

        @classmethod
        def installed(cls):
            raise KeyError("odd")

        @classmethod
        def open(cls, device=None):
            raise ZeroDivisionError("odd")

    nnx.backend.register(Odd)
    row = {row.name: row for row in nnx.backends()}["odd"]
    assert (row.installed, row.usable, row.reason) == (False, False, "ZeroDivisionError: odd")
    assert "installed here: numpy" in message("nonsense")


# ---- the user's library is left as it is -----------------------------------------------------------------------------


def test_torch_is_left_as_it_is():
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled(), torch.get_num_threads()
    random = torch.random.get_rng_state()
    with nnx.use_backend("torch"):
        model = nnx.Sequential(nnx.Linear(2, 2), nnx.Dropout())
        nnx.value_and_grad(lambda m, x: nnx.namespace(x).sum(m(x)))(model, nnx.asarray([[1.0, 2.0]], "float32"))
        with pytest.raises(ZeroDivisionError):
            nnx.grad(lambda x: 1 / 0)(nnx.asarray([1.0]))
        assert torch.is_grad_enabled()
    nnx.backends()
    assert before == (
        torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled(), torch.get_num_threads()
    )  # fmt: skip
    assert torch.equal(random, torch.random.get_rng_state())


def test_torch_does_not_record_while_nnx_does():
    torch = pytest.importorskip("torch")
    seen = []
    w = torch.ones(2, requires_grad=True)

    def loss(x):
        y = x * w
        seen.append(y.value.requires_grad)
        return nnx.namespace(y).sum(y)

    g = nnx.grad(loss)(torch.ones(2))
    assert seen == [False]
    assert not g.requires_grad


def test_jax_is_left_as_it_is():
    code = """
import jax, nnx, os
before = dict(jax.config.values)
with nnx.use_backend("jax"):
    model = nnx.Linear(2, 2)
    nnx.grad(lambda m: nnx.namespace(m.weight).sum(m.weight))(model)
nnx.backends()
assert dict(jax.config.values) == before, set(before.items()) ^ set(jax.config.values.items())
"""
    pytest.importorskip("jax")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_nnx_sets_no_environment():
    code = "import os; e = dict(os.environ); import nnx; nnx.backends(); assert dict(os.environ) == e, dict(os.environ)"
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1", "KMP_DUPLICATE_LIB_OK": "True"}
    environment.setdefault("KMP_INIT_AT_FORK", "FALSE")
    subprocess.run([sys.executable, "-c", "import torch, jax\n" + code], env=environment, check=True)


# ---- what a backend tells --------------------------------------------------------------------------------------------


def test_facts(backend):
    assert backend.version
    backend.synchronize()
    assert all(isinstance(n, int) for n in backend.memory().values())
    assert backend.name in repr(backend)
    assert backend.version in repr(backend)
    assert backend.dtype("float32") == backend.xp.float32
    for wrong in ("flaot32", "sum"):
        with pytest.raises(ValueError, match=f"no dtype '{wrong}'"):
            backend.asarray([1.0], wrong)
