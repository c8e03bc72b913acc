"""dpnp: Intel's NumPy on SYCL devices (CPUs and Intel GPUs)."""

from functools import cache
from types import ModuleType

from nnx.backend.base import Backend
from nnx.typing import Array, Device, Namespace


class DpnpBackend(Backend):
    """dpnp on a SYCL device."""

    name = "dpnp"
    package = "dpnp"
    install = "pip install dpnp"
    modules = ("dpnp", "dpctl")

    @classmethod
    @cache
    def namespace(cls) -> Namespace:
        """See Backend.namespace: dpnp, with a matrix product of any strides."""
        import dpnp

        found = ModuleType(dpnp.__name__, dpnp.__doc__)
        found.__dict__.update(vars(dpnp))
        found.__dict__["matmul"] = _matmul
        return found

    @classmethod
    def advice(cls, error: BaseException | None) -> str:
        """See Backend.advice."""
        return (
            f"{super().advice(error)}\non a machine without an Intel driver, point it at its own CPU runtime: "
            "OCL_ICD_FILENAMES=$VIRTUAL_ENV/lib/libintelocl.so"
        )

    @classmethod
    def devices(cls) -> dict[str, Device]:
        """Every SYCL device by its filter string, e.g. opencl:cpu:0, as an array there names it."""
        import dpctl
        import dpnp

        return {name: dpnp.empty((0,), device=name).device for name in (d.filter_string for d in dpctl.get_devices())}

    @classmethod
    def is_gpu(cls, device: Device) -> bool:
        """See Backend.is_gpu."""
        return "gpu" in str(device)

    @classmethod
    def to_numpy(cls, x: Array) -> Array:
        """See Backend.to_numpy."""
        return cls.namespace().asnumpy(x)

    def synchronize(self) -> None:
        """See Backend.synchronize."""
        self.xp.zeros(1, device=self.device).sycl_queue.wait()


def _matmul(x1: Array, x2: Array, /) -> Array:
    """dpnp (0.20) refuses the product of a matrix in neither C's nor Fortran's order: a broadcast one, say."""
    import dpnp

    return dpnp.matmul(_in_order(x1), _in_order(x2))


def _in_order(x: Array) -> Array:
    import dpnp

    return x if x.ndim != 2 or x.flags.c_contiguous or x.flags.f_contiguous else dpnp.ascontiguousarray(x)
