"""The live display, on a terminal that is one."""

import os
import pty
import subprocess

from tests.cli.runs import SMALL, command, metrics


def on_a_terminal(arguments, cwd):
    """The exit code and all that a process wrote to its terminal."""
    mine, theirs = pty.openpty()
    process = subprocess.Popen(**command(*arguments, TERM="xterm-256color", COLUMNS="100"), cwd=cwd, stdout=theirs)
    os.close(theirs)
    written = b""
    while True:
        try:
            piece = os.read(mine, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        written += piece
    os.close(mine)
    return process.wait(timeout=60), written.decode()


def test_the_display_is_live(tmp_path):
    code, written = on_a_terminal(["train", *SMALL, "--epochs", "20", "--name", "a"], tmp_path)
    assert code == 0
    assert "\x1b[?25l" in written, "the cursor is hidden while the bar moves"
    assert "\x1b[?25h" in written, "and shown again"
    assert "steps/s" in written
    assert "━" in written
    assert written.count("epoch   ") >= 9, "a line for each epoch stays"
    assert "test accuracy" in written.splitlines()[-1]
    assert len(metrics(tmp_path / "runs" / "a")) == 20


def test_quiet_is_quiet_on_a_terminal(tmp_path):
    code, written = on_a_terminal(["train", *SMALL, "--quiet"], tmp_path)
    assert code == 0
    assert "\x1b[?25l" not in written
    assert len(written.splitlines()) == 1
