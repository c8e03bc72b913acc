"""Threads that gather ahead change nothing but the time: order, errors, saved positions; and they end with the loop."""

import gc
import subprocess
import sys
import threading
import time
import traceback

import numpy as np
import pytest

import nnx
from nnx.backend import to_numpy
from nnx.data import ArrayDataset, DataLoader
from nnx.data.ahead import ahead_of
from tests.data.test_loader import PAIRS, SOURCES, X, Y
from tests.support import assert_same


def stream(loader):
    while True:
        yield from ((loader.epoch, loader.position, [to_numpy(leaf) for leaf in batch]) for batch in loader)


def take(loader, n):
    run = stream(loader)
    found = [next(run) for _ in range(n)]
    run.close()
    return found


def assert_alike(found, expected):
    assert len(found) == len(expected)
    for (*at, batch), (*where, others) in zip(found, expected, strict=True):
        assert at == where
        for x, y in zip(batch, others, strict=True):
            assert_same(x, y)


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("nnx-loader")]


def wait_for_no_threads():
    end = time.monotonic() + 5.0
    while threads() and time.monotonic() < end:
        time.sleep(0.005)
    return threads()


@pytest.fixture(params=[1, 5], ids=["chunks of one batch", "chunks of five rows' batches"])
def chunked(request, monkeypatch):
    monkeypatch.setattr("nnx.data.loader.CHUNK_BYTES", 5 * request.param * 3 * 8)


OPTIONS = {
    "one worker": {"num_workers": 1},
    "three workers": {"num_workers": 3, "prefetch_factor": 1},
    "far ahead": {"num_workers": 2, "prefetch_factor": 50},
    "pinned": {"pin_memory": True},
    "worker, pinned": {"num_workers": 1, "pin_memory": True},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("source", ["arrays", "samples"])
def test_batches_are_the_same_bit_for_bit(backend, source, options, chunked):
    plain, ahead = (DataLoader(SOURCES[source], 5, shuffle=True, seed=3, **given) for given in ({}, options))
    assert_alike(take(ahead, 12), take(plain, 12))


@pytest.mark.parametrize("taken", [1, 3, 5, 7])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_position_counts_what_was_handed_out(options, taken, chunked):
    expected = take(DataLoader(PAIRS, 5, shuffle=True, seed=9), 15)
    stopped = DataLoader(PAIRS, 5, shuffle=True, seed=9, **options)
    run = stream(stopped)
    for _ in range(taken):
        next(run)
    state = stopped.state_dict()
    run.close()
    resumed = DataLoader(PAIRS, 5, shuffle=True, **options)
    resumed.load_state_dict(state)
    assert_alike(take(resumed, 15 - taken), expected[taken:])


@pytest.mark.parametrize("options", [{}, *OPTIONS.values()], ids=["plain", *OPTIONS])
def test_a_batch_is_the_users_to_keep(backend, options, chunked):
    """Nothing that was handed out changes later, whoever still holds it, and however much was gathered since."""
    loader = DataLoader(PAIRS, 5, shuffle=True, seed=1, **options)
    held = [batch for _ in range(4) for batch in loader]
    seen = [[to_numpy(leaf).copy() for leaf in batch] for batch in held]
    for _ in loader:
        pass
    for batch, before in zip(held, seen, strict=True):
        for leaf, other in zip(batch, before, strict=True):
            assert_same(leaf, other)
    assert sorted(int(label) for _, y in seen for label in y) == sorted(4 * Y.tolist())


def test_they_gather_ahead_and_no_further():
    gathered, loop = [], threading.get_ident()

    class Watched(ArrayDataset):
        def __getitem__(self, index):
            gathered.append(threading.get_ident())
            return super().__getitem__(index)

    loader = DataLoader(Watched(X, Y), 1, num_workers=2, prefetch_factor=3, collate_fn=lambda samples: samples[0])
    run = iter(loader)
    next(run)
    end = time.monotonic() + 5.0
    while len(gathered) < 7 and time.monotonic() < end:
        time.sleep(0.005)
    time.sleep(0.05)
    assert len(gathered) == 7, "the one handed out, and two workers' three each"
    assert loop not in gathered
    run.close()
    assert not wait_for_no_threads()


class Broken:
    """One sample at a time, and one of them not at all."""

    def __len__(self):
        return len(Y)

    def __getitem__(self, index):
        if index == 12:
            raise RuntimeError("sample 12 cannot be read")
        return Y[index]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_an_error_comes_in_the_place_of_its_batch_with_its_traceback(workers):
    loader = DataLoader(Broken(), 5, num_workers=workers)
    found = []
    with pytest.raises(RuntimeError, match="sample 12 cannot be read") as error:
        found.extend(batch.tolist() for batch in loader)
    assert found == [Y[:5].tolist(), Y[5:10].tolist()]
    assert "__getitem__" in [frame.name for frame in traceback.extract_tb(error.value.__traceback__)]
    assert loader.position == 2
    assert not wait_for_no_threads()


ENDINGS = {
    "exhausted": lambda run: list(run),
    "closed": lambda run: (next(run), run.close()),
    "dropped": lambda run: next(run),
    "never begun": lambda run: None,
}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
def test_threads_end_with_the_iterator(end):
    run = iter(DataLoader(PAIRS, 1, num_workers=2))
    end(run)
    del run
    gc.collect()
    assert not wait_for_no_threads()


def test_threads_end_at_a_break():
    for x, _ in DataLoader(PAIRS, 1, num_workers=2):
        if float(x[0, 0]) > 4:
            break
    assert not wait_for_no_threads()


@pytest.mark.parametrize("ending", ["pass", "raise SystemExit(0)", "del loader"])
def test_the_interpreter_exits_with_an_iterator_open(ending):
    code = f"""
import numpy as np, nnx
loader = nnx.data.DataLoader(nnx.data.ArrayDataset(np.arange(1000.0)), 1, num_workers=2, prefetch_factor=4)
run = iter(loader)
next(run), next(run)
print("open")
{ending}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "open", "")


def test_workers_see_the_context_of_the_loop():
    with nnx.random.scope(5):
        loader = DataLoader(
            PAIRS, 5, num_workers=2, collate_fn=lambda samples: np.asarray([nnx.random.get_state()["seed"]])
        )
        assert [int(seed[0]) for seed in loader] == [5] * 5


@pytest.mark.parametrize(("options", "words"), [
    ({"num_workers": -1}, "num_workers of at least 0, got -1"),
    ({"num_workers": 1, "prefetch_factor": 0}, "prefetch_factor of at least 1"),
    ({"prefetch_factor": 2}, "prefetch_factor=2 with num_workers=0: without workers nothing is gathered ahead"),
])  # fmt: skip
def test_errors(options, words):
    with pytest.raises(ValueError, match=words):
        DataLoader(PAIRS, **options)


def test_a_function_that_ends_an_iterator_is_an_error():
    def ends(item):
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        list(ahead_of(ends, [1, 2], workers=1, depth=1))
