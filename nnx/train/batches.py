"""What the loop takes: arrays, or any iterable of batches; and what of a batch is the input, what the target.

A batch (x, y) calls model(x), (x1, x2, ..., y) model(x1, x2, ...), and {"a": ..., "y": ...} model(a=...): under
"y" is the target, the model gets the others by name.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from nnx.backend import is_array
from nnx.layers.module import Module
from nnx.typing import Array

TARGET = "y"


def loader_of(x: Any, y: Any, batch_size: int, shuffle: bool = False) -> Iterable[Any]:
    """x itself if it is an iterable of batches, else a loader over the arrays x and y."""
    from nnx.data import ArrayDataset, DataLoader

    if y is None and isinstance(x, tuple) and len(x) == 2:
        x, y = x
    if y is not None:
        # a loader that does not shuffle needs no seed, and evaluation must not draw from nnx.random
        seed = None if shuffle else 0
        return DataLoader(ArrayDataset(x, y), batch_size=batch_size, shuffle=shuffle, seed=seed)
    if is_array(x) or isinstance(x, str | Mapping) or not hasattr(x, "__iter__"):
        raise TypeError(
            f"expected arrays x and y, or a loader of (x, y) batches, got {type(x).__name__} without y: fit(x, y), or "
            "nnx.data.DataLoader(dataset)"
        )
    loader: Iterable[Any] = x
    return loader


def parts(batch: Any) -> tuple[Any, Array]:
    """The inputs, a tuple or a dict, and the target of a batch."""
    if isinstance(batch, Mapping):
        if TARGET not in batch or len(batch) < 2:
            found = ", ".join(map(str, batch))
            raise ValueError(f"expected a batch with the target under '{TARGET}' beside its inputs, got {found}")
        return {name: x for name, x in batch.items() if name != TARGET}, batch[TARGET]
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise TypeError(
            f"expected batches (x, y), or dicts with the target under '{TARGET}', got {type(batch).__name__}"
            + (f" of {len(batch)}" if isinstance(batch, tuple | list) else "")
            + ": a dataset of inputs alone has no target"
        )
    return tuple(batch[:-1]), batch[-1]


def forward(model: Module, inputs: Any) -> Any:
    """The model's output for the inputs of a batch."""
    return model(**inputs) if type(inputs) is dict else model(*inputs)
