"""The way of a loader's batches from the host to a device."""

from collections.abc import Callable
from typing import Any, ClassVar

from nnx.typing import Array


class Feeder:
    """Host arrays on their way to a device: `send` begins the way, `receive` makes of what it gave an array.

    ahead: how many arrays it pays to send before the first of them is received
    """

    ahead: ClassVar[int] = 0

    def __init__(self, asarray: Callable[[Array], Array]) -> None:
        self.send: Callable[[Array], Any] = asarray

    def receive(self, sent: Any) -> Array:
        """The array, which may be computed with from here on."""
        return sent
