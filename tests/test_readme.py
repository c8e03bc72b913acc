"""The README is the truth, and so is every page of the docs: code blocks run, in order, as one program."""

import contextlib
import re

import pytest

import nnx
from nnx.backend import select
from nnx.cli import parser
from tests import pages

ROOT = pages.ROOT


def _name(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", pages.PAGES, ids=_name)
def test_code_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(select, "_default", select._default)  # put back if a page calls set_backend
    left_out = pages.run(page.read_text(), page.name)
    if left_out:
        pytest.skip(f"ran, but for the blocks that need {', '.join(sorted(left_out))}")


def test_the_readme_shows_code():
    assert pages.BLOCK.findall((ROOT / "README.md").read_text())


@pytest.mark.parametrize("page", pages.PAGES, ids=_name)
def test_its_commands_are_there(page, capsys):
    for arguments in pages.commands(page.read_text()):
        with contextlib.suppress(SystemExit):
            parser().parse_args(arguments)
        assert not capsys.readouterr().err, f"{page.name} shows `nnx {' '.join(arguments)}`"


def test_what_a_page_says_and_does_not_do_is_noticed(capsys):
    shown = "```python\nprint(1 + 1)\n```\n\n```output\n{}\n```\n"
    assert pages.run(shown.format(2), "page") == set()
    with pytest.raises(AssertionError, match="it prints\n2"):
        pages.run(shown.format(3), "page")
    needing = "<!-- needs: no_such_package -->\n```python\nraise SystemError\n```\n\n```output\nnothing\n```\n"
    assert pages.run(needing, "page") == {"no_such_package"}
    assert pages.commands("    NNX_BACKEND=torch nnx train --x 1  # a note\n$ nnx backends --json > f\n") == [
        ["train", "--x", "1"],
        ["backends", "--json"],
    ]


def test_the_transforms_it_names_are_there():
    named = re.search(r"^`nnx\.(value_and_grad [a-z_ ]+)`", (ROOT / "README.md").read_text(), re.MULTILINE)
    missing = [name for name in named[1].split() if not callable(getattr(nnx, name, None))]
    assert not missing
