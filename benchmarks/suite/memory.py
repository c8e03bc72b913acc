"""The peak of a step's memory above what was there before it, in MB of 10⁶ bytes.

nnx on NumPy: tracemalloc, to which NumPy reports what it allocates for arrays; it also counts Python's own objects, and
not what OpenBLAS keeps. The blocks that nnx keeps from step to step are given back before, so that they count, too.
torch: its profiler's record of each allocation and release of the CPU allocator, which does not see oneDNN's own
scratch memory. Gradients are dropped before a step begins on both sides; parameters and the optimizer's slots were
there before it.
"""

import os
import tracemalloc
from contextlib import contextmanager

from nnx.backend import numpy_memory

WARM_UP = 3


def peak(name, step):
    """MB, after a few steps: their slots and caches are there to stay."""
    for _ in range(WARM_UP):
        step()
    return (_of_torch if name == "torch" else _of_numpy)(step) / 1e6


def _of_numpy(step):
    tracemalloc.start()
    try:
        step()  # what is freed in the step that is measured must have been seen to be allocated
        numpy_memory.release()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        step()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@contextmanager
def _quiet():
    """What torch's profiler writes to standard error from C++ is not shown."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _of_torch(step):
    from torch.profiler import ProfilerActivity, profile

    step.before()
    with _quiet(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        step()
    changes = [e for e in found.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = most = 0
    for event in sorted(changes, key=lambda e: e.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most
