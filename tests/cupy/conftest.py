"""`cuda_budget`: what a block may cost the device. Tests here need CuPy, and counters: those of the CUDA emulator."""

import contextlib
import gc
import os

import pytest

import nnx
from tests import cuda_emulator

CUPY = os.environ.get("NNX_TEST_CUPY", "")


@pytest.fixture(params=["cupy"])
def backend(request):
    """CuPy, wherever it may run: the other backends' fixture of the same name does not run here."""
    if CUPY not in ("require", "emulated"):
        pytest.skip("NNX_TEST_CUPY is neither 'require' nor 'emulated'")
    with nnx.use_backend("cupy") as active:
        yield active


@pytest.fixture
def emulated(backend):
    """CuPy under the emulator: a GPU has no such counters, and no failures to order."""
    if CUPY != "emulated":
        pytest.skip("counters and provoked failures exist under emulation alone: NNX_TEST_CUPY=emulated")
    import cupy

    gc.collect()  # what tests before have left would be freed at any time, and the pool's blocks differ with it
    cupy.get_default_memory_pool().free_all_blocks()
    return backend


@pytest.fixture
def cuda_budget(emulated):
    """with cuda_budget(launch=9, gemm=3): the block costs at most that, and nothing of what is not named.

    The test has a memory pool of its own: how the shared one is cut depends on what other tests still hold.
    """
    import cupy

    @contextlib.contextmanager
    def budget(h2d=0, d2h=0, sync=0, launch=0, gemm=0, malloc=0):
        with cuda_emulator.counting() as cost:
            yield cost
        found = {
            "h2d": (cost.h2d, h2d),
            "d2h": (cost.d2h, d2h),
            "sync": (cost.syncs, sync),
            "launch": (cost.launches + cost.library_calls + cost.blas_others, launch),
            "gemm": (cost.gemms, gemm),
            "malloc": (cost.mallocs, malloc),
        }
        over = [f"{name} {spent}, allowed {allowed}" for name, (spent, allowed) in found.items() if spent > allowed]
        assert not over, f"over budget: {'; '.join(over)} ({cost})"

    with cupy.cuda.using_allocator(cupy.cuda.MemoryPool().malloc):
        yield budget
