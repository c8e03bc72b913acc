"""The built site, read as a browser would: every link leads somewhere, and nothing is loaded from another host."""

import re
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from docs.make.reference import Page

LOADED = {
    "img": "src",
    "script": "src",
    "link": "href",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
}
STYLE = re.compile(r"""(?:url\(\s*['"]?|@import\s+['"])\s*((?:https?:)?//[^'")\s]+)""")
NOT_LOADED = {"canonical", "next", "prev", "license", "author", "edit"}


class Reader(HTMLParser):
    """What a page has: anchors, links, what it loads, and what can be read."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_data(self, data: str) -> None:
        """Called for each piece of text."""
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for each tag."""
        has = {name: value or "" for name, value in attrs}
        self.anchors |= {has[name] for name in ("id", "name") if name in has}
        if tag == "a" and "href" in has:
            self.links.append(has["href"])
        if tag in LOADED and LOADED[tag] in has and has.get("rel", "") not in NOT_LOADED:
            self.loads.append(has[LOADED[tag]])
        self.loads += STYLE.findall(has.get("style", ""))


def problems(site: Path) -> list[str]:
    """What is wrong with the site, a line each."""
    pages = {path.relative_to(site).as_posix(): Reader(path.read_text()) for path in sorted(site.rglob("*.html"))}
    found = []
    for name, page in pages.items():
        for link in dict.fromkeys([*page.links, *page.loads]):
            where = urlsplit(link)
            if where.scheme or where.netloc:
                if link in page.loads and where.scheme != "data":
                    found.append(f"{name} loads {link}")
                continue
            start = site if where.path.startswith("/") else (site / name).parent  # 404.html: whatever the path was
            target = start / unquote(where.path).lstrip("/") if where.path else site / name
            if not target.exists():
                found.append(f"{name} leads to {link}, which is not there")
            elif where.fragment and target.suffix == ".html":
                there = pages[target.resolve().relative_to(site.resolve()).as_posix()]
                if unquote(where.fragment) not in there.anchors:
                    found.append(f"{name} leads to {link}, where there is no such anchor")
    for path in sorted(site.rglob("*.css")):
        found += [f"{path.relative_to(site)} loads {link}" for link in STYLE.findall(path.read_text())]
    return found


def undescribed(site: Path, every: Iterable[Page]) -> list[str]:
    """The public names whose docstring did not reach their page, a line each."""
    found = []
    for page in every:
        read = Reader((site / page.uri).with_suffix(".html").read_text())
        text = "".join("".join(read.texts).split())  # without spaces
        for entry in page.entries:
            said = "".join(entry.summary.replace("`", "").split())
            if entry.source not in read.anchors or said not in text:
                found.append(f"{page.name} does not say of {entry.public}: {entry.summary}")
    return found
