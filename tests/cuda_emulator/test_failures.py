"""Set-up failures of a real machine, in CuPy's own exceptions and words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cuda_emulator import FAILURES, EmulatorError, fail_with

CALLS: dict[str, Callable[[Any], object]] = {
    "getDeviceCount": lambda cp: cp.cuda.runtime.getDeviceCount(),
    "getDevice": lambda cp: cp.cuda.runtime.getDevice(),
    "memGetInfo": lambda cp: cp.cuda.runtime.memGetInfo(),
    "malloc": lambda cp: cp.cuda.runtime.malloc(8),
    "ones": lambda cp: cp.ones(3),
    "synchronize": lambda cp: cp.cuda.runtime.deviceSynchronize(),
}
STATUS = {"no_driver": (35, "cudaErrorInsufficientDriver"), "old_driver": (35, "cudaErrorInsufficientDriver"),
          "no_device": (100, "cudaErrorNoDevice")}  # fmt: skip


@pytest.mark.parametrize("failure", STATUS)
@pytest.mark.parametrize("name", CALLS)
def test_every_call_fails_and_works_again_afterwards(cp: Any, failure: str, name: str) -> None:
    status, word = STATUS[failure]
    with fail_with(failure), pytest.raises(cp.cuda.runtime.CUDARuntimeError, match=word) as caught:
        CALLS[name](cp)
    assert caught.value.status == status
    assert int(cp.ones(3).sum()) == 3


def test_what_a_program_asks_first(cp: Any) -> None:
    runtime = cp.cuda.runtime
    with fail_with("no_driver"):
        assert not cp.cuda.is_available()
        assert runtime.driverGetVersion() == 0
    with fail_with("old_driver"):
        assert not cp.cuda.is_available()
        assert 0 < runtime.driverGetVersion() < runtime.runtimeGetVersion()
    assert cp.cuda.is_available()
    assert runtime.driverGetVersion() == runtime.runtimeGetVersion()


def test_any_status_can_be_asked_for(cp: Any) -> None:
    with fail_with(46), pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="cudaErrorDevicesUnavailable"):
        cp.cuda.runtime.getDeviceCount()


def test_memory_that_does_not_suffice(cp: Any) -> None:
    used = cp.cuda.runtime.memGetInfo()
    # a pool of its own: the shared one may have room left in a chunk that another test still holds
    with cp.cuda.using_allocator(cp.cuda.MemoryPool().malloc):
        with fail_with("oom", memory=used[1] - used[0] + 4096):
            assert cp.cuda.runtime.memGetInfo()[0] == 4096
            cp.ones(100)
            with pytest.raises(cp.cuda.memory.OutOfMemoryError, match="Out of memory allocating 80,384 bytes"):
                cp.ones(10_000)
            with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="cudaErrorMemoryAllocation"):
                cp.cuda.runtime.malloc(1 << 40)
        assert float(cp.ones(10_000).sum()) == 10_000


def test_an_unknown_failure_is_an_error(cp: Any) -> None:
    with pytest.raises(EmulatorError, match="unknown failure 'no_gpu'"), fail_with("no_gpu"):
        pass
    assert set(FAILURES) == {*STATUS, "oom"}


ACTIVATE = "from tests.cuda_emulator import activate; activate(); import cupy; "
ENVIRONMENT = {
    "no_driver": ("cupy.ones(3)", "CUDARuntimeError: cudaErrorInsufficientDriver"),
    "old_driver": ("cupy.cuda.runtime.getDeviceCount()", "CUDARuntimeError: cudaErrorInsufficientDriver"),
    "no_device": ("cupy.cuda.runtime.getDeviceCount()", "CUDARuntimeError: cudaErrorNoDevice"),
    "oom": ("cupy.ones(200_000)", "OutOfMemoryError: Out of memory allocating 1,600,000 bytes"),
    "no_cublas": ("x = cupy.ones((3, 3)); x @ x", "ImportError"),
}


@pytest.mark.parametrize("failure", ENVIRONMENT)
def test_failure_of_a_whole_process(python: Any, failure: str) -> None:
    code, message = ENVIRONMENT[failure]
    done = python(ACTIVATE + "print('imported'); " + code, CUPY_EMU_FAIL=failure)
    assert done.stdout == "imported\n"
    assert message in done.stderr.strip().splitlines()[-1] or message in done.stderr


def test_these_are_the_words_of_the_wheel_itself(python: Any) -> None:
    """On a machine without a driver the wheel, left alone, says the same. (Skipped on one that has a driver.)"""
    code = "{}import cupy; print(cupy.cuda.is_available(), cupy.cuda.runtime.driverGetVersion()); cupy.ones(3)"
    alone = python(code.format(""))
    if alone.returncode == 0:
        pytest.skip("this machine has a GPU")
    emulated = python(code.format("from tests.cuda_emulator import activate; activate(); "), CUPY_EMU_FAIL="no_driver")
    assert emulated.stdout == alone.stdout == "False 0\n"
    assert emulated.stderr.strip().splitlines()[-1] == alone.stderr.strip().splitlines()[-1]
