"""Batches copied to the GPU by a stream of their own, while the step before them computes."""

from collections.abc import Callable
from typing import Any

from nnx.backend.feeding import Feeder
from nnx.typing import Array, Device


class StreamFeeder(Feeder):
    """Copies on a second stream, tied to the user's by events: nobody on the host waits.

    CuPy stages a host array in pinned memory of a pool of its own, which gives a block out again only when the event
    behind its copy has passed. The array's memory belongs to the copying stream: it is overwritten only after all work
    that the user's stream had been given until then, and so after the last use of what was freed.
    """

    ahead = 1

    def __init__(self, asarray: Callable[[Array], Array], device: Device) -> None:
        import cupy

        self.asarray, self.device = asarray, device
        with device:
            self.stream = cupy.cuda.Stream(non_blocking=True)
        self.send = self._send

    def _send(self, x: Array) -> tuple[Array, Any]:
        import cupy

        with self.device:
            self.stream.wait_event(cupy.cuda.get_current_stream().record())
            with self.stream:
                y = self.asarray(x)
            return y, self.stream.record()

    def receive(self, sent: tuple[Array, Any]) -> Array:
        """See Feeder.receive: the user's stream goes on from here once the copy has been made."""
        import cupy

        y, copied = sent
        with self.device:
            cupy.cuda.get_current_stream().wait_event(copied)
        return y
