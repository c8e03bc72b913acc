"""The counters are exact: a table of what each operation costs, worked out by hand from what CuPy does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.cuda_emulator import counters, counting, reset

# operation -> counters that are not zero. x, w: (64, 64) float32; h: the same on the host.
COSTS: dict[str, tuple[Callable[[Any, Any, Any, Any], object], dict[str, int]]] = {
    "ufunc": (lambda cp, x, w, h: x + w, {"launches": 1}),
    "two_ufuncs": (lambda cp, x, w, h: x + w - 1, {"launches": 2}),
    "view": (lambda cp, x, w, h: x[1:, ::2].T, {}),
    "gemm": (lambda cp, x, w, h: x @ w, {"gemms": 1}),
    "gemm_transposed": (lambda cp, x, w, h: x.T @ w, {"gemms": 1}),
    "gemm_by_vector": (lambda cp, x, w, h: x @ w[0], {"gemms": 1}),
    "column_major": (lambda cp, x, w, h: cp.asfortranarray(x), {"blas_others": 1}),
    "sum": (lambda cp, x, w, h: cp.sum(x), {"launches": 1}),
    "to_device": (lambda cp, x, w, h: x.set(h), {"h2d": 1, "h2d_bytes": 16384}),
    "to_host": (lambda cp, x, w, h: x.get(), {"d2h": 1, "d2h_bytes": 16384, "stream_syncs": 1}),
    "float": (lambda cp, x, w, h: float(x[0, 0]), {"d2h": 1, "d2h_bytes": 4, "stream_syncs": 1}),
    "copy": (lambda cp, x, w, h: x.copy(), {"launches": 1}),
    "raw_copy": (lambda cp, x, w, h: x.data.copy_from_device(w.data, 64), {"d2d": 1, "d2d_bytes": 64}),
    "zeros": (lambda cp, x, w, h: cp.zeros((64, 64), "f4"), {"memsets": 1}),
    "stream_sync": (lambda cp, x, w, h: cp.cuda.Stream.null.synchronize(), {"stream_syncs": 1}),
    "device_sync": (lambda cp, x, w, h: cp.cuda.Device().synchronize(), {"device_syncs": 1}),
    "event": (lambda cp, x, w, h: _event(cp), {"event_records": 1, "event_syncs": 1}),
    "sort": (lambda cp, x, w, h: x.ravel().sort(), {"library_calls": 1}),
    "random": (lambda cp, x, w, h: cp.random.standard_normal(8, dtype="f4"), {"library_calls": 1}),
}


def _event(cp: Any) -> None:
    event = cp.cuda.Event()
    event.record()
    event.synchronize()


@pytest.mark.parametrize("name", COSTS)
def test_each_cost_is_exact(cp: Any, name: str) -> None:
    operation, expected = COSTS[name]
    h = np.ones((64, 64), dtype=np.float32)
    x, w = cp.asarray(h), cp.asarray(h)
    operation(cp, x, w, h)  # the first time CuPy makes handles, workspaces and pinned memory
    with counting() as cost:
        operation(cp, x, w, h)
    found = {k: v for k, v in cost.as_dict().items() if v and k not in ("current_bytes", "peak_bytes")}
    assert found == expected


def test_memory(cp: Any) -> None:
    pool = cp.get_default_memory_pool()
    pool.free_all_blocks()
    with counting() as cost:
        x = cp.empty(1 << 20, dtype=cp.uint8)
        y = cp.empty(1 << 21, dtype=cp.uint8)
        level = cost.current_bytes
        del x, y
        pool.free_all_blocks()
    assert (cost.mallocs, cost.frees) == (2, 2)
    assert level - cost.current_bytes == 3 << 20
    assert cost.peak_bytes - cost.current_bytes == 3 << 20


def test_the_pool_allocates_once(cp: Any) -> None:
    cp.get_default_memory_pool().free_all_blocks()
    with counting() as cost:
        for _ in range(5):
            cp.empty(5000)
    assert cost.mallocs == 1


def test_blocks_nest_and_stay_as_they_were(cp: Any) -> None:
    x = cp.ones(3)
    with counting() as outer:
        x += 1
        with counting() as inner:
            x += 1
            x += 1
        assert outer.launches == 3
        x += 1
    x += 1
    assert (inner.launches, outer.launches) == (2, 4)


def test_the_peak_of_an_inner_block_is_its_own(cp: Any) -> None:
    runtime = cp.cuda.runtime
    with counting() as outer:
        runtime.free(runtime.malloc(1 << 20))
        with counting() as inner:
            runtime.free(runtime.malloc(1 << 10))
    assert inner.peak_bytes - inner.current_bytes == 1 << 10
    assert outer.peak_bytes - outer.current_bytes == 1 << 20


def test_reset_keeps_levels(cp: Any) -> None:
    x = cp.ones(1000)
    reset()
    now = counters()
    assert now["launches"] == now["mallocs"] == 0
    assert now["peak_bytes"] == now["current_bytes"] >= x.nbytes


def test_a_failed_launch_or_allocation_is_not_counted(cp: Any) -> None:
    kernel = cp.RawKernel('extern "C" __global__ void nothing() {}', "nothing")
    kernel((1,), (1,), ())
    with counting() as cost:
        with pytest.raises(cp.cuda.driver.CUDADriverError):
            kernel((1,), (4096,), ())
        with pytest.raises(cp.cuda.runtime.CUDARuntimeError):
            cp.cuda.runtime.malloc(1 << 50)
    assert (cost.launches, cost.mallocs) == (0, 0)


def test_an_unknown_counter_is_an_error(cp: Any) -> None:
    with counting() as cost, pytest.raises(AttributeError, match="no counter 'launch'"):
        cost.launch  # noqa: B018
