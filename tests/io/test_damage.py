"""Damaged files of every kind that nnx reads: an error of nnx's that names the file, or the values that were written.

Never another error, a crash, a hang, or memory beyond what a file of that size could need.
"""

import gzip
import importlib.util
import io
import json
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nnx
from nnx import data
from nnx.cli.runs import RunFolder
from nnx.io import CheckpointError, load, load_safetensors, load_torch, read_lines, save_safetensors, save_torch
from tests.train.networks import loader, points, trainer, weights

X = np.arange(12.0, dtype="float32").reshape(3, 4)


def written(write):
    """What a function writes to a path, as bytes."""

    def make(folder):
        write(folder / "whole")
        return (folder / "whole").read_bytes()

    return make


def checkpoint(path):
    t = trainer()
    t.fit(loader(20), validation=points(20), epochs=1)
    t.save(path)


def resume(path):
    t = trainer()
    t.resume(path)
    return {"epoch": t.epoch, "step": t.step, **{k: nnx.to_numpy(x) for k, x in t.model.state_dict().items()}}


def npz(path, compressed=False):
    memory = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(memory, x=X, y=np.arange(3))
    path.write_bytes(memory.getvalue())


def npy(path):
    memory = io.BytesIO()
    np.save(memory, X)
    path.write_bytes(memory.getvalue())


def table(found):
    return {"x": found.x, "y": found.y}


CSV = b"a,b,label\n1.5,2,cat\n3,4.25,dog\n5,6,cat\n"
LINES = b'{"epoch": 1, "loss": 0.5}\n{"epoch": 2, "loss": 0.25, "messages": ["a"]}\n'
CONFIG = json.dumps({"data": "digits", "hidden": [128], "lr": None}).encode()

# how a whole file is made, how it is read, whether a sum shows that the values are those that were written
FORMATS = {
    "checkpoint": (written(checkpoint), resume, True),
    "safetensors": (written(lambda path: save_safetensors(path, {"x": X}, {"a": 1})), load_safetensors, True),
    ".pt": (written(lambda path: save_torch(path, {"x": X})), load_torch, False),
    "NPZ": (written(npz), data.read_npz, False),
    "NPZ, compressed": (written(lambda path: npz(path, True)), data.read_npz, False),
    "NPY": (written(npy), data.read_npz, False),
    "IDX": (written(lambda path: data.write_idx(path, X)), lambda p: {"x": data.read_idx(p)}, False),
    "IDX, gzip": (
        lambda folder: gzip.compress(FORMATS["IDX"][0](folder), mtime=0), lambda p: {"x": data.read_idx(p)}, True,
    ),
    "CSV": (lambda folder: CSV, lambda p: table(data.read_csv(p, "label")), False),
    "CSV, gzip": (lambda folder: gzip.compress(CSV, mtime=0), lambda p: table(data.read_csv(p, "label")), False),
    "JSON lines": (lambda folder: LINES, read_lines, False),
    "config": (lambda folder: CONFIG, lambda p: RunFolder(p.parent).read_config(), False),
}  # fmt: skip

ERRORS = {"CSV": ValueError, "CSV, gzip": ValueError, "config": ValueError}
"""Each is a ValueError; files of nnx's own and of weights are CheckpointErrors."""
ERRORS |= {name: ValueError for name in FORMATS if name.startswith(("NP", "IDX"))}

LIMIT = 64 * 2**20
"""Bytes that reading a damaged file of a few hundred may allocate."""


HAS_TORCH = importlib.util.find_spec("torch") is not None


@pytest.fixture(autouse=True)
def _pt_needs_torch(request):
    if not HAS_TORCH and ".pt" in getattr(request.node, "callspec", request.node).__dict__.get("params", {}).values():
        pytest.skip("torch, which reads .pt, is not installed")


@pytest.fixture(scope="module")
def wholes(tmp_path_factory):
    known = {name: make for name, (make, _, _) in FORMATS.items() if name != ".pt" or HAS_TORCH}
    return {name: make(tmp_path_factory.mktemp("whole")) for name, make in known.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged") / "config.json"


def reads(name, path, content):
    """Whether the file loads; an error must be the format's own and name the file."""
    path.write_bytes(content)
    words = refused(lambda: FORMATS[name][1](path), ERRORS.get(name, CheckpointError))
    assert words is None or str(path) in words, f"without the path: {words}"
    return words is None


def refused(call, kind=CheckpointError):
    """What an error of that kind says; None if there is none."""
    try:
        call()
    except kind as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", FORMATS)
def test_the_whole_file_is_read(name, wholes, place):
    assert reads(name, place, wholes[name])


@pytest.mark.parametrize("name", FORMATS)
def test_truncated(name, wholes, place):
    """At every length of small files, and at a hundred of large ones."""
    whole = wholes[name]
    step = max(1, len(whole) // 100)
    loaded = sum(reads(name, place, whole[:size]) for size in range(0, len(whole), step))
    assert not FORMATS[name][2] or not loaded, "a sum would have shown it"


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(seed=st.data())
def test_damaged(name, wholes, place, seed):
    """Some bits flipped, some bytes cut out, repeated, or overwritten by others; numbers of the header made huge."""
    damaged = bytearray(wholes[name])
    for _ in range(seed.draw(st.integers(1, 4))):
        at = seed.draw(st.integers(0, max(len(damaged) - 1, 0)))
        kind = seed.draw(st.sampled_from(["flip", "cut", "repeat", "random", "huge", "zero"]))
        end = at + seed.draw(st.integers(1, 16))
        if kind == "flip" and damaged:
            damaged[at] ^= 1 << seed.draw(st.integers(0, 7))
        elif kind == "cut":
            del damaged[at:end]
        elif kind == "repeat":
            damaged[at:at] = damaged[at:end]
        elif kind == "random":
            damaged[at:end] = seed.draw(st.binary(max_size=16))
        elif kind == "huge":
            damaged[at : at + 4] = b"\x7f\xff\xff\xff"
        else:
            damaged[at:end] = bytes(end - at)
    tracemalloc.start()
    try:
        reads(name, place, bytes(damaged))
        assert tracemalloc.get_traced_memory()[1] < LIMIT
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=300))
def test_random_bytes(name, place, content):
    reads(name, place, content)


# ---- files of the right kind that claim what is not so ---------------------------------------------------------------


def npy_header(shape, dtype="<f4"):
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    text += b" " * (63 - (10 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def zipped(name, content):
    import zipfile

    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as file:
        file.writestr(name, content)
    return memory.getvalue()


def idx(code, *sizes):
    return struct.pack(f">BBBB{len(sizes)}I", 0, 0, code, len(sizes), *sizes)


def _with_metadata(text):
    header = json.dumps({"__metadata__": {"nnx": text}}).encode()
    return struct.pack("<Q", len(header)) + header


HUGE = {
    "NPY of 4 TB": ("NPY", npy_header((2**40,)) + bytes(64)),
    "NPY of 1 GB": ("NPY", npy_header((2**28,)) + bytes(64)),
    "NPY beyond any memory": ("NPY", npy_header((2**62, 2**62)) + bytes(64)),
    "NPY of a negative size": ("NPY", npy_header((-4,)) + bytes(64)),
    "NPY of objects": ("NPY", npy_header((1,), "|O") + bytes(64)),
    "NPZ of 4 TB": ("NPZ", zipped("x.npy", npy_header((2**40,)) + bytes(64))),
    "NPZ of 1 GB": ("NPZ", zipped("x.npy", npy_header((2**28,)) + bytes(64))),
    "NPZ of text": ("NPZ", zipped("x.txt", b"hello")),
    "IDX of 4 GB": ("IDX", idx(0x08, 2**32 - 1) + bytes(64)),
    "IDX of 2^96": ("IDX", idx(0x0E, *[2**32 - 1] * 3) + bytes(64)),
    "IDX of 255 sizes": ("IDX", b"\0\0\x08\xff" + bytes(4 * 255)),
    "a header of 2^63": ("safetensors", struct.pack("<Q", 2**63) + b"{}"),
    "a header of 90 MB": ("safetensors", struct.pack("<Q", 90_000_000) + b"{}"),
    "deep metadata": ("safetensors", _with_metadata("[" * 100_000)),
    "lines of no object": ("JSON lines", b"[1, 2]\n"),
    "deep lines": ("JSON lines", b"[" * 100_000 + b"\n"),
    "a deep config": ("config", b"[" * 100_000),
    "a config of bytes": ("config", b"\xff\xfe{}"),
    "a config that is a list": ("config", b"[1]"),
    "a cell of a million": ("CSV", b"a,label\n" + b"1" * 10**6 + b",cat\n"),
}


@pytest.mark.parametrize("case", HUGE)
def test_what_is_claimed_is_not_believed(case, place):
    name, content = HUGE[case]
    tracemalloc.start()
    try:
        assert not reads(name, place, content)
        assert tracemalloc.get_traced_memory()[1] < LIMIT
    finally:
        tracemalloc.stop()


# ---- a checkpoint whose sum is right and whose metadata is not -------------------------------------------------------

KEYS = [
    "epoch", "step", "samples", "meters", "history", "validations", "optimizer", "random", "callbacks", "loader",
    "schedule", "average", "validation",
]  # fmt: skip
DRAWS = {"seed": 3, "counter": 0, "host": {}}
VALUES = [
    None,
    True,
    -1,
    2**80,
    0.5,
    "x",
    [],
    [1],
    {},
    {"a": 1},
    {"seed": "x"},
    [{"loss": 1}],
    {"hyperparameters": 3},
    DRAWS,
    {**DRAWS, "counter": "x"},
]


@pytest.mark.parametrize("key", KEYS)
def test_metadata_of_other_types(key, tmp_path):
    """Whatever stands there, it is taken as what it is or refused by name; then nothing has changed."""
    path = tmp_path / "c"
    checkpoint(path)
    arrays, whole = load_safetensors(path)
    count = 0
    for value in [*VALUES, "missing"]:
        meta = {k: v for k, v in whole.items() if k != key} if value == "missing" else {**whole, key: value}
        save_safetensors(path, arrays, meta)
        t = trainer()
        before = all_of(t)
        words = refused(lambda t=t: t.resume(path))
        if words is not None:
            assert all_of(t) == before, "nothing has changed"
        else:  # the loader and callbacks take theirs up now
            words = refused(lambda t=t: t.fit(loader(20), validation=points(20), epochs=2))
        assert words is None or str(path) in words
        count += words is not None
    assert count >= 5


def all_of(t):
    return nnx.random.get_state(), t.state_dict()["meta"], weights(t)


@pytest.mark.parametrize("drop", ["model/0.weight", "optimizer/0.weight", "model/"])
def test_arrays_that_are_missing_or_of_another_shape(drop, tmp_path):
    path = tmp_path / "c"
    checkpoint(path)
    arrays, meta = load_safetensors(path)
    for change in ("missing", "shape"):
        changed = {
            name: x[..., :1] if name.startswith(drop) else x
            for name, x in arrays.items()
            if change == "shape" or not name.startswith(drop)
        }
        save_safetensors(path, changed, meta)
        t = trainer()
        if drop.startswith("optimizer"):
            continue  # a slot that is missing or does not fit begins anew
        with pytest.raises(CheckpointError, match=r"does not fit|missing"):
            t.resume(path)


def test_weights_of_another_kind(tmp_path):
    save_safetensors(tmp_path / "m.safetensors", {"weight": np.ones((3, 2)), "bias": np.asarray([True] * 3)})
    with pytest.raises(ValueError, match="bias"):
        load(tmp_path / "m.safetensors", nnx.Linear(2, 4))
