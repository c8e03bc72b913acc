"""Vanishing gradients: ‖δˡ‖ layer by layer, at depths 2 to 20, and what changes it.

By BP2 the error is multiplied by σ′(zˡ) and by Wˡ⁺¹ in every layer that it is carried back, δˡ = (δˡ⁺¹ Wˡ⁺¹) ⊙
σ′(zˡ). σ′ is at most 1/4 for the sigmoid and at most 1 for tanh; a product of twenty such factors is nothing, or far
too much. What helps keeps the factors near one:

    initialisation   Xavier (tanh) and Kaiming (ReLU) choose the variance of W so that signals keep their size
    ReLU             its slope is 1 wherever it is not 0
    residuals        x + f(x): the identity carries δ back undiminished, whatever f does
    normalisation    each layer's z is brought back to variance 1, whatever the weights; a sigmoid's slope stays small

δˡ = ∂C/∂zˡ is read off by adding an array of zeros to every zˡ and taking the gradient with respect to those.

    python examples/vanishing_gradients.py [--figures FOLDER]
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np

import nnx
from nnx import data, train

DEPTHS = (2, 5, 10, 20)
WIDTH, SAMPLES = 64, 64


def small_weights(shape):
    """N(0, 0.01²): a habit of before 2010."""
    return nnx.init.normal(shape, std=0.01)


def relu_kaiming(shape):
    return nnx.init.kaiming_normal(shape, nonlinearity="relu")


class Setting(NamedTuple):
    """A way to build a deep network."""

    activation: object
    weights: object
    residual: bool = False
    normalise: bool = False


F = nnx.functional
SETTINGS = {
    "sigmoid, Xavier": Setting(F.sigmoid, nnx.init.xavier_normal),
    "tanh, N(0, 0.01²)": Setting(F.tanh, small_weights),
    "tanh, Xavier": Setting(F.tanh, nnx.init.xavier_normal),
    "ReLU, N(0, 0.01²)": Setting(F.relu, small_weights),
    "ReLU, Xavier": Setting(F.relu, nnx.init.xavier_normal),
    "ReLU, Kaiming": Setting(F.relu, relu_kaiming),
    "sigmoid + residuals": Setting(F.sigmoid, nnx.init.xavier_normal, residual=True),
    "sigmoid + layer norm": Setting(F.sigmoid, nnx.init.xavier_normal, normalise=True),
    "ReLU, N(0, 0.01²) + layer norm": Setting(F.relu, small_weights, normalise=True),
}


def layer_norm(z):
    """Each row brought to mean 0 and variance 1, in plain Array API code: the core differentiates it as it is."""
    xp = nnx.namespace(z)
    centred = z - xp.mean(z, axis=-1, keepdims=True)
    return centred / xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + 1e-12)


def cost(offsets, weights, x, y, setting):
    """The quadratic cost of a deep network; an offset is added to each layer's z."""
    a = x
    for w, offset in zip(weights, offsets, strict=True):
        z = F.linear(a, w) + offset
        out = setting.activation(layer_norm(z) if setting.normalise else z)
        a = a + out if setting.residual else out
    return nnx.losses.quadratic_cost(a, y)


def delta_norms(setting, depth):
    """‖δ¹‖ ... ‖δᴸ‖, at the initial weights."""
    nnx.seed(depth)
    x, y = nnx.init.normal((SAMPLES, WIDTH)), nnx.init.normal((SAMPLES, WIDTH))
    weights = [setting.weights((WIDTH, WIDTH)) for _ in range(depth)]
    offsets = [nnx.init.zeros((SAMPLES, WIDTH)) for _ in range(depth)]
    deltas = nnx.grad(cost)(offsets, weights, x, y, setting)
    return [float(np.linalg.norm(nnx.to_numpy(delta).astype("float64"))) for delta in deltas]


def classifier(activation, initialise, depth=8, width=64):
    layers = [nnx.Linear(64, width), activation()]
    for _ in range(depth - 2):
        layers += [nnx.Linear(width, width), activation()]
    model = nnx.Sequential(*layers, nnx.Linear(width, 10))
    weights = {path: initialise(p.shape) for path, p in model.named_parameters() if path.endswith("weight")}
    return model.update(weights)


def short_training(activation, initialise):
    """Eight layers, eight epochs of the digits: the training accuracy, and what GradientStats has to say."""
    nnx.seed(0)
    x, y = data.digits()
    stats = train.GradientStats()
    model = classifier(activation, initialise)
    trainer = train.Trainer(model, nnx.optim.SGD(lr=0.03), nnx.losses.cross_entropy, {"accuracy": nnx.metrics.accuracy})
    trainer.fit(x, y, epochs=8, batch_size=32, callbacks=[stats])
    return trainer.history["accuracy"][-1], stats


def main(figures=None):
    norms = {name: {depth: delta_norms(setting, depth) for depth in DEPTHS} for name, setting in SETTINGS.items()}
    ratios = {name: {depth: d[0] / d[-1] for depth, d in found.items()} for name, found in norms.items()}
    print("‖δ¹‖ / ‖δᴸ‖ at the initial weights: what is left of the error in the first layer")
    print(f"{'depth L':32}" + "".join(f"{depth:>10}" for depth in DEPTHS))
    for name, row in ratios.items():
        print(f"{name:32}" + "".join(f"{row[depth]:10.1e}" for depth in DEPTHS))

    print("\nA short training of eight layers on the digits")
    learnt = {}
    for name, activation, weights in (
        ("sigmoid, Xavier", nnx.Sigmoid, nnx.init.xavier_normal),
        ("ReLU, Kaiming", nnx.ReLU, relu_kaiming),
    ):
        learnt[name], stats = short_training(activation, weights)
        print(f"{name}: accuracy {learnt[name]:.3f} after 8 epochs; ‖∂C/∂W‖ by layer", end=" ")
        print(" ".join(f"{norm:.0e}" for path, norm in stats.norms[-1].items() if path.endswith("weight")))
        for message in stats.messages:
            print(f"    {message}")
        learnt[f"{name}: messages"] = stats.messages
    check({name: row[20] for name, row in ratios.items()}, learnt)
    if figures is not None:
        draw(Path(figures), norms)
    return ratios, learnt


def check(left, learnt):
    """What is left after 20 layers, and who learns."""
    assert left["sigmoid, Xavier"] < 1e-9
    assert left["tanh, N(0, 0.01²)"] < 1e-15
    for name in ("tanh, Xavier", "ReLU, Kaiming", "sigmoid + residuals"):
        assert 0.05 < left[name] < 20.0, name
    assert learnt["ReLU, Kaiming"] > 0.8 > 0.3 > learnt["sigmoid, Xavier"]
    assert learnt["sigmoid, Xavier: messages"][0].startswith("the gradient of 0.weight vanishes")
    assert not learnt["ReLU, Kaiming: messages"]


def draw(folder, norms):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, by_depth in norms.items():
        deltas = by_depth[20]
        axes.semilogy(range(1, 21), np.asarray(deltas) / deltas[-1], ".-", label=name)
    axes.set(xlabel="layer l (20 is the last)", ylabel="‖δˡ‖ / ‖δᴸ‖", xticks=range(2, 21, 2), ylim=(1e-18, 1e6))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=7)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "vanishing_gradients.png", dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--figures", metavar="FOLDER", help="draw into this folder (needs matplotlib)")
    main(parser.parse_args().figures)
