"""Augmentation: new images from old ones, whose labels are known; what it brings, and what it costs.

200 digits of 8x8 pixels are all there is to learn from. Each epoch sees them anew: cut out a pixel further to a side,
noisy, mirrored, or mixed with another one, drawn where the batch lives (nnx.data.transforms). The network is then tried
on 1,000 other digits: as they are, moved by a pixel, noisy, and mirrored.

It learns what it is shown, and no more. These digits stand in the middle of their images, all of them, and a plain
network falls from 93% to 43% when they are moved by one pixel. Cropping cures that (89%) and mirroring cures mirrors,
each at the price of a few per cent on digits as they are: nothing in this test set is moved or mirrored, and a network
of this size has to learn twice as much. So choose what the world will do to your images. Mixup, which helps deep
networks on photographs, brings nothing here.

    python examples/augmentation.py
"""

import numpy as np

import nnx
from nnx import data, train
from nnx.data import transforms as T

RUNS, EPOCHS, BATCH, WIDTH = 2, 40, 25, 256
TRAINING, TEST = 200, 1000
METHODS = {
    "nothing": None,
    "crop": T.RandomCrop(8, padding=1),
    "noise": T.GaussianNoise(sigma=0.3),
    "flip": T.RandomHorizontalFlip(),
    "mixup": T.MixUp(alpha=0.4, num_classes=10),
}


def sets(seed):
    """(images, labels) to train on and to test on."""
    x, y = data.digits(flatten=False)
    order = np.random.default_rng(seed).permutation(len(y))
    training, test = order[:TRAINING], order[-TEST:]
    return (x[training], y[training]), (x[test], y[test])


def trials(x):
    """The test images, and what the world might do to them: {name: images}."""
    steps = (1, -1, 0, 0), (-1, 1, 0, 0), (0, 0, 1, -1), (0, 0, -1, 1)  # right, left, down, up: a quarter each
    moved = [nnx.functional.pad(part, step) for part, step in zip(np.array_split(x, 4), steps, strict=True)]
    return {
        "as they are": x,
        "moved": np.concatenate(moved),
        "noisy": T.GaussianNoise(sigma=0.3)(x),
        "mirrored": T.RandomHorizontalFlip(p=1.0)(x),
    }


def one_run(transform, seed):
    """The accuracy in each trial of a network that has seen only what the transform made of the training set."""
    nnx.seed(seed)
    training, (x, y) = sets(seed)
    model = nnx.Sequential(nnx.Flatten(), nnx.Linear(64, WIDTH), nnx.ReLU(), nnx.Linear(WIDTH, 10))
    loader = data.DataLoader(data.ArrayDataset(*training), BATCH, shuffle=True, seed=seed, transform=transform)
    train.Trainer(model, nnx.optim.Adam(lr=5e-3), nnx.losses.cross_entropy).fit(loader, epochs=EPOCHS)
    model.eval()
    nnx.seed(1000 + seed)  # every method is tried on the same noise
    guesses = {name: np.argmax(nnx.to_numpy(model(nnx.asarray(images))), axis=1) for name, images in trials(x).items()}
    return {name: float(np.mean(found == y)) for name, found in guesses.items()}


def main():
    print(f"accuracy on {TEST} digits, of networks that learnt from {TRAINING} (mean of {RUNS} runs)")
    table = {}
    for method, transform in METHODS.items():
        runs = [one_run(transform, seed) for seed in range(RUNS)]
        table[method] = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
        if method == "nothing":
            print(f"{'trained with':14}" + "".join(f"{name:>13}" for name in table[method]))
        print(f"{method:14}" + "".join(f"{value:13.3f}" for value in table[method].values()))
    check(table)
    return table


def check(table):
    """Each transform cures what it shows; what the test never asks for costs a little."""
    plain = table["nothing"]
    assert plain["as they are"] > 0.9
    for method, trial, least in (("crop", "moved", 0.3), ("flip", "mirrored", 0.3), ("noise", "noisy", 0.01)):
        assert table[method][trial] > plain[trial] + least, (method, trial)
        assert table[method][trial] == max(row[trial] for row in table.values()), (method, trial)
    for method in ("crop", "flip"):
        assert 0.005 < plain["as they are"] - table[method]["as they are"] < 0.1, method


if __name__ == "__main__":
    main()
