"""All pages of the site: those of docs/ that are written by hand, and those that are made, of docstrings and of files.

In docs/ links and quotations are written as in a checkout, where tests read them; here they become the site's.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from docs.make import commands, reference, repository

ROOT = repository.ROOT
BUILD = ROOT / "build"
QUOTED = re.compile(r"^```py (\w+/\S+)$", re.MULTILINE)
OUTPUT = re.compile(r"^```output$", re.MULTILINE)
NEEDS = re.compile(r"^<!-- needs: .*? -->\n", re.MULTILINE)
SPAN = re.compile(r"(?<!\[)`(nnx(?:\.\w+)+)(?:\([^`]*\))?`(?!\])")
FENCE = re.compile(r"^(?:```|~~~)")


def by_hand() -> dict[str, str]:
    """The pages in docs/: name -> text as it is there."""
    return {path.name: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}


def all_pages() -> dict[str, str]:
    """Every page of the site: path -> Markdown."""
    every, written = reference.pages(), by_hand()
    names = {entry.public: entry.source for page in every for entry in page.entries}
    made = {"reference/index.md": reference.index(every)} | {page.uri: reference.text(page) for page in every}
    around = repository.gathered({f"docs/{name}": text for name, text in written.items()})
    texts = {name: repository.with_links(text, "docs", name) for name, text in written.items()}
    texts["command-line.md"] = commands.filled_in(texts["command-line.md"])
    return made | {path: as_page(text, names) for path, text in (texts | around).items()}


def as_page(text: str, names: Mapping[str, str]) -> str:
    """The Markdown that is written in docs/ as the site's: quotations with a title, names of nnx as links."""
    text = OUTPUT.sub("```text", QUOTED.sub(r'```python title="\1"', NEEDS.sub("", text)))
    lines, fenced = [], False
    for line in text.split("\n"):
        fenced ^= bool(FENCE.match(line))
        as_it_is = fenced or line.startswith(("#", "    "))
        lines.append(line if as_it_is else SPAN.sub(lambda match: linked(match, names), line))
    return "\n".join(lines)


def linked(match: re.Match[str], names: Mapping[str, str]) -> str:
    """A public name of nnx as a link to where it is described."""
    found = names.get(match[1])
    return f"[{match[0]}][{found}]" if found else match[0]


def navigation() -> str:
    """Zensical's configuration, with the reference's pages, and at its end the pages that it does not name."""
    text = (ROOT / "docs" / "make" / "site.yml").read_text()
    every = [("All names", "reference/index.md"), *((page.title, page.uri) for page in reference.pages())]
    rows = "".join(f"\n      - {title}: {uri}" for title, uri in every)
    text = re.sub(r"(- API reference:) \[\].*", lambda match: match[1] + rows, text)
    missing = [name for name in by_hand() if f": {name}\n" not in text]
    return text + "".join(f"  - {name}\n" for name in missing)


def write() -> None:
    """Write everything that Zensical reads to build/."""
    shutil.rmtree(BUILD / "docs", ignore_errors=True)
    for path, text in all_pages().items():
        page = BUILD / "docs" / path
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text)
    shutil.copytree(ROOT / "docs" / "figures", BUILD / "docs" / "figures")
    shutil.copy(Path(__file__).with_name("site.css"), BUILD / "docs")
    (BUILD / "mkdocs.yml").write_text(navigation())
