"""Runs to use, trained once for all tests of it."""

import pytest

from tests.cli import files
from tests.cli.runs import train


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """A folder with a run of classes, of values and of images, whose data is gone."""
    folder = tmp_path_factory.mktemp("runs")
    how = ["--out", folder, "--quiet", "--epochs", "5", "--batch-size", "8", "--lr", "0.03", "--backend", "numpy"]
    assert train("--data", files.csv(folder / "d.csv"), *how, "--name", "classes") == 0
    assert train("--data", files.values(folder / "v.csv"), *how, "--name", "values") == 0
    assert train("--data", files.npz(folder / "i.npz"), *how, "--name", "images") == 0
    for name in ("d.csv", "v.csv", "i.npz"):
        (folder / name).unlink()
    return folder
