"""Small files of every kind that the command line reads, of the same few separable points."""

import numpy as np

from nnx import data

KINDS = ("x", "y", "z")


def points(n=90, seed=0):
    """Three clouds in the plane, and which one."""
    rng, y = np.random.default_rng(seed), np.arange(n) % 3
    centres = np.asarray([[0.0, 50.0], [4.0, 10.0], [-4.0, -30.0]])
    return centres[y] + rng.standard_normal((n, 2)) * [0.5, 5.0], y


def names():
    """The clouds' names, a point each."""
    return np.asarray(KINDS)[points()[1]]


def csv(path, n=90, seed=0, delimiter=","):
    """Columns a, b and the cloud's name."""
    x, y = points(n, seed)
    lines = [("a", "b", "kind"), *((f"{p:.6f}", f"{q:.6f}", KINDS[k]) for (p, q), k in zip(x, y, strict=True))]
    path.write_text("".join(delimiter.join(line) + "\n" for line in lines))
    return path


def values(path, n=90, seed=0):
    """Columns a, b and 1000 + 20 a - 3 b, with fractions."""
    x, _ = points(n, seed)
    lines = ["a,b,price", *(f"{p:.6f},{q:.6f},{1000.5 + 20 * p - 3 * q:.4f}" for p, q in x)]
    path.write_text("\n".join(lines) + "\n")
    return path


def pictures(n=60, size=8):
    """Bytes (n, size, size): bright above, or below."""
    rng, y = np.random.default_rng(0), np.arange(n) % 2
    x = rng.integers(0, 60, (n, size, size))
    half = size // 2
    x[y == 0, :half] += 180
    x[y == 1, half:] += 180
    return x.astype(np.uint8), y


def idx(folder, n=60):
    """An IDX file of images, and the one of their labels beside it."""
    x, y = pictures(n)
    data.write_idx(folder / "train-images-idx3-ubyte.gz", x)
    data.write_idx(folder / "train-labels-idx1-ubyte.gz", y.astype(np.uint8))
    return folder / "train-images-idx3-ubyte.gz"


def photos(folder, n=60):
    """A folder of PNG files, a subfolder a class."""
    from PIL import Image

    x, y = pictures(n)
    for k, (pixels, label) in enumerate(zip(x, y, strict=True)):
        place = folder / ("above", "below")[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{k:03}.png")
    return folder


def npz(path, **arrays):
    """An .npz file of the pictures, or of these arrays."""
    x, y = pictures()
    np.savez(path, **(arrays or {"x": x, "y": y}))
    return path


def parquet(path, n=90):
    """The table of csv(...)."""
    import pyarrow
    import pyarrow.parquet

    x, y = points(n)
    columns = {"a": x[:, 0], "b": x[:, 1], "kind": [KINDS[k] for k in y]}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path
