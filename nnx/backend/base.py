"""A backend is one row of facts: the library, its devices, how arrays get in and out, what its own functions do better.

`Backend` holds what is alike for all of them, written on the standard alone. A library's file overrides what differs.
Class methods speak about the library and take arrays; an instance is the library on one device, where arrays are born.
"""

import importlib
import importlib.util
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, ClassVar, Self

from nnx.typing import Array, Device, DType, Namespace, Shape


class BackendUnavailable(RuntimeError):
    """The backend that was asked for cannot be used: the message says why, what can be, and the install command."""


class MixedBackends(TypeError):
    """Arrays of two libraries or devices met in one call. Nothing is converted silently."""


class Backend:
    """One array library on one device.

    name: what `NNX_BACKEND` calls it   xp: its Array API namespace   device: the library's own device object
    version: of the library.  Raises BackendUnavailable unless a first computation on the device has succeeded.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    """The distribution or module that `import` loads."""
    install: ClassVar[str]
    """The command that installs it."""
    modules: ClassVar[tuple[str, ...]] = ()
    """Top-level modules that the types of its arrays come from (`package` if empty)."""
    host: ClassVar[bool] = False
    """True if values can be looked at without waiting for a device (error checks may then read them)."""
    counter: ClassVar[str] = "uint32"
    """The 32-bit integer type whose arithmetic the library has: random bits are counted in it."""

    def __init__(self, device: str | Device | None = None) -> None:
        self.xp: Namespace = self._import()
        self.version = self.library_version()
        self.device: Device = self._find(device)
        try:
            self._probe()
        except Exception as error:
            raise self.unavailable(f"a first computation on device {self.device} failed", error) from error

    def __repr__(self) -> str:
        return f"<nnx backend {self.name} {self.version} on {self.device}>"

    # ---- opening -------------------------------------------------------------------------------------------------

    @classmethod
    def unavailable(cls, what: str, error: BaseException | None = None) -> BackendUnavailable:
        """The error that says `what` went wrong, in the library's own words, and the way out."""
        words = f": {type(error).__name__}: {error}" if error is not None else ""
        return BackendUnavailable(f"backend '{cls.name}': {what}{words}\n{cls.advice(error)}")

    @classmethod
    def advice(cls, error: BaseException | None) -> str:
        """What the user can do about it."""
        return f"install it with: {cls.install}"

    @classmethod
    def _import(cls) -> Namespace:
        try:
            return cls.namespace()
        except ImportError as error:
            raise cls.unavailable(f"{cls.package} is not installed", error) from error

    def _find(self, device: str | Device | None) -> Device:
        """The library's device object of that name; its default device for None."""
        try:
            known = self.devices()
        except Exception as error:
            raise self.unavailable("its devices cannot be listed", error) from error
        if not known:
            raise self.unavailable("no device was found")
        if device is None:
            return next(iter(known.values()))
        if str(device) in known:
            return known[str(device)]
        for found in known.values():
            if str(device) == str(found):  # its own name for it: array-api-strict's is not the one it is asked by
                return found
        raise self.unavailable(f"no device '{device}'; there is {', '.join(known)}")

    def _probe(self) -> None:
        """Allocate, add, multiply matrices, reduce and read back: what a driver or a missing part can refuse."""
        xp = self.xp
        x = xp.ones((2, 2), dtype=xp.float32, device=self.device)
        if float(xp.sum(xp.matmul(x, x + x))) != 16.0:
            raise ArithmeticError("ones(2, 2) @ twos(2, 2) does not sum to 16")

    # ---- the library ---------------------------------------------------------------------------------------------

    @classmethod
    @cache
    def namespace(cls) -> Namespace:
        """The library's namespace; imports it."""
        return importlib.import_module(cls.package)

    @classmethod
    def installed(cls) -> bool:
        """Whether the package can be found, without importing it."""
        return importlib.util.find_spec(cls.package) is not None

    @classmethod
    def library_version(cls) -> str:
        """The library's version."""
        return str(importlib.import_module(cls.package).__version__)

    @classmethod
    def devices(cls) -> dict[str, Device]:
        """Every device by name, the default one first."""
        return {str(device): device for device in cls.namespace().__array_namespace_info__().devices()}

    @classmethod
    def is_gpu(cls, device: Device) -> bool:
        """Whether the device is an accelerator (`auto` looks for one)."""
        return False

    # ---- arrays in and out ---------------------------------------------------------------------------------------

    def asarray(self, x: Array, dtype: str | DType | None = None) -> Array:
        """x as an array of this backend on its device; from NumPy, lists, or any other library's arrays.

        dtype: the standard's name ("float32") or the library's own; None keeps what x has. May share memory with x.
        """
        if isinstance(dtype, str):
            dtype = getattr(self.xp, dtype)
        return self.xp.asarray(self._import_host(x), dtype=dtype, device=self.device)

    @classmethod
    def _import_host(cls, x: Array) -> Array:
        """x in a form that the library's own asarray takes: foreign arrays come through NumPy."""
        from nnx.backend.arrays import backend_of, is_array

        if not is_array(x) or backend_of(x).name in (cls.name, "numpy"):
            return x
        return backend_of(x).to_numpy(x)

    @classmethod
    def to_numpy(cls, x: Array) -> Array:
        """x as a NumPy array in host memory; waits for the device."""
        import numpy

        return numpy.asarray(x)

    def synchronize(self) -> None:
        """Wait until the device has done all that it was asked to."""

    def memory(self) -> dict[str, int]:
        """Bytes in use, as far as the library tells: `used` and `peak` of the process, or of the device's pool."""
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {"used": peak, "peak": peak}

    # ---- what libraries do differently ---------------------------------------------------------------------------

    @classmethod
    @cache
    def is_inexact(cls, dtype: DType) -> bool:
        """Whether numbers of this dtype have gradients: real or complex floating ones."""
        return bool(cls.namespace().isdtype(dtype, ("real floating", "complex floating")))

    @classmethod
    def guard(cls) -> AbstractContextManager[Any] | None:
        """A context in which nnx computes gradients: the library's own recording is off in it."""
        return None

    @classmethod
    def set_item(cls, x: Array, key: Any, value: Array) -> Array:
        """A copy of x in which x[key] is value."""
        y = cls.namespace().asarray(x, copy=True)
        y[key] = value
        return y

    @classmethod
    def index_add(cls, rows: int, index: Array, x: Array) -> Array:
        """zeros(rows, ...) to whose row index[k] x[k] is added, for every k; repeated indices add up.

        index: (n,) integers in [0, rows)   x: (n, ...)   returns (rows, ...)
        """
        xp = cls.namespace()
        # a sum of one-hot rows: the standard has no += that adds repeated indices more than once
        one_hot = xp.arange(rows, dtype=index.dtype, device=x.device)[:, None] == index[None, :]
        flat = xp.reshape(x, (x.shape[0], -1)) if x.size else xp.zeros((x.shape[0], 0), dtype=x.dtype, device=x.device)
        return xp.reshape(xp.matmul(xp.astype(one_hot, x.dtype), flat), (rows, *x.shape[1:]))

    @classmethod
    def kernels(cls) -> dict[str, Callable[..., Any]]:
        """The library's own functions, by nnx's names, where one was measured to matter; the generic one is its oracle."""
        return {}

    @classmethod
    @cache
    def kernel(cls, name: str) -> Callable[..., Any] | None:
        """The library's own function of that name, if it has one."""
        return cls.kernels().get(name)

    @classmethod
    def zeros(cls, shape: Shape, like: Array) -> Array:
        """Zeros of that shape, with the dtype and on the device of `like`."""
        return cls.namespace().zeros(shape, dtype=like.dtype, device=like.device)

    @classmethod
    def open(cls, device: str | Device | None = None) -> Self:
        """This backend on a device, opened once a device: the probe is not run again."""
        return _opened(cls, device if device is None else str(device))  # type: ignore[return-value]


@cache
def _opened(cls: type[Backend], device: str | None) -> Backend:
    return cls(device)
