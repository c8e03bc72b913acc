"""Gradient descent: full batch, mini-batch, one sample at a time; and a learning rate too small, right, too large.

A straight line a = w x + b is fitted to 200 noisy points by w ← w - η ∂C/∂w. Counted here rather than defined:

    batch       the samples of one step
    iteration   one step: forward, backward, update
    epoch       every sample once: n / batch size iterations, rounded up

The gradient of a batch is an estimate of the full one: right on average, its error falls as 1/√(batch size). And the
learning rate has a limit: along a direction of curvature λ the distance to the minimum is multiplied by 1 - η λ in
each step, so that full-batch descent converges for η < 2/λ_max and diverges above. λ comes from nnx.hessian.

    python examples/gradient_descent.py [--figures FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np

import nnx
from nnx import data

N = 200
BATCHES = (N, 20, 1)
BLOCKS = "▁▂▃▄▅▆▇█"


def points(rng):
    """(n, 1) inputs and targets on the line 2x - 1, with noise."""
    x = rng.uniform(-1.0, 3.0, (N, 1))
    return x, 2.0 * x - 1.0 + rng.normal(0.0, 0.5, (N, 1))


def cost(line, x, y):
    """1/2n Σ (w x + b - y)². line: (2,), w and b."""
    return nnx.losses.quadratic_cost(x * line[0] + line[1], y)


def descend(x, y, eta, batch_size, epochs):
    """The costs after 0, 1, 2, ... epochs, the line, and how many iterations were counted."""
    loader = data.DataLoader(data.ArrayDataset(x, y), batch_size, shuffle=True, seed=0, dtype="float64")
    line = nnx.asarray([0.0, 0.0], "float64")
    everything = nnx.asarray(x), nnx.asarray(y)
    gradient = nnx.grad(cost)
    costs, iterations = [float(cost(line, *everything))], 0
    for _ in range(epochs):
        for some_x, some_y in loader:
            line = line - gradient(line, some_x, some_y) * eta
            iterations += 1
        costs.append(float(cost(line, *everything)))
    return costs, nnx.to_numpy(line), iterations


def gradient_noise(x, y, batch_size, rng, trials=400):
    """Root mean square of ‖gradient of a random batch - gradient of all‖, at the line 0x + 0."""
    gradient, line = nnx.grad(cost), nnx.asarray([0.0, 0.0], "float64")
    full = nnx.to_numpy(gradient(line, nnx.asarray(x), nnx.asarray(y)))
    errors = []
    for _ in range(trials):
        some = rng.integers(0, N, batch_size)  # with replacement, so that the law is exact
        errors.append(nnx.to_numpy(gradient(line, nnx.asarray(x[some]), nnx.asarray(y[some]))) - full)
    return float(np.sqrt((np.asarray(errors) ** 2).sum(axis=1).mean()))


def sparkline(costs, lowest=-1.0, highest=2.0):
    """A cost on each epoch as a character, on a logarithmic scale."""
    heights = (np.log10(costs) - lowest) / (highest - lowest) * len(BLOCKS)
    return "".join(BLOCKS[k] for k in np.clip(heights.astype(int), 0, len(BLOCKS) - 1))


def main(figures=None):
    rng = np.random.default_rng(0)
    x, y = points(rng)
    hessian = nnx.hessian(cost)(nnx.asarray([0.0, 0.0], "float64"), nnx.asarray(x), nnx.asarray(y))
    steepest = float(np.linalg.eigvalsh(nnx.to_numpy(hessian)).max())
    slope, intercept = np.polyfit(x[:, 0], y[:, 0], 1)
    lowest = float(((slope * x + intercept - y) ** 2).sum() / (2 * N))
    print(f"{N} points; the least squares line is {slope:.4f} x {intercept:+.4f}, its cost {lowest:.4f}")

    print(f"\nThe learning rate, full batch, 30 epochs (λ_max = {steepest:.3f}: the limit is η = {2 / steepest:.3f})")
    rates = {"too small": 0.01, "right": 1.0, "just below the limit": 1.95, "too large": 2.1}
    by_rate = {name: descend(x, y, factor / steepest, N, 30)[0] for name, factor in rates.items()}
    for name, costs in by_rate.items():
        print(f"{name:21} η = {rates[name] / steepest:.4f}  {sparkline(costs)}  {costs[0]:.3f} → {costs[-1]:.4g}")

    print("\nThe batch, 10 epochs each, η = 0.05")
    print("batch size  iterations  iterations/epoch   cost by epoch    last cost - lowest   noise of the gradient")
    by_batch, noise = {}, {}
    for size in BATCHES:
        costs, _, iterations = descend(x, y, 0.05, size, 10)
        by_batch[size] = costs, iterations
        noise[size] = gradient_noise(x, y, size, rng)
        print(
            f"{size:10} {iterations:11} {iterations // 10:17}   {sparkline(costs, -1.0, 1.0)}   "
            f"{costs[-1] - lowest:18.6f} {noise[size]:23.3f}"
        )
    check(by_rate, by_batch, noise, lowest)
    if figures is not None:
        draw(Path(figures), by_rate, by_batch, lowest)
    return {"by_rate": by_rate, "by_batch": by_batch, "noise": noise, "lowest": lowest}


def check(by_rate, by_batch, noise, lowest):
    """What was claimed above."""
    assert by_rate["right"][-1] - lowest < 1e-3 < by_rate["too small"][-1] - lowest
    assert by_rate["too large"][-1] > by_rate["too large"][0] > by_rate["just below the limit"][-1]
    for size, (_, iterations) in by_batch.items():
        assert iterations == 10 * -(-N // size)
    for size in BATCHES:  # noise ∝ 1/√batch
        assert 0.85 < noise[size] / (noise[1] / size**0.5) < 1.15


def draw(folder, by_rate, by_batch, lowest):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for name, costs in by_rate.items():
        left.semilogy(np.asarray(costs) - lowest, label=name)
    left.set(xlabel="epoch = iteration", ylabel="cost - lowest cost", ylim=(1e-6, 1e3))
    left.set_title("learning rate (full batch)")
    for size, (costs, iterations) in by_batch.items():
        right.semilogy(np.asarray(costs) - lowest, label=f"batch {size}: {iterations} iterations")
    right.set(xlabel="epoch", title="batch size (η = 0.05)")
    for axes in (left, right):
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "gradient_descent.png", dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--figures", metavar="FOLDER", help="draw into this folder (needs matplotlib)")
    main(parser.parse_args().figures)
