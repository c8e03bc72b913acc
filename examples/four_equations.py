"""The four equations of backpropagation, written out by hand, beside what nnx's core computes.

A sigmoid network 4-5-3-2 with the quadratic cost C = 1/2n Σ‖y - a‖². Rows are samples, W is (out, in). By hand:

    BP1  δᴸ = ∇ₐC ⊙ σ′(zᴸ)             the error of the last layer
    BP2  δˡ = (δˡ⁺¹ Wˡ⁺¹) ⊙ σ′(zˡ)      the error, carried one layer back
    BP3  ∂C/∂Wˡ = δˡᵀ aˡ⁻¹
    BP4  ∂C/∂bˡ = Σ δˡ

Then the core's gradients, and a numeric check of every single weight with h = 1e-4: (C(w + h) - C(w - h)) / 2h.

    python examples/four_equations.py
"""

import itertools

import numpy as np

import nnx

SIZES = (4, 5, 3, 2)
H = 1e-4


def sigma(z):
    return 1.0 / (1.0 + np.exp(-z))


def by_hand(weights, biases, x, y):
    """The cost and its gradients, from the four equations."""
    zs, activations = [], [x]
    for w, b in zip(weights, biases, strict=True):  # forward: keep what the way back needs
        zs.append(activations[-1] @ w.T + b)
        activations.append(sigma(zs[-1]))
    n = len(x)
    cost = ((y - activations[-1]) ** 2).sum() / (2 * n)

    def slope(z):
        return sigma(z) * (1.0 - sigma(z))

    delta = (activations[-1] - y) / n * slope(zs[-1])  # BP1
    dws, dbs = [], []
    for layer in reversed(range(len(weights))):
        dws.insert(0, delta.T @ activations[layer])  # BP3
        dbs.insert(0, delta.sum(axis=0))  # BP4
        if layer:
            delta = (delta @ weights[layer]) * slope(zs[layer - 1])  # BP2
    return cost, dws, dbs


def network(dtype="float64"):
    layers = []
    for i, o in itertools.pairwise(SIZES):
        layers += [nnx.Linear(i, o, dtype=dtype), nnx.Sigmoid()]
    return nnx.Sequential(*layers)


def cost_of(model, x, y):
    return nnx.losses.quadratic_cost(model(x), y)


def numeric(model, x, y):
    """∂C/∂w for every weight w, from two forward passes each."""
    slopes = {}
    for path, p in model.state_dict().items():
        slopes[path] = np.zeros(p.shape)
        for place in np.ndindex(p.shape):
            costs = []
            for step in (H, -H):
                moved = p.copy()
                moved[place] += step
                model.update({path: moved})
                costs.append(float(cost_of(model, x, y)))
            slopes[path][place] = (costs[0] - costs[1]) / (2 * H)
        model.update({path: p})
    return slopes


def main():
    nnx.seed(0)
    with nnx.use_backend("numpy"):
        rng = np.random.default_rng(1)
        x, y = rng.normal(size=(6, SIZES[0])), rng.uniform(size=(6, SIZES[-1]))
        model = network()
        linears = [layer for layer in model if isinstance(layer, nnx.Linear)]
        cost, dws, dbs = by_hand([layer.weight for layer in linears], [layer.bias for layer in linears], x, y)
        loss, grads = nnx.value_and_grad(cost_of)(model, x, y)
        checked = numeric(model, x, y)
    print(f"cost: by hand {cost:.15f}, nnx {float(loss):.15f}")
    print(f"{'':12}{'‖gradient‖':>12}{'by hand - nnx':>16}{'numeric - nnx':>16}")
    worst_hand = worst_numeric = 0.0
    for layer, (dw, db) in enumerate(zip(dws, dbs, strict=True)):
        for name, hand in (("weight", dw), ("bias", db)):
            path = f"{2 * layer}.{name}"
            apart_hand = np.abs(hand - grads[path]).max()
            apart_numeric = np.abs(checked[path] - grads[path]).max()
            worst_hand, worst_numeric = max(worst_hand, apart_hand), max(worst_numeric, apart_numeric)
            print(f"{path:12}{np.linalg.norm(hand):12.6f}{apart_hand:16.1e}{apart_numeric:16.1e}")
    print(f"largest difference: by hand {worst_hand:.1e}, numeric with h = {H:g} {worst_numeric:.1e}")
    assert worst_hand < 1e-12
    assert worst_numeric < 1e-8
    return worst_hand, worst_numeric


if __name__ == "__main__":
    main()
