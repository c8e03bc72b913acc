"""A U-Net finds which pixels belong to a digit: two digits of 8×8 somewhere in a noisy image of 32×32.

What it is measured by is the intersection over union (IoU): pixels that are ink in truth and in the answer, divided by
those that are in either. A threshold on brightness is what a network has to beat.

    python examples/segmentation.py
"""

import numpy as np

import nnx
from nnx import data, models, train


def scenes(n, rng, digits):
    """(images (n, 1, 32, 32), classes (n, 32, 32)): 1 where there is ink."""
    images, classes = np.zeros((n, 1, 32, 32), "float32"), np.zeros((n, 32, 32), "int64")
    for image, mask in zip(images[:, 0], classes, strict=True):
        for _ in range(2):
            row, column = rng.integers(0, 25, 2)
            digit = digits[rng.integers(len(digits))]
            place = slice(row, row + 8), slice(column, column + 8)
            image[place] = np.maximum(image[place], digit)
            mask[place] |= digit > 0.3
    return images + rng.normal(0, 0.35, images.shape).astype("float32"), classes


def iou(found, truth):
    """Intersection over union of two masks."""
    return float((found & truth).sum() / (found | truth).sum())


def main(epochs=5):
    """Train, and print the network's IoU beside the best threshold's; returns both."""
    nnx.seed(0)
    rng = np.random.default_rng(0)
    digits = data.digits()[0].reshape(-1, 8, 8)
    (x, y), (x_test, y_test) = scenes(256, rng, digits[:1500]), scenes(100, rng, digits[1500:])
    model = models.UNet(in_channels=1, out_channels=2, width=8, depth=2)
    trainer = train.Trainer(model, nnx.optim.Adam(lr=1e-2), nnx.losses.cross_entropy)
    history = trainer.fit(x, y, epochs=epochs, batch_size=16)
    found = nnx.to_numpy(trainer.predict(x_test)).argmax(1) == 1
    truth = y_test == 1
    by_threshold = max(iou(x_test[:, 0] > t, truth) for t in np.linspace(0, 1.5, 31))
    print(f"loss {history['loss'][0]:.3f} -> {history['loss'][-1]:.3f} in {epochs} epochs")
    print(f"IoU of the ink: U-Net {iou(found, truth):.3f}, best threshold {by_threshold:.3f}")
    assert iou(found, truth) > 1.5 * by_threshold, "the network sees shapes, a threshold only brightness"
    return iou(found, truth), by_threshold


if __name__ == "__main__":
    main()
