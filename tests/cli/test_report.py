"""`nnx report`: the page and its numbers, what is left out and why, and how Chromium sees it."""

import base64
import json
import sys

import numpy as np
import pytest

import nnx
from nnx.cli import main, page, pictures
from nnx.cli.pictures import Picture
from tests import browser
from tests.cli.pages import Page
from tests.cli.runs import metrics, train

ALL = [
    "learning curves: loss", "learning curves: accuracy", "confusion matrix", "reliability", "network",
    "first layer's weights", "gradient flow", "loss surface",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of two epochs, whose callbacks have logged norms of gradients."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    assert train("--quiet", "--out", folder.parent, "--name", folder.name) == 0
    records = [record | {"grad_norm/0.weight": 0.5 / record["epoch"]} for record in metrics(folder)]
    records[-1]["messages"] = ["the gradient of 0.weight vanishes"]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


@pytest.fixture(scope="module")
def html(folder):
    assert main(["report", str(folder)]) == 0
    return (folder / "report.html").read_text("utf-8")


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures are made, but not written: that takes a quarter of a second each."""
    monkeypatch.setattr(pictures, "svg", lambda ax: ("data:,", (1, 1)))


def report(capsys, *args):
    """What `nnx report ... --json` says."""
    capsys.readouterr()
    assert main(["report", *map(str, args), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


# ---- the page --------------------------------------------------------------------------------------------------------


def test_the_document_for_machines(folder, capsys, undrawn, tmp_path):
    path = tmp_path / "page.html"
    found = report(capsys, folder, "-o", path)
    assert found["pictures"] == ALL
    assert found["left_out"] == {}
    assert (found["run"], found["report"], found["epochs"]) == (str(folder), str(path), 2)
    assert found["best_epoch"] == min(metrics(folder), key=lambda record: record["val_loss"])["epoch"]
    assert found["bytes"] == path.stat().st_size
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"], "written beside its place and renamed"
    assert main(["evaluate", str(folder), "--json"]) == 0
    evaluated = json.loads(capsys.readouterr().out)
    assert 0.0 < found["test"].pop("expected_calibration_error") < 1.0
    assert found["test"] == {name: evaluated[name] for name in found["test"]}
    assert "accuracy" in found["test"]


def test_the_page_is_whole_and_loads_nothing(html):
    found = Page(html)
    assert not found.all("script")
    assert [link["href"] for link in found.all("link")] == ["data:,"]
    assert "url(" not in html
    assert "@import" not in html
    images = found.all("img")
    assert len(images) == len(ALL)
    for image in images:
        kind, _, data = image["src"].partition(",")
        assert kind == "data:image/svg+xml;base64"
        drawn = base64.b64decode(data).decode()
        assert drawn.startswith("<svg ")
        assert "var(--ink)" in drawn
        assert "prefers-color-scheme:dark" in drawn
        assert pictures.INK not in drawn.replace(pictures.SCHEME, "")
        assert len(image["alt"]) > 30
        assert int(image["width"]) > 100 < int(image["height"])
    anchors = {a["href"] for a in found.all("a")}
    assert anchors == {f"#{section['id']}" for section in found.all("section")}


def test_the_page_can_be_read_aloud(html):
    found = Page(html)
    assert found.all("html") == [{"lang": "en"}]
    headings = [tag for tag, _ in found.elements if tag in ("h1", "h2", "h3")]
    assert headings == ["h1"] + ["h2"] * len(found.all("section"))
    assert all(cell.get("scope") in ("row", "col") for cell in found.all("th"))
    assert all(table.get("aria-label") for table in found.all("div") if table.get("class") == "scroll")
    assert len({section["id"] for section in found.all("section")}) == len(found.all("section"))


def test_the_page_says_what_was_done(html, folder):
    text = Page(html).text
    config = json.loads((folder / "config.json").read_text())
    for expected in ("Run first", "digits", "model.hidden", "16", f"numpy {np.__version__}", nnx.__version__):
        assert expected in text
    assert f"{config['parameters']:,} parameters" in text
    assert "Epoch 2: the gradient of 0.weight vanishes." in text
    last = metrics(folder)[-1]
    assert f"{last['val_loss']:.4f}" in text
    assert f"multiply-adds{'(model)'}" in text.replace("\n", ""), "nnx.summary's table"


def test_text_is_escaped():
    evil = '<script>alert("x")</script>&amp;'
    picture = Picture("test", evil, evil, "data:,", (10, 10))
    html = page.page(evil, [evil], [("a", evil, page.figures([picture, Picture("test", evil, left_out=evil)]))])
    html += page.table([evil], [[evil]], evil, 1) + page.facts({evil: evil}, evil) + page.paragraph(evil)
    assert "<script" not in html
    found = Page(html)
    assert found.all("img")[0]["alt"] == evil
    assert found.text.count(evil) == 12


# ---- other runs ------------------------------------------------------------------------------------------------------


def table_run(folder, target, rows):
    """A run on a table of two columns."""
    lines = ["<b>u</b>,v,target", *(f"{a:.3f},{b:.3f},{target(k)}" for k, (a, b) in enumerate(rows))]
    (folder / "data.csv").write_text("\n".join(lines) + "\n")
    assert train("--quiet", "--data", folder / "data.csv", "--out", folder, "--name", "run") == 0
    return folder / "run"


NAMES = ["<script>alert(1)</script>", "a$b$c", "日本", "c" * 40]
ROWS = np.random.default_rng(0).normal(size=(80, 2)).round(3)


def test_classes_of_any_name(tmp_path, capsys, monkeypatch):
    """They are text, not markup and no formulas; the picture has a short form, which the page explains."""

    def svg(ax):
        if ax.get_title() == "Confusion matrix":
            ax.figure.draw_without_rendering()
        return "data:,", (1, 1)

    monkeypatch.setattr(pictures, "svg", svg)
    run = table_run(tmp_path, lambda k: NAMES[k % 4], ROWS)
    capsys.readouterr()
    assert main(["report", str(run)]) == 0
    done = capsys.readouterr()
    assert done.err == ""
    found = Page((run / "report.html").read_text("utf-8"))
    assert not found.all("script")
    assert "<b>u</b>" in found.text
    assert "3 is 日本" in found.text
    assert f"{'c' * 17}… is {'c' * 40}" in found.text
    assert done.out.splitlines()[1].startswith("no gradient flow: no grad_norm/<path> was recorded: train with `nnx")


def test_data_that_is_gone(tmp_path, capsys, undrawn):
    """What needs it is left out, with a sentence; the rest is there."""
    run = table_run(tmp_path, lambda k: "ab"[k % 2], ROWS)
    (tmp_path / "data.csv").unlink()
    found = report(capsys, run)
    assert found["pictures"] == [*ALL[:2], "network", "first layer's weights"]
    assert set(found["left_out"]) == {"confusion matrix", "reliability", "gradient flow", "loss surface"}
    assert "data.csv" in found["left_out"]["confusion matrix"]
    assert found["test"] == {}
    html = (run / "report.html").read_text("utf-8")
    assert html.count('class="left-out"') == 4
    assert "No loss surface: the test part cannot be read. " in html


def test_a_run_of_values(tmp_path, capsys, undrawn):
    run = table_run(tmp_path, lambda k: ROWS[k] @ (2.0, 1.0) + 0.5, ROWS)
    found = report(capsys, run)
    assert [name for name in found["pictures"] if not name.startswith("learning")] == [
        "prediction error", "network", "first layer's weights", "loss surface",
    ]  # fmt: skip
    assert "expected_calibration_error" not in found["test"]


@pytest.mark.parametrize("left", [["config.json"], ["config.json", "metrics.jsonl"]], ids=len)
def test_a_run_without_a_model(folder, tmp_path, capsys, undrawn, left):
    for name in left:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    found = report(capsys, tmp_path)
    assert found["best_epoch"] is None
    assert "it is written at the end of the first epoch" in found["left_out"]["network"]
    assert ("learning curves" in found["left_out"]) == (len(left) == 1)
    assert found["pictures"] == ([] if len(left) == 1 else [*ALL[:2], "gradient flow"])
    assert "digits, mlp" in (tmp_path / "report.html").read_text("utf-8")


def test_on_every_backend(folder, backend, capsys, undrawn, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "WORK", 0)
    expected = report(capsys, folder, "-o", tmp_path / "numpy.html", "--backend", "numpy")["test"]
    found = report(capsys, folder, "-o", tmp_path / "page.html", "--backend", backend.name)
    assert found["test"] == pytest.approx(expected, rel=1e-4)
    assert found["left_out"] == {"loss surface": found["left_out"]["loss surface"]}
    assert "nnx.plot.loss_surface(model, loss, x, y, steps=9)" in found["left_out"]["loss surface"]


def test_work_is_bounded():
    assert pictures._affordable(9_472, 9_610) == (21, 512)
    assert pictures._affordable(10**9, 10**7) == (0, 0)
    steps, samples = pictures._affordable(6_000_000, 10**6)
    assert 11 <= steps < 21
    assert steps**2 * samples * 6_000_000 < pictures.WORK


# ---- mistakes --------------------------------------------------------------------------------------------------------


def test_mistakes_are_a_line(folder, tmp_path, capsys, undrawn, monkeypatch):
    def said(*args):
        capsys.readouterr()
        assert main(["report", *map(str, args)]) == 2
        err = capsys.readouterr().err
        assert err.startswith("nnx report: ")
        assert err.count("\n") == 1
        return err

    assert "expected the folder of a run, with config.json" in said(tmp_path)
    assert "does not exist: make it first" in said(folder, "-o", tmp_path / "nowhere" / "page.html")
    assert "expected the name of a file, got a folder" in said(folder, "-o", tmp_path)
    for name in ("config.json", "metrics.jsonl", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "metrics.jsonl").write_text("[]\n{}\n")
    assert "metrics.jsonl, line 1: expected a JSON object, got list" in said(tmp_path)
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    assert "model.safetensors" in said(tmp_path)
    for name in [name for name in sys.modules if name.startswith("nnx.plot.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "nnx.plot needs matplotlib: pip install 'nnx-array[plot]'" in said(folder)


def test_a_page_is_replaced_whole(folder, tmp_path, undrawn, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("the old one")

    def fails(found):
        yield Picture("test", "one")
        raise KeyboardInterrupt

    monkeypatch.setattr(pictures, "pictures", fails)
    assert main(["report", str(folder), "-o", str(path)]) == 130
    assert path.read_text() == "the old one"


# ---- in a browser ----------------------------------------------------------------------------------------------------

VIEWS = {"light": (1200, False, ""), "dark": (390, True, ""), "print": (720, True, "print")}
SIZES = "[...document.images].map(image => [image.naturalWidth, image.naturalHeight])"
FIRST = "(box => [box.left, box.top, box.right, box.bottom])(document.images[0].getBoundingClientRect())"
TOO_WIDE = """[...document.querySelectorAll('body *')].filter(element => !element.closest('.scroll') &&
  element.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map(element => element.tagName)"""


@pytest.mark.skipif(browser.found() is None, reason="Chromium, in which the page is opened, is not installed")
def test_in_chromium(html, folder, tmp_path):
    """Nothing fails to load, nothing is on the console, every picture is there, nothing sticks out."""
    address = (folder / "report.html").as_uri()
    paper, ink = {}, {}
    with browser.Browser(tmp_path / "profile") as opened:
        for name, view in VIEWS.items():
            opened.open(address, *view)
            sizes = opened.run(SIZES)
            assert len(sizes) == len(ALL)
            assert all(width > 100 < height for width, height in sizes)
            assert opened.run(TOO_WIDE) == [], name
            assert opened.run("document.documentElement.scrollWidth") <= view[0], name
            shot = tmp_path / f"{name}.png"
            opened.screenshot(shot)
            paper[name], ink[name] = seen(shot, opened.run(FIRST))
        assert opened.complaints() == []
        assert {url for url in opened.requests() if not url.startswith("data:")} == {address}
    assert paper["dark"] < 0.2 < 0.5 < ink["dark"]
    for name in ("light", "print"):
        assert ink[name] < 0.5 < 0.9 < paper[name], f"{name}: paper is white, and so is no text in a picture"


def seen(path, box):
    """Of a screenshot the usual brightness; and that of a picture's title: the farthest from it in its upper edge."""
    from matplotlib.image import imread

    image = imread(path)[..., :3].mean(axis=2)
    assert image.shape[0] > 2000
    left, top, right, bottom = map(round, box)
    title, paper = image[top : top + (bottom - top) // 16, left:right], float(np.median(image))
    return paper, float(title.min() if paper > 0.5 else title.max())
