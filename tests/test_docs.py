"""The pages tell the truth: quoted lines are in the files they name, links lead somewhere, examples draw the pictures.

A block that quotes nnx's source bears the file's name behind its language: ```py nnx/functional/linear.py
"""

import functools
import re
from pathlib import Path

import pytest

import nnx

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
QUOTED = re.compile(r"^```py (\w+/\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)\)")
PICTURE = re.compile(r"!\[([^\]]*(?:\[[^\]]*\][^\]]*)*)\]\((figures/[\w.]+)\)")
LARGEST = 60_000  # bytes of a picture
TEXTBOOK = [
    "neuron_and_layer",
    "nielsen",
    "gradient_descent",
    "chain_rule",
    "four_equations",
    "update_after_all_gradients",
    "gradient_check",
    "vanishing_gradients",
    "universal_approximation",
    "overfitting",
    "hyperparameter_search",
]


def lines_not_in(source, quoted):
    """The quoted lines that are not in the source, each without its indentation; empty lines do not count."""
    there = {line.strip() for line in source.splitlines()}
    return [line for line in map(str.strip, quoted.splitlines()) if line and line not in there]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_quoted_lines_are_in_the_source(page):
    for name, block in QUOTED.findall(page.read_text()):
        path = ROOT / name
        assert path.is_file(), f"{page.name} quotes {name}, which is not there"
        missing = lines_not_in(path.read_text(), block)
        assert not missing, f"{page.name} quotes lines that {name} does not have (any more): {missing}"


def test_a_changed_line_is_noticed():
    source = "def f(x):\n    return x + 1  # BP9\n"
    assert lines_not_in(source, "return x + 1  # BP9\n\n") == []
    assert lines_not_in(source, "return x + 2  # BP9") == ["return x + 2  # BP9"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_is_run_or_looked_up_or_no_code(page):
    kinds = {line[3:] for line in page.read_text().splitlines() if re.match(r"```\S", line)}
    tested = {kind for kind in kinds if kind in ("python", "output", "console") or kind.startswith("py ")}
    assert kinds - tested <= {"text", "toml"}, "a block of Python is ```python, one of the source ```py path"


@pytest.mark.parametrize("equation", ["BP1", "BP2", "BP3", "BP4"])
def test_each_equation_has_its_line(equation):
    blocks = QUOTED.findall((ROOT / "docs" / "backpropagation.md").read_text())
    assert any(equation in block for _, block in blocks)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_files(page):
    for link in LINK.findall(page.read_text()):
        if not link.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_pictures_are_small_described_and_drawn_by_an_example():
    text = (ROOT / "docs" / "backpropagation.md").read_text()
    shown = {link: description for description, link in PICTURE.findall(text)}
    assert shown
    command = text.split("for name in ")[1].split("; do")[0].split()
    assert sorted(command) == sorted(Path(link).stem for link in shown)
    for link, description in shown.items():
        picture = (ROOT / "docs" / link).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < LARGEST
        assert len(description) > 40, f"{link} needs a description for those who cannot see it"
        assert f'"{Path(link).name}"' in (ROOT / "examples" / f"{Path(link).stem}.py").read_text()


def test_the_page_leads_through_the_textbook():
    text = (ROOT / "docs" / "backpropagation.md").read_text()
    assert set(TEXTBOOK) <= set(re.findall(r"\(\.\./examples/(\w+)\.py\)", text)) | set(
        re.findall(r"figures/(\w+)", text)
    )


NAMED = re.compile(r"\bnnx((?:\.[A-Za-z_]\w*)+)")
SPAN = re.compile(r"`([^`\n]+)`")


def names_not_there(text):
    """The names of nnx in a page's spans of code that nnx has not."""
    missing = []
    for names in (NAMED.findall(span) for span in SPAN.findall(re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))):
        for name in names:
            try:
                _found(name)
            except AttributeError:
                missing.append(f"nnx{name}")
    return missing


def _found(name):
    module, *rest = name[1:].split(".")
    value = nnx if module != "sklearn" else pytest.importorskip("nnx.sklearn", exc_type=ImportError)
    return functools.reduce(getattr, rest if module == "sklearn" else [module, *rest], value)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_the_names_it_mentions_are_there(page):
    assert not names_not_there(page.read_text())


def test_a_name_that_is_not_there_is_noticed():
    text = "`nnx.op` and `f(nnx.optim.Adam(lr=1), nnx.optim.Adamn)`\n```python\nnnx.in_a_block\n```\nnnx.in_prose"
    assert names_not_there(text) == ["nnx.optim.Adamn"]
