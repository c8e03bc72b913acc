"""The sets that are fetched, tiny ones in their form, served on this machine and taken for the originals."""

import gzip
import hashlib
import io
import tarfile
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from nnx.data import fetching, write_idx
from nnx.data.catalog import CATALOG
from nnx.data.sums import Checksum
from tests.data.server import serving

IDX_SETS = ("mnist", "fashion-mnist", "kmnist")


def _idx(seed, folder):
    """The four files of MNIST's form, by name."""
    random, found = np.random.default_rng(seed), {}
    for part, n in (("train", 5), ("t10k", 2)):
        for kind, shape in (("images-idx3", (n, 28, 28)), ("labels-idx1", (n,))):
            path = folder / f"{part}-{kind}-ubyte.gz"
            write_idx(path, random.integers(0, 10, shape).astype(np.uint8))
            found[path.name] = path.read_bytes()
            path.unlink()
    return found


def _cifar():
    """CIFAR's archive of six batches of two images each."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for number, name in enumerate([*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]):
            rows = np.full((2, 3073), number * 10, np.uint8)
            rows[:, 0], rows[:, 1:1025] = number, 255  # the label, and the red plane
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = rows.nbytes
            archive.addfile(member, io.BytesIO(rows.tobytes()))
    return {"cifar-10-binary.tar.gz": held.getvalue()}


TABLES = {
    "iris": {"iris.data": b"5.1,3.5,1.4,0.2,Iris-setosa\n6.0,3.0,4.0,1.0,Iris-virginica\n\n"},
    "abalone": {
        "abalone.data": b"M,0.455,0.365,0.095,0.514,0.224,0.101,0.15,15\nI,0.33,0.255,0.08,0.2,0.1,0.04,0.05,7\n"
    },
}


@cache
def contents():
    """{set: {file: bytes}}"""
    with tempfile.TemporaryDirectory() as folder:
        idx = {name: _idx(seed, Path(folder)) for seed, name in enumerate(IDX_SETS)}
    return {**idx, "cifar10": _cifar(), **TABLES}


@contextmanager
def served(tmp_path, monkeypatch):
    """They stand in the catalog, and no other place is looked into; gives the habits of their server."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("NNX_DATA", "NNX_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(fetching, "PAUSE", 0.001)
    files = {f"/{name}/{file}": data for name, held in contents().items() for file, data in held.items()}
    with serving(files) as (url, habits):
        for name, held in contents().items():
            row = CATALOG[name]
            remote = tuple(_remote(file, held[file.name]) for file in row.files)
            system = (tmp_path / "debian",) if row.system else ()
            own = replace(row, files=remote, mirrors=(f"{url}/{name}/",), system=system)
            monkeypatch.setitem(CATALOG, name, own)
        yield habits


def _remote(file, held):
    inside = gzip.decompress(held) if file.sum.unpacked else held
    return file._replace(size=len(held), sum=Checksum("sha256", hashlib.sha256(inside).hexdigest(), file.sum.unpacked))


def put(folder, held):
    """Files into a new folder."""
    folder.mkdir(parents=True)
    for name, content in held.items():
        (folder / name).write_bytes(content)
