"""`nnx datasets`: the table, fetching, verifying, and the paths that scripts ask for."""

import json
import re

import pytest

from nnx.cli import main
from nnx.data.catalog import CATALOG
from tests.data import tiny


@pytest.fixture
def served(tmp_path, monkeypatch):
    with tiny.served(tmp_path, monkeypatch) as habits:
        yield habits


def ran(capsys, *argv):
    code = main(["datasets", *argv])
    return code, *capsys.readouterr()


def test_the_table(served, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    tiny.put(tmp_path / "cache" / "nnx" / "iris", tiny.contents()["iris"])
    code, out, _ = ran(capsys)
    assert code == 0
    assert re.search(r"fashion-mnist +60,000 \+ 10,000 +MIT +not here", out)
    assert re.search(rf"iris +150 +CC BY 4.0 +{tmp_path}/cache/nnx/iris", out)
    assert re.search(r"abalone .*\n +10, a number each +doi.org", out)
    rows = json.loads(ran(capsys, "--json")[1])
    assert [row["name"] for row in rows] == list(CATALOG)
    assert rows[2]["samples"] == [60000, 10000]
    assert json.loads(ran(capsys, "list", "iris", "--json")[1])[0]["path"] == str(tmp_path / "cache" / "nnx" / "iris")


def test_fetch_verify_path(served, capsys, tmp_path):
    place = tmp_path / "cache" / "nnx" / "mnist"
    assert ran(capsys, "path", "mnist") == (1, f"{place}\n", "")
    code, out, err = ran(capsys, "fetch", "mnist", "iris", "digits")
    assert code == 0
    assert out.splitlines()[0] == f"mnist: {place}"
    assert "digits is there already: inside of nnx" in out
    assert "fetching http://127.0.0.1" in err
    assert ran(capsys, "path", "mnist") == (0, f"{place}\n", "")
    assert ran(capsys, "fetch", "mnist", "--quiet") == (0, "", "")
    assert len(served.asked) == 5
    code, out, _ = ran(capsys, "verify")
    assert (code, out.count(": the original\n")) == (0, 5)
    (place / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    code, out, _ = ran(capsys, "verify", "mnist", "--json")
    assert code == 1
    assert [file["wrong"] is None for file in json.loads(out)] == [True, True, True, False]
    code, _, err = ran(capsys, "fetch", "mnist")
    assert code == 1
    assert "`nnx datasets fetch --force mnist` fetches it anew" in err
    code, out, _ = ran(capsys, "fetch", "--force", "--quiet", "--json", "mnist")
    assert (code, json.loads(out)[0]["path"]) == (0, str(place))
    assert ran(capsys, "verify", "mnist")[0] == 0
    assert ran(capsys, "verify", "cifar10") == (
        1,
        f"{tmp_path}/cache/nnx/cifar10/cifar-10-binary.tar.gz: it is not there\n",
        "",
    )


def test_one_set_that_cannot_be_had_does_not_keep_the_others_away(served, capsys):
    served.files.pop("/iris/iris.data")
    code, out, err = ran(capsys, "fetch", "iris", "abalone")
    assert code == 1
    assert "iris.data: HTTP 404 Not Found" in err
    assert out.startswith("abalone: ")


@pytest.mark.parametrize(("argv", "words"), [
    (["fetch", "minst"], "expected one of the data sets digits, mnist, .*, got 'minst'"),
    (["path", "digits"], "digits has no folder: it lies inside of nnx"),
])  # fmt: skip
def test_mistakes(served, capsys, argv, words):
    code, out, err = ran(capsys, *argv)
    assert (code, out) == (2, "")
    assert re.fullmatch(f"nnx datasets: .*{words}.*\n", err)


def test_without_a_name_there_is_nothing_to_fetch(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["datasets", "fetch"])
    assert caught.value.code == 2
    assert "the following arguments are required: NAME" in capsys.readouterr().err
