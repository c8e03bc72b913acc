"""Averages of the weights along a training, kept beside the model: they often do better than the last ones."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from nnx.backend import asarray, backend_of
from nnx.layers.batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from nnx.layers.module import Module
from nnx.optim.packed import _alike
from nnx.optim.saved import copy_of
from nnx.typing import Array

__all__ = ["EMA", "SWA", "update_bn"]


class Average:
    """Base class: `update(model)` after each optimizer's update or epoch, `with average.applied(model):` to evaluate.

    use_buffers: average the floating buffers (running statistics), too; else the model's own are used, and
    update_bn makes them right   arrays: the averages by path, copies that no model holds   count: of updates
    """

    def __init__(self, use_buffers: bool = False) -> None:
        self.use_buffers = use_buffers
        self.arrays: dict[str, Array] = {}
        self.count = 0

    def _share(self) -> float:
        """How much of the new weights goes into the average, once it has begun."""
        raise NotImplementedError

    def update(self, model: Module) -> None:
        """Take the model's weights in: the first ones as they are; those that came later begin there, too."""
        share = self._share()
        now = self._of(model)
        for path, x in now.items():
            old = self.arrays.get(path)
            if not self.count or old is None or old.shape != x.shape:
                self.arrays[path] = copy_of(x)
            else:
                old = old if _alike(old, x) else _like(old, x)  # the model has gone elsewhere
                self.arrays[path] = old + (x - old) * share
        self.arrays = {path: self.arrays[path] for path in now}
        self.count += 1

    def _of(self, model: Module) -> dict[str, Array]:
        found = dict(model.named_parameters())
        if self.use_buffers:
            found |= {path: x for path, x in model.named_buffers() if backend_of(x).is_inexact(x.dtype)}
        return found

    @contextmanager
    def applied(self, model: Module) -> Iterator[Module]:
        """The model with the averages in it; its own arrays come back at the end, also after an error.

        Raises ValueError before the first update.
        """
        if not self.count:
            raise ValueError(f"{type(self).__name__} has averaged nothing yet: call update(model) first")
        old = {path: x for path, x in self._of(model).items() if path in self.arrays}
        new = {path: _like(self.arrays[path], x) for path, x in old.items()}
        model.update(new)
        try:
            yield model
        finally:
            model.update(old)

    def copy_to(self, model: Module) -> Module:
        """The averages into the model, for good: a copy of them."""
        model.update({path: _like(self.arrays[path], x) for path, x in self._of(model).items() if path in self.arrays})
        return model

    def state_dict(self) -> dict[str, Any]:
        """How many updates there were, and copies of the averages under "arrays"."""
        return {"count": self.count, "arrays": {path: copy_of(x) for path, x in self.arrays.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where state_dict was taken, on this backend or another."""
        self.count = state["count"]
        self.arrays = {path: copy_of(asarray(x)) for path, x in state["arrays"].items()}


class EMA(Average):
    """a ← decay · a + (1 - decay) · w at each update: an exponential moving average (Polyak and Juditsky 1992).

    decay: in [0, 1]; about 1 / (1 - decay) updates count   use_buffers: see Average

    >>> import nnx
    >>> model, ema = nnx.Linear(1, 1, bias=False), EMA(0.9)
    >>> for weight in (1.0, 2.0):
    ...     model.weight = nnx.asarray([[weight]])
    ...     ema.update(model)
    >>> with ema.applied(model):
    ...     print(float(model.weight[0, 0]))
    1.1
    """

    def __init__(self, decay: float = 0.999, use_buffers: bool = False) -> None:
        if not 0.0 <= decay <= 1.0:
            raise ValueError(f"EMA: decay must be in [0, 1], got {decay}")
        super().__init__(use_buffers)
        self.decay = decay

    def _share(self) -> float:
        return 1.0 - self.decay


class SWA(Average):
    """a ← a + (w - a) / (n + 1): the mean of all weights given, one an epoch, say (Izmailov et al. 2018).

    use_buffers: see Average
    """

    def _share(self) -> float:
        return 1.0 / (self.count + 1)


def update_bn(loader: Iterable[Any], model: Module) -> None:
    """Make the running statistics of every BatchNorm those of the loader's batches, for weights that were averaged.

    loader: gives batches x, or tuples that begin with x. Without a BatchNorm nothing is done.
    """
    layers = [module for module in model.modules() if isinstance(module, BatchNorm1d | BatchNorm2d | BatchNorm3d)]
    momenta = [layer.momentum for layer in layers]
    if not layers:
        return
    modes = [(module, module.training) for module in model.modules()]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain mean over batches
    try:
        model.train()
        for batch in loader:
            model(asarray(batch[0] if isinstance(batch, list | tuple) else batch))
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, training in modes:
            module.training = training


def _like(x: Array, place: Array) -> Array:
    """A copy of x where `place` is, in its dtype."""
    home = backend_of(place).open(getattr(place, "device", None))
    return copy_of(home.asarray(x, place.dtype))
