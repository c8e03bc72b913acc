"""The README is the truth: its code blocks run, in order, as one program."""

import re
from pathlib import Path

import pytest

import nnx

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))])
def test_code_blocks_run(page, tmp_path, monkeypatch):
    blocks = BLOCK.findall((ROOT / page).read_text())
    if page == "README.md":
        assert blocks, "the README shows code"
    monkeypatch.chdir(tmp_path)
    names = {"__name__": page}
    for block in blocks:
        exec(compile(block, page, "exec"), names)


def test_the_transforms_it_names_are_there():
    named = re.search(r"^`nnx\.(value_and_grad [a-z_ ]+)`", (ROOT / "README.md").read_text(), re.MULTILINE)
    missing = [name for name in named[1].split() if not callable(getattr(nnx, name, None))]
    assert not missing
