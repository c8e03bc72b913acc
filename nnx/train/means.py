"""Means over an epoch, summed where the batches were computed and read once: a device is not waited for in between."""

from collections.abc import Mapping

from nnx.backend import asarray, innermost
from nnx.typing import Array


class Means:
    """The sums of some named numbers, each batch's mean weighted by its samples.

    >>> import numpy as np
    >>> means = Means()
    >>> means.add({"loss": np.asarray(1.0)}, 3)
    >>> means.add({"loss": np.asarray(5.0)}, 1)
    >>> means.read()
    {'loss': 2.0}
    """

    def __init__(self, sums: Mapping[str, Array] | None = None, samples: int = 0) -> None:
        self.sums = {name: asarray(x) for name, x in (sums or {}).items()}
        self.samples = samples

    def add(self, values: Mapping[str, Array], n: int) -> None:
        """Add the means of a batch of n samples; nothing is read here."""
        self.samples += n
        for name, value in values.items():
            weighted = innermost(value) * float(n)
            self.sums[name] = weighted if name not in self.sums else self.sums[name] + weighted

    def read(self) -> dict[str, float]:
        """The means; waits for the device. Raises ValueError if there was no batch."""
        if not self.samples:
            raise ValueError(
                "expected batches to train or evaluate on, got none: the loader is empty, or was used up by an earlier "
                "epoch (a generator: pass a list or a DataLoader)"
            )
        return {name: float(total) / self.samples for name, total in self.sums.items()}
