"""Libraries that stand in: a CuPy that fails in each of its ways, and one that nobody has heard of."""

import importlib.machinery
import sys
import types

import numpy as np

import nnx


class CUDARuntimeError(RuntimeError):
    """CuPy's, as far as nnx looks at it: a status, and the driver's own words."""

    WORDS = {  # noqa: RUF012
        35: "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version",
        100: "cudaErrorNoDevice: no CUDA-capable device is detected",
        101: "cudaErrorInvalidDevice: invalid device ordinal",
        209: "cudaErrorNoKernelImageForDevice: no kernel image is available for execution on the device",
    }

    def __init__(self, status):
        super().__init__(self.WORDS[status])
        self.status = status


class DynamicLibNotFoundError(RuntimeError):
    """What CuPy raises if NVRTC is missing."""


class Device:
    """A CUDA device; not hashable, as CuPy's."""

    __hash__ = None

    def __init__(self, k=0):
        self.id = k

    def __eq__(self, other):
        return isinstance(other, Device) and self.id == other.id

    def __repr__(self):
        return f"<CUDA Device {self.id}>"


def fake_cupy(monkeypatch, *, devices=1, status=None, driver=13000, computing=None):
    """Put a module `cupy` in the place of the library.

    devices: how many there are   status: what getDeviceCount raises   driver: the version it knows, 0 for none
    computing: what the first computation raises
    """
    cupy = types.ModuleType("cupy")
    cupy.__spec__ = importlib.machinery.ModuleSpec("cupy", None)
    cupy.__version__ = "14.2.0"

    def count():
        if status is not None:
            raise CUDARuntimeError(status)
        return devices

    runtime = types.SimpleNamespace(
        getDeviceCount=count, getDevice=lambda: 0, driverGetVersion=lambda: driver, runtimeGetVersion=lambda: 13020
    )
    cupy.cuda = types.SimpleNamespace(runtime=runtime, Device=Device)
    cupy.asnumpy = np.asarray
    compat = types.ModuleType("array_api_compat.cupy")
    compat.float32 = np.float32

    def ones(shape, *, dtype=None, device=None):
        return np.ones(shape, dtype)

    def matmul(a, b):
        if computing is not None:
            raise computing
        return a @ b

    compat.ones, compat.matmul, compat.sum, compat.fft, compat.linalg = ones, matmul, np.sum, np.fft, np.linalg
    import array_api_compat

    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", compat)
    monkeypatch.setattr(array_api_compat, "cupy", compat, raising=False)
    return cupy


# ---- an Array API library of one's own: NumPy's arrays in a box ------------------------------------------------------


class Boxed:
    """An array of the library `tests.backend.fakes.boxed`."""

    def __init__(self, data):
        self.data = np.asarray(data)

    shape = property(lambda self: self.data.shape)
    dtype = property(lambda self: self.data.dtype)
    ndim = property(lambda self: self.data.ndim)
    size = property(lambda self: self.data.size)
    device = property(lambda self: "box")
    T = property(lambda self: Boxed(self.data.T))
    mT = property(lambda self: Boxed(self.data.mT))

    def __array_namespace__(self, api_version=None):
        return boxed

    def __array__(self, dtype=None, copy=None):
        return self.data

    def __getitem__(self, key):
        return Boxed(self.data[_out(key)])

    def __setitem__(self, key, value):
        self.data[_out(key)] = _out(value)

    def __float__(self):
        return float(self.data)

    def __repr__(self):
        return f"Boxed({self.data!r})"


def _out(x):
    if isinstance(x, tuple | list):
        return type(x)(map(_out, x))
    return x.data if isinstance(x, Boxed) else x


def _in(x):
    if isinstance(x, tuple | list):
        return type(x)(map(_in, x))
    return Boxed(x) if isinstance(x, np.ndarray | np.generic) else x


def _operator(name):
    def call(self, other):
        if isinstance(other, nnx.Var) or not isinstance(other, Boxed | int | float | bool):
            return NotImplemented
        return Boxed(getattr(self.data, name)(_out(other)))

    return call


for _name in ["add", "sub", "mul", "truediv", "pow", "matmul", "eq", "ne", "lt", "le", "gt", "ge", "and", "or"]:
    setattr(Boxed, f"__{_name}__", _operator(f"__{_name}__"))
for _name in ["add", "sub", "mul", "truediv"]:
    setattr(Boxed, f"__r{_name}__", _operator(f"__r{_name}__"))
Boxed.__neg__ = lambda self: Boxed(-self.data)


class Box(types.ModuleType):
    """The namespace: NumPy's functions, with the boxes off on the way in and on again on the way out."""

    def __getattr__(self, name):
        found = getattr(np, name)
        if isinstance(found, type) or not callable(found):
            return found

        def call(*args, device=None, **kwargs):
            return _in(found(*map(_out, args), **{k: _out(v) for k, v in kwargs.items()}))

        return call


boxed = Box("boxed")
