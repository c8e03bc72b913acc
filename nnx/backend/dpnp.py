"""dpnp: Intel's NumPy on SYCL devices (CPUs and Intel GPUs)."""

from nnx.backend.base import Backend
from nnx.typing import Array, Device


class DpnpBackend(Backend):
    """dpnp on a SYCL device."""

    name = "dpnp"
    package = "dpnp"
    install = "pip install dpnp"
    modules = ("dpnp", "dpctl")

    @classmethod
    def advice(cls, error: BaseException | None) -> str:
        """See Backend.advice."""
        return (
            f"{super().advice(error)}\non a machine without an Intel driver, point it at its own CPU runtime: "
            "OCL_ICD_FILENAMES=$VIRTUAL_ENV/lib/libintelocl.so"
        )

    @classmethod
    def devices(cls) -> dict[str, Device]:
        """Every SYCL device by its filter string, e.g. opencl:cpu:0."""
        import dpctl

        return {device.filter_string: device for device in dpctl.get_devices()}

    @classmethod
    def is_gpu(cls, device: Device) -> bool:
        """See Backend.is_gpu."""
        return "gpu" in str(getattr(device, "filter_string", device))

    @classmethod
    def to_numpy(cls, x: Array) -> Array:
        """See Backend.to_numpy."""
        return cls.namespace().asnumpy(x)

    def synchronize(self) -> None:
        """See Backend.synchronize."""
        self.xp.zeros(1, device=self.device).sycl_queue.wait()
