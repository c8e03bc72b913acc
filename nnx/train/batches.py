"""What the loop takes: arrays, or any iterable of batches; and what of a batch is the input, what the target.

A batch (x, y) calls model(x), (x1, x2, ..., y) model(x1, x2, ...), and {"a": ..., "y": ...} model(a=...): under
"y" is the target, under "sample_weight" a weight a sample, the model gets the others by name. Weighted(x, y, weight) is
a batch (x, y) whose samples have weights.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from nnx.backend import innermost, is_array
from nnx.layers.module import Module
from nnx.typing import Array

TARGET, WEIGHT = "y", "sample_weight"


class Weighted(NamedTuple):
    """A batch with a weight for each sample.  x: an array, or a tuple of them   y: (n, ...)   weight: (n,)"""

    x: Any
    y: Array
    weight: Array


class Parts(NamedTuple):
    """A batch, taken apart.  inputs: a tuple or a dict   target, weight: None if there is none   n: its samples"""

    inputs: Any
    target: Any
    weight: Any
    whole: Any
    n: int


class _WeightedLoader:
    """A DataLoader over (x, y, weight), whose batches are Weighted."""

    def __init__(self, loader: Any) -> None:
        self.loader, self.batch_size = loader, loader.batch_size

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Weighted]:
        return (Weighted(*batch) for batch in self.loader)

    def state_dict(self) -> Any:
        """The loader's."""
        return self.loader.state_dict()

    def load_state_dict(self, state: Any) -> None:
        """The loader's."""
        self.loader.load_state_dict(state)


def loader_of(x: Any, y: Any, batch_size: int, shuffle: bool = False, weight: Any = None) -> Iterable[Any]:
    """x itself if it is an iterable of batches, else a loader over the arrays x and y (and weight: (n,))."""
    from nnx.data import ArrayDataset, DataLoader

    if y is None and isinstance(x, tuple) and (len(x) == 2 or (len(x) == 3 and all(map(is_array, x)))):
        x, y, weight = (*x, weight)[:3]
    if y is not None:
        # a loader that does not shuffle needs no seed, and evaluation must not draw from nnx.random
        seed = None if shuffle else 0
        if weight is None:
            return DataLoader(ArrayDataset(x, y), batch_size=batch_size, shuffle=shuffle, seed=seed)
        _check_weight(weight, y)
        return _WeightedLoader(DataLoader(ArrayDataset(x, y, weight), batch_size, shuffle=shuffle, seed=seed))
    if is_array(x) or isinstance(x, str | Mapping) or not hasattr(x, "__iter__"):
        raise TypeError(
            f"expected arrays x and y, or a loader of (x, y) batches, got {type(x).__name__} without y: fit(x, y), or "
            "nnx.data.DataLoader(dataset)"
        )
    if weight is not None:
        raise TypeError(
            f"sample_weight goes with arrays x and y, got a loader ({type(x).__name__}): let it give "
            f"nnx.train.Weighted(x, y, weight), or dicts with '{WEIGHT}'"
        )
    loader: Iterable[Any] = x
    return loader


def _check_weight(weight: Any, y: Any) -> None:
    found = getattr(weight, "shape", None) or (len(weight),)
    if tuple(found) != (len(y),):
        raise ValueError(
            f"expected sample_weight of shape ({len(y)},), one for each sample of y, got {tuple(found)}: for one a "
            "class, class_weight={label: weight}"
        )


def parts(batch: Any, whole: bool = False) -> Parts:
    """What is in a batch. whole: losses are functions of model and batch alone, and it may have any form."""
    if whole and (is_array(batch) or (isinstance(batch, tuple | list) and len(batch) < 2)):
        return Parts(None, None, None, batch, _samples(batch))
    if isinstance(batch, Mapping):
        if not whole and (TARGET not in batch or len(batch) < 2):
            found = ", ".join(map(str, batch))
            raise ValueError(f"expected a batch with the target under '{TARGET}' beside its inputs, got {found}")
        inputs = {name: x for name, x in batch.items() if name not in (TARGET, WEIGHT)}
        return Parts(inputs, batch.get(TARGET), batch.get(WEIGHT), batch, _samples(batch))
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise TypeError(
            f"expected batches (x, y), or dicts with the target under '{TARGET}', got {type(batch).__name__}"
            + (f" of {len(batch)}" if isinstance(batch, tuple | list) else "")
            + ": a dataset of inputs alone has no target"
        )
    if isinstance(batch, Weighted):
        x = batch.x if isinstance(batch.x, tuple) else (batch.x,)
        return Parts(x, batch.y, batch.weight, batch, int(batch.y.shape[0]))
    return Parts(tuple(batch[:-1]), batch[-1], None, batch, int(batch[-1].shape[0]))


def _samples(batch: Any) -> int:
    """How many samples there are: the length of the target, or of the first array."""
    if isinstance(batch, Mapping):
        batch = batch[TARGET] if TARGET in batch else next(iter(batch.values()))
    while isinstance(batch, tuple | list):
        batch = batch[0]
    return int(innermost(batch).shape[0])


def forward(model: Module, inputs: Any) -> Any:
    """The model's output for the inputs of a batch."""
    return model(**inputs) if type(inputs) is dict else model(*inputs)
