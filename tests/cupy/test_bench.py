"""`nnx bench --count`: the table of launches, matrix products, bytes and memory by phase."""

import pytest

from nnx.cli import bench, main
from tests.cupy.test_budgets import STEPS

SIZES = ["--layers", "20", "64", "64", "5", "--batch-size", "32"]


def counted(capsys, *options):
    """The table that was printed, by phase and title."""
    command = ["bench", "--count", "--backend", "cupy", "--counters", "tests.cuda_emulator", *SIZES, *options]
    assert main(command) == 0
    _, titles, *rows = capsys.readouterr().out.splitlines()
    names = [title for title in bench.COLUMNS if title in titles]
    assert names == list(bench.COLUMNS)
    return {row.split()[0]: dict(zip(names, map(_number, row.split()[1:]), strict=True)) for row in rows}


def _number(text):
    return int(text.replace(",", ""))


@pytest.mark.parametrize("name", ["sgd", "adam", "dropout"])
def test_the_counts_are_those_of_the_budgets(emulated, capsys, name):
    dropout, _, gradient_launches, update_launches = STEPS[name]
    options = ["--optimizer", "sgd" if name == "sgd" else "adam", "--dropout", str(dropout)]
    found = counted(capsys, *options)
    assert list(found) == list(bench.PHASES)
    both = found["forward"]["launches"] + found["backward"]["launches"]
    assert (both, found["update"]["launches"]) == (gradient_launches, update_launches)
    assert [found[phase]["gemms"] for phase in bench.PHASES] == [3, 5, 0]
    for phase in bench.PHASES:
        assert all(found[phase][title] == 0 for title in ("syncs", "h2d bytes", "d2h bytes", "mallocs")), found
        assert found[phase]["peak bytes"] > 0
    assert found["forward"]["launches"] > 0


def test_what_moves_is_counted(emulated, capsys, monkeypatch):
    """The batch made anew in each step, and the loss read: bytes and waits in the forward pass."""
    real = bench.nnx.losses.cross_entropy

    def careless(z, y):
        loss = real(z, bench.nnx.asarray(bench.nnx.to_numpy(y)))
        return loss

    monkeypatch.setattr(bench.nnx.losses, "cross_entropy", careless)
    found = counted(capsys)
    assert found["forward"]["d2h bytes"] == found["forward"]["h2d bytes"] == 32 * 8
    assert found["forward"]["syncs"] > 0
    assert found["update"]["h2d bytes"] == found["backward"]["h2d bytes"] == 0
