"""Arrays on disk, larger than memory: the same batches as from memory, a bounded process, and no damaged file read."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from nnx.backend import to_numpy
from nnx.data import ArrayDataset, DataLoader, MemmapDataset, Subset, memmap, open_npy, write_npy
from nnx.data.order import block_permutation
from tests.support import assert_same

X = np.random.default_rng(0).random((50, 3, 2)).astype(np.float32)
Y = np.arange(50)


@pytest.fixture
def files(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    return str(tmp_path / "x.npy"), tmp_path / "y.npy"


def npy(array, **options):
    held = io.BytesIO()
    np.lib.format.write_array(held, array, **options)
    return held.getvalue()


# ---- reading ---------------------------------------------------------------------------------------------------------


def test_an_open_file_is_the_array_and_cannot_be_written_to(files):
    x = open_npy(files[0])
    assert isinstance(x, np.memmap)
    np.testing.assert_array_equal(x, X)
    with pytest.raises(ValueError, match="read-only"):
        x[0] = 0.0


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("dtype", ["uint8", "float16", ">i4", "bool", "complex64"])
def test_kinds_of_files(tmp_path, version, dtype):
    array = X.astype(dtype)
    (tmp_path / "a").write_bytes(npy(array, version=version))
    np.testing.assert_array_equal(open_npy(tmp_path / "a"), array)
    (batch,) = MemmapDataset(tmp_path / "a").gather(np.array([4, 1]))
    np.testing.assert_array_equal(batch, array[[4, 1]])
    assert batch.dtype.isnative


WHOLE = npy(X)


@pytest.mark.parametrize(("data", "words"), [
    (b"", "cannot be read"),
    (b"PK\3\4 a zip file", "cannot be read"),
    (WHOLE[:60], "cannot be read"),
    (WHOLE[:-1], r"1200 bytes of float32 for the shape \(50, 3, 2\) of its header, got 1199: it was cut short"),
    (WHOLE + b"!", r"1200 bytes of float32 for the shape \(50, 3, 2\) of its header, got 1201"),
    (WHOLE.replace(b"(50, 3, 2)", b"(99, 3, 2)"), "cannot be read .its header claims 2376 bytes"),
    (WHOLE.replace(b"(50, 3, 2)", b"(-1, 3, 2)"), "cannot be read"),
    (WHOLE.replace(b"'<f4'", b"'|O4'"), "cannot be read"),
    (WHOLE.replace(b"'<f4'", b"'<U1'"), "its header says <U1"),
    (npy(X[:0]), r"got an array of shape \(0, 3, 2\), which holds none"),
])  # fmt: skip
def test_damaged_files_are_errors_before_anything_is_read(tmp_path, data, words):
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(ValueError, match=rf"a\.npy: expected .*{words}"):
        open_npy(tmp_path / "a.npy")
    with pytest.raises(ValueError, match=r"a\.npy: expected"):
        MemmapDataset(tmp_path / "a.npy")


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        open_npy(tmp_path / "nowhere.npy")


ROWS = {
    "one": [3],
    "in a row": [7, 8, 9],
    "in a row, backwards": [9, 8, 7],
    "anywhere": [41, 0, 49, 3],
    "twice": [5, 5, 6, 5],
    "a gap and a twin": [5, 5, 7],
    "none": [],
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("held", [1, 200_000, 1 << 25])
def test_rows_are_gathered_in_the_order_that_was_asked_for(files, monkeypatch, rows, held):
    monkeypatch.setattr(memmap, "HELD", held)
    dataset = MemmapDataset(*files)
    x, y = dataset.gather(np.array(rows, dtype=np.int64))
    np.testing.assert_array_equal(x, X[np.array(rows, dtype=int)])
    assert y.tolist() == rows
    assert type(x) is np.ndarray
    assert x.flags.writeable


@pytest.mark.parametrize("options", [{}, {"shuffle": True}, {"num_workers": 2, "shuffle": True}], ids=str)
def test_batches_are_those_of_memory(backend, files, options):
    disk, memory = (DataLoader(d, 7, seed=3, **options) for d in (MemmapDataset(*files), ArrayDataset(X, Y)))
    assert len(disk) == len(memory) == 8
    for found, expected in zip(disk, memory, strict=True):
        for a, b in zip(found, expected, strict=True):
            assert_same(a, to_numpy(b))


def test_open_arrays_one_sample_and_a_subset(files):
    dataset = MemmapDataset(open_npy(files[0]), files[1])
    assert dataset[7][1] == 7
    part = next(iter(DataLoader(Subset(dataset, [8, 2]), 2)))
    assert part[1].tolist() == [8, 2]


def test_a_slice_of_an_open_array_and_rows_that_are_not_there(files):
    dataset = MemmapDataset(open_npy(files[0])[20:40])
    np.testing.assert_array_equal(dataset.gather(np.array([19, 2, 3]))[0], X[[39, 22, 23]])
    for rows in ([20], [-1, 3]):
        with pytest.raises(IndexError, match="expected rows from 0 to 19"):
            dataset.gather(np.array(rows))


def test_what_is_no_dataset(files, tmp_path):
    np.save(tmp_path / "f.npy", np.asfortranarray(X[:, :, 0]))
    np.save(tmp_path / "s.npy", X[:5])
    with pytest.raises(ValueError, match=r"f\.npy: expected rows that lie one after the other .* in Fortran order"):
        MemmapDataset(tmp_path / "f.npy")
    with pytest.raises(ValueError, match=r"files of one length, got .*x\.npy 50, .*s\.npy 5"):
        MemmapDataset(files[0], tmp_path / "s.npy")
    with pytest.raises(ValueError, match="at least one file"):
        MemmapDataset()


@pytest.mark.skipif(sys.platform == "win32", reason="a mapped file cannot be cut there")
def test_a_file_that_is_cut_while_it_is_open_is_an_error_and_no_crash(files):
    dataset = MemmapDataset(*files)
    os.truncate(files[0], 200)
    with pytest.raises(ValueError, match=r"x\.npy: expected 1328 bytes, as when it was opened, got 200"):
        dataset.gather(np.array([49]))


# ---- larger than memory ----------------------------------------------------------------------------------------------

CHILD = """
import json, resource, sys
import numpy as np
from nnx.data import DataLoader, MemmapDataset, memmap

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def grown(**options):
    run = iter(DataLoader(MemmapDataset(sys.argv[1]), 64, **options))
    for _ in range(3):
        next(run)
    before = most = resident()
    for _ in range(40):
        assert next(run)[0].shape == (64, 16384)
        most = max(most, resident())
    return (most - before) / 1e6

found = {
    "sequential": grown(),
    "shuffled": grown(shuffle=True),
    "blocks": grown(shuffle=True, shuffle_block=256),
}
memmap.HELD = 1 << 40
found["nothing given back"] = grown()
print(json.dumps(found))
"""


@pytest.fixture
def huge(tmp_path):
    """8 GB of zeros, of which the disk holds none."""
    path = tmp_path / "x.npy"
    np.lib.format.open_memmap(path, "w+", np.float32, (131072, 16384)).flush()
    if path.stat().st_blocks * 512 > 1 << 24:
        pytest.skip("this file system has no sparse files")
    yield path
    path.unlink()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_process_stays_small(huge):
    assert huge.stat().st_size > 8 << 30
    done = subprocess.run([sys.executable, "-c", CHILD, str(huge)], capture_output=True, text=True, check=True)
    megabytes = json.loads(done.stdout)
    assert megabytes.pop("nothing given back") > 110, "168 MB were read, and the test would notice"
    assert max(megabytes.values()) < 60, megabytes


def test_what_a_user_has_written_into_a_private_map_stays(files, monkeypatch):
    monkeypatch.setattr(memmap, "HELD", 1)
    private = np.load(files[0], mmap_mode="c")
    private[3] = -1.0
    dataset = MemmapDataset(private)
    for _ in range(2):
        assert (dataset.gather(np.array([3, 30]))[0][0] == -1.0).all()


# ---- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[50], [1, 0, 20, 29], [10] * 5, [0, 50]])
def test_what_is_written_is_what_numpy_reads(tmp_path, sizes):
    batches = np.split(X, np.cumsum(sizes)[:-1])
    assert write_npy(tmp_path / "x.npy", batches) == 50
    found = np.load(tmp_path / "x.npy")
    assert_same(found, X)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_arrays_of_any_backend_and_another_dtype(backend, tmp_path):
    batches = [backend.asarray(X[:3], "float32"), backend.asarray(X[3:5], "float32")]
    write_npy(tmp_path / "x.npy", batches, dtype="float16")
    assert_same(np.load(tmp_path / "x.npy"), X[:5].astype(np.float16))


def test_views_and_foreign_byte_orders(tmp_path):
    write_npy(tmp_path / "x.npy", [X[::2].astype(">f4"), X[::-1, ::-1]])
    assert_same(np.load(tmp_path / "x.npy"), np.concatenate([X[::2], X[::-1, ::-1]]))


def test_a_growing_header_keeps_its_place(tmp_path):
    """The number of rows is known at the end: the header is written twice, as long both times."""
    rows = write_npy(tmp_path / "x.npy", (np.zeros((10**6, 1), np.int8) for _ in range(12)))
    assert rows == 12 * 10**6
    assert np.load(tmp_path / "x.npy", mmap_mode="r").shape == (rows, 1)


def interrupted():
    yield X
    raise KeyboardInterrupt


@pytest.mark.parametrize(("batches", "error", "words"), [
    ([], ValueError, "at least one batch to write, got none"),
    ([X, X[:, :2]], ValueError, r"each batch as the first, \(n, 3, 2\) of float32, got batch 1 of shape \(50, 2, 2\)"),
    ([Y, X[:, 0, 0]], ValueError, "of int64, got batch 1 of shape .50,., float32"),
    ([np.float32(1.0)], ValueError, r"batches \(n, ...\) of numbers, got float32 of shape \(\)"),
    ([np.array(["a"])], ValueError, "of numbers, got <U1"),
    (interrupted(), KeyboardInterrupt, "^$"),
])  # fmt: skip
def test_a_file_is_there_whole_or_as_it_was(tmp_path, batches, error, words):
    (tmp_path / "x.npy").write_bytes(b"before")
    with pytest.raises(error, match=words):
        write_npy(tmp_path / "x.npy", batches)
    assert (tmp_path / "x.npy").read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 1


# ---- shuffled by blocks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "block"), [(1000, 10), (1001, 10), (7, 3), (5, 100), (1, 1), (64, 8)])
def test_blocks_hold_every_row_once(n, block):
    found = block_permutation(n, block, 3, 1)
    assert sorted(found.tolist()) == list(range(n))
    assert found.tolist() == block_permutation(n, block, 3, 1).tolist()
    assert n < 7 or found.tolist() != block_permutation(n, block, 3, 2).tolist()


def test_blocks_are_read_eight_at_a_time_and_mixed():
    found = block_permutation(8000, 10, 0, 0).reshape(-1, 80)
    for stretch in found:
        assert len(np.unique(stretch // 10)) == 8
    neighbours = (np.diff(found, axis=1) == 1).mean()
    assert neighbours < 0.05
    assert np.abs(np.corrcoef(found[:, 0], np.arange(100))[0, 1]) < 0.3


def test_a_loader_over_blocks_resumes_and_knows_its_order(files):
    def make(block=5):
        return DataLoader(MemmapDataset(*files), 8, shuffle=True, seed=2, shuffle_block=block)

    whole = make()
    expected = [y.tolist() for _, y in whole] + [y.tolist() for _, y in whole]
    assert sorted(label for batch in expected[:7] for label in batch) == Y.tolist()
    stopped = make()
    run = iter(stopped)
    next(run), next(run)
    resumed = make()
    resumed.load_state_dict(stopped.state_dict())
    assert [y.tolist() for _, y in resumed] == expected[2:7]
    for block in (4, None):
        with pytest.raises(ValueError, match=f"saved with shuffle_block={block}, as this loader has, got .*block=5"):
            make(block).load_state_dict(stopped.state_dict())


@pytest.mark.parametrize("options", [{"shuffle_block": 4}, {"shuffle": True, "shuffle_block": 0}])
def test_block_errors(options):
    with pytest.raises(ValueError, match="shuffle_block of at least 1, and shuffle=True beside it"):
        DataLoader(ArrayDataset(Y), **options)
