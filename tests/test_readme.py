"""The README is the truth: its code blocks run, in order, as one program."""

import re
from pathlib import Path

import pytest

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
