"""Recorded sources go to the real NVRTC, for architectures that nobody here has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cuda_emulator import Source, compile_for, recording, sources
from tests.cuda_emulator import nvrtc as nvrtc_module


@pytest.fixture
def nvrtc(cp: Any) -> None:
    try:
        cp.cuda.nvrtc.getVersion()
    except RuntimeError:
        pytest.skip("NVRTC is not installed: pip install 'cuda-toolkit[nvrtc]==13.*' (12.* beside cupy-cuda12x)")


GOOD = Source('extern "C" __global__ void good(float* x) { x[threadIdx.x] *= 2; }')
BAD = Source('extern "C" __global__ void bad(float* x) { x[threadIdx.x] = undeclared; }')
TEMPLATE = Source("template <class T> __global__ void many(T* x) { *x = 1; }", (), ("many<float>", "many<double>"))


def test_sources_are_seen_once_with_their_options_and_names(cp: Any) -> None:
    module = cp.RawModule(code=TEMPLATE.code, options=("-DSEEN=1",), name_expressions=list(TEMPLATE.names))
    module.get_function("many<float>")
    seen = [s for s in sources() if s.code.endswith(TEMPLATE.code)]
    assert len(seen) == 1
    assert seen[0].names == TEMPLATE.names
    assert "-DSEEN=1" in seen[0].options
    assert not any("site-packages" in option for option in seen[0].options)
    cp.arange(7) * 3
    before = len(sources())
    cp.arange(9) * 3
    assert len(sources()) == before


def test_a_run_is_recorded_in_a_folder_and_compiled_for_each_architecture(
    nvrtc: None, python: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "from tests.cuda_emulator import activate; activate(); import cupy; cupy.exp(cupy.arange(5.0)).sum()"
    for _ in range(2):  # two processes write the same files
        assert python(code, CUPY_EMU_RECORD=str(tmp_path)).returncode == 0
    assert len(list(tmp_path.iterdir())) == len(list(tmp_path.glob("*.json"))) == 3
    assert json.loads(next(tmp_path.glob("*.json")).read_text()).keys() == {"code", "options", "names"}
    assert compile_for.main([str(tmp_path), "--arch", "75", "90"]) == 0
    assert capsys.readouterr().out == "3 sources for sm_75 sm_90: 0 failures\n"


def test_failures_are_reported_by_source_and_architecture(
    nvrtc: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for source in (GOOD, BAD):
        recording.write(source, tmp_path)
    assert compile_for.main([str(tmp_path), "--arch", "80"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "2 sources for sm_80: 1 failures\n"
    assert f"sm_80 {BAD.key()}.json" in captured.err
    assert 'identifier "undeclared" is undefined' in captured.err


def test_every_architecture_gives_machine_code(nvrtc: None) -> None:
    for arch in compile_for.ARCHITECTURES:
        assert nvrtc_module.compile_cubin(TEMPLATE, arch).startswith(b"\x7fELF")
    assert compile_for.compile_all([GOOD, TEMPLATE]) == []


def test_the_command_has_no_warnings(nvrtc: None, python: Any, tmp_path: Path) -> None:
    recording.write(GOOD, tmp_path)
    done = python(
        f"import runpy, sys; sys.argv = ['compile_for', {str(tmp_path)!r}, '--arch', '80']; "
        "runpy.run_module('tests.cuda_emulator.compile_for', run_name='__main__')"
    )
    assert (done.stdout, done.stderr) == ("1 sources for sm_80: 0 failures\n", "")


def test_an_empty_folder_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compile_for.main([str(tmp_path)]) == 2
    assert "set CUPY_EMU_RECORD" in capsys.readouterr().err


def test_recordings_read_as_they_were_written(tmp_path: Path) -> None:
    for source in (GOOD, TEMPLATE):
        recording.write(source, tmp_path)
    assert set(recording.read(tmp_path)) == {GOOD, TEMPLATE}


def test_strict_mode_asks_both_compilers(nvrtc: None, python: Any) -> None:
    """g++ is content with this source, NVRTC is not."""
    source = '\n#ifdef __CUDA_ARCH__\n#error for the device\n#endif\nextern "C" __global__ void f(float* x) {}'
    program = (
        "from tests.cuda_emulator import activate; activate(); import cupy; "
        f"cupy.RawKernel({source!r}, 'f')((1,), (1,), (cupy.zeros(1),))"
    )
    assert python(program).returncode == 0
    assert "for the device" in python(program, CUPY_EMU_NVRTC="1").stderr
