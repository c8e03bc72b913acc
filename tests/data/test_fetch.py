"""Fetching from a server on this machine: whole, in pieces, damaged, moved, refused, by two at a time, and offline."""

import gzip
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from nnx.data import DatasetMissing, FetchError, fetch, fetching, locks, showing
from nnx.data.sums import Checksum
from tests.data.server import serving

DATA = bytes(range(256)) * 800  # 200 kB: more than one piece
SHA = hashlib.sha256(DATA).hexdigest()
MD5 = hashlib.md5(DATA).hexdigest()
PACKED = gzip.compress(DATA, mtime=0)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetching, "PAUSE", 0.001)
    monkeypatch.delenv("NNX_OFFLINE", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving({"/a.bin": DATA, "/a.gz": PACKED, "/empty": b""}) as (url, habits):
        yield url, habits


def left(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("name", "options"), [
    ("a.bin", {}),
    ("a.bin", {"sha256": SHA}),
    ("a.bin", {"sha256": SHA.upper(), "size": len(DATA)}),
    ("a.bin", {"md5": MD5}),
    ("a.gz", {"sha256": SHA, "unpacked": True}),
    ("empty", {"sha256": hashlib.sha256().hexdigest(), "size": 0}),
])  # fmt: skip
def test_a_file_is_fetched_once(server, tmp_path, name, options):
    url, habits = server
    target = tmp_path / "deep" / "folder" / name
    for _ in range(2):
        assert fetch(f"{url}/{name}", str(target), quiet=True, **options) == target
    assert target.read_bytes() == habits.files[f"/{name}"]
    assert left(target.parent) == [name]
    assert habits.asked == [(f"/{name}", None, None)]
    fetch(f"{url}/{name}", target, quiet=True, overwrite=True, **options)
    assert len(habits.asked) == 2


def test_without_a_length(server, tmp_path):
    url, habits = server
    habits.length = False
    fetch(f"{url}/a.bin", tmp_path / "a", sha256=SHA, quiet=True)
    assert (tmp_path / "a").read_bytes() == DATA


def test_it_follows_a_redirect(server, tmp_path):
    url, habits = server
    habits.redirect["/old"] = f"{url}/a.bin"
    assert fetch(f"{url}/old", tmp_path / "a", sha256=SHA, quiet=True).read_bytes() == DATA
    habits.redirect["/old"] = f"{url}/old"
    with pytest.raises(FetchError, match="redirect"):
        fetch(f"{url}/old", tmp_path / "b", quiet=True)


# ---- broken off ------------------------------------------------------------------------------------------------------

DATE = "Sat, 01 Jan 2000 00:00:00 GMT"
RESUMED = {
    "etag": ({}, ("bytes=1000-", '"1"')),
    "date": ({"tag": None, "changed": DATE}, ("bytes=1000-", DATE)),
    "no ranges": ({"ranges": False}, ("bytes=1000-", '"1"')),
    "nothing but the sum": ({"tag": None}, ("bytes=1000-", None)),
    "weak etag": ({"tag": 'W/"1"'}, ("bytes=1000-", None)),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "asked"), RESUMED.values(), ids=RESUMED)
def test_a_lost_connection_goes_on_where_it_ended(server, tmp_path, settings, asked):
    url, habits = server
    vars(habits).update(settings)
    habits.drop = [1000]
    fetch(f"{url}/a.bin", tmp_path / "a", sha256=SHA, quiet=True)
    assert (tmp_path / "a").read_bytes() == DATA
    assert habits.asked == [("/a.bin", None, None), ("/a.bin", *asked)]
    assert left(tmp_path) == ["a"]


@pytest.mark.parametrize("tag", ['"1"', None])
def test_without_a_sum_it_goes_on_only_with_the_same_version(server, tmp_path, tag):
    url, habits = server
    habits.tag, habits.drop = tag, [1000]
    fetch(f"{url}/a.bin", tmp_path / "a", quiet=True)
    assert habits.asked[1] == ("/a.bin", "bytes=1000-" if tag else None, tag)
    assert (tmp_path / "a").read_bytes() == DATA


def broken_off(url, habits, target, n=1000, **options):
    """A call that gave up after n bytes."""
    habits.drop = [n]
    with pytest.raises(FetchError, match=f"ended after {n} of {len(DATA)} bytes .*{n / 1000:.1f} kB are kept"):
        fetch(f"{url}/a.bin", target, attempts=1, quiet=True, **options)
    habits.asked.clear()


@pytest.mark.parametrize("options", [{}, {"sha256": SHA}], ids=["no sum", "sum"])
def test_the_next_call_goes_on(server, tmp_path, options):
    url, habits = server
    broken_off(url, habits, tmp_path / "a", **options)
    assert left(tmp_path) == ["a.part", "a.part.json"]
    fetch(f"{url}/a.bin", tmp_path / "a", quiet=True, **options)
    assert habits.asked == [("/a.bin", "bytes=1000-", '"1"')]
    assert (tmp_path / "a").read_bytes() == DATA
    assert left(tmp_path) == ["a"]


def test_a_file_that_has_changed_in_between_comes_whole(server, tmp_path):
    url, habits = server
    broken_off(url, habits, tmp_path / "a")
    habits.files["/a.bin"], habits.tag = b"shorter than what was kept", '"2"'
    fetch(f"{url}/a.bin", tmp_path / "a", quiet=True)
    assert (tmp_path / "a").read_bytes() == b"shorter than what was kept"


def test_parts_that_do_not_fit_are_fetched_anew(server, tmp_path):
    url, habits = server
    broken_off(url, habits, tmp_path / "a", sha256=SHA)
    (tmp_path / "a.part").write_bytes(b"x" * 1000)
    fetch(f"{url}/a.bin", tmp_path / "a", sha256=SHA, quiet=True)
    assert habits.asked == [("/a.bin", "bytes=1000-", '"1"'), ("/a.bin", None, None)]
    assert (tmp_path / "a").read_bytes() == DATA


def test_attempts_that_bring_much_are_not_counted(server, tmp_path):
    url, habits = server
    habits.files["/big"] = DATA * 16
    habits.drop = [1 << 20, 1 << 20]
    fetch(f"{url}/big", tmp_path / "a", attempts=1, quiet=True)
    assert (tmp_path / "a").read_bytes() == DATA * 16
    assert len(habits.asked) == 3


def test_a_server_that_sends_another_range(server, tmp_path):
    url, habits = server
    broken_off(url, habits, tmp_path / "a", sha256=SHA)
    habits.shift = 7
    with pytest.raises(FetchError, match="asked for the bytes from 1000 on, it sent bytes 1007-204799/204800"):
        fetch(f"{url}/a.bin", tmp_path / "a", sha256=SHA, quiet=True)
    assert (tmp_path / "a.part").stat().st_size == 1000


def test_a_mirror_goes_on_with_what_another_gave(server, tmp_path):
    url, habits = server
    habits.drop = [1000]
    habits.files["/b.bin"] = DATA
    fetch([f"{url}/a.bin", f"{url}/b.bin"], tmp_path / "a", sha256=SHA, attempts=1, quiet=True)
    assert habits.asked[1] == ("/b.bin", "bytes=1000-", None)
    assert (tmp_path / "a").read_bytes() == DATA


@pytest.mark.parametrize(("kept", "note", "asked"), [
    (DATA, "{}", 0),
    (DATA, None, 0),
    (DATA + b"more", "[]", 2),
    (b"", "null", 1),
    (DATA[:5], "not json", 1),
])  # fmt: skip
def test_whatever_a_killed_process_has_left(server, tmp_path, kept, note, asked):
    url, habits = server
    (tmp_path / "a.part").write_bytes(kept)
    (tmp_path / "a.lock").write_bytes(b"")
    if note is not None:
        (tmp_path / "a.part.json").write_text(note)
    fetch(f"{url}/a.bin", tmp_path / "a", sha256=SHA, quiet=True)
    assert (tmp_path / "a").read_bytes() == DATA
    assert left(tmp_path) == ["a"]
    assert len(habits.asked) == asked


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to a child")
def test_ctrl_c_keeps_what_has_come(server, tmp_path):
    url, habits = server
    habits.slow = threading.Event()
    code = f"from nnx.data import fetch; fetch({url + '/a.bin'!r}, {str(tmp_path / 'a')!r}, sha256={SHA!r})"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as process:
        assert habits.began.wait(30)
        while not (tmp_path / "a.part").is_file() or (tmp_path / "a.part").stat().st_size < 190_000:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=30)[1]
    habits.slow.set()
    assert "a: interrupted; 204.8 kB are kept, and the next call goes on with them" in error
    assert error.rstrip().endswith("KeyboardInterrupt")
    assert left(tmp_path) == ["a.part", "a.part.json"]
    habits.asked.clear()
    fetch(f"{url}/a.bin", tmp_path / "a", sha256=SHA, quiet=True)
    assert habits.asked == [("/a.bin", f"bytes={len(DATA) - 1}-", '"1"')]
    assert (tmp_path / "a").read_bytes() == DATA


# ---- refused and damaged ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("codes", "requests"), [([503, 500], 3), ([429], 2)])
def test_what_passes_is_tried_again(server, tmp_path, codes, requests):
    url, habits = server
    habits.codes = codes
    fetch(f"{url}/a.bin", tmp_path / "a", sha256=SHA, quiet=True)
    assert len(habits.asked) == requests


@pytest.mark.parametrize(("settings", "options", "requests", "words"), [
    ({"codes": [404]}, {}, 1, "/a.bin: HTTP 404 Not Found; nothing is kept"),
    ({"codes": [403]}, {}, 1, "HTTP 403 Forbidden"),
    ({"codes": [503] * 9}, {}, 4, r"HTTP 503 Service Unavailable \(4 attempts\)"),
    ({"drop": [9] * 9}, {"attempts": 2}, 2, r"after 18 of 204800 bytes \(2 attempts\); 18 bytes are kept"),
    ({}, {"sha256": "0" * 64}, 1, f"expected sha256 {'0' * 64}, got {SHA} .204800 bytes.; nothing is kept"),
    ({}, {"md5": "0" * 32}, 1, f"expected md5 {'0' * 32}, got {MD5}"),
    ({}, {"unpacked": True, "sha256": "0" * 64}, 1, f"expected sha256 {'0' * 64} of what it holds, got {SHA}"),
    ({}, {"size": 5}, 1, "expected 5 bytes, and it announces 204800"),
    ({"length": False}, {"size": 70000}, 1, "expected 70000 bytes, and more came; nothing is kept"),
])  # fmt: skip
def test_errors_say_what_from_where_and_the_way_out(server, tmp_path, settings, options, requests, words):
    url, habits = server
    vars(habits).update(settings)
    with pytest.raises(FetchError, match=words) as caught:
        fetch(f"{url}/a.bin", tmp_path / "a", quiet=True, **options)
    assert isinstance(caught.value, DatasetMissing)
    assert f"fetch {url}/a.bin by other means and put it there" in str(caught.value)
    assert str(tmp_path / "a") in str(caught.value)
    assert not (tmp_path / "a").exists()
    assert len(habits.asked) == requests


def test_a_damaged_gzip_file(server, tmp_path):
    url, habits = server
    habits.files["/a.gz"] = PACKED[:-9]
    with pytest.raises(FetchError, match=r"/a\.gz: expected a whole gzip file, got a damaged one"):
        fetch(f"{url}/a.gz", tmp_path / "a", sha256=SHA, unpacked=True, quiet=True)


def test_mirrors_in_order(server, tmp_path):
    url, habits = server
    habits.files["/wrong"] = b"<html>"
    urls = [f"{url}/{name}" for name in ("missing", "wrong", "a.bin", "never")]
    fetch(urls, tmp_path / "a", sha256=SHA, quiet=True)
    assert [path for path, *_ in habits.asked] == ["/missing", "/wrong", "/a.bin"]
    with pytest.raises(FetchError, match=r"/missing: HTTP 404 Not Found; from .*/wrong: expected sha256"):
        fetch(urls[:2], tmp_path / "b", sha256=SHA, quiet=True)


def test_nobody_listens(server, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(FetchError, match=r"Connection refused \(2 attempts\)"):
        fetch(f"http://127.0.0.1:{port}/a", tmp_path / "a", attempts=2, quiet=True)
    with pytest.raises(FetchError, match="there is no network, or no such host"):
        fetch("http://host.invalid/a", tmp_path / "a", quiet=True)


def test_a_server_that_falls_silent(server, tmp_path):
    url, habits = server
    habits.slow = threading.Event()
    with pytest.raises(FetchError, match=r"timed out \(1 attempt\); 204\.8 kB are kept"):
        fetch(f"{url}/a.bin", tmp_path / "a", attempts=1, timeout=0.2, quiet=True)
    habits.slow.set()


def test_a_file_that_is_there_is_checked_and_never_overwritten_unasked(server, tmp_path):
    url, habits = server
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"a: expected sha256 .* \(4 bytes\): a damaged or another file; remove it"):
        fetch(f"{url}/a.bin", tmp_path / "a", sha256=SHA, quiet=True)
    assert fetch(f"{url}/a.bin", tmp_path / "a", quiet=True).read_bytes() == b"mine"
    assert not habits.asked
    habits.codes = [404]
    with pytest.raises(FetchError):
        fetch(f"{url}/a.bin", tmp_path / "a", overwrite=True, sha256=SHA, quiet=True)
    assert (tmp_path / "a").read_bytes() == b"mine"
    assert fetch(f"{url}/a.bin", tmp_path / "a", overwrite=True, sha256=SHA, quiet=True).read_bytes() == DATA


def test_a_disk_that_cannot_be_written_to(server, tmp_path):
    url, _ = server
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FetchError, match=r"expected to write .*name another folder in NNX_DATA"):
        fetch(f"{url}/a.bin", tmp_path / "file" / "a", quiet=True)


@pytest.mark.parametrize(("call", "words"), [
    (lambda path: fetch([], path), "got none"),
    (lambda path: fetch("ftp://host/a", path), "begin with http:// or https://, got ftp://host/a"),
    (lambda path: fetch("http://host/a", path, sha256="abc"), "sha256 as 64 hexadecimal digits, got 'abc'"),
    (lambda path: fetch("http://host/a", path, md5="g" * 32), "md5 as 32 hexadecimal digits"),
    (lambda path: fetch("http://host/a", path, attempts=0), "attempts of at least 1"),
])  # fmt: skip
def test_arguments(tmp_path, call, words):
    with pytest.raises(ValueError, match=words):
        call(tmp_path / "a")
    assert not left(tmp_path)


# ---- offline, together, seen -----------------------------------------------------------------------------------------


def test_offline_never_asks(server, tmp_path, monkeypatch):
    url, habits = server
    monkeypatch.setenv("NNX_OFFLINE", "1")
    with pytest.raises(FetchError, match=f"NNX_OFFLINE=1 forbids .*: fetch {url}/a.bin elsewhere and put it there"):
        fetch(f"{url}/a.bin", tmp_path / "a", quiet=True)
    (tmp_path / "a").write_bytes(DATA)
    fetch(f"{url}/a.bin", tmp_path / "a", sha256=SHA, quiet=True)
    assert not habits.asked
    monkeypatch.setenv("NNX_OFFLINE", "ture")
    with pytest.raises(ValueError, match="expected NNX_OFFLINE to be 1 or 0, got 'ture'"):
        fetch(f"{url}/a.bin", tmp_path / "b", quiet=True)
    monkeypatch.setenv("NNX_OFFLINE", "0")
    fetch(f"{url}/a.bin", tmp_path / "b", quiet=True)


def test_two_at_a_time_fetch_once(server, tmp_path, capsys):
    url, habits = server
    habits.slow = threading.Event()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(f"{url}/a.bin", tmp_path / "a", sha256=SHA)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    assert habits.began.wait(10)
    while capsys.readouterr().err.count("waiting for that one") < 1:
        threads[0].join(0.01)
    habits.slow.set()
    for thread in threads:
        thread.join()
    assert found == [tmp_path / "a"] * 3
    assert len(habits.asked) == 1
    assert (tmp_path / "a").read_bytes() == DATA
    assert left(tmp_path) == ["a"]


def test_two_processes_fetch_once(server, tmp_path):
    url, habits = server
    code = f"from nnx.data import fetch; fetch({url + '/a.bin'!r}, {str(tmp_path / 'a')!r}, sha256={SHA!r})"
    habits.slow = threading.Event()
    first = threading.Thread(target=lambda: fetch(f"{url}/a.bin", tmp_path / "a", sha256=SHA, quiet=True))
    first.start()
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as second:
        assert "another process is fetching it" in second.stderr.readline()
        habits.slow.set()
        first.join()
        assert (second.stderr.read(), second.wait()) == ("", 0)
    assert len(habits.asked) == 1
    assert left(tmp_path) == ["a"]


def test_a_lock_is_one_threads_at_a_time(tmp_path, monkeypatch):
    """Also while it is removed and made anew: who waited for the old one does not get in beside who has the new one."""
    monkeypatch.setattr(locks, "WAIT", 0.0001)
    inside, most = [], []

    def work():
        for _ in range(30):
            with locks.exclusive(tmp_path / "lock", lambda: None):
                inside.append(1)
                time.sleep(0.0002)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 180
    assert not left(tmp_path)


def test_lines_where_there_is_no_terminal(server, tmp_path, capsys, monkeypatch):
    url, habits = server
    habits.drop = [1000]
    monkeypatch.setattr(showing, "EVERY", 0.0)
    fetch(f"{url}/a.bin", tmp_path / "a", sha256=SHA)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"fetching {url}/a.bin"
    assert "a: 1.0 kB of 204.8 kB" in lines
    assert "a: the connection ended after 1000 of 204800 bytes; trying again" in lines
    assert lines[-1].startswith(f"{tmp_path / 'a'}: 204.8 kB in ")
    fetch(f"{url}/a.bin", tmp_path / "b", sha256=SHA, quiet=True)
    assert capsys.readouterr() == ("", "")


def test_a_bar_in_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    file = Terminal()
    show = showing.shown(False, file)
    show.begin("train.gz", 0, 1000)
    show.move(500)
    show.end()
    show.say("[ctk] is no markup")
    assert "train.gz" in file.getvalue()
    assert "0.5/1.0 kB" in file.getvalue()
    assert "[ctk] is no markup" in file.getvalue()


def test_the_note_beside_the_part(server, tmp_path):
    url, habits = server
    broken_off(url, habits, tmp_path / "a")
    assert json.loads((tmp_path / "a.part.json").read_text()) == {"url": f"{url}/a.bin", "version": '"1"'}


def test_a_sum_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(DATA)
    (tmp_path / "a.gz").write_bytes(PACKED)
    assert Checksum("sha256", SHA).wrong(tmp_path / "a") is None
    assert Checksum("sha256", SHA, unpacked=True).wrong(tmp_path / "a.gz") is None
    assert Checksum("sha256", SHA, unpacked=True).wrong(tmp_path / "a") is None
    assert os.fspath(tmp_path) not in str(Checksum("sha256", SHA).wrong(tmp_path / "a.gz"))
