"""A backend is one row of facts: the library, its devices, how arrays get in and out, what its own functions do better.

`Backend` holds what is alike for all of them, written on the standard alone. A library's file overrides what differs.
Class methods speak about the library and take arrays; an instance is the library on one device, where arrays are born.
"""

import importlib
import importlib.util
import sys
from functools import cache, cached_property
from typing import ClassVar, Self

from nnx.backend.feeding import Feeder
from nnx.backend.operations import Operations
from nnx.typing import Array, Device, DType, Namespace


class BackendUnavailable(RuntimeError):
    """The backend that was asked for cannot be used: the message says why, what can be, and the install command."""


class MixedBackends(TypeError):
    """Arrays of two libraries or devices met in one call. Nothing is converted silently."""


class Backend(Operations):
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
        return f"{'reinstall' if cls.installed() else 'install'} it with: {cls.install}"

    @classmethod
    def _import(cls) -> Namespace:
        try:
            return cls.namespace()
        except Exception as error:  # a broken installation raises whatever it likes: OSError for a missing .so
            what = "cannot be imported" if cls.installed() else "is not installed"
            raise cls.unavailable(f"{cls.package} {what}", error) from error

    def _find(self, device: str | Device | None) -> Device:
        """The library's device object of that name, its default for None; an object of its own is taken as it is."""
        if device is not None and not isinstance(device, str):
            return device
        asked = "no device can be used" if device is None else f"device '{device}' cannot be used"
        try:
            known = self.devices()
        except Exception as error:
            raise self.unavailable(asked, error) from error
        if not known:
            raise self.unavailable(f"{asked}: the library knows of none")
        if device is not None and device not in known:
            raise self.unavailable(f"no device '{device}'; there is {', '.join(known)}")
        return known[device] if device is not None else next(iter(known.values()))

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
        return cls.package in sys.modules or importlib.util.find_spec(cls.package) is not None

    @classmethod
    def library_version(cls) -> str:
        """The library's version."""
        return str(importlib.import_module(cls.package).__version__)

    @classmethod
    def devices(cls) -> dict[str, Device]:
        """Every device by name, the default one first."""
        return {str(device): device for device in cls.namespace().__array_namespace_info__().devices()}

    @classmethod
    def device_name(cls, device: Device) -> str:
        """What `NNX_DEVICE` calls this device; the library's own words for one that it does not list."""
        try:
            known = cls.devices()
        except Exception:  # asked while another error is being explained, which comes first
            known = {}
        return next((name for name, other in known.items() if other == device), str(device))

    @classmethod
    def is_gpu(cls, device: Device) -> bool:
        """Whether the device is an accelerator (`auto` looks for one)."""
        return False

    # ---- arrays in and out ---------------------------------------------------------------------------------------

    def asarray(self, x: Array, dtype: str | DType | None = None) -> Array:
        """x as an array of this backend on its device; from NumPy, lists, or any other library's arrays.

        dtype: the standard's name ("float32") or the library's own; None keeps what x has. May share memory with x.
        """
        return self.xp.asarray(self._taken(x), dtype=self.dtype(dtype), device=self.device)

    def dtype(self, dtype: str | DType | None) -> DType | None:
        """The library's dtype of that name; anything but a name as it is. Raises ValueError for an unknown one."""
        if not isinstance(dtype, str):
            return dtype
        found = getattr(self.xp, dtype, None)
        if found is None or (callable(found) and not isinstance(found, type) and not hasattr(found, "dtype")):
            raise ValueError(f"backend '{self.name}' has no dtype '{dtype}': 'float32' is one")
        return found

    def _taken(self, x: Array) -> Array:
        """x in a form that the library's own asarray takes: by DLPack from a device that both know, else by NumPy."""
        from nnx.backend.arrays import backend_of, is_array

        if not is_array(x):
            return x
        source = backend_of(x)
        if source.name != self.name:
            if (
                hasattr(x, "__dlpack_device__")
                and int(x.__dlpack_device__()[0]) == self._dlpack_kind not in HOST_MEMORY
            ):
                try:
                    return self.xp.from_dlpack(source.bare(x))
                except (AttributeError, BufferError, NotImplementedError, RuntimeError, TypeError, ValueError):
                    pass  # not every dtype, stride or version crosses
            x = source.to_numpy(x)
        return x if getattr(x.dtype, "isnative", True) else x.astype(x.dtype.newbyteorder("="))

    @cached_property
    def _dlpack_kind(self) -> int:
        """DLPack's number for the kind of this device."""
        born = self.xp.ones((1,), dtype=self.xp.float32, device=self.device)
        return int(born.__dlpack_device__()[0]) if hasattr(born, "__dlpack_device__") else 1

    def feeder(self, pinned: bool) -> Feeder:
        """What brings a loader's batches here. pinned: by pinned memory and a stream of its own, where there is one"""
        return Feeder(self.asarray)

    @classmethod
    def bare(cls, x: Array) -> Array:
        """x without what its library hangs on it (torch: the place in its own graph)."""
        return x

    @classmethod
    def to_numpy(cls, x: Array) -> Array:
        """x as a NumPy array in host memory; waits for the device."""
        import numpy

        return numpy.asarray(x)

    def synchronize(self) -> None:
        """Wait until the device has done all that it was asked to."""

    def memory(self) -> dict[str, int]:
        """Bytes in use, as far as the library tells: `used` and `peak` of the process, or of the device's pool.

        Empty where nobody tells.
        """
        if sys.platform == "win32":
            return {}
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        return {"used": peak, "peak": peak}

    def facts(self) -> dict[str, str]:
        """What a report of a problem should say about the device and the library's parts, by title."""
        return {}

    # ---- one for each device ------------------------------------------------------------------------------------

    @classmethod
    def open(cls, device: str | Device | None = None) -> Self:
        """The backend on a device, opened once a device: the probe is not run again."""
        key = cls, None if device is None else str(device)
        found = _OPENED.get(key)
        if not isinstance(found, cls):
            found = _OPENED[key] = cls(device)
        return found

    @classmethod
    def home(cls, x: Array) -> Self:
        """The backend where x lives. An array that exists there is its probe."""
        self = cls.__new__(cls)
        self.xp, self.version, self.device = cls.namespace(), cls.library_version(), getattr(x, "device", None)
        return self


_OPENED: dict[tuple[type[Backend], str | None], Backend] = {}

HOST_MEMORY = frozenset({1})
"""DLPack's kinds of device that NumPy reaches as well, without a copy (1: the CPU)."""
