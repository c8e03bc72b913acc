"""Batches, born on the active backend, in an order that is a pure function of (seed, epoch).

So a loader's whole state is three numbers, and a run resumes in the middle of an epoch with the very next batch. Rows
are gathered and moved several batches at a time, in chunks that stay in the cache; a batch is then a slice of a chunk,
which costs a third (torch, JAX) to a seventh (NumPy) of a transfer of its own. Chunks are new arrays each time:
gathering into old ones (`take(out=)`) was measured no faster, and a batch is the user's to keep.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from itertools import count
from typing import Any

import numpy as np

from nnx.backend import get_backend, to_numpy
from nnx.data.ahead import ahead_of
from nnx.data.checks import Array, is_count, to_host
from nnx.data.dataset import Dataset, Rows, gather
from nnx.data.order import block_permutation, check_seed, permutation, seed_of
from nnx.random import scope, uniform

__all__ = ["DataLoader"]

CHUNK_BYTES = 512 * 1024  # of 64 kB to 1 MB the best or equal to it, for 64 and 784 features, batches of 10 and 64


class DataLoader:
    """Batches of a dataset, in the form of its samples: (x, y) for tuples, a dict for dicts.

    batch_size: samples, > 0. shuffle: a new order each epoch, from (seed, epoch) alone. drop_last: leave out a last
    batch that is not full. seed: 0 to 2**64 - 1; None draws one (`nnx.seed` governs it).
    dtype: of floating arrays ("float32"; None keeps the dataset's); integers keep theirs.
    collate_fn: makes a batch of a list of samples in place of stacking them. Raises ValueError if there is no batch.
    num_workers: threads (not processes) that gather ahead of the loop; 0 gathers in the loop's own thread. They pay
    where `dataset[i]` waits (files, decoding), hardly for arrays in memory.
    prefetch_factor: how many gathers each worker is ahead, 2 unless given
    pin_memory: on CUDA copy from pinned memory by a stream of its own, while the step before computes; else no effect
    transform: of each batch, on its device (nnx.data.transforms): called with a tuple's arrays, else with the batch

    shuffle_block: with `shuffle`, blocks of so many rows come in random order, eight of them shuffled together: for a
    disk (nnx.data.MemmapDataset), where rows that lie together are read together

    An iteration runs one epoch, and the next iteration the next epoch, also after a `break`. After `load_state_dict`
    the iteration takes up the saved epoch behind the last batch that had been handed out. Batches, their order and the
    state are the same with any number of workers; an error in one is raised where its batch would have come, and the
    threads end with the iteration, also one that is broken off. What a dataset draws at random it draws ahead, and with
    several workers in no order. What `transform` draws from nnx.random depends on (seed, epoch, position) alone, so
    that a resumed run sees the same images, and leaves the model's random numbers as they are.

    >>> from nnx.data import ArrayDataset
    >>> loader = DataLoader(ArrayDataset([[0.0], [1.0], [2.0]], [0, 1, 2]), batch_size=2)
    >>> [len(y) for x, y in loader]
    [2, 1]
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 32,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int | None = None,
        dtype: str | None = "float32",
        collate_fn: Callable[[list[Any]], Any] | None = None,
        num_workers: int = 0,
        prefetch_factor: int | None = None,
        pin_memory: bool = False,
        transform: Callable[..., Any] | None = None,
        shuffle_block: int | None = None,
    ) -> None:
        _check_workers(num_workers, prefetch_factor)
        _check_block(shuffle, shuffle_block)
        if not is_count(batch_size):
            raise ValueError(f"expected batch_size of at least 1, got {batch_size!r}: a whole number")
        if len(dataset) == 0:
            raise ValueError("expected samples to load, got an empty dataset")
        if drop_last and len(dataset) < batch_size:
            raise ValueError(
                f"expected at least batch_size={batch_size} samples with drop_last=True, got {len(dataset)}, which "
                f"makes no batch: lower batch_size, or use drop_last=False"
            )
        self.dataset, self.batch_size = dataset, int(batch_size)
        self.shuffle, self.drop_last = shuffle, drop_last
        self.seed = int(to_numpy(uniform((1,)))[0] * 2**24) if seed is None else check_seed(seed)
        self.dtype = dtype
        self.collate_fn = collate_fn
        self.num_workers, self.prefetch_factor, self.pin_memory = num_workers, prefetch_factor or 2, pin_memory
        self.epoch = 0  # the epoch under way, or the next one
        self.position = 0  # batches of it that were handed out
        self._resumed = False
        self.transform, self.shuffle_block = transform, shuffle_block
        self._in_one_go = collate_fn is None and hasattr(dataset, "gather")

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        if self.position and not self._resumed:  # the epoch before was broken off
            self.epoch, self.position = self.epoch + 1, 0
        self._resumed = False
        epoch = self.epoch
        rows = self._order(epoch)[self.position * self.batch_size : len(self) * self.batch_size]
        positions = count(self.position + 1)
        for batch in self._batches(rows):
            position = next(positions)
            batch = batch if self.transform is None else self._transformed(batch, epoch, position)
            self.epoch, self.position = epoch, position
            yield batch
        self.epoch, self.position = epoch + 1, 0

    def _order(self, epoch: int) -> Rows:
        n = len(self.dataset)
        if not self.shuffle:
            return np.arange(n)
        if self.shuffle_block is None:
            return permutation(n, self.seed, epoch)
        return block_permutation(n, self.shuffle_block, self.seed, epoch)

    def _transformed(self, batch: Any, epoch: int, position: int) -> Any:
        assert self.transform is not None
        with scope(seed_of(self.seed, epoch, position)):
            if not isinstance(batch, tuple):
                return self.transform(batch)
            found = self.transform(*batch)
        return (found,) if len(batch) == 1 and not isinstance(found, tuple) else found

    def state_dict(self) -> dict[str, int]:
        """Where the iteration stands, in plain numbers (they fit into JSON)."""
        return {
            "seed": self.seed,
            "epoch": self.epoch,
            "position": self.position,
            "batch_size": self.batch_size,
            "samples": len(self.dataset),
            **({} if self.shuffle_block is None else {"shuffle_block": self.shuffle_block}),
        }

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from `state`. Raises ValueError if it was saved with another batch size or number of samples."""
        here = self.state_dict()
        for key in ("batch_size", "samples", "shuffle_block"):
            if state.get(key) != here.get(key):
                raise ValueError(
                    f"expected a state saved with {key}={here.get(key)}, as this loader has, got "
                    f"{key}={state.get(key)}: its position means other samples here; build the loader as it was"
                )
        self.seed, self.epoch, self.position = state["seed"], state["epoch"], state["position"]
        self._resumed = True

    def _batches(self, rows: Rows) -> Iterator[Any]:
        """The samples at `rows`, a batch at a time; gathered and moved a chunk of some batches at a time."""
        feeder = get_backend().feeder(self.pin_memory)
        sent: deque[tuple[int, list[Any], Callable[[list[Any]], Any]]] = deque()
        with closing(self._chunks(rows)) as chunks:
            for n, host, rebuild in chunks:
                sent.append((n, [feeder.send(leaf) for leaf in host], rebuild))
                if len(sent) > feeder.ahead:
                    yield from self._cut(feeder.receive, *sent.popleft())
            while sent:
                yield from self._cut(feeder.receive, *sent.popleft())

    def _chunks(self, rows: Rows) -> Generator[tuple[int, list[Array], Callable[[list[Any]], Any]]]:
        """How many samples, their arrays in host memory, and what makes a batch of such."""
        size = self.batch_size
        if self._in_one_go and len(rows) > size:  # a first batch tells how many make a chunk
            first = self._host(rows[:size])
            yield first
            rows = rows[size:]
            size *= max(1, CHUNK_BYTES // max(1, sum(leaf.nbytes for leaf in first[1])))
        chunks = (rows[i : i + size] for i in range(0, len(rows), size))
        with closing(ahead_of(self._host, chunks, self.num_workers, self.prefetch_factor)) as found:
            yield from found

    def _cut(
        self, receive: Callable[[Any], Any], n: int, sent: list[Any], rebuild: Callable[[list[Any]], Any]
    ) -> Iterator[Any]:
        """The batches of a chunk of n samples."""
        leaves, size = [receive(leaf) for leaf in sent], self.batch_size
        if n <= size:
            yield rebuild(leaves)
            return
        for i in range(0, n, size):
            batch = (slice(i, min(i + size, n)), ...)
            yield rebuild([leaf[batch] for leaf in leaves])

    def _host(self, rows: Rows) -> tuple[int, list[Array], Callable[[list[Any]], Any]]:
        host, rebuild = _leaves(self._gather(rows))
        return len(rows), [self._cast(leaf) for leaf in host], rebuild

    def _gather(self, rows: Rows) -> Any:
        if self.collate_fn is not None:
            return self.collate_fn([self.dataset[i] for i in rows.tolist()])
        return gather(self.dataset, rows)

    def _cast(self, leaf: Array) -> Array:
        return leaf if self.dtype is None or leaf.dtype.kind != "f" else leaf.astype(self.dtype, copy=False)


def _check_block(shuffle: bool, block: int | None) -> None:
    if block is not None and (block < 1 or not shuffle):
        raise ValueError(
            f"expected shuffle_block of at least 1, and shuffle=True beside it, got shuffle_block={block} with "
            f"shuffle={shuffle}"
        )


def _check_workers(num_workers: int, prefetch_factor: int | None) -> None:
    if num_workers < 0:
        raise ValueError(f"expected num_workers of at least 0, got {num_workers}")
    if prefetch_factor is not None and (prefetch_factor < 1 or not num_workers):
        raise ValueError(
            f"expected prefetch_factor of at least 1, and num_workers beside it, got prefetch_factor={prefetch_factor} "
            f"with num_workers={num_workers}: without workers nothing is gathered ahead"
        )


def _leaves(batch: Any) -> tuple[list[Array], Callable[[list[Any]], Any]]:
    """The arrays of a batch, and the function that puts others in their places."""
    if isinstance(batch, Mapping):
        keys = list(batch)
        return [to_host(leaf) for leaf in batch.values()], lambda leaves: dict(zip(keys, leaves, strict=True))
    if isinstance(batch, tuple | list):
        return [to_host(leaf) for leaf in batch], tuple
    return [to_host(batch)], lambda leaves: leaves[0]
