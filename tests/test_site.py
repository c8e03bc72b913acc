"""What the site is made of: every public name with its docstring, pages of files, and the check of its links.

`nox -s docs` builds it; here is what can be known without Zensical.
"""

import importlib
import importlib.util
import re
import types

import pytest

import nnx
from docs.make import check, commands, docstrings, pages, reference, repository
from nnx.cli import parser


@pytest.fixture(scope="module")
def every():
    try:
        return reference.pages()
    except ImportError as error:  # a package whose library is not installed
        pytest.skip(f"the reference needs all that packages of nnx import: {error}")


def test_every_public_name_is_on_a_page(every):
    described = {id(_object(entry.public)) for page in every for entry in page.entries}
    for package in reference.packages():
        module = importlib.import_module(package)
        missing = [name for name in module.__all__ if id(getattr(module, name)) not in described]
        missing = [name for name in missing if not isinstance(getattr(module, name), types.ModuleType)]
        assert not missing, f"{package} has public names that no page of the reference has"


def test_every_entry_is_written_where_its_page_looks_for_it(every):
    for entry in (entry for page in every for entry in page.entries):
        assert _object(entry.source) is _object(entry.public), "mkdocstrings reads the source of another object"


def test_every_page_says_each_of_its_names_once(every):
    for page in every:
        text = reference.text(page)
        for entry in page.entries:
            assert text.count(f"\n::: {entry.source}\n") == 1
    assert set(reference.PAGES) <= {page.name for page in every}, "a page of the table has no names"
    shown = [entry.source for page in every for entry in page.entries]
    assert len(shown) == len(set(shown))


def _package(name, *functions, **others):
    module = types.ModuleType(name, "New.")
    module.__all__ = [*functions, *others]
    vars(module).update(others)
    for function in functions:
        exec(f"def {function}():\n    'A sentence.'", vars(module))
    return module


def test_a_new_name_appears_and_one_without_a_docstring_is_refused(monkeypatch):
    below = _package("nnx.fresh.below", "deep")
    fresh = _package("nnx.fresh", "said", below=below)
    new = {module.__name__: module for module in (fresh, below)}
    monkeypatch.setattr(reference, "packages", lambda: ["nnx", "nnx.fresh"])
    monkeypatch.setattr(reference.importlib, "import_module", lambda name: new.get(name) or _imported(name))
    monkeypatch.setattr(reference.importlib.util, "find_spec", lambda name: new.get(name) or _spec(name))
    *_, first, second = reference.pages()
    assert (first.title, second.title) == ("nnx.fresh", "nnx.fresh.below")
    assert first.entries == [reference.Entry("nnx.fresh.said", "nnx.fresh.said", "A sentence.")]
    assert [entry.public for entry in second.entries] == ["nnx.fresh.below.deep"]
    fresh.said.__doc__ = None
    with pytest.raises(ValueError, match=r"nnx\.fresh\.said is public and has no docstring"):
        reference.pages()


_imported, _spec = importlib.import_module, importlib.util.find_spec


def _object(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize(
    ("doc", "expected"),
    [
        ("x ** 2 * y_i < [1, 2]", r"x \*\* 2 \* y\_i &lt; \[1, 2\]"),
        ("`x * y` stays code", "`x * y` stays code"),
        ("x: (n, i)\nreturns (n, o)", "x: (n, i)  \nreturns (n, o)"),
        (f"{'long ' * 21}line\ncontinued", f"{'long ' * 21}line\ncontinued"),
        (f"{'x: long ' * 15}\neps: small", f"{'x: long ' * 15}  \neps: small"),
        ("x: (n, i)   w: (o, i)", "x: (n, i)\N{EM SPACE}\N{EM SPACE}w: (o, i)"),
        (">>> f(1)  # doctest: +ELLIPSIS\n2", "```pycon\n>>> f(1)\n2\n```"),
        ("see nnx.op, or `nnx.op`", "see [nnx.op][nnx.a.tape.op], or [`nnx.op`][nnx.a.tape.op]"),
        ("See Linear.", "See [Linear][nnx.b.Linear]."),
    ],
)
def test_docstrings_become_markdown(doc, expected):
    assert docstrings.markdown(doc, {"nnx.op": "nnx.a.tape.op", "Linear": "nnx.b.Linear"}) == expected


def test_files_that_pages_link_to_become_pages():
    text = (
        "[a](../examples/nielsen.py) [b](gpu.md#x) [c](../CONTRIBUTING.md#a-rule) ![d](figures/e.png) [f](https://g.h)"
    )
    made = repository.with_links(text, "docs", "page.md")
    assert "(examples/nielsen.md)" in made
    assert "(gpu.md#x)" in made
    assert "(project/contributing.md#a-rule)" in made
    assert "(figures/e.png)" in made
    assert "(https://g.h)" in made
    around = repository.gathered({"docs/page.md": text})
    assert (repository.ROOT / "examples" / "nielsen.py").read_text().rstrip() in around["examples/nielsen.md"]
    assert "](../gpu.md)" in around["project/readme.md"]
    assert all(
        f"({name.removeprefix('examples/')})" in around["examples/index.md"]
        for name in around
        if "examples/" in name and "index" not in name and name.count("/") == 1
    )


def test_files_that_such_a_file_links_to_become_pages_too(tmp_path, monkeypatch):
    monkeypatch.setattr(repository, "ROOT", tmp_path)
    monkeypatch.setattr(repository, "ALWAYS", ())
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "README.md").write_text("[code](../code.py)")
    (tmp_path / "code.py").write_text("x = 1\n")
    around = repository.gathered({"docs/page.md": "[notes](../notes/README.md)"})
    assert around["project/notes.md"] == "[code](code.md)"
    assert "x = 1" in around["project/code.md"]


def test_pages_are_written_for_a_checkout_and_read_on_the_site():
    text = "`nnx.op()` and `nnx.nope`\n\n<!-- needs: torch -->\n```py nnx/x.py\n`nnx.op`\n```\n\n```output\n1\n```\n"
    made = pages.as_page(text, {"nnx.op": "nnx.a.op"})
    assert made.startswith('[`nnx.op()`][nnx.a.op] and `nnx.nope`\n\n```python title="nnx/x.py"\n`nnx.op`\n```')
    assert made.endswith("```text\n1\n```\n")


def test_the_navigation_has_every_page(every):
    text = pages.navigation()
    for name in [*pages.by_hand(), *(page.uri for page in every), "examples/index.md", "project/readme.md"]:
        assert len(re.findall(rf"[:-] {re.escape(name)}$", text, re.MULTILINE)) == 1, name


def test_the_command_line_s_page_has_every_command():
    text = commands.filled_in((repository.ROOT / "docs" / "command-line.md").read_text())
    assert set(commands.subparsers()) >= {"train", "backends", "bench"}
    for name in commands.subparsers():
        assert f"### nnx {name}\n" in text
        assert f"usage: nnx {name}" in text
    assert parser().prog == "nnx"
    with pytest.raises(ValueError, match="no line"):
        commands.filled_in("nothing")


def test_a_link_that_leads_nowhere_and_a_load_from_another_host_are_noticed(tmp_path):
    (tmp_path / "style.css").write_text("a {background: url('https://fonts.example/x.woff')}")
    (tmp_path / "b.html").write_text("<h1 id='top'>b</h1>")
    (tmp_path / "a.html").write_text(
        "<a href='b.html#top'>x</a><a href='b.html#none'>x</a><a href='c.html'>x</a><a href='https://else.example'>x</a>"
        "<script src='//cdn.example/m.js'></script><img src='none.png'><img src='data:image/png;base64,'>"
    )
    assert check.problems(tmp_path) == [
        "a.html leads to b.html#none, where there is no such anchor",
        "a.html leads to c.html, which is not there",
        "a.html loads //cdn.example/m.js",
        "a.html leads to none.png, which is not there",
        "style.css loads https://fonts.example/x.woff",
    ]


def test_a_name_whose_docstring_was_lost_is_noticed(tmp_path):
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "a.html").write_text(
        "<h3 id='nnx.a.f'>nnx.f</h3><p>Says <code>x</code>.</p><h3 id='nnx.a.g'>"
    )
    entries = [
        reference.Entry(f"nnx.{name}", f"nnx.a.{name}", said) for name, said in (("f", "Says `x`."), ("g", "Lost."))
    ]
    assert check.undescribed(tmp_path, [reference.Page("a", "A", nnx, entries)]) == ["a does not say of nnx.g: Lost."]


def test_public_names_of_nnx_are_what_dir_shows():
    assert set(nnx.__all__) <= set(dir(nnx))
