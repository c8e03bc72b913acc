"""Files of arrays, IDX and NPZ, read with every claim of the file checked.

A file that is cut short or of another kind raises ValueError, which names the file, what was expected and what found.
"""

import io
import math
import pathlib
from typing import IO, Any, Literal

import numpy as np

from nnx.data.checks import Array
from nnx.data.packed import Path, opened

__all__ = ["read_idx", "read_npz", "write_idx"]

DEFLATE = 1032  # to one, the most that a zip file can pack

IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path) -> Array:
    """The array in an IDX file (the format of MNIST and its kin), plain or gzip'ed.

    Layout, big-endian: two zero bytes, a type byte, the number of dimensions, each size as uint32, the values.
    Returns the array in native byte order. Raises ValueError for a file that is truncated, too long or no IDX file.
    Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database", file formats.
    """
    with opened(path) as stream:
        magic = stream.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in IDX_TYPES:
            raise ValueError(
                f"{path}: expected an IDX file, which begins with 00 00, a type (08 to 0e) and the number of "
                f"dimensions, got {magic.hex(' ') or 'an empty file'}"
            )
        sizes = stream.read(4 * magic[3])
        if len(sizes) < 4 * magic[3]:
            raise ValueError(f"{path}: expected {magic[3]} sizes in an IDX header, got {len(sizes)} bytes: truncated")
        shape = [int(size) for size in np.frombuffer(sizes, dtype=">u4")]
        dtype = np.dtype(IDX_TYPES[magic[2]])
        expected = math.prod(shape) * dtype.itemsize
        data = _read_up_to(stream, expected + 1)
    if len(data) != expected:
        found = "more" if len(data) > expected else str(len(data))
        raise ValueError(f"{path}: expected {expected} bytes of values for shape {shape}, got {found}: fetch it again")
    try:
        return np.frombuffer(data, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))
    except ValueError as error:  # more dimensions than NumPy has, or a size beyond its range beside a zero
        raise ValueError(f"{path}: expected a shape that NumPy can hold, got {shape} ({error})") from error


def write_idx(path: Path, array: Array) -> None:
    """Write an array as an IDX file, gzip'ed if the name ends in .gz.

    Raises TypeError for a dtype that IDX has not: it has uint8, int8, int16, int32, float32, float64.
    """
    import gzip

    codes = {np.dtype(name).newbyteorder("="): code for code, name in IDX_TYPES.items()}
    code = codes.get(array.dtype.newbyteorder("="))
    if code is None:
        raise TypeError(f"expected one of {', '.join(map(str, codes))}, got {array.dtype}: convert with astype")
    header = bytes([0, 0, code, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes()
    data = header + array.astype(IDX_TYPES[code]).tobytes()
    target = pathlib.Path(path)
    target.write_bytes(gzip.compress(data, mtime=0) if target.suffix == ".gz" else data)


def read_npz(path: Path) -> dict[str, Array]:
    """The arrays of an .npz file (or one .npy file, under the name "array") by name; never runs pickled code.

    Raises ValueError for a file that is truncated, of another kind, or that holds Python objects.
    """
    with pathlib.Path(path).open("rb") as file:  # np.load leaves its own open when it fails
        try:
            _check_claims(file)
            loaded = np.load(file, allow_pickle=False)
            found = {"array": loaded} if isinstance(loaded, np.ndarray) else {n: loaded[n] for n in loaded.files}
            if other := [name for name, x in found.items() if not isinstance(x, np.ndarray)]:
                raise ValueError(f"its entry {other[0]!r} is no array")
            return found
        except Exception as error:  # of damaged bytes zipfile, zlib and NumPy's parser make a dozen kinds of errors
            raise ValueError(
                f"{path}: expected an .npz file of plain arrays, got one that cannot be read ({error}): write it with "
                f"numpy.savez, and arrays of objects as numbers"
            ) from error


def _check_claims(file: IO[bytes]) -> None:
    """Raises ValueError if a header claims more values than there are bytes: NumPy would allocate them first."""
    import zipfile

    there = file.seek(0, 2)
    file.seek(0)
    packed = file.read(2) == b"PK"
    file.seek(0)
    if packed:
        with zipfile.ZipFile(file) as members:
            for info in members.infolist():
                if info.filename.endswith(".npy"):
                    with members.open(info) as stream:
                        claimed(stream, min(info.file_size, DEFLATE * there))
    elif there:
        claimed(file, there)
    file.seek(0)


def claimed(stream: IO[bytes], there: int) -> tuple[tuple[int, ...], Literal["C", "F"], "np.dtype[Any]"]:
    """Shape, order and dtype that an NPY file's header claims; `there`: the bytes that the whole can have at the most.

    The stream then stands at the first value. Raises ValueError for a damaged header, or one that claims more.
    """
    version = np.lib.format.read_magic(stream)
    size = int.from_bytes(stream.read(2 if version == (1, 0) else 4), "little")
    if size > there or not (1, 0) <= version <= (3, 0):
        raise ValueError(f"its header is of version {version} and claims {size} bytes, and there are {there}")
    text = size.to_bytes(4, "little") + stream.read(size)
    shape, fortran, dtype = np.lib.format.read_array_header_2_0(io.BytesIO(text))
    if dtype.hasobject or min(shape, default=0) < 0:
        raise ValueError(f"its header says {dtype} of shape {shape}")
    if math.prod(shape) * dtype.itemsize > there:
        raise ValueError(f"its header claims {math.prod(shape) * dtype.itemsize} bytes, and there are {there}")
    return shape, "F" if fortran else "C", dtype


def _read_up_to(stream: IO[bytes], size: int) -> bytes:
    """At most `size` bytes, asked for in pieces: a damaged header may claim more than there is memory."""
    pieces: list[bytes] = []
    while size > 0 and (piece := stream.read(min(size, 1 << 20))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
