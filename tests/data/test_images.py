"""Folders of images: classes by subfolder, pixels from 0 to 1, damaged and odd files named."""

import importlib
import warnings

import numpy as np
import pytest

from nnx.data import read_image_folder, read_images

Image = pytest.importorskip("PIL.Image", reason="Pillow, which reads images, is not installed")

GRAY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
COLOUR = np.stack([GRAY, GRAY + 1, 255 - GRAY], axis=-1)


def save(path, pixels, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **how)
    return path


def test_a_folder_is_its_classes(tmp_path):
    for name, pixels in (("b/2.png", GRAY), ("b/10.png", 255 - GRAY), ("a/x/1.bmp", GRAY), (".git/1.png", GRAY)):
        save(tmp_path / name, pixels)
    (tmp_path / "a" / "notes.txt").write_text("no image")
    save(tmp_path / "a" / ".hidden.png", COLOUR)
    table = read_image_folder(tmp_path)
    assert table.classes == ("a", "b")
    assert table.y.tolist() == [0, 1, 1]
    assert table.columns == ("gray",)
    assert table.x.shape == (3, 1, 3, 4)
    assert table.x.dtype == np.float32
    np.testing.assert_array_equal(table.x[1, 0], (255 - GRAY).astype("float32") / np.float32(255), "sorted by name")


def test_colours(tmp_path):
    files = [save(tmp_path / "c.png", COLOUR), save(tmp_path / "g.png", GRAY)]
    mixed = read_images(files)
    assert mixed.shape == (2, 3, 3, 4)
    np.testing.assert_allclose(mixed[0] * 255, np.moveaxis(COLOUR, -1, 0), rtol=1e-6)
    np.testing.assert_allclose(mixed[1] * 255, np.stack([GRAY] * 3), rtol=1e-6)
    assert read_images(files, channels=1).shape == (2, 1, 3, 4)
    assert read_images(files[1:]).shape == (1, 1, 3, 4)
    assert read_images(files[1:], channels=3).shape == (1, 3, 3, 4)


def test_sixteen_bits_of_gray(tmp_path):
    deep = np.asarray([[0, 257, 65535]], dtype=np.uint16)
    file = save(tmp_path / "d.png", deep)
    np.testing.assert_allclose(read_images([file])[0, 0], [[0.0, 1 / 255, 1.0]], rtol=1e-6)
    np.testing.assert_allclose(read_images([file], channels=3)[0, 2], [[0.0, 1 / 255, 1.0]], rtol=1e-6)


def test_transparency_is_dropped_and_palettes_are_colours(tmp_path):
    clear = np.concatenate([COLOUR, np.full((3, 4, 1), 7, np.uint8)], axis=-1)
    save(tmp_path / "t.png", clear)
    np.testing.assert_allclose(read_images([tmp_path / "t.png"])[0] * 255, np.moveaxis(COLOUR, -1, 0), rtol=1e-6)
    Image.fromarray(clear).quantize().save(tmp_path / "q.png")  # of which Pillow warns, if it is not asked
    assert read_images([tmp_path / "q.png"]).shape == (1, 3, 3, 4)
    Image.fromarray(COLOUR).convert("P").save(tmp_path / "p.gif")
    assert read_images([tmp_path / "p.gif"]).shape == (1, 3, 3, 4)


def test_a_photo_is_turned_as_it_was_held(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    save(tmp_path / "e.png", GRAY, exif=exif)
    np.testing.assert_allclose(read_images([tmp_path / "e.png"])[0, 0] * 255, np.rot90(GRAY, -1), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_sizes(tmp_path, dtype):
    for name, shape in (("a", (8, 8)), ("b", (5, 7))):
        save(tmp_path / name / "1.png", np.full(shape, 100, dtype=dtype))
    with pytest.raises(ValueError, match=r"images of one size, got 8 × 8 \(.*1\.png\) and 5 × 7 .*--image-size"):
        read_image_folder(tmp_path)
    table = read_image_folder(tmp_path, size=(4, 6))
    assert table.x.shape == (2, 1, 4, 6)
    np.testing.assert_allclose(table.x, 100 / (255 if dtype == "uint8" else 65535), rtol=1e-6)


def test_mistakes(tmp_path):
    with pytest.raises(ValueError, match="expected one subfolder a class"):
        read_image_folder(tmp_path)
    (tmp_path / "a").mkdir()
    save(tmp_path / "b" / "1.png", GRAY)
    with pytest.raises(ValueError, match=r"expected images \(.*\) in every subfolder, got none in a"):
        read_image_folder(tmp_path)
    with pytest.raises(ValueError, match="channels must be 1"):
        read_images([tmp_path / "b" / "1.png"], channels=2)
    with pytest.raises(ValueError, match="expected at least one image"):
        read_images([])
    with pytest.raises(FileNotFoundError):
        read_images([tmp_path / "no.png"])
    with pytest.raises(FileNotFoundError):
        read_image_folder(tmp_path / "nothing")


@pytest.mark.parametrize("damage", ["text", "cut", "empty", "floating"])
def test_damaged_images_are_named(damage, tmp_path):
    rng = np.random.default_rng(0)
    file = save(tmp_path / "bad.png", rng.integers(0, 255, (64, 64), dtype=np.uint8))
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:2000])
    elif damage == "floating":
        file = save(tmp_path / "bad.tiff", rng.random((4, 4), dtype="float32"))
    else:
        file.write_text("no image" if damage == "text" else "")
    with pytest.raises(ValueError, match=r"bad\.\w+: expected (an image|8 or 16 bits)"):
        read_images([file])


@pytest.mark.parametrize("limit", [4, 8])
def test_an_image_that_would_fill_the_memory(limit, tmp_path, monkeypatch):
    """Pillow itself warns of such a file, and refuses one of twice the size."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=r"g\.png: expected an image, got a file that cannot be read"):
            read_images([save(tmp_path / "g.png", GRAY)])


def test_without_pillow(monkeypatch, tmp_path):
    file = save(tmp_path / "g.png", GRAY)

    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'nnx-array\[images\]'"):
        read_images([file])


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tiff", "bmp", "ppm"])
def test_bytes_that_were_changed(suffix, tmp_path):
    """The error names the file, or there is an image: whatever Pillow raises is neither lost nor passed on."""
    rng = np.random.default_rng(0)
    path = save(tmp_path / f"d.{suffix}", rng.integers(0, 255, (9, 9, 3), dtype=np.uint8))
    whole = path.read_bytes()
    refused = []
    for _ in range(40):
        damaged, at = bytearray(whole), int(rng.integers(len(whole)))
        damaged[at : at + int(rng.integers(1, 9))] = rng.bytes(int(rng.integers(0, 9)))
        path.write_bytes(damaged)
        try:
            read_images([path])
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > 5
    assert all(str(path) in words for words in refused)
