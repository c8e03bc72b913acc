"""Every picture of nnx.plot, for two small networks that are trained first: what to look at, and what to see in it.

A network of 64-32-10 learns the digits, another one the plane. Each picture is drawn on axes of its own, and a claim
about the training or the model is read off the very numbers that it shows.

    python examples/pictures.py [FOLDER]

Needs matplotlib: pip install 'nnx-array[plot]'
"""

import importlib.util
import sys
import tempfile
from pathlib import Path

import numpy as np

import nnx
from nnx import data, plot, train


def digits():
    """A network that has learnt the digits for 12 epochs, its history, its gradients' norms, and the test part."""
    nnx.seed(0)
    x, y = data.digits()
    fitted, held_out, test = data.train_val_test_split(x, y, seed=0, stratify=True)
    model = nnx.Sequential(nnx.Linear(64, 32), nnx.ReLU(), nnx.Linear(32, 10))
    trainer = train.Trainer(model, nnx.optim.Adam(5e-3), nnx.losses.cross_entropy)
    gradients = train.GradientStats()
    history = trainer.fit(*fitted, validation=held_out, epochs=12, batch_size=64, callbacks=[gradients])
    return model, history, gradients, test, trainer.predict(test[0])


def moons(n=200):
    """Points of two half circles, and a network that tells them apart."""
    rng = np.random.default_rng(0)
    label = np.arange(n) % 2
    angle = rng.uniform(0.0, np.pi, n)
    x = np.stack([np.cos(angle) + label - 0.5, np.sin(angle) * (1 - 2 * label) + 0.25 * label], axis=1)
    x = (x + rng.normal(0.0, 0.1, x.shape)).astype("float32")
    model = nnx.Sequential(nnx.Linear(2, 16), nnx.Tanh(), nnx.Linear(16, 2))
    train.Trainer(model, nnx.optim.Adam(0.05), nnx.losses.cross_entropy).fit(x, label, epochs=30, batch_size=50)
    return model, x, label


def of_the_training(history, gradients):
    """Learning curves and gradient flow."""
    curves, flow = plot.learning_curves(history), plot.gradient_flow(gradients)
    training = curves.lines[0].get_ydata()
    assert training[-1] < training[0] / 10
    first, last = (line.get_ydata() for line in flow.lines)
    assert 0.1 < np.mean(first) / np.mean(last) < 10.0, "the gradient reaches the first layer"
    print(f"learning curves: the loss falls from {training[0]:.2f} to {training[-1]:.2f}")
    print(f"gradient flow: norms of {np.mean(first):.2f} in the first layer, {np.mean(last):.2f} in the last")
    return {"learning_curves": curves, "gradient_flow": flow}


def of_the_answers(scores, y):
    """Confusion matrix, reliability curve; and, of a score taken as a value, the prediction error."""
    confusion = plot.confusion_matrix(scores, y)
    counts = np.asarray(confusion.images[0].get_array())
    assert np.trace(counts) > 0.9 * len(y), "most are on the diagonal"
    wrong = counts - np.diag(np.diag(counts))
    true, taken = np.unravel_index(wrong.argmax(), wrong.shape)
    print(f"confusion matrix: {np.trace(counts)} of {len(y)} are right; {true} is taken for {taken} most often")
    reliability = plot.reliability_curve(scores, y, logits=True)
    label = reliability.lines[1].get_label()
    assert float(label.rpartition(" ")[2]) < 0.1
    print(f"reliability: {label}")
    hit = (y == 0).astype(float)
    values = plot.prediction_error(nnx.to_numpy(nnx.functional.softmax(scores, 1))[:, 0], hit)
    assert values.lines[1].get_label().startswith("R² 0.9")
    print(f"prediction error of the probability of a 0: {values.lines[1].get_label()}")
    return {"confusion_matrix": confusion, "reliability_curve": reliability, "prediction_error": values}


def of_the_model(model, x, y):
    """First-layer weights, diagram and a slice of the loss, which leaves the weights as they are."""
    weights, diagram = plot.weight_images(model), plot.network_diagram(model)
    assert weights.get_title() == "0.weight: 32 units, 8 × 8"
    assert diagram.get_title() == "Sequential, 2,410 parameters"
    print(f"weights: {weights.get_title()}; diagram: {diagram.get_title()}")
    before = list(model.parameters())
    surface = plot.loss_surface(model, nnx.losses.cross_entropy, x, y, steps=11)
    assert all(old is new for old, new in zip(before, model.parameters(), strict=True))
    low, high = surface.collections[0].get_clim()
    center = float(surface.lines[0].get_label().rpartition(" ")[2])
    assert center < low + 0.2 * (high - low), "the training has ended in a valley"
    print(f"loss surface: {center:.2f} at the weights, between {low:.2f} and {high:.2f} around them")
    return {"weight_images": weights, "network_diagram": diagram, "loss_surface": surface}


def of_the_plane(model, x, y):
    """Decision boundary."""
    ax = plot.decision_boundary(model, x, y, class_names=["upper", "lower"])
    regions = np.asarray(ax.images[0].get_array())
    assert 0.3 < regions.mean() < 0.7, "about half of the plane each"
    print(f"decision boundary: {regions.mean():.0%} of the plane is lower moon")
    return {"decision_boundary": ax}


def main(folder=None):
    """Writes a PNG of each picture into the folder; returns their names and sizes in bytes."""
    if importlib.util.find_spec("matplotlib") is None:
        print("this example needs matplotlib: pip install 'nnx-array[plot]'")
        return None
    model, history, gradients, (x, y), scores = digits()
    found = of_the_training(history, gradients) | of_the_answers(scores, y) | of_the_model(model, x, y)
    found |= of_the_plane(*moons())
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(folder or temporary)
        place.mkdir(parents=True, exist_ok=True)
        for name, ax in found.items():
            ax.figure.savefig(place / f"{name}.png", dpi=100)
        sizes = {name: (place / f"{name}.png").stat().st_size for name in found}
    print(f"{len(sizes)} pictures{f' in {folder}' if folder else ''}, {sum(sizes.values()) / 1e3:.0f} kB")
    assert set(sizes) == set(plot.__all__)
    return sizes


if __name__ == "__main__":
    main(*sys.argv[1:])
