"""Stream capture: what is recorded runs when the graph does, and what CUDA forbids in between is an error here, too."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.cuda_emulator import NotEmulated, counters, counting


@contextlib.contextmanager
def capturing(cp: Any, **mode: int) -> Iterator[Any]:
    """A stream under capture, which is ended whatever happens: a capture forbids things to the whole process."""
    stream = cp.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture(**mode)
        try:
            yield stream
        finally:
            with contextlib.suppress(cp.cuda.runtime.CUDARuntimeError):
                stream.end_capture()


def capture(cp: Any, work: Callable[[], object]) -> Any:
    with capturing(cp) as stream:
        work()
        return stream.end_capture()


def test_recorded_work_runs_at_each_launch_and_not_before(cp: Any) -> None:
    x = cp.zeros(5)
    y = cp.empty(5)

    def work() -> None:
        cp.add(x, 1, out=x)
        cp.multiply(x, 2, out=y)

    work()  # compiles, for a capture may not
    x[...] = 0
    with counting() as recording:
        graph = capture(cp, work)
    assert recording.launches == recording.graph_kernels == 0
    np.testing.assert_array_equal(x.get(), 0)
    with counting() as running:
        for _ in range(3):
            graph.launch()
    assert (running.launches, running.graph_launches, running.graph_kernels) == (0, 3, 6)
    np.testing.assert_array_equal(y.get(), 6)


def test_copies_and_memsets_are_recorded(cp: Any) -> None:
    x, y = cp.arange(4.0), cp.zeros(4)
    graph = capture(cp, lambda: (y.data.copy_from_device_async(x.data, 32), x.data.memset_async(0, 32)))
    np.testing.assert_array_equal(y.get(), 0)
    with counting() as cost:
        graph.launch()
    assert (cost.d2d, cost.d2d_bytes, cost.memsets) == (1, 32, 1)
    np.testing.assert_array_equal(y.get(), np.arange(4.0))
    np.testing.assert_array_equal(x.get(), 0)


FORBIDDEN: dict[str, Callable[[Any, Any], object]] = {
    "device_sync": lambda cp, x: cp.cuda.runtime.deviceSynchronize(),
    "stream_sync": lambda cp, x: cp.cuda.get_current_stream().synchronize(),
    "default_stream_sync": lambda cp, x: cp.cuda.Stream.null.synchronize(),
    "blocking_copy": lambda cp, x: cp.cuda.runtime.memcpy(x.data.ptr, x.data.ptr, 8, 3),
    "event_sync": lambda cp, x: cp.cuda.Event().synchronize(),
    "default_stream_copy": lambda cp, x: cp.cuda.runtime.memcpyAsync(x.data.ptr, x.data.ptr, 8, 3, 0),
    "stream_query": lambda cp, x: cp.cuda.get_current_stream().done,
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_forbidden_calls_raise_are_counted_and_spoil_the_capture(cp: Any, name: str) -> None:
    x = cp.ones(3)
    with counting() as cost, capturing(cp) as stream:
        with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="cudaErrorStreamCapture"):
            FORBIDDEN[name](cp, x)
        with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="cudaErrorStreamCaptureInvalidated"):
            stream.end_capture()
        assert not stream.is_capturing()
    assert cost.capture_violations == 1


def test_a_launch_on_the_default_stream_is_forbidden_during_a_capture(cp: Any) -> None:
    x = cp.ones(3)
    x += 1
    with capturing(cp) as stream:
        with cp.cuda.Stream.null, pytest.raises(cp.cuda.driver.CUDADriverError, match="default stream"):
            cp.add(x, 1, out=x)
        with pytest.raises(cp.cuda.runtime.CUDARuntimeError):
            stream.end_capture()
    np.testing.assert_array_equal(x.get(), 2)


def test_a_value_cannot_be_read_during_a_capture(cp: Any) -> None:
    """Here CuPy itself says no, before CUDA could."""
    x = cp.ones(3)
    with capturing(cp), pytest.raises(RuntimeError, match="capturing"):
        float(x[0])


def test_another_stream_goes_on_during_a_capture(cp: Any) -> None:
    x, other = cp.ones(3), cp.cuda.Stream(non_blocking=True)
    x += 1

    def work() -> None:
        with other:
            cp.add(x, 1, out=x)

    capture(cp, work)
    np.testing.assert_array_equal(x.get(), 3)


def test_allocation_is_allowed_in_a_relaxed_capture_alone(cp: Any) -> None:
    capture(cp, lambda: cp.cuda.runtime.free(cp.cuda.runtime.malloc(8)))
    unsupported = pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="cudaErrorStreamCaptureUnsupported")
    with capturing(cp, mode=cp.cuda.runtime.streamCaptureModeGlobal), unsupported:
        cp.cuda.runtime.malloc(8)


def test_libraries_are_refused_in_a_capture(cp: Any) -> None:
    """CuPy itself refuses cuBLAS; what it lets through would be refused by the stand-in."""
    x = cp.ones((3, 3))
    x @ x
    with pytest.raises((NotImplementedError, cp.cuda.runtime.CUDARuntimeError), match=r"(?i)captur"):
        capture(cp, lambda: x @ x)


def test_a_capture_over_two_streams_is_refused(cp: Any) -> None:
    other, event = cp.cuda.Stream(non_blocking=True), cp.cuda.Event()

    def fork() -> None:
        event.record()
        other.wait_event(event)

    with pytest.raises(NotEmulated, match="several streams"):
        capture(cp, fork)


def test_the_default_stream_cannot_be_captured(cp: Any) -> None:
    before = counters()["capture_violations"]
    with pytest.raises((RuntimeError, cp.cuda.runtime.CUDARuntimeError)):
        cp.cuda.Stream.null.begin_capture()
    assert counters()["capture_violations"] == before
