"""LeNet-5, a small residual network and VGG-11 learn to tell images apart, with one training loop for all.

    python examples/image_models.py                         each on 1,000 digits of 8×8 pixels, made 28×28: a minute
    python examples/image_models.py lenet --full --epochs 3   on Fashion-MNIST, 60,000 images: minutes

Fashion-MNIST is looked for where nnx.data.fashion_mnist says; on Debian: apt install dataset-fashion-mnist.
"""

import argparse
import time

import numpy as np

import nnx
from nnx import data, models, train
from nnx import functional as F

MODELS = {  # the model, and Adam's learning rate
    "lenet": (lambda: models.LeNet5(), 2e-3),
    "resnet": (lambda: models.ResNet(models.BasicBlock, (1, 1, 1), 10, in_channels=1, width=16, small=True), 3e-3),
    "vgg": (lambda: models.VGG(11, 10, in_channels=1, batch_norm=True, dropout=0.1, hidden=64), 1e-3),
}


def small_sets(size, training, test):
    """Digits, made larger by interpolation: (images, labels) to train on and to test."""
    images, labels = data.digits(flatten=False)
    larger = nnx.to_numpy(F.interpolate(nnx.asarray(images), size=(size, size), mode="bilinear"))
    order = np.random.default_rng(0).permutation(len(labels))
    parts = order[:training], order[training : training + test]
    return [(larger[part], labels[part]) for part in parts]


LEAST = {"lenet": 0.85, "resnet": 0.9, "vgg": 0.4}
"""Accuracies on digits that six epochs must reach."""


def main(names=tuple(MODELS), full=False, epochs=6):
    """Train each model and print what it reached; returns the accuracies on the test set by name."""
    found = {}
    for name in names:
        nnx.seed(0)
        make, lr = MODELS[name]
        if full:
            training, test = data.fashion_mnist(flatten=False)
        else:
            # VGG halves its images five times, and is large: fewer of them
            training, test = small_sets(32, 200, 50) if name == "vgg" else small_sets(28, 1000, 500)
        model = make()
        batch_size = 16 if name == "vgg" and not full else 64  # running statistics need some steps
        steps = epochs * -(-len(training[1]) // batch_size)
        optimizer = nnx.optim.AdamW(lr=lr, weight_decay=1e-2)
        schedule = nnx.optim.OneCycleLR(optimizer, max_lr=lr, total_steps=steps, cycle_momentum=False)
        trainer = train.Trainer(
            model,
            optimizer,
            nnx.losses.cross_entropy,
            {"accuracy": nnx.metrics.accuracy},
            schedule=schedule,
            schedule_every="step",
        )
        start = time.perf_counter()
        trainer.fit(*training, epochs=epochs, batch_size=batch_size)
        seconds = time.perf_counter() - start
        found[name] = trainer.evaluate(*test)["accuracy"]
        print(
            f"{name:7} {model.num_parameters():10,} parameters  {epochs} epochs of {len(training[1]):,} images in "
            f"{seconds:.1f} s: accuracy {found[name]:.4f} on {len(test[1]):,} others"
        )
        assert full or epochs < 6 or found[name] > LEAST[name], f"{name} has not learnt"
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)}; default: all of them")
    parser.add_argument("--full", action="store_true", help="Fashion-MNIST in place of digits")
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    if unknown := [name for name in options.models if name not in MODELS]:
        parser.error(f"no model {unknown[0]}: expected some of {', '.join(MODELS)}")
    main(options.models or list(MODELS), options.full, options.epochs)
