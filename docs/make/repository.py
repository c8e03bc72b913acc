"""Files of the repository that pages link to, as pages: programs with their source, notes as they are.

A page in docs/ links to them as one does in a checkout, `../examples/nielsen.py`; the site has them, too.
"""

import ast
import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LINK = re.compile(r"(?<!!)\]\(([^)#\s:]+)((?:#[^)\s]*)?)\)")
ALWAYS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples")
WIDE = "---\nhide:\n  - toc\n---\n\n"
"""Of a page of source: it has no headings, and long lines."""


def page_of(path: str) -> str:
    """The site's page for a file or folder of the repository. path: from its root, as "examples/nielsen.py"."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path == "examples":
        return "examples/index.md"
    stem = path.rpartition(".")[0].lower() if "." in posixpath.basename(path) else path + "/index"
    return f"{stem}.md" if stem.startswith("examples/") else f"project/{stem.replace('/readme', '')}.md"


def linked(text: str, folder: str) -> set[str]:
    """The files outside of docs/ that a text in this folder links to, from the root."""
    found = {posixpath.normpath(posixpath.join(folder, link)) for link, _ in LINK.findall(text)}
    return {path for path in found if not path.startswith("docs/") and (ROOT / path).exists()}


def with_links(text: str, folder: str, page: str) -> str:
    """The text of a file in this folder of the repository, its links leading to pages of the site."""

    def led(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, match[1]))
        if not (ROOT / path).exists():
            return match[0]
        return f"]({posixpath.relpath(page_of(path), posixpath.dirname(page))}{match[2]})"

    return LINK.sub(led, text)


def examples() -> list[str]:
    """All programs in examples/, from the root."""
    return [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "examples").glob("*.py"))]


def gathered(texts: dict[str, str]) -> dict[str, str]:
    """Pages for all that is linked to, directly or from such a page. texts: path from the root -> what pages say."""
    queue = [*ALWAYS, *examples()]
    for path, text in texts.items():
        queue += sorted(linked(text, posixpath.dirname(path)))
    made: dict[str, str] = {}
    for path in queue:
        if page_of(path) not in made:
            made[page_of(path)] = text = _text(path)
            if path.endswith(".md"):
                queue += sorted(linked((ROOT / path).read_text(), posixpath.dirname(path)))
    return made


def _text(path: str) -> str:
    if path == "examples":
        return _list_of_examples()
    if (ROOT / path).is_dir():
        names = sorted(p.relative_to(ROOT / path).as_posix() for p in (ROOT / path).rglob("*") if _is_source(p))
        return f"{WIDE}# {path}\n\n" + "\n\n".join(_source(f"{path}/{name}") for name in names)
    if path.endswith(".md"):
        return with_links((ROOT / path).read_text(), posixpath.dirname(path), page_of(path))
    return f"{WIDE}# {posixpath.basename(path)}\n\n{_source(path)}\n"


def _is_source(path: Path) -> bool:
    return path.is_file() and path.suffix in (".py", ".toml", ".txt", ".md")


def _source(path: str) -> str:
    language = {"py": "python", "toml": "toml"}.get(path.rpartition(".")[2], "text")
    return f'~~~~{language} title="{path}"\n{(ROOT / path).read_text().rstrip()}\n~~~~'


def _list_of_examples() -> str:
    rows = ["# Examples", "Each is a program that prints what it finds, and checks it: `python examples/NAME.py`."]
    items = []
    for path in examples():
        doc = ast.get_docstring(ast.parse((ROOT / path).read_text())) or ""
        first = " ".join(doc.partition("\n\n")[0].split())
        items.append(f"- [{posixpath.basename(path)}]({posixpath.basename(page_of(path))}): {first}")
    return "\n\n".join([*rows, "\n".join(items)]) + "\n"
