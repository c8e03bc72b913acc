"""The blocks of a page of Markdown, run in order as one program, and its commands, asked whether there are such.

```python     runs                       <!-- needs: torch --> in the line before: where that is installed
```output     what the block before it prints, ... standing for anything
```console    $ nnx ... must be commands and options that nnx has
"""

import contextlib
import doctest
import importlib.util
import io
import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:^<!-- needs: ([\w, ]+) -->\n)?^```(python|output)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:    |\$ |    \$ )(?:[A-Z]\w*=\S+ )*nnx ([a-z].*)$", re.MULTILINE)
AS_DOCTESTS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def run(text, name):
    """Run the blocks; returns the packages that are not installed, whose blocks were left out.

    Raises AssertionError if a block prints something else than the page says.
    """
    names, printed, left_out = {"__name__": name}, "", set()
    for needs, kind, block in BLOCK.findall(text):
        missing = {package for package in re.findall(r"\w+", needs) if importlib.util.find_spec(package) is None}
        left_out |= missing
        if missing:
            printed = None
        elif kind == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block, name, "exec"), names)
            printed = out.getvalue()
        elif printed is not None:
            right = doctest.OutputChecker().check_output(block, printed, AS_DOCTESTS)
            assert right, f"{name} says\n{block}\nand it prints\n{printed}"
    return left_out


def commands(text):
    """The arguments of every call of `nnx` that the page shows in a line of its own."""
    return [shlex.split(re.split(r" (?:&&|\||>)", line)[0], comments=True) for line in COMMAND.findall(text)]
