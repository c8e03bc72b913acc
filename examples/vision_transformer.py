"""A transformer reads a digit as a sequence of patches, 2×2 pixels each, and has to be told where each of them was.

Attention sees a set: without the learned positions, which ViT adds to its patches, an image is the same in any order of
them. The table shows what the positions are worth, and that only they know the order.

    python examples/vision_transformer.py
"""

import time

import numpy as np

import nnx
from nnx import data, models, train


def shuffled(images):
    """The 16 patches of every image in one and the same other order."""
    patches = images.reshape(-1, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 16, 2, 2)
    patches = patches[:, np.random.default_rng(1).permutation(16)]
    return patches.reshape(-1, 4, 4, 2, 2).transpose(0, 1, 3, 2, 4).reshape(images.shape)


def learnt(training, positions, epochs):
    """The trainer of a small ViT, which was trained with positions or with none."""
    nnx.seed(0)
    model = models.ViT(
        image_size=8, patch_size=2, num_layers=2, num_heads=4, hidden_dim=32, mlp_dim=64, num_classes=10, in_channels=1
    )
    if not positions:
        model.encoder.pos_embedding = nnx.init.zeros(model.encoder.pos_embedding.shape)
        model.encoder.freeze(recurse=False)  # what belongs to the encoder itself, which is the positions alone
    steps = epochs * -(-len(training[1]) // 32)
    optimizer = nnx.optim.AdamW(lr=4e-3, weight_decay=0.05)
    schedule = nnx.optim.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps, cycle_momentum=False)
    trainer = train.Trainer(
        model,
        optimizer,
        nnx.losses.cross_entropy,
        {"accuracy": nnx.metrics.accuracy},
        schedule=schedule,
        schedule_every="step",
    )
    trainer.fit(*training, epochs=epochs, batch_size=32)
    return trainer


def main(epochs=8):
    """Train with positions and without, print the table; returns the accuracies, and on shuffled patches."""
    images, labels = data.digits(flatten=False)
    order = np.random.default_rng(0).permutation(len(labels))
    training, test = ((images[part], labels[part]) for part in (order[:1400], order[1400:]))
    mixed = shuffled(test[0])
    found = {}
    print("accuracy on 397 test images   as they are   patches shuffled   seconds")
    for name, positions in (("with positions", True), ("without", False)):
        start = time.perf_counter()
        trainer = learnt(training, positions, epochs)
        found[name] = tuple(trainer.evaluate(x, test[1])["accuracy"] for x in (test[0], mixed))
        seconds = time.perf_counter() - start
        print(f"{name:27} {found[name][0]:14.4f} {found[name][1]:18.4f} {seconds:9.1f}")
    seen, mixed_up = found["with positions"]
    blind, same = found["without"]
    assert seen > 0.93
    assert blind < seen - 0.05
    assert abs(same - blind) < 0.01  # sums in another order
    assert mixed_up < 0.5
    return found


if __name__ == "__main__":
    main()
