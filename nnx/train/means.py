"""Means over an epoch, summed where the batches were computed and read once: a device is not waited for in between."""

import copy
from collections.abc import Mapping
from typing import Any

from nnx.backend import asarray, innermost
from nnx.metrics import Metric
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
        self.meters: dict[str, Metric] = {}
        """Copies of the metrics that are objects, with what they have seen of this epoch."""

    def measured(self, metrics: Mapping[str, Any], output: Any, target: Array) -> dict[str, Array]:
        """What the metrics that are functions say of a batch; those that are objects take it up here."""
        found = {}
        for name, metric in metrics.items():
            if isinstance(metric, Metric):
                self.meter(name, metric).update(output, target)
            else:
                found[name] = metric(output, target)
        return found

    def meter(self, name: str, metric: Metric) -> Metric:
        """The copy of a metric that counts this epoch: the one that was given is the user's."""
        if name not in self.meters:
            self.meters[name] = copy.copy(metric).reset()
        return self.meters[name]

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
        means = {name: float(total) / self.samples for name, total in self.sums.items()}
        return means | {name: _number(name, meter.compute()) for name, meter in self.meters.items()}


def _number(name: str, found: Any) -> float:
    if not isinstance(found, float):
        raise TypeError(
            f"the metric '{name}' computes an array of shape {tuple(found.shape)}, an epoch's record holds numbers: "
            "choose an average, or update it yourself on trainer.predict(x)"
        )
    return found
