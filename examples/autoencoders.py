"""What is left of a digit in two or eight numbers: an autoencoder, and a variational one that can also dream.

Both see digits of 8×8 pixels. The table compares with the best that a linear map can do (principal components): the
network has to beat it with as many numbers. Then the variational one draws digits that nobody has written.

    python examples/autoencoders.py
"""

import numpy as np

import nnx
from nnx import data, models, train

SHADES = " .:-=+*#%@"


def mse(x, y):
    """The mean squared error over all pixels."""
    return float(np.mean((np.asarray(x) - np.asarray(y)) ** 2))


def principal(training, test, k):
    """Of the test images, what k principal components of the training images leave."""
    mean = training.mean(0)
    components = np.linalg.svd(training - mean, full_matrices=False)[2][:k]
    return mean + (test - mean) @ components.T @ components


def drawn(image):
    """An image of 8×8 pixels as text."""
    return ["".join(SHADES[int(9 * min(max(pixel, 0.0), 1.0))] * 2 for pixel in row) for row in image.reshape(8, 8)]


def main(epochs=60):
    """Train both, print the table and the drawings; returns the errors."""
    images, _ = data.digits()
    images = images[np.random.default_rng(0).permutation(len(images))]
    training, test = images[:1500], images[1500:]
    errors = {}
    for k in (2, 8):
        nnx.seed(0)
        model = models.Autoencoder((64, 64, k))
        trainer = train.Trainer(model, nnx.optim.Adam(lr=3e-3), nnx.losses.mse_loss)
        trainer.fit(training, training, epochs=epochs, batch_size=50)
        found = nnx.to_numpy(trainer.predict(test))
        errors[k] = mse(found, test), mse(principal(training, test, k), test)
        assert errors[k][0] < errors[k][1], "a network with bends beats the best linear map"
        print(f"{k} numbers: mean squared error {errors[k][0]:.4f}; {k} principal components {errors[k][1]:.4f}")

    nnx.seed(0)
    model = models.VAE((64, 64, 8))
    trainer = train.Trainer(model, nnx.optim.Adam(lr=3e-3), models.vae_loss)
    history = trainer.fit(training, training, epochs=epochs, batch_size=50)
    print(f"variational: bound {history['loss'][0]:.1f} after one epoch, {history['loss'][-1]:.1f} after {epochs}")
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    model.eval()
    dreams = nnx.to_numpy(model.decode(nnx.random.normal((5, 8))))
    print("\n".join("   ".join(lines) for lines in zip(*map(drawn, dreams), strict=True)))
    return errors


if __name__ == "__main__":
    main()
