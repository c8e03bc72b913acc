"""Whatever goes wrong while a file is written, the old one is still there and nothing lies beside it."""

import errno
import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from nnx.io import JsonLines, write_atomically


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "config.json"
    for data in (b"old", b"new" * 1000, b""):
        write_atomically(path, data)
        assert path.read_bytes() == data
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask and no modes")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_mode_honours_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege on Windows")
def test_follows_a_link(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "latest").symlink_to(tmp_path / "runs" / "a")
    write_atomically(tmp_path / "latest", b"x")
    assert (tmp_path / "latest").is_symlink()
    assert (tmp_path / "runs" / "a").read_bytes() == b"x"
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["a"]


@pytest.mark.parametrize(("owner", "step"), [(os, "fsync"), (Path, "replace")])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_interrupted_write_leaves_the_old_file_alone(tmp_path, monkeypatch, owner, step, error, old):
    path = tmp_path / "a"
    if old is not None:
        path.write_bytes(old)

    def fail(*arguments):
        raise error

    monkeypatch.setattr(owner, step, fail)
    with pytest.raises(type(error)):
        write_atomically(path, b"new")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([] if old is None else [old])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no handle on a folder to force to disk")
def test_forces_file_and_folder_to_disk_around_the_rename(tmp_path, monkeypatch):
    steps, fsync, replace = [], os.fsync, Path.replace

    def watched_fsync(handle):
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else f"file of {os.fstat(handle).st_size}")
        fsync(handle)

    def watched_replace(source, target):
        steps.append("rename")
        assert source.parent == target.parent
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    write_atomically(tmp_path / "a", b"12345")
    assert steps == ["file of 5", "rename", "folder"]


def test_no_folder_is_the_systems_own_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "nowhere" / "a", b"x")
    with pytest.raises(OSError, match="directory"):
        write_atomically(tmp_path, b"x")
    assert list(tmp_path.parent.glob(".*.part")) == []


# ---- JSON Lines ------------------------------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(("record", "line"), [
    ({"loss": 0.5, "step": 3, "ok": True}, '{"loss": 0.5, "step": 3, "ok": true}'),
    ({"name": "é", "none": None}, '{"name": "é", "none": null}'),
    ({"loss": NAN, "all": [INF, -INF, 1.0]}, '{"loss": null, "all": [null, null, 1.0]}'),
    ({"deep": {"x": (NAN,)}}, '{"deep": {"x": [null]}}'),
    ({"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True)}, '{"a": 0.5, "b": 3, "c": true}'),
    ({"d": np.float64(NAN), "e": np.float64(0.1)}, '{"d": null, "e": 0.1}'),
    ({"a": np.array([[1.0, NAN]]), "b": np.array(2)}, '{"a": [[1.0, null]], "b": 2}'),
    ({1: "line\nbreak"}, r'{"1": "line\nbreak"}'),
    ({}, "{}"),
])  # fmt: skip
def test_a_record_is_a_line(tmp_path, record, line):
    log = JsonLines(tmp_path / "log.jsonl")
    log.append(record)
    log.append({"next": 1})
    assert (tmp_path / "log.jsonl").read_text("utf-8") == line + '\n{"next": 1}\n'


def test_records_hold_arrays_of_the_backend(tmp_path, backend):
    log = JsonLines(tmp_path / "log.jsonl")
    log.append({"loss": backend.asarray(0.25), "all": backend.asarray([1.0, NAN])})
    assert json.loads((tmp_path / "log.jsonl").read_text()) == {"loss": 0.25, "all": [1.0, None]}


@pytest.mark.parametrize("value", [object(), 1j, {1, 2}, b"bytes", np.array([None, object()])])
def test_a_bad_record_writes_nothing(tmp_path, value):
    with pytest.raises(TypeError, match=r"in a record, got (object|complex|set|bytes)"):
        JsonLines(tmp_path / "log.jsonl").append({"fine": 1, "bad": value})
    assert not (tmp_path / "log.jsonl").exists()


def test_a_torn_line_stays_alone(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1}\n{"ste')
    JsonLines(path).append({"step": 3})
    assert path.read_bytes() == b'{"step": 1}\n{"ste\n{"step": 3}\n'


def test_a_record_is_in_the_file_when_append_returns(tmp_path):
    log = JsonLines(tmp_path / "log.jsonl")
    for step in range(3):
        log.append({"step": step})
        assert (tmp_path / "log.jsonl").read_text().count("\n") == step + 1


# ---- where nothing can be written, and what is no file ---------------------------------------------------------------


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path):
    """A pipe stands for /dev/stdout and /dev/null, which root could replace."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomically(pipe, b"whole")
        assert os.read(reader, 9) == b"whole"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert [part.name for part in tmp_path.iterdir()] == ["pipe"]


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device \(3 bytes; it is as it was\): '.*file'") as caught:
        write_atomically(path, b"new")
    assert (caught.value.errno, path.read_bytes()) == (errno.ENOSPC, b"old")
    assert list(tmp_path.iterdir()) == [path]
