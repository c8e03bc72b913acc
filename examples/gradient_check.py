"""Checking a gradient by differences: the error over the step h is a valley, and h = 1e-4 lies in it.

    central  (C(w + h) - C(w - h)) / 2h   error ≈ h²/6 |C‴|  + ε |C| / h
    forward  (C(w + h) - C(w)) / h        error ≈ h/2 |C″|   + ε |C| / h

The first term is truncation (the Taylor series was cut off), the second rounding (two nearly equal numbers were
subtracted, each right to ε = 2⁻⁵³). A large h suffers from the first, a small one from the second; the bottom lies
near ε^(1/3) ≈ 5e-6 for central differences and near ε^(1/2) ≈ 1e-8 for forward ones. In float32 ε is 6e-8, and h =
1e-4 is no good.

The network is 4-5-3-2 with sigmoids and the quadratic cost; the error is that of the whole gradient, relative to its
norm.

    python examples/gradient_check.py [--figures FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np

import nnx

STEPS = [10.0**-k for k in range(1, 13)]
CHOSEN = 1e-4


def network(dtype):
    return nnx.Sequential(
        nnx.Linear(4, 5, dtype=dtype), nnx.Sigmoid(),
        nnx.Linear(5, 3, dtype=dtype), nnx.Sigmoid(),
        nnx.Linear(3, 2, dtype=dtype), nnx.Sigmoid(),
    )  # fmt: skip


def cost(model, x, y):
    return nnx.losses.quadratic_cost(model(x), y)


def differences(model, x, y, h):
    """The gradient by central and by forward differences, every weight and bias in one vector."""
    here = float(cost(model, x, y))
    central, forward = [], []
    for path, p in model.state_dict().items():
        home, dtype = nnx.to_numpy(p), nnx.to_numpy(p).dtype
        for place in np.ndindex(home.shape):
            costs = []
            for step in (h, -h):
                moved = home.copy()
                moved[place] += dtype.type(step)
                costs.append(float(cost(model.update({path: nnx.asarray(moved)}), x, y)))
            central.append((costs[0] - costs[1]) / (2 * h))
            forward.append((costs[0] - here) / h)
        model.update({path: p})
    return np.asarray(central), np.asarray(forward)


def errors(dtype, steps):
    """‖difference - gradient‖ / ‖gradient‖ for each h: central, forward."""
    nnx.seed(0)
    rng = np.random.default_rng(1)
    x, y = (nnx.asarray(v, dtype) for v in (rng.normal(size=(6, 4)), rng.uniform(size=(6, 2))))
    model = network(dtype)
    grads = nnx.grad(cost)(model, x, y)
    exact = np.concatenate([nnx.to_numpy(grads[path]).ravel() for path in model.state_dict()])
    found = [differences(model, x, y, h) for h in steps]
    size = np.linalg.norm(exact)
    return [[float(np.linalg.norm(d - exact) / size) for d in kind] for kind in zip(*found, strict=True)]


def slope(steps, found, largest, smallest):
    """The exponent k in error ∝ hᵏ between two steps."""
    h, error = np.asarray(steps), np.asarray(found)
    inside = (h > smallest * 0.9) & (h < largest * 1.1)
    return float(np.polyfit(np.log10(h[inside]), np.log10(error[inside]), 1)[0])


def main(figures=None):
    central, forward = errors("float64", STEPS)
    single, _ = errors("float32", STEPS[:8])
    print("   h       central     forward   central in float32")
    for k, h in enumerate(STEPS):
        in_single = f"{single[k]:.1e}" if k < len(single) else ""
        mark = "  ← h = 1e-4" if h == CHOSEN else ""
        print(f"{h:.0e}  {central[k]:10.1e}  {forward[k]:10.1e}  {in_single:>18}{mark}".rstrip())
    slopes = {
        "central, truncation": slope(STEPS, central, 1e-1, 1e-3),
        "central, rounding": slope(STEPS, central, 1e-7, 1e-12),
        "forward, truncation": slope(STEPS, forward, 1e-1, 1e-6),
        "forward, rounding": slope(STEPS, forward, 1e-9, 1e-12),
    }
    for name, k in slopes.items():
        print(f"{name:20} error ∝ h^{k:.2f}")
    best = STEPS[int(np.argmin(central))], STEPS[int(np.argmin(forward))]
    at = central[STEPS.index(CHOSEN)]
    print(f"smallest error at h = {best[0]:.0e} (central), {best[1]:.0e} (forward); central at h = 1e-4: {at:.1e}")
    assert all(abs(slopes[name] - k) < 0.2 for name, k in zip(slopes, (2, -1, 1, -1), strict=True))
    assert best[0] in (1e-4, 1e-5, 1e-6)
    assert best[1] in (1e-7, 1e-8, 1e-9)
    assert at < 1e-7 < forward[STEPS.index(CHOSEN)]
    if figures is not None:
        draw(Path(figures), central, forward, single)
    return {"central": central, "forward": forward, "float32": single, "slopes": slopes, "best": best}


def draw(folder, central, forward, single):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.loglog(STEPS, forward, "s-", markersize=4, label="forward")
    axes.loglog(STEPS[: len(single)], single, "^-", markersize=4, label="central, float32")
    axes.loglog(STEPS, central, "o-", markersize=4, label="central")
    axes.axvline(CHOSEN, color="grey", linestyle="--", linewidth=1)
    axes.text(CHOSEN * 1.15, 1e-1, "h = 1e-4", color="grey")
    axes.text(6e-3, 1e-7, "truncation\n∝ h²", fontsize=9)
    axes.text(1e-10, 2e-8, "rounding\n∝ ε/h", fontsize=9)
    axes.set(xlabel="h", ylabel="relative error of the gradient")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower left")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "gradient_check.png", dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--figures", metavar="FOLDER", help="draw into this folder (needs matplotlib)")
    main(parser.parse_args().figures)
