"""A dataset is anything with a length and an index; one that can also `gather` many rows at once is fast.

The names are torch.utils.data's. Everything here stays on the host: a DataLoader moves batches.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nnx.data.checks import Array, to_host

__all__ = ["ArrayDataset", "Dataset", "Rows", "Subset", "collate", "gather"]

Rows = NDArray[np.int64]


class Dataset(Protocol):
    """`dataset[i]` is sample i (an array, a tuple or a dict of arrays), `len(dataset)` their number.

    A method `gather(rows)` (rows: int64 array) that returns a whole batch in that form is used in its place if present.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class ArrayDataset:
    """Arrays side by side: sample i is the tuple of their rows i (torch's TensorDataset).

    arrays: (n, ...) each, of any backend, kept on the host. Raises ValueError if there are none, if one has no rows or
    no numbers, or if their lengths differ.

    >>> dataset = ArrayDataset([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], [0, 1, 0])
    >>> len(dataset), dataset[1][1].item()
    (3, 1)
    """

    def __init__(self, *arrays: Any) -> None:
        self.arrays: tuple[Array, ...] = tuple(to_host(a) for a in arrays)
        if not self.arrays:
            raise ValueError("expected at least one array, got none: ArrayDataset(x, y)")
        for position, a in enumerate(self.arrays):
            if a.ndim == 0 or len(a) == 0:
                raise ValueError(f"expected rows in array {position}, got an empty array of shape {a.shape}")
            if a.dtype.kind in "OUSMm":
                raise ValueError(f"expected numbers in array {position}, got dtype {a.dtype}: map names to integers")
        lengths = [len(a) for a in self.arrays]
        if len(set(lengths)) > 1:
            raise ValueError(f"expected arrays of one length, got lengths {lengths}: each row is one sample")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: int | slice | Rows) -> tuple[Any, ...]:
        return tuple(a[index] for a in self.arrays)

    def gather(self, rows: Rows) -> tuple[Array, ...]:
        """The samples at `rows` as one batch, a copy: an array (len(rows), ...) for each of the arrays."""
        return tuple(a.take(rows, axis=0) for a in self.arrays)


class Subset:
    """The samples of `dataset` at `indices`, in that order.

    indices: integers from -len(dataset) to len(dataset) - 1. Raises IndexError for others, ValueError for none.

    >>> Subset(ArrayDataset([10.0, 20.0, 30.0]), [2, 0])[0][0].item()
    30.0
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int] | Rows) -> None:
        self.dataset = dataset
        chosen = np.asarray(indices)
        if chosen.size == 0:
            raise ValueError(f"expected some indices into the {len(dataset)} samples, got none: this subset is empty")
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            raise ValueError(f"expected a list of integers, got dtype {chosen.dtype}, shape {chosen.shape}: flatten it")
        self.indices: Rows = chosen.astype(np.int64)
        size = len(dataset)
        bad = self.indices[(self.indices < -size) | (self.indices >= size)]
        if bad.size:
            raise IndexError(f"expected indices below the dataset's {size} samples, got {bad[0]}")
        self.indices[self.indices < 0] += size

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self.indices[index])]

    def gather(self, rows: Rows) -> Any:
        """The samples at `rows` of this subset as one batch."""
        return gather(self.dataset, self.indices[rows])


def gather(dataset: Dataset, rows: Rows) -> Any:
    """The samples at `rows` as one batch: in one go where the dataset can, else one by one and stacked."""
    in_one_go = getattr(dataset, "gather", None)
    return in_one_go(rows) if in_one_go is not None else collate([dataset[i] for i in rows.tolist()])


def collate(samples: Sequence[Any]) -> Any:
    """Samples, each an array, a tuple or a dict of arrays, stacked along a new first axis; the form is kept.

    >>> collate([(1.0, 2), (3.0, 4)])
    (array([1., 3.]), array([2, 4]))
    """
    first = samples[0]
    if isinstance(first, Mapping):
        return {key: _stack([sample[key] for sample in samples], f"entry {key!r}") for key in first}
    if isinstance(first, tuple | list):
        columns = zip(*samples, strict=True)
        return tuple(_stack(column, f"entry {position}") for position, column in enumerate(columns))
    return _stack(samples, "the samples")


def _stack(values: Sequence[Any], name: str) -> Array:
    arrays = [to_host(v) for v in values]
    shapes = sorted({a.shape for a in arrays})
    if len(shapes) > 1:
        raise ValueError(
            f"expected {name} of one shape in a batch, got {shapes[0]} and {shapes[-1]}: pad them, or give the "
            f"loader a collate_fn"
        )
    return np.stack(arrays)
