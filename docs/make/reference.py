"""The pages of the API reference, made from what the packages say in `__all__`: a new name appears by itself.

A name is on one page, under the shortest path by which a user reaches it (`nnx.Linear`, not `nnx.layers.Linear`), and
in the group of the module that it is written in. What an object is made of is read from its source by mkdocstrings.
"""

import importlib
import importlib.util
import inspect
import pkgutil
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import nnx

PAGES = {
    "gradients": "Gradients",
    "backends": "Backends",
    "programs": "Fusion, compilation, precision",
    "layers": "Layers and Modules",
    "functional": "nnx.functional",
    "losses": "nnx.losses",
    "metrics": "nnx.metrics",
    "optim": "nnx.optim",
    "data": "nnx.data",
    "train": "nnx.train",
    "models": "nnx.models",
    "io": "nnx.io",
    "plot": "nnx.plot",
    "init": "nnx.init",
    "random": "nnx.random",
    "sklearn": "nnx.sklearn",
    "interop": "nnx.interop",
}
"""Page -> title, in the order of the navigation. A public package that is not here gets a page of its own."""
OF_TOP = {
    "nnx.autodiff.casting": "programs",
    "nnx.autodiff": "gradients",
    "nnx.backend": "backends",
    "nnx.compiled": "programs",
    "nnx.fusion": "programs",
    "nnx.precision": "programs",
    "nnx.layers": "layers",
    "nnx.losses": "losses",
    "nnx.random": "random",
}
"""Where a name of nnx itself is written -> its page; the first that fits."""
MARKS = (": ", ". ", "; ", ", for ", ", under ", ", in all ", ", so that ")
"""Where a module's first sentence has said what the module is about."""
FEW = 2
"""Names a group: where there are no more on average, there are no groups."""
INSIDE = {"autodiff", "backend", "compiled", "lazy", "precision", "typing", "cli"}
"""Packages whose public names are nnx's own, or the command line's."""


@dataclass(frozen=True)
class Entry:
    """A public name: where a user finds it, and where it is written."""

    public: str
    source: str
    summary: str

    @property
    def group(self) -> str:
        """The module that it is written in."""
        return self.source.rpartition(".")[0]


@dataclass
class Page:
    """A page of the reference."""

    name: str
    title: str
    package: ModuleType
    entries: list[Entry] = field(default_factory=list)

    @property
    def uri(self) -> str:
        """The page's file among the sources of the site."""
        return f"reference/{self.name}.md"


def packages() -> list[str]:
    """nnx, and every module in it but those INSIDE: each must have an `__all__`."""
    found = []
    for module in pkgutil.iter_modules(nnx.__path__, "nnx."):
        short = module.name.removeprefix("nnx.")
        if short not in (*INSIDE, "__main__"):
            found.append(module.name)
    return ["nnx", *found]


def pages() -> list[Page]:
    """All pages, each with its entries. Raises ValueError for a public name without a docstring."""
    made: dict[str, Page] = {}
    seen: set[int] = set()
    queue = packages()
    for package in queue:
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, ModuleType):
                if value.__name__ not in queue and package != "nnx":
                    queue.append(value.__name__)
                continue
            if id(value) in seen:
                continue
            seen.add(id(value))
            entry = Entry(f"{package}.{name}", f"{value.__module__}.{value.__name__}", summary(package, name, value))
            page = page_of(entry, package)
            home = importlib.import_module(f"nnx.{page}") if importlib.util.find_spec(f"nnx.{page}") else nnx
            made.setdefault(page, Page(page, PAGES.get(page, f"nnx.{page}"), home)).entries.append(entry)
    order = [*PAGES, *made]
    return [made[name] for name in dict.fromkeys(order) if name in made]


def page_of(entry: Entry, package: str) -> str:
    """The name of the page that an entry belongs to."""
    if package == "nnx":
        return next(page for start, page in OF_TOP.items() if entry.source.startswith(start + "."))
    return "programs" if package == "nnx.fusion" else package.removeprefix("nnx.")


def summary(package: str, name: str, value: Any) -> str:
    """The first sentence of the docstring. Raises ValueError if there is none, or if it is only inherited."""
    own = inspect.getdoc(value) if not isinstance(value, type) else value.__dict__.get("__doc__")
    if not own or own == type(value).__doc__:
        raise ValueError(f"{package}.{name} is public and has no docstring of its own")
    return " ".join(own.strip().partition("\n\n")[0].split())


def names(every: list[Page]) -> dict[str, str]:
    """What texts may call a public name -> where it is written; the bare name of a class, where that is clear."""
    entries = [entry for page in every for entry in page.entries]
    found = {entry.public: entry.source for entry in entries}
    for entry in entries:
        found.setdefault(entry.public.rpartition(".")[2], entry.source)
    return found


def groups(page: Page) -> dict[str, list[Entry]]:
    """The page's entries by the module that they are written in, in the package's order of its modules."""
    found: dict[str, list[Entry]] = {}
    for entry in page.entries:
        found.setdefault(entry.group, []).append(entry)
    order = [f"{page.package.__name__}.{name}" for name in getattr(page.package, "MODULES", ())]
    rank = {module: k for k, module in enumerate(order)}
    return {module: found[module] for module in sorted(found, key=lambda module: rank.get(module, len(order)))}


def text(page: Page) -> str:
    """The page in Markdown, with one directive of mkdocstrings for each entry."""
    parts = [f"# {page.title}"]
    if page.package is not nnx:
        parts.append(inspect.getdoc(page.package) or "")
    by_module = groups(page)
    for module, entries in by_module.items():
        if len(page.entries) > FEW * len(by_module):
            parts.append(f"## {heading(module)}")
        for entry in entries:
            options = [f"heading: {entry.public}", f"toc_label: {entry.public.rpartition('.')[2]}", "heading_level: 3"]
            parts.append(f"::: {entry.source}\n    options:\n" + "\n".join(f"      {line}" for line in options))
    return "\n\n".join(parts) + "\n"


def heading(module: str) -> str:
    """What a group is about: the beginning of its module's first sentence."""
    doc = " ".join((inspect.getdoc(importlib.import_module(module)) or module).partition("\n\n")[0].split())
    end = min((at for at in (doc.find(mark) for mark in MARKS) if at > 0), default=len(doc))
    return doc[:end].rstrip(".").replace("`", "")


def index(every: list[Page]) -> str:
    """The table of all names, by page."""
    parts = ["# API reference", "Every public name, by page. The text of each is its docstring."]
    for page in every:
        names = ", ".join(f"[{e.public.rpartition('.')[2]}][{e.source}]" for e in sorted(page.entries, key=_by_name))
        parts += [f"## [{page.title}]({page.name}.md)", names]
    return "\n\n".join(parts) + "\n"


def _by_name(entry: Entry) -> str:
    return entry.public.rpartition(".")[2].lower()
