"""Transforms: against PyTorch where nothing is random, by what must hold of every sample where something is.

What is drawn is the same on every backend, dtype and device stay, the input is left alone, gradients go through, and a
loader that was stopped in the middle goes on with the same batches.
"""

import numpy as np
import pytest

import nnx
from nnx.backend import to_numpy
from nnx.data import ArrayDataset, DataLoader
from nnx.data import transforms as T
from nnx.data.transforms.draws import integers
from nnx.data.transforms.mixing import beta_quantiles
from tests.support import assert_close, assert_same

RNG = np.random.default_rng(0)
IMAGES = RNG.random((6, 3, 5, 7)).astype(np.float32)
LABELS = np.array([0, 2, 1, 1, 3, 0], dtype=np.int32)  # JAX has no more bits, unless it is asked for
MANY = RNG.random((400, 1, 6, 6)).astype(np.float32) + 1.0  # nothing of it is 0


def born(backend, array):
    return backend.asarray(array, str(array.dtype))


ALL = {
    "crop": T.RandomCrop((4, 5), padding=2),
    "crop, wide": T.RandomCrop((5, 7), padding=(1, 2, 3, 0), fill=0.5),
    "crop, edge": T.RandomCrop(5, padding=3, padding_mode="edge"),
    "crop, reflect": T.RandomCrop(5, padding=(2, 1), padding_mode="reflect"),
    "crop, symmetric": T.RandomCrop(5, padding=(2, 1), padding_mode="symmetric"),
    "center": T.CenterCrop(3),
    "center, padded": T.CenterCrop((8, 4)),
    "flip": T.RandomHorizontalFlip(),
    "flip, vertical": T.RandomVerticalFlip(),
    "erase": T.RandomErasing(value=0.25),
    "normalize": T.Normalize([0.1, 0.2, 0.3], [1.0, 0.5, 3.0]),
    "normalize, one": T.Normalize(0.5, 0.25),
    "noise": T.GaussianNoise(sigma=0.2),
    "mixup": T.MixUp(num_classes=4),
    "mixup, small alpha": T.MixUp(0.2, num_classes=4),
    "cutmix": T.CutMix(num_classes=4),
    "onehot": T.OneHot(4),
    "composed": T.Compose([T.RandomCrop(5, 1), T.RandomHorizontalFlip(), T.Normalize(0.5, 2.0), T.MixUp(1.0, 4)]),
}  # fmt: skip
EXACT = ("crop", "center, padded", "flip", "erase", "cutmix", "onehot")
ROUNDED = ("normalize", "noise", "mixup")  # a log and a cos, a division that became a product, a fused product and sum


def applied(backend, transform):
    x, y = born(backend, IMAGES), born(backend, LABELS)
    before = [to_numpy(a).copy() for a in (x, y)]
    with nnx.random.scope(11):
        found = transform(x, y)
    for a, was in zip((x, y), before, strict=True):
        np.testing.assert_array_equal(to_numpy(a), was)
    return found


@pytest.mark.parametrize("name", EXACT + ROUNDED)
def test_the_same_on_every_backend(backend, name):
    with nnx.use_backend("numpy"):
        expected = applied(nnx.get_backend(), ALL[name])
    found = applied(backend, ALL[name])
    assert isinstance(found, tuple)
    for a, b in zip(found, expected, strict=True):
        assert type(a) is type(born(backend, IMAGES))
        assert nnx.backend.device_of(a) == nnx.backend.device_of(born(backend, IMAGES))
        exact = name in EXACT and not (name == "cutmix" and a.ndim == 2)
        assert_close(a, b, **({"rtol": 0.0} if exact else {"rtol": 1e-6, "atol": 1e-6}))


KEEP = [name for name in ALL if not name.startswith(("normalize", "noise", "mixup", "cutmix", "composed", "onehot"))]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float16"])
@pytest.mark.parametrize("name", KEEP)
def test_dtypes_stay(name, dtype):
    x = (IMAGES * 200).astype(dtype)
    with nnx.random.scope(11):
        found = ALL[name](x)
    assert found.dtype == dtype
    if "erase" not in name and "wide" not in name:
        assert set(found.ravel().tolist()) <= {*x.ravel().tolist(), 0}


@pytest.mark.parametrize("name", ALL)
def test_an_empty_batch_and_images_without_channels(name):
    x, y = ALL[name](IMAGES[:0], LABELS[:0])
    assert len(x) == len(y) == 0
    if name != "normalize":
        assert ALL[name](IMAGES[:, 0], LABELS)[0].ndim == 3


@pytest.mark.parametrize("name", [name for name in ALL if name != "onehot"])
def test_gradients_go_through(name):
    """The derivative along the images' own direction is what central differences say; each is linear but for a clip."""
    check_gradient(nnx.get_backend("numpy"), name)


@pytest.mark.parametrize("name", ["crop, reflect", "cutmix"])
def test_gradients_on_every_backend(backend, name):
    check_gradient(backend, name)


def check_gradient(backend, name):
    xp, x, y = backend.xp, born(backend, IMAGES), born(backend, LABELS)
    weight = born(backend, RNG.random(tuple(to_numpy(applied(backend, ALL[name])[0]).shape)).astype(np.float32))

    def loss(x):
        with nnx.random.scope(11):
            found = ALL[name](x, y)[0]
        return nnx.namespace(found).sum(found * weight)

    value, grad = nnx.value_and_grad(loss)(x)
    assert not isinstance(grad, nnx.Var)
    if name != "noise":
        moved = loss(x + grad * 0.125) - loss(x)
        np.testing.assert_allclose(float(moved), float(xp.sum(grad * grad)) * 0.125, rtol=1e-3)
    np.testing.assert_allclose(float(value), float(loss(x)), rtol=1e-5)


def test_in_a_compiled_step_every_step_draws_anew(backend):
    transform = T.Compose([T.RandomCrop((5, 7), padding=2), T.MixUp(1.0, 4)])

    def step(x, y):
        return transform(x, y)[0]

    x, y = born(backend, IMAGES), born(backend, LABELS)
    nnx.seed(5)
    expected = [to_numpy(step(x, y)) for _ in range(2)]
    nnx.seed(5)
    compiled = nnx.compile(step, state=(nnx.Linear(2, 2),))
    found = [to_numpy(compiled(x, y)) for _ in range(2)]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6)
    assert not np.array_equal(found[0], found[1])


# ---- what is random --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "numpy_mode"), [
    ("constant", "constant"), ("edge", "edge"), ("reflect", "reflect"), ("symmetric", "symmetric"),
])  # fmt: skip
def test_every_crop_is_a_window_of_the_padded_image(mode, numpy_mode):
    crop = T.RandomCrop((5, 4), padding=(2, 1, 3, 2), padding_mode=mode)
    found = crop(MANY)
    padded = np.pad(MANY, ((0, 0), (0, 0), (1, 2), (2, 3)), mode=numpy_mode)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 4), axis=(2, 3))[:, 0]  # (n, places, places, 5, 4)
    equal = (windows == found[:, 0][:, None, None]).all(axis=(3, 4))
    assert equal.any(axis=(1, 2)).all()
    if mode == "constant":
        places = equal.sum(axis=0)
        assert places.shape == (5, 8)
        assert places.min() > 0, "every place is taken by some image"
        assert abs(places.sum(axis=0) - 50).max() < 30


def test_crops_of_channels_move_together():
    x = np.stack([MANY[:, 0], MANY[:, 0] + 1], axis=1)
    found = T.RandomCrop(3)(x)
    np.testing.assert_array_equal(found[:, 0] + 1, found[:, 1])


@pytest.mark.parametrize(("transform", "axis"), [(T.RandomHorizontalFlip, 3), (T.RandomVerticalFlip, 2)])
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_flips(transform, axis, p):
    found = transform(p)(MANY)
    flipped = (found == np.flip(MANY, axis)).all(axis=(1, 2, 3))
    kept = (found == MANY).all(axis=(1, 2, 3))
    assert (flipped ^ kept).all()
    assert abs(flipped.mean() - p) < (0.1 if 0 < p < 1 else 1e-9)


def test_erased_rectangles():
    found = T.RandomErasing(p=0.5, scale=(0.1, 0.3), ratio=(0.5, 2.0), value=0)(np.ones((600, 2, 20, 24), np.float32))
    gone = found == 0
    np.testing.assert_array_equal(gone[:, 0], gone[:, 1])
    hit = gone.any(axis=(1, 2, 3))
    assert abs(hit.mean() - 0.5) < 0.08
    rows, columns = gone[hit, 0].any(axis=2), gone[hit, 0].any(axis=1)
    height, width = rows.sum(axis=1), columns.sum(axis=1)
    np.testing.assert_array_equal(gone[hit, 0], rows[:, :, None] & columns[:, None, :])
    assert (np.diff(rows.astype(int), axis=1) == 1).sum(axis=1).max() <= 1, "one piece"
    area, ratio = height * width / 480, height / width
    assert 0.08 < area.min() < 0.13 < 0.26 < area.max() < 0.33
    assert 0.4 < ratio.min() < 0.6 < 1.7 < ratio.max() < 2.5
    assert rows.any(axis=0).all(), "everywhere"


def test_noise():
    x = np.full((50, 1, 20, 20), 0.5, np.float32)
    found = T.GaussianNoise(0.1, 0.05)(x)
    assert abs(found.mean() - 0.6) < 1e-3
    assert abs(found.std() - 0.05) < 1e-3
    cut = T.GaussianNoise(sigma=1.0)(x)
    assert (cut.min(), cut.max()) == (0.0, 1.0)
    assert T.GaussianNoise(sigma=1.0, clip=False)(x).max() > 2.0


@pytest.mark.parametrize("labels", ["integers", "shares"])
@pytest.mark.parametrize("kind", [T.MixUp, T.CutMix])
def test_images_and_labels_are_mixed_in_the_same_shares(kind, labels):
    n = 300
    own = np.arange(n) % 3
    x = np.broadcast_to(np.eye(3, dtype=np.float32)[own][:, :, None, None], (n, 3, 10, 12)).copy()  # channels: classes
    y = own if labels == "integers" else np.eye(3, dtype=np.float32)[own]
    found, shares = kind(num_classes=3 if labels == "integers" else None)(x, y)
    np.testing.assert_allclose(found.mean(axis=(2, 3)), shares, atol=1e-6)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-6)
    assert (shares[np.arange(n), (own + 1) % 3] == 0).all(), "of the sample before, and of no other"
    assert len(np.unique(shares[np.arange(n), own].round(3))) > 25, "every sample has its own share"
    if kind is T.MixUp:
        assert abs(shares[np.arange(n), own].mean() - 0.5) < 0.05
    else:
        assert set(np.unique(found)) == {0.0, 1.0}


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 0.9, 1.0, 2.0, 8.0])
def test_the_shares_are_betas_quantiles(alpha):
    stats = pytest.importorskip("scipy.stats")
    p = (np.arange(4096) + 0.5) / 4096
    expected = stats.beta(alpha, alpha).ppf(p)
    np.testing.assert_allclose(beta_quantiles(alpha), expected, rtol=1e-3, atol=1e-6)


def test_whole_numbers_are_those_of_the_random_words(backend):
    """floor(m high / 2**24) to the last bit, of as many words, in integers of 32 bits and of 64."""
    like = backend.asarray([0.0])
    several = np.array([1, 2, 5, 100, 4097, 131071] * 50)
    with nnx.random.scope(4):
        words = to_numpy(nnx.random.bits(300, like)).astype(np.int64) & 0xFFFFFFFF
    for high in (1, 7, 4096, 131071, several):
        with nnx.random.scope(4):
            found = integers(300, high if isinstance(high, int) else backend.asarray(high), like)
        np.testing.assert_array_equal(to_numpy(found), ((words >> 8) * high) >> 24)
    with pytest.raises(ValueError, match="a range from 1 to 131071, got 131072"):
        integers(3, 1 << 17, like)


def test_draws_differ_and_a_seed_brings_them_back():
    crop = T.RandomCrop(5, padding=2)
    nnx.seed(1)
    first, second = crop(MANY), crop(MANY)
    nnx.seed(1)
    np.testing.assert_array_equal(crop(MANY), first)
    assert not np.array_equal(first, second)


# ---- what is not -----------------------------------------------------------------------------------------------------


def test_one_hot_and_dtype_against_pytorch(backend):
    torch = pytest.importorskip("torch")
    for labels in (LABELS, LABELS.astype(np.uint8), LABELS.reshape(2, 3)):
        expected = torch.nn.functional.one_hot(torch.asarray(labels.astype(np.int64)), 5).numpy().astype(np.float32)
        assert_same(T.OneHot(5)(born(backend, labels)), expected)
    pixels = np.arange(256, dtype=np.uint8)
    expected = (torch.asarray(pixels).to(torch.float32) / 255).numpy()
    assert_close(T.ToDtype("float32", scale=True)(born(backend, pixels)), expected, rtol=1e-7)
    assert_same(T.ToDtype("float32")(born(backend, pixels)), pixels.astype(np.float32))
    assert_same(T.ToDtype("float32", scale=True)(born(backend, IMAGES)), IMAGES)


def test_normalize_and_center_against_pytorch(backend):
    torch = pytest.importorskip("torch")
    x, mean, std = torch.asarray(IMAGES), [0.1, 0.2, 0.3], [1.0, 0.5, 3.0]
    expected = (x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    assert_close(T.Normalize(mean, std)(born(backend, IMAGES)), expected.numpy(), rtol=1e-6, atol=1e-7)
    rows = T.Normalize(mean, std)(born(backend, IMAGES[:, :, 0, 0]))
    assert_close(rows, expected.numpy()[:, :, 0, 0], rtol=1e-6, atol=1e-7)
    assert_same(T.CenterCrop((3, 4))(born(backend, IMAGES)), IMAGES[:, :, 1:4, 2:6])
    padded = torch.nn.functional.pad(x, (0, 1, 1, 2)).numpy()  # (left, right, above, below), as torchvision pads
    assert_same(T.CenterCrop(8)(born(backend, IMAGES)), padded)


def test_compose_and_lambda():
    both = T.Compose([T.Lambda(lambda x: x * 2), lambda x, y: (x + 1, y + 1)])
    x, y = both(np.ones(2), np.zeros(2))
    assert (x.tolist(), y.tolist()) == ([3, 3], [1, 1])
    assert T.Compose([T.Lambda(lambda x: x * 2), T.Lambda(lambda x: x + 1)])(np.ones(2)).tolist() == [3, 3]
    assert repr(T.RandomCrop(3, padding=1)).startswith("RandomCrop(size=(3, 3)")


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda: T.RandomCrop(8)(IMAGES), ValueError, r"RandomCrop of size \(8, 8\) .* got \(5, 7\) with padding"),
    (lambda: T.RandomCrop(0), ValueError, "of at least 1, got 0"),
    (lambda: T.RandomCrop(2, padding=(1, 2, 3)), ValueError, r"expected padding of one number, .* got \(1, 2, 3\)"),
    (lambda: T.RandomCrop(2, padding=-1), ValueError, "each at least 0, got -1"),
    (lambda: T.RandomCrop(2, padding_mode="wrap"), ValueError, "padding_mode must be one of constant, edge"),
    (lambda: T.RandomCrop(2, padding=5, padding_mode="reflect")(IMAGES), ValueError, "a padding of 4 at the most of 5"),
    (lambda: T.RandomHorizontalFlip(1.5), ValueError, r"probability in \[0, 1\], got 1.5"),
    (lambda: T.RandomHorizontalFlip()(np.ones((3, 4))), ValueError, r"images \(n, c, h, w\).*got shape \(3, 4\)"),
    (lambda: T.Normalize([1.0], [1.0, 2.0]), ValueError, "as many means as stds, got 1 and 2"),
    (lambda: T.Normalize(0.0, 0.0), ValueError, "std above 0, got 0.0"),
    (lambda: T.Normalize([1.0] * 2, [1.0] * 2)(IMAGES), ValueError, r"shape \(n, 2, ...\), got \(6, 3, 5, 7\)"),
    (lambda: T.Normalize(0.5, 1.0)(LABELS), TypeError, "floating x, got int32: put ToDtype"),
    (lambda: T.GaussianNoise()(LABELS), TypeError, "floating x, got int32"),
    (lambda: T.GaussianNoise(sigma=-1.0), ValueError, "sigma of at least 0"),
    (lambda: T.MixUp()(IMAGES, LABELS), ValueError, r"MixUp\(num_classes=10\)"),
    (lambda: T.MixUp(0.0), ValueError, "alpha above 0, got 0.0"),
    (lambda: T.CutMix(num_classes=3)(IMAGES, LABELS * 1.0), ValueError, r"got float64 of shape \(6,\)"),
    (lambda: T.RandomErasing(scale=(0.5, 0.2)), ValueError, "scale"),
    (lambda: T.RandomErasing(ratio=(0.0, 2.0)), ValueError, "ratio"),
    (lambda: T.RandomErasing(scale=(1.0, 1.0))(IMAGES), ValueError, "no rectangle that fits into images of 5x7"),
    (lambda: T.OneHot(0), ValueError, "num_classes of at least 1"),
    (lambda: T.OneHot(3)(IMAGES), TypeError, "integer labels, got float32"),
    (lambda: T.ToDtype("int32", scale=True)(LABELS), TypeError, "scales to floating numbers, got int32"),
    (lambda: T.Compose([3]), TypeError, "Compose expects transforms, got 3"),
    (lambda: T.Transform()(IMAGES), NotImplementedError, "has no transform"),
])  # fmt: skip
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


# ---- in a loader -----------------------------------------------------------------------------------------------------

PAIRS = ArrayDataset(RNG.random((20, 1, 6, 6)), np.arange(20) % 4)
TRANSFORM = T.Compose([T.RandomHorizontalFlip(), T.MixUp(0.4, num_classes=4)])


def batches(loader, n):
    found = []
    while len(found) < n:
        for batch in loader:
            found.append([to_numpy(leaf) for leaf in batch])
            if len(found) == n:
                break
    return found


def test_a_stopped_loader_goes_on_with_the_same_batches(backend):
    check_resumed(workers=0)


def test_with_workers_too():
    assert_equal_batches(check_resumed(workers=2), check_resumed(workers=0))


def check_resumed(workers):
    def make():
        return DataLoader(PAIRS, 5, shuffle=True, seed=7, num_workers=workers, transform=TRANSFORM)

    whole = batches(make(), 9)
    stopped = make()
    batches(stopped, 5)
    resumed = make()
    resumed.load_state_dict(stopped.state_dict())
    nnx.random.rand_like(nnx.asarray([1.0]))  # a model's own draws do not matter
    assert_equal_batches(batches(resumed, 4), whole[5:])
    return whole


def assert_equal_batches(found, expected):
    for batch, other in zip(found, expected, strict=True):
        for a, b in zip(batch, other, strict=True):
            assert_same(a, b)


def test_another_epoch_and_another_batch_have_other_crops():
    same = DataLoader(
        ArrayDataset(np.broadcast_to(PAIRS.arrays[0][:1], (10, 1, 6, 6))), 5, seed=7, transform=T.RandomCrop(6, 1)
    )
    found = [x.tobytes() for (x,) in batches(same, 4)]  # a tuple of one array stays one
    assert len(set(found)) == 4


def test_the_loader_leaves_the_random_state_alone():
    nnx.seed(3)
    before = nnx.random.get_state()
    batches(DataLoader(PAIRS, 6, seed=1, transform=TRANSFORM), 4)
    assert nnx.random.get_state() == before


def test_a_loader_calls_any_function():
    pairs = DataLoader(PAIRS, 5, transform=lambda x, y: (x * 0.0, y + 1))
    x, y = next(iter(pairs))
    assert (float(x.max()), y.tolist()) == (0.0, [1, 2, 3, 4, 1])

    class Named:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return {"x": np.float32(index)}

    assert next(iter(DataLoader(Named(), 3, transform=lambda batch: batch["x"] + 1))).tolist() == [1, 2, 3]


def test_an_error_of_a_transform_leaves_the_position():
    def fails(x, y):
        raise RuntimeError("no")

    loader = DataLoader(PAIRS, 5, transform=fails)
    with pytest.raises(RuntimeError, match="no"):
        next(iter(loader))
    assert loader.position == 0
