"""Setting up: the order, the errors that name a way out, and a CuPy that has moved its function table."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.cuda_emulator import EmulatorError, activate, active, cache, compiler, missing, runtime, table, thrust, wheel

ACTIVATE = "from tests.cuda_emulator import activate; activate(); "


@pytest.fixture
def found(cp: Any) -> dict[str, str]:
    """The signatures of the wheel's own table."""
    from cupy_backends.cuda.api import runtime as cuda_runtime

    name_of = runtime.library().emu_capsule_name
    return {name: name_of(capsule).decode() for name, capsule in cuda_runtime.__pyx_capi__.items()}


def test_a_second_call_does_nothing(cp: Any) -> None:
    before = cp.cuda.runtime.malloc
    activate()
    assert active()
    assert cp.cuda.runtime.malloc is before


def test_importing_the_package_imports_no_cupy(python: Any) -> None:
    done = python("import sys, tests.cuda_emulator; print(any(m.startswith('cupy') for m in sys.modules))")
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_cupy_must_not_have_been_imported(python: Any) -> None:
    done = python("import cupy; " + ACTIVATE)
    assert "EmulatorError: cupy has already been imported: call tests.cuda_emulator.activate() before" in done.stderr


def test_a_missing_compiler_is_named(python: Any) -> None:
    assert "EmulatorError: the C++ compiler no-such-g++ is not installed" in python(ACTIVATE, CXX="no-such-g++").stderr


def test_a_missing_wheel_and_missing_headers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "wheel", lambda: None)
    assert missing() == "the CuPy wheel is not installed: pip install cupy-cuda13x 'cuda-toolkit[cudart]==13.*'"
    monkeypatch.setattr(wheel, "wheel", lambda: ("cupy-cuda12x", "14.2.0"))
    monkeypatch.setattr(wheel, "cuda_headers", lambda: None)
    assert (missing() or "").endswith("not installed: pip install cupy-cuda12x 'cuda-toolkit[cudart]==12.*'")


def test_the_table_is_complete(found: dict[str, str]) -> None:
    """Every function of the wheel's table is played, refused by name in C, or needs no device."""
    table.check(found, wheel.wheel_name())
    lib = runtime.library()
    loose = [n for n in found if n not in table.HOST_ONLY and not hasattr(lib, f"emu_{n}")]
    assert loose == []
    assert {n for n in table.HOST_ONLY if n not in found} == set()


def test_a_moved_table_is_one_error_that_names_the_versions(found: dict[str, str]) -> None:
    del found["streamCreate"]
    found["malloc"] = "intptr_t (size_t, intptr_t, int __pyx_skip_dispatch)"
    with pytest.raises(EmulatorError, match="has moved its table") as caught:
        table.check(found, "cupy-cuda13x 15.0.0")
    message = str(caught.value)
    assert message.startswith("cupy-cuda13x 15.0.0 has moved its table of CUDA functions: ")
    assert "malloc is intptr_t (size_t, intptr_t), expected intptr_t (size_t)" in message
    assert "streamCreate is gone, expected intptr_t ()" in message
    assert "The emulator knows CuPy 14.x, cupy-cuda12x or cupy-cuda13x" in message


def test_a_moved_table_is_not_touched(cp: Any) -> None:
    changed = ModuleType("changed")
    vars(changed)["__pyx_capi__"] = {}
    with pytest.raises(EmulatorError, match="has moved its table"):
        runtime.swap(changed)


def test_modules_without_what_is_replaced_are_errors(cp: Any) -> None:
    for setup in (runtime.swap, compiler.replace_nvrtc, thrust.replace_thrust):
        with pytest.raises(EmulatorError, match=r"has no .*; the emulator knows CuPy 14\.x"):
            setup(ModuleType("changed"))


def test_processes_that_start_together_share_one_cache(python: Any, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    code = ACTIVATE + "import cupy; x = cupy.arange(4.0); print(float((x @ x) + cupy.exp(x).sum() * 0))"
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: python(code, CUPY_EMU_CACHE=str(tmp_path)), range(3)))
    assert [d.stdout for d in done] == ["14.0\n"] * 3, done[0].stderr
    assert len(list((tmp_path / "libraries").iterdir())) == 1
    assert not list(tmp_path.rglob("*.tmp"))


def test_an_artefact_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUPY_EMU_CACHE", str(tmp_path))
    made: list[int] = []

    def broken(folder: Path) -> None:
        (folder / "half").write_text("")
        raise RuntimeError("no")

    def good(folder: Path) -> None:
        made.append(folder.stat().st_ino)
        (folder / "whole").write_text("")

    with pytest.raises(RuntimeError):
        cache.artefact("kind", "abcd", broken)
    assert list((tmp_path / "kind").iterdir()) == []
    for _ in range(2):
        assert (cache.artefact("kind", "abcd", good) / "whole").exists()
    assert made == [(tmp_path / "kind" / "abcd").stat().st_ino]  # renamed, not copied: all of it or nothing


def test_a_cached_kernel_is_not_compiled_again(cp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    source = 'extern "C" __global__ void cached(int* x) { x[0] = 5; }'
    path = compiler.host_kernel(source, ["-I" + str(wheel.cuda_headers())])
    monkeypatch.setattr(compiler, "run", lambda arguments: pytest.fail("compiled again"))
    assert compiler.host_kernel(source, ["-I" + str(wheel.cuda_headers())]) == path
    with pytest.raises(pytest.fail.Exception, match="compiled again"):
        compiler.host_kernel(source, ["-I" + str(wheel.cuda_headers()), "-DANOTHER=1"])
