"""Batches on their way to the GPU: a stream of their own, tied to the user's by events; nobody waits."""

import numpy as np
import pytest

from nnx.data import ArrayDataset, DataLoader
from tests import cuda_emulator

X = np.arange(480, dtype="float32").reshape(60, 8)


def epoch(pinned):
    return DataLoader(ArrayDataset(X, np.arange(60)), 6, shuffle=True, seed=1, pin_memory=pinned)


def test_an_epoch_copies_as_often_and_never_waits(emulated):
    costs = {}
    for pinned in (False, True):
        for _ in range(2):
            with cuda_emulator.counting() as cost:
                batches = list(epoch(pinned))
            costs[pinned] = cost
        assert sorted(int(k) for _, y in batches for k in y) == list(range(60))
    assert costs[True].h2d == costs[False].h2d > 0
    assert costs[True].h2d_bytes == costs[False].h2d_bytes
    assert costs[True].syncs == costs[False].syncs == 0
    assert costs[True].event_records > costs[False].event_records


@pytest.fixture
def waits(emulated, monkeypatch):
    """Which stream waited for which event, and which stream had recorded it."""
    import cupy

    found, recorded = [], {}
    base = cupy.cuda.Stream.__mro__[1]
    record, wait_event = base.record, base.wait_event

    def noting_record(self, event=None):
        event = record(self, event)
        recorded[event.ptr] = self.ptr
        return event

    def noting_wait(self, event):
        found.append((self.ptr, recorded[event.ptr]))
        wait_event(self, event)

    monkeypatch.setattr(base, "record", noting_record)
    monkeypatch.setattr(base, "wait_event", noting_wait)
    return found


def test_each_copy_waits_for_the_user_and_the_user_for_the_copy(waits, emulated):
    import cupy

    feeder = emulated.feeder(True)
    user, own = cupy.cuda.get_current_stream().ptr, feeder.stream.ptr
    assert user != own
    first, second = feeder.send(X), feeder.send(X + 1)
    assert waits == [(own, user)] * 2, "memory that the user's stream still reads is not written to"
    y = feeder.receive(first)
    assert waits[2:] == [(user, own)], "nothing is computed before its copy has ended"
    np.testing.assert_array_equal(cupy.asnumpy(y), X)
    np.testing.assert_array_equal(cupy.asnumpy(feeder.receive(second)), X + 1)
    assert cupy.cuda.get_current_stream().ptr == user


def test_the_next_chunk_is_sent_before_a_batch_is_handed_out(waits, emulated):
    run = iter(epoch(True))
    next(run)
    assert len(waits) == 2 * 2 + 2, "two chunks of x and y sent, one received"
