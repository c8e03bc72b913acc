"""Every sample comes once an epoch, on the active backend, in an order that a saved state takes up exactly."""

import numpy as np
import pytest

import nnx
from nnx.backend import backend_of, to_numpy
from nnx.data import ArrayDataset, DataLoader, Subset
from tests.support import assert_same

X = np.arange(46, dtype=np.float64).reshape(23, 2)
Y = np.arange(23)


class Rows:
    """A data set of the user's own, without `gather`."""

    def __init__(self, make):
        self.make = make

    def __len__(self):
        return len(Y)

    def __getitem__(self, index):
        return self.make(index)


PAIRS = ArrayDataset(X, Y)
SOURCES = {
    "arrays": PAIRS,
    "subset": Subset(Subset(PAIRS, np.arange(23)[::-1]), np.arange(23)[::-1]),
    "samples": Rows(lambda i: (X[i], Y[i])),
    "subset of samples": Subset(Rows(lambda i: (X[i], Y[i])), range(23)),
}


def labels(loader):
    return [to_numpy(y).tolist() for _, y in loader]


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_batches_are_rows_in_order(backend, source):
    batches = list(DataLoader(source, batch_size=5))
    assert all(backend_of(x) is type(backend) and x.device == backend.device for x, _ in batches)
    for k, (x, y) in enumerate(batches):
        assert_same(x, X[5 * k : 5 * k + 5].astype(np.float32))
        assert_same(y, Y[5 * k : 5 * k + 5])


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_shuffled_rows_stay_together_and_come_once(source):
    batches = list(DataLoader(source, batch_size=4, shuffle=True, seed=7))
    x, y = (np.concatenate(column) for column in zip(*batches, strict=True))
    assert sorted(y.tolist()) == Y.tolist()
    assert y.tolist() != Y.tolist()
    np.testing.assert_array_equal(x, X[y])


def test_many_chunks_hold_every_row(monkeypatch):
    monkeypatch.setattr("nnx.data.loader.CHUNK_BYTES", 3 * 2 * 4 * 4)  # two batches of three rows and their labels
    loader = DataLoader(PAIRS, batch_size=3, shuffle=True, seed=1)
    batches = labels(loader)
    assert [len(batch) for batch in batches] == [3] * 7 + [2]
    assert sorted(label for batch in batches for label in batch) == Y.tolist()


@pytest.mark.parametrize(("batch_size", "drop_last", "sizes"), [
    (5, False, [5, 5, 5, 5, 3]), (5, True, [5, 5, 5, 5]), (23, True, [23]), (100, False, [23]), (1, False, [1] * 23),
])  # fmt: skip
def test_sizes_and_len(batch_size, drop_last, sizes):
    loader = DataLoader(PAIRS, batch_size=batch_size, drop_last=drop_last)
    assert [len(batch) for batch in labels(loader)] == sizes
    assert len(loader) == len(sizes)


def test_order_is_a_function_of_seed_and_epoch():
    def orders(seed):
        loader = DataLoader(PAIRS, batch_size=23, shuffle=True, seed=seed)
        return [labels(loader)[0] for _ in range(3)]

    first = orders(3)
    assert first == orders(3)
    assert len({tuple(order) for order in first + orders(4)}) == 6
    later = DataLoader(PAIRS, batch_size=23, shuffle=True, seed=3)
    later.epoch = 2
    assert labels(later)[0] == first[2]


def test_order_never_changes():
    """A saved run depends on it: Philox keyed with (seed, epoch)."""
    assert labels(DataLoader(ArrayDataset(X[:8], Y[:8]), batch_size=8, shuffle=True, seed=0)) == [ORDER]


ORDER = np.random.Generator(np.random.Philox(key=np.array([0, 0], dtype=np.uint64))).permutation(8).tolist()


def test_no_seed_draws_one_and_keeps_it():
    nnx.seed(4)
    one, other = (DataLoader(PAIRS, batch_size=23, shuffle=True) for _ in range(2))
    assert one.seed != other.seed
    nnx.seed(4)
    assert DataLoader(PAIRS).seed == one.seed
    again = DataLoader(PAIRS, batch_size=23, shuffle=True, seed=one.seed)
    assert labels(again) == labels(one)


@pytest.mark.parametrize("taken", [0, 1, 3, 5, 6, 8])
@pytest.mark.parametrize("source", ["arrays", "samples"])
def test_resumes_with_the_next_batch(source, taken):
    def stream(loader):
        while True:
            yield from ((loader.epoch, batch) for batch in ([to_numpy(y).tolist()] for _, y in loader))

    whole = stream(DataLoader(SOURCES[source], batch_size=5, shuffle=True, seed=9))
    expected = [next(whole) for _ in range(15)]

    stopped = DataLoader(SOURCES[source], batch_size=5, shuffle=True, seed=9)
    run = stream(stopped)
    assert [next(run) for _ in range(taken)] == expected[:taken]
    state = stopped.state_dict()

    resumed = DataLoader(SOURCES[source], batch_size=5, shuffle=True)  # its seed comes with the state
    resumed.load_state_dict(state)
    run = stream(resumed)
    assert [next(run) for _ in range(15 - taken)] == expected[taken:]


def test_state_after_the_last_batch_still_ends_its_epoch():
    loader = DataLoader(PAIRS, batch_size=5)
    states = [loader.state_dict() for _ in loader]
    assert (states[-1]["epoch"], states[-1]["position"]) == (0, 5)
    assert (loader.epoch, loader.position) == (1, 0)
    loader.load_state_dict(states[-1])
    assert list(loader) == []
    assert loader.epoch == 1


def test_an_epoch_broken_off_is_over():
    loader = DataLoader(PAIRS, batch_size=5, shuffle=True, seed=2)
    first = next(iter(loader))[1].tolist()
    assert loader.state_dict()["position"] == 1
    assert labels(loader)[0] != first
    assert loader.epoch == 2


def test_state_of_another_loader_is_refused():
    state = DataLoader(PAIRS, batch_size=5).state_dict()
    with pytest.raises(ValueError, match="batch_size=4, as this loader has, got batch_size=5"):
        DataLoader(PAIRS, batch_size=4).load_state_dict(state)
    with pytest.raises(ValueError, match="samples=3, as this loader has, got samples=23"):
        DataLoader(ArrayDataset(Y[:3]), batch_size=5).load_state_dict(state)


@pytest.mark.parametrize(("given", "asked", "found"), [
    ("float64", "float32", "float32"), ("float16", "float32", "float32"), ("float32", "float64", "float64"),
    ("float64", None, "float64"), ("int64", "float32", "int64"), ("uint8", "float32", "uint8"), ("bool", None, "bool"),
])  # fmt: skip
def test_dtypes(given, asked, found):
    (x,) = next(iter(DataLoader(ArrayDataset(X.astype(given)), dtype=asked)))
    assert x.dtype == found


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_batches_do_not_alias_the_data(source):
    before = X.copy()
    for x, y in DataLoader(source, batch_size=5, dtype=None):
        x[...], y[...] = -1, -1
    np.testing.assert_array_equal(X, before)
    assert Y[0] == 0


def test_forms_of_samples():
    (bare,) = DataLoader(Rows(lambda i: X[i]), batch_size=23)
    assert bare.shape == (23, 2)
    (named,) = DataLoader(Rows(lambda i: {"image": X[i], "label": i}), batch_size=23)
    assert named["image"].shape == (23, 2)
    assert named["label"].tolist() == Y.tolist()
    (listed,) = DataLoader(Rows(lambda i: [X[i], i]), batch_size=23)
    assert listed[1].tolist() == Y.tolist()


def test_collate_fn_makes_the_batch():
    ragged = Rows(lambda i: np.ones(i % 3 + 1))

    def pad(samples):
        return np.stack([np.pad(sample, (0, 3 - len(sample))) for sample in samples])

    assert [batch.shape for batch in DataLoader(ragged, batch_size=10, collate_fn=pad)] == [(10, 3), (10, 3), (3, 3)]
    with pytest.raises(ValueError, match=r"one shape in a batch, got \(1,\) and \(3,\): pad them"):
        next(iter(DataLoader(ragged, batch_size=10)))


@pytest.mark.parametrize(("make", "error", "words"), [
    (lambda: DataLoader(PAIRS, batch_size=0), ValueError, "batch_size of at least 1, got 0"),
    (lambda: DataLoader([]), ValueError, "an empty dataset"),
    (lambda: DataLoader(PAIRS, batch_size=24, drop_last=True), ValueError, "got 23, which makes no batch"),
    (lambda: DataLoader(PAIRS, seed=-1), ValueError, "a seed from 0"),
    (lambda: ArrayDataset(), ValueError, "at least one array"),
    (lambda: ArrayDataset(X, Y[:-1]), ValueError, r"got lengths \[23, 22\]"),
    (lambda: ArrayDataset(X[:0]), ValueError, r"an empty array of shape \(0, 2\)"),
    (lambda: ArrayDataset(X, 3.0), ValueError, "rows in array 1"),
    (lambda: ArrayDataset(["cat", "dog"]), ValueError, "map names to integers"),
    (lambda: Subset(PAIRS, []), ValueError, "this subset is empty"),
    (lambda: Subset(PAIRS, [23]), IndexError, "23 samples, got 23"),
    (lambda: Subset(PAIRS, [-24]), IndexError, "23 samples, got -24"),
    (lambda: Subset(PAIRS, [0.5]), ValueError, "dtype float64"),
])  # fmt: skip
def test_errors(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_array_dataset_indexes(backend):
    dataset = ArrayDataset(backend.asarray(X), Y)
    x, y = dataset[4]
    assert (x.tolist(), y) == (X[4].tolist(), 4)
    assert isinstance(x, np.ndarray)
    assert dataset[1:3][1].tolist() == [1, 2]


def test_subsets_of_subsets():
    inner = Subset(PAIRS, [20, 10, -1])
    outer = Subset(inner, [2, 0])
    assert inner.indices.tolist() == [20, 10, 22]  # a data set of the user's may not know negative indices
    assert [outer[k][1] for k in range(2)] == [22, 20]
    assert labels(DataLoader(outer)) == [[22, 20]]
