"""Universal approximation: one hidden layer, wide enough, comes as close to a continuous function as one likes.

(Cybenko 1989; Hornik, Stinchcombe and White 1989; the steps are those of Nielsen's chapter 4.) Two ways to see it,
for a function on [0, 1] and widths 1, 2, 4, ... 64:

    built    a steep sigmoid is a step; as many steps as there are neurons make a staircase, each as high as the
             function in its middle. Nothing is trained, and the error falls as 1/width.
    trained  a tanh network of the same width, fitted by Adam, the best of three starts (descent finds a minimum, not
             the best one). It does better with fewer neurons, as they bend where the function does.

    python examples/universal_approximation.py [--figures FOLDER]
"""

import argparse
import itertools
from pathlib import Path

import numpy as np

import nnx

WIDTHS = (1, 2, 4, 8, 16, 32, 64)
POINTS = 128
STEPS = 800
STARTS = 3
LR = 0.05


def target(x):
    """The function of Nielsen's chapter 4."""
    return 0.2 + 0.4 * x**2 + 0.3 * x * np.sin(15.0 * x) + 0.05 * np.cos(50.0 * x)


def staircase(width):
    """A network 1-width-1 whose weights are written down, not trained: neuron k is a step at k / width."""
    edges = np.arange(width) / width
    heights = target(edges + 0.5 / width)
    steepness = 50.0 * width
    edges[0] = -1.0  # the first step is up from the beginning
    model = nnx.Sequential(nnx.Linear(1, width), nnx.Sigmoid(), nnx.Linear(width, 1))
    weights = {
        "0.weight": np.full((width, 1), steepness),
        "0.bias": -steepness * edges,
        "2.weight": np.diff(heights, prepend=0.0)[None, :],
        "2.bias": np.zeros(1),
    }
    return model.update({path: nnx.asarray(w, "float32") for path, w in weights.items()})


def trained(width, x, y, seed):
    """A network 1-width-1 fitted to the points, all of them in each step."""
    nnx.seed(seed)
    model = nnx.Sequential(nnx.Linear(1, width), nnx.Tanh(), nnx.Linear(width, 1))
    # first bends spread over [0, 1]: each neuron is steep somewhere in it
    slopes = nnx.init.uniform((width, 1), 10.0, 50.0)
    model.update({"0.weight": slopes, "0.bias": -slopes[:, 0] * nnx.init.uniform((width,))})
    optimizer = nnx.optim.Adam(lr=LR)
    gradient = nnx.value_and_grad(lambda model, x, y: nnx.losses.mse_loss(model(x), y))
    for step in range(STEPS):
        optimizer.lr = LR * (1.0 - step / STEPS)
        optimizer.update(model, gradient(model, x, y)[1])
    return model


def main(figures=None):
    grid = np.linspace(0.0, 1.0, POINTS)[:, None]
    x, y = nnx.asarray(grid, "float32"), nnx.asarray(target(grid), "float32")
    found = {"built": {}, "trained": {}}
    pictures = {}
    print("root mean square error\n width      built    trained")
    for width in WIDTHS:
        candidates = {"built": [staircase(width)], "trained": [trained(width, x, y, seed) for seed in range(STARTS)]}
        for name, models in candidates.items():
            outputs = [nnx.to_numpy(model(x)) for model in models]
            errors = [float(np.sqrt(np.mean((output - target(grid)) ** 2))) for output in outputs]
            best = int(np.argmin(errors))
            found[name][width], pictures[name, width] = errors[best], outputs[best][:, 0]
        print(f"{width:6} {found['built'][width]:10.4f} {found['trained'][width]:10.4f}")
    for name, errors in found.items():
        ordered = [errors[width] for width in WIDTHS]
        print(f"{name}: {ordered[0] / ordered[-1]:.0f} times as close with {WIDTHS[-1]} neurons as with 1")
        assert ordered[-1] < ordered[0] / 10
    built, fitted = ([errors[width] for width in WIDTHS] for errors in found.values())
    assert all(1.7 < narrow / wide < 2.3 for narrow, wide in itertools.pairwise(built[-4:])), (
        "the error falls as 1/width"
    )
    assert all(wide < narrow for narrow, wide in zip(fitted[:-2], fitted[2:], strict=True)), (
        "four times the width helps"
    )
    assert fitted[-1] < built[-1]
    if figures is not None:
        draw(Path(figures), grid[:, 0], pictures, found)
    return found


def draw(folder, x, pictures, found):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(x, target(x), color="black", linewidth=3, alpha=0.3, label="the function")
    left.plot(x, pictures["built", 16], linewidth=1, label="built, 16 neurons")
    for width in (2, 16):
        left.plot(x, pictures["trained", width], linewidth=1, label=f"trained, {width}")
    left.set(xlabel="x")
    left.legend(fontsize=8)
    for name, errors in found.items():
        right.loglog(list(errors), list(errors.values()), "o-", base=2, markersize=4, label=name)
    right.set(xlabel="hidden neurons", ylabel="root mean square error")
    right.set_yscale("log", base=10)
    right.grid(alpha=0.3)
    right.legend(fontsize=8)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "universal_approximation.png", dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--figures", metavar="FOLDER", help="draw into this folder (needs matplotlib)")
    main(parser.parse_args().figures)
