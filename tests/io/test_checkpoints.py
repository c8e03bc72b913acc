"""What is saved comes back bit for bit, whatever its strides and backend; a damaged file is always CheckpointError."""

import json
import re
import struct
import subprocess
import sys

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import nnx
from nnx.backend import backend_of, to_numpy
from nnx.io import CheckpointError, load, load_safetensors, save, save_safetensors

X = np.arange(24.0).reshape(4, 6)
FORMS = {
    "contiguous": X,
    "transposed": X.T,
    "strided": X[:, ::2],
    "reversed": X[::-1, ::-1],
    "Fortran": np.asfortranarray(X),
    "broadcast": np.broadcast_to(X[0], (3, 6)),
    "permuted": np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
    "scalar": np.array(2.5),
    "empty": np.empty((0, 3)),
    "big-endian": X.astype(">f4"),
    "read-only": np.frombuffer(X.tobytes()),
}
INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
DTYPES = ["bool", *INTEGERS, "float16", "float32", "float64", "complex64"]


def same(found, expected):
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype.newbyteorder("="))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("form", FORMS)
def test_round_trip_of_every_form(tmp_path, form):
    save_safetensors(tmp_path / "a.safetensors", {"x": FORMS[form]})
    arrays, metadata = load_safetensors(tmp_path / "a.safetensors")
    same(arrays["x"], FORMS[form])
    assert metadata == {}
    assert arrays["x"].flags.writeable
    same(safetensors.numpy.load_file(tmp_path / "a.safetensors")["x"], FORMS[form])  # as others read it


@pytest.mark.parametrize("dtype", DTYPES)
def test_round_trip_of_every_dtype(tmp_path, dtype):
    save_safetensors(tmp_path / "a", {"x": X.astype(dtype), "y": X.T.astype(dtype)})
    arrays, _ = load_safetensors(tmp_path / "a")
    same(arrays["x"], X.astype(dtype))
    same(arrays["y"], X.T.astype(dtype))


def test_round_trip_of_bfloat16(tmp_path):
    kind = pytest.importorskip("ml_dtypes", reason="bfloat16 needs ml_dtypes").bfloat16
    save_safetensors(tmp_path / "a", {"x": X.T.astype(kind)})
    same(load_safetensors(tmp_path / "a")[0]["x"], X.T.astype(kind))


@pytest.mark.parametrize(("before", "words"), [
    ("", "^bfloat16$"),
    ("import sys; sys.modules['ml_dtypes'] = None", "CheckpointError: .*install ml_dtypes"),
])  # fmt: skip
def test_bfloat16_needs_nothing_from_the_caller(tmp_path, before, words):
    pytest.importorskip("ml_dtypes", reason="bfloat16 needs ml_dtypes")
    path = tmp_path / "a"
    path.write_bytes(header(entry(dtype="BF16", shape=[4]), bytes(8)))
    code = f"{before}\nimport nnx\nprint(nnx.io.load_safetensors({str(path)!r})[0]['x'].dtype)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert re.search(words, done.stdout + done.stderr, re.MULTILINE), done.stderr


@pytest.mark.parametrize("form", ["contiguous", "transposed", "strided", "scalar", "empty"])
def test_round_trip_from_every_backend(tmp_path, backend, form):
    xp, x = backend.xp, backend.asarray(X)
    given = {
        "contiguous": x,
        "transposed": x.T,
        "strided": x[:, ::2],
        "scalar": xp.sum(x),
        "empty": x[:0, :],
    }[form]
    save_safetensors(tmp_path / "a", {"x": given})
    same(load_safetensors(tmp_path / "a")[0]["x"], to_numpy(given))


@pytest.mark.parametrize("metadata", [
    {}, {"epoch": 3, "lr": 1e-3, "name": "é", "nested": {"a": [1, None, True]}}, {"nan": float("inf")}, {"1": 2},
])  # fmt: skip
def test_metadata_round_trip(tmp_path, metadata):
    save_safetensors(tmp_path / "a", {"x": X}, metadata)
    assert load_safetensors(tmp_path / "a")[1] == metadata
    with safetensors.safe_open(tmp_path / "a", "numpy") as file:
        assert list(file.metadata()) == ["nnx"]


def test_metadata_keys_become_strings_once(tmp_path):
    save_safetensors(tmp_path / "a", {}, {"classes": {1: "one", "1": "again", 2: "two"}})
    assert load_safetensors(tmp_path / "a") == ({}, {"classes": {"1": "again", "2": "two"}})


def test_foreign_files_load_with_their_own_metadata(tmp_path):
    safetensors.numpy.save_file({"x": X}, tmp_path / "a", metadata={"format": "pt"})
    arrays, metadata = load_safetensors(tmp_path / "a")
    same(arrays["x"], X)
    assert metadata == {"format": "pt"}
    safetensors.numpy.save_file({"x": X}, tmp_path / "b")
    assert load_safetensors(tmp_path / "b")[1] == {}


@pytest.mark.parametrize(("arrays", "metadata", "words"), [
    ({"x": X.astype("complex128")}, None, "dtypes that safetensors has, got complex128"),
    ({"x": np.array(["a"])}, None, "numbers under 'x', got dtype <U1"),
    ({"x": np.array([None])}, None, "numbers under 'x', got dtype object"),
    ({3: X}, None, "names as strings, got 3"),
    ({"__metadata__": X}, None, "another name than '__metadata__'"),
    ({"x": X}, {"model": object()}, "metadata that JSON can hold, got Object of type object"),
])  # fmt: skip
def test_what_cannot_be_saved_writes_nothing(tmp_path, arrays, metadata, words):
    with pytest.raises(TypeError, match=words):
        save_safetensors(tmp_path / "a", arrays, metadata)
    assert list(tmp_path.iterdir()) == []


def test_a_model_round_trip(tmp_path, backend):
    trained, model = nnx.Linear(6, 4), nnx.Linear(6, 4)
    trained.weight = backend.asarray(X, "float32") * 2  # a fresh array of the backend
    save(tmp_path / "m.safetensors", trained, {"epoch": 2})
    assert load(tmp_path / "m.safetensors", model) == {"epoch": 2}
    assert backend_of(model.weight) is type(backend)
    assert model.weight.device == backend.device
    same(to_numpy(model.weight), 2 * X.astype(np.float32))
    same(to_numpy(model.bias), to_numpy(trained.bias))


def test_what_does_not_fit_is_named(tmp_path):
    save(tmp_path / "m", nnx.Linear(6, 4, bias=False))
    with pytest.raises(ValueError, match="missing: bias"):
        load(tmp_path / "m", nnx.Linear(6, 4))
    load(tmp_path / "m", nnx.Linear(6, 4), strict=False)
    with pytest.raises(ValueError, match=r"weight has shape \(4, 6\), the model's \(4, 5\)"):
        load(tmp_path / "m", nnx.Linear(5, 4, bias=False))


# ---- damage ----------------------------------------------------------------------------------------------------------

ARRAYS = {"0.weight": X.astype(np.float32), "0.bias": np.arange(3), "mask": X > 3, "é": np.array(2.5)}
METADATA = {"epoch": 3, "note": "é"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "a"
    save_safetensors(path, ARRAYS, METADATA)
    return path.read_bytes()


def load_bytes(path, data):
    """True if the file loads as what was saved, False if it is CheckpointError; all else fails the test."""
    path.write_bytes(data)
    try:
        arrays, metadata = load_safetensors(path)
    except CheckpointError:
        return False
    assert metadata == METADATA
    assert arrays.keys() == ARRAYS.keys()
    for name, x in ARRAYS.items():
        same(arrays[name], x)
    return True


def header(entries, data=b"", claimed=None):
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if claimed is None else claimed) + text + data


def entry(**changes):
    return {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}


FOREIGN = {
    "empty": b"",
    "one byte": b"{",
    "text": b"hello, this is no checkpoint at all",
    "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "zip (a PyTorch file)": b"PK\3\4" + bytes(100),
    "huge header": header(entry(), bytes(8), claimed=2**63),
    "header beyond the end": header(entry(), bytes(8), claimed=10**6),
    "header over the limit": struct.pack("<Q", 100_000_001) + b"{" * 1000,
    "no JSON": header(b"x" * 64),
    "no UTF-8": header(b"\xff" * 64),
    "deep JSON": header(b"[" * 5000),
    "JSON, but a list": header(b"[1, 2]"),
    "too few bytes": header(entry(), bytes(7)),
    "too many bytes": header(entry(), bytes(9)),
    "a hole": header(entry(data_offsets=[4, 12]), bytes(12)),
    "an overflow": header(entry(shape=[2**62, 2**62]), bytes(8)),
    "an unknown dtype": header(entry(dtype="F7"), bytes(8)),
    "a negative size": header(entry(shape=[-2]), bytes(8)),
    "another size": header(entry(shape=[3]), bytes(8)),
    "damaged nnx metadata": header({"__metadata__": {"nnx": "{"}}),
    "nnx metadata of another form": header({"__metadata__": {"nnx": "[1]"}}),
    "nnx metadata without a sum": header({"__metadata__": {"nnx": '{"metadata": {}}'}}),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files(tmp_path, kind):
    path = tmp_path / "a.safetensors"
    path.write_bytes(FOREIGN[kind])
    with pytest.raises(CheckpointError, match=re.escape(str(path)) + ": expected .*, got .*: "):
        load_safetensors(path)


def test_every_truncation(tmp_path, whole):
    assert load_bytes(tmp_path / "a", whole)
    assert not any(load_bytes(tmp_path / "a", whole[:size]) for size in range(len(whole)))
    assert not load_bytes(tmp_path / "a", whole + b"\0")


def test_every_flipped_bit_of_the_header(tmp_path, whole):
    size = 8 + struct.unpack("<Q", whole[:8])[0]
    loaded = 0
    for position in range(size):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            loaded += load_bytes(tmp_path / "a", bytes(damaged))
    assert loaded < 0.02 * 8 * size  # blanks that became other blanks, say


@pytest.mark.parametrize(("old", "new"), [(b'"F32"', b'"I32"'), (b"[4,6]", b"[6,4]"), (b'"mask"', b'"task"')])
def test_a_header_that_still_makes_sense(tmp_path, whole, old, new):
    assert old in whole
    assert not load_bytes(tmp_path / "a", whole.replace(old, new, 1))


def test_every_flipped_byte_of_the_values(tmp_path, whole):
    for position in range(8 + struct.unpack("<Q", whole[:8])[0], len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        assert not load_bytes(tmp_path / "a", bytes(damaged))


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_random_damage(tmp_path_factory, whole, data):
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(damaged)))
        stop = start + data.draw(st.integers(0, 8))
        damaged[start:stop] = data.draw(st.binary(max_size=8))
    load_bytes(tmp_path_factory.getbasetemp() / "damaged", bytes(damaged))


def test_a_missing_file_is_the_systems_own_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_safetensors(tmp_path / "nowhere")
    with pytest.raises(IsADirectoryError):
        load_safetensors(tmp_path)


def test_the_error_is_a_value_error():
    assert issubclass(CheckpointError, ValueError)
