"""Files round-trip; damaged and foreign ones raise ValueError that names the file, and never anything else."""

import contextlib
import gzip
import io
import re
import struct

import numpy as np
import pytest

from nnx.data import read_csv, read_idx, read_npz, write_idx


def write(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


# ---- IDX -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.idx", "a.idx.gz"])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64", ">f4"])
@pytest.mark.parametrize("shape", [(3, 4), (5,), (2, 3, 2), (0, 4), ()])
def test_idx_round_trip(tmp_path, name, dtype, shape):
    array = np.arange(np.prod(shape, dtype=int), dtype=dtype).reshape(shape)
    write_idx(tmp_path / name, array)
    again = read_idx(tmp_path / name)
    np.testing.assert_array_equal(again, array)
    assert again.dtype == np.dtype(dtype).newbyteorder("=")
    assert again.flags.writeable


def test_idx_layout(tmp_path):
    """MNIST's own: magic 0x803 for images, 0x801 for labels."""
    write_idx(tmp_path / "a", np.array([[[7]]], dtype=np.uint8))
    assert (tmp_path / "a").read_bytes() == struct.pack(">IIII", 0x803, 1, 1, 1) + b"\7"
    write_idx(tmp_path / "b", np.array([[1, 2]], dtype=np.uint8).T[::-1])
    assert (tmp_path / "b").read_bytes()[-2:] == b"\2\1"


IDX = struct.pack(">III", 0x802, 2, 3) + bytes(range(6))
PACKED = gzip.compress(IDX, mtime=0)


@pytest.mark.parametrize(("data", "words"), [
    (b"", "an empty file"),
    (b"\0\0", "got 00 00"),
    (b"\x89PNG\r\n", "got 89 50 4e 47"),
    (b"\0\0\x07\1\0\0\0\0", "got 00 00 07 01"),
    (IDX[:9], "expected 2 sizes in an IDX header, got 5 bytes"),
    (IDX[:-1], r"expected 6 bytes of values for shape \[2, 3\], got 5"),
    (IDX + b"x", r"expected 6 bytes of values for shape \[2, 3\], got more"),
    (struct.pack(">III", 0x802, 2**32 - 1, 2**32 - 1) + b"123", "got 3"),
    (b"\0\0\x08\xff" + bytes(4 * 255), "a shape that NumPy can hold"),
    (struct.pack(">IIII", 0x803, 0, 2**32 - 1, 2**32 - 1), "a shape that NumPy can hold"),
    (PACKED[:-9], "a damaged one"),
    (PACKED[:-8] + b"????" + PACKED[-4:], "a damaged one .*CRC"),
    (PACKED[:10] + b"\xff" * 9, "a damaged one"),
    (b"\x1f\x8b", "a damaged one"),
])  # fmt: skip
def test_idx_errors(tmp_path, data, words):
    path = write(tmp_path / "train-images", data)
    with pytest.raises(ValueError, match=re.escape(str(path)) + ".*" + words):
        read_idx(path)


def test_idx_has_not_every_dtype(tmp_path):
    with pytest.raises(TypeError, match=r"expected one of uint8, .*, got int64"):
        write_idx(tmp_path / "a", np.arange(3))
    assert not (tmp_path / "a").exists()


# ---- CSV -------------------------------------------------------------------------------------------------------------

IRIS = "length,width,kind\n5.1,3.5,setosa\n7.0,3.2,versicolor\n6.3,3.3,setosa\n"


@pytest.mark.parametrize("target", ["kind", 2, -1])
@pytest.mark.parametrize(
    "pack", [str.encode, lambda s: gzip.compress(s.encode()), lambda s: b"\xef\xbb\xbf" + s.encode()]
)
def test_csv_with_class_names(tmp_path, target, pack):
    table = read_csv(write(tmp_path / "iris.csv", pack(IRIS)), target=target)
    np.testing.assert_array_equal(table.x, np.array([[5.1, 3.5], [7.0, 3.2], [6.3, 3.3]], dtype=np.float32))
    assert table.x.dtype == np.float32
    assert table.y.tolist() == [0, 1, 0]
    assert table.y.dtype == np.int64
    assert table.columns == ("length", "width")
    assert table.classes == ("setosa", "versicolor")


@pytest.mark.parametrize(("text", "options", "x", "y", "columns", "classes"), [
    ("1,2\n3,4\n", {}, [[1, 2], [3, 4]], None, ("column 0", "column 1"), None),
    ("a,b\n3,4\n", {}, [[3, 4]], None, ("a", "b"), None),
    ("1,2\n3,4\n", {"header": True}, [[3, 4]], None, ("1", "2"), None),
    ("1,2\n3,4\n", {"target": "2"}, [[3]], [4], ("1",), None),
    ("5.1,red\n4.9,blue\n", {"target": 1}, [[5.1], [4.9]], [1, 0], ("column 0",), ("blue", "red")),
    ("red,1\nblue,2\n", {"target": 0, "header": False}, [[1], [2]], [1, 0], ("column 1",), ("blue", "red")),
    ("x;y\n1;2.5\n\n2;3\n", {"target": "y", "delimiter": ";"}, [[1], [2]], [2.5, 3], ("x",), None),
    ("x,y\n1,10\n2,2\n", {"target": "y", "classes": True}, [[1], [2]], [1, 0], ("x",), ("2", "10")),
    ("x,y\r\n1,-1\r\n2,1\r\n", {"target": "y"}, [[1], [2]], [-1, 1], ("x",), None),
    ('"a, b",y\n"1", 0\n', {"target": "y"}, [[1]], [0], ("a, b",), None),
    ('x, y\n1, "b, c"\n', {"target": "y"}, [[1]], [0], ("x",), ("b, c",)),
    ("1\n", {}, [[1]], None, ("column 0",), None),
])  # fmt: skip
def test_csv_forms(tmp_path, text, options, x, y, columns, classes):
    table = read_csv(write(tmp_path / "a.csv", text), **options)
    np.testing.assert_array_equal(table.x, np.array(x, dtype=np.float32))
    assert (None if table.y is None else table.y.tolist()) == y
    assert (table.columns, table.classes) == (columns, classes)


def test_csv_of_many_blocks(tmp_path):
    x = np.random.default_rng(0).normal(size=(2500, 3)).astype(np.float32)
    lines = "\n".join(",".join(map(repr, row)) for row in x.tolist())
    table = read_csv(write(tmp_path / "a.csv", lines), target=0)
    np.testing.assert_array_equal(table.x, x[:, 1:])
    np.testing.assert_array_equal(table.y, x[:, 0])
    bad = write(tmp_path / "b.csv", lines.replace("\n", "\nhuh,1,2\n", 1500).replace("huh", "1", 1400))
    with pytest.raises(ValueError, match="line 2802, column 'column 0': expected a number, got 'huh'"):
        read_csv(bad)


@pytest.mark.parametrize(("data", "options", "words"), [
    ("", {}, "got an empty one"),
    ("\n\n", {}, "got an empty one"),
    ("a,b\n", {"header": True}, "rows below the header, got none"),
    ("a,b\n1,2\n3\n", {}, "line 3: expected 2 cells, as in the first line, got 1"),
    ("a,b\n1,2\n3,x\n", {}, r"line 3, column 'b': expected a number, got 'x'.*, or the column \(columns; .* --columns"),
    ("length,kind\n", {"target": -1}, "expected rows below the header, got none"),
    ("a,b\n1,2\n\n3,\n", {}, "line 4, column 'b': expected a number, got an empty cell"),
    ('a,b\n"1\n2",2\n', {}, r"line 3, column 'a': expected a number, got '1\\n2'"),
    ("a,b\n1,2\n", {"target": "c"}, "target among the columns a, b, got 'c'"),
    ("a,b\n1,2\n", {"target": 2}, "target from -2 to 1, got 2"),
    ("a,b\n1,2\n3,4x\n", {"target": "b"}, "line 3, column 'b': expected a number, got '4x'.* classes=True"),
    ("a,b\n1,red\n3,\n", {"target": "b"}, "line 3, column 'b': expected a number, got an empty cell"),
    ("a,b\n1,red\n", {"target": "b", "classes": False}, "line 2, column 'b': expected a number, got 'red'"),
    (b"\xff\xfe1\x00,\x00", {}, "in UTF-8, got one that cannot be read"),
    (b"\x89PNG\r\n\x1a\n\0\0", {}, "in UTF-8, got one that cannot be read"),
    (b'"' + b"1" * 200_000, {}, "cannot be read .*field larger"),
    (gzip.compress(IRIS.encode(), mtime=0)[:-12], {}, "a damaged one"),
])  # fmt: skip
def test_csv_errors(tmp_path, data, options, words):
    path = write(tmp_path / "a.csv", data)
    with pytest.raises(ValueError, match=re.escape(str(path)) + ".*" + words):
        read_csv(path, **options)


# ---- NPZ -------------------------------------------------------------------------------------------------------------


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_npz_round_trip(tmp_path):
    arrays = {"x": np.arange(6.0).reshape(2, 3), "y": np.array([1, 2])}
    found = read_npz(write(tmp_path / "a.npz", npz(**arrays)))
    assert list(found) == ["x", "y"]
    assert all((found[name] == arrays[name]).all() for name in arrays)
    np.save(tmp_path / "b.npy", arrays["x"])
    np.testing.assert_array_equal(read_npz(tmp_path / "b.npy")["array"], arrays["x"])


@pytest.mark.parametrize("data", [
    b"", b"PK\3\4", b"hello", npz(x=np.arange(100))[:-30], npz(x=np.arange(100))[:60], npz(x=np.array([None])),
    b"\x93NUMPY\1\0", b"\x93NUMPY\1\0\x10\0" + b"x" * 16,
])  # fmt: skip
def test_npz_errors(tmp_path, data):
    path = write(tmp_path / "a.npz", data)
    with pytest.raises(ValueError, match=re.escape(str(path)) + ": expected an .npz file"):
        read_npz(path)


def test_damaged_npz_is_never_a_crash(tmp_path):
    whole, random = npz(x=np.arange(50.0), y=np.arange(3)), np.random.default_rng(0)
    for _ in range(300):
        data = bytearray(whole)
        for position in random.integers(0, len(data), 3):
            data[position] ^= 1 << int(random.integers(8))
        with contextlib.suppress(ValueError):
            read_npz(write(tmp_path / "a.npz", bytes(data)))


@pytest.mark.parametrize("read", [read_idx, read_csv, read_npz])
def test_a_missing_file_is_the_systems_own_error(tmp_path, read):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nowhere")
