"""A training step of two small networks: nnx against NumPy written by hand and against PyTorch eager, in one run.

    python benchmarks/steps.py [--repeat 60] [--profile]

Each contestant gets the same batches; the rounds are interleaved, so that a noisy machine is noisy for all, and the
best of all rounds counts. Ratios in one run are what can be compared.
"""

import argparse
import cProfile
import math
import pstats
import time

import numpy as np

import nnx


class Case:
    """A network of fully connected layers, its batch and its optimizer."""

    def __init__(self, name, sizes, batch, optimizer, activation="sigmoid"):
        self.name, self.sizes, self.batch, self.optimizer, self.activation = name, sizes, batch, optimizer, activation
        rng = np.random.default_rng(0)
        self.x = rng.normal(size=(batch, sizes[0])).astype("float32")
        self.y = rng.integers(0, sizes[-1], batch)
        self.weights = [(rng.normal(size=(o, i)) / math.sqrt(i)).astype("float32") for i, o in self.layers()]
        self.biases = [np.zeros(o, dtype="float32") for _, o in self.layers()]

    def layers(self):
        return list(zip(self.sizes[:-1], self.sizes[1:], strict=True))


CASES = [
    Case("784-30-10, batch 10, SGD", (784, 30, 10), 10, "sgd"),
    Case("20-64-64-2, batch 32, Adam", (20, 64, 64, 2), 32, "adam", "relu"),
    Case("784-128-10, batch 64, Adam", (784, 128, 10), 64, "adam", "relu"),
]
LR = 1e-4


def numpy_step(case):
    """The step as one writes it by hand: out-of-place arithmetic, softmax and cross entropy, no framework."""
    weights, biases = [w.copy() for w in case.weights], [b.copy() for b in case.biases]
    params = weights + biases
    m, v = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]
    rows, n, t = np.arange(case.batch), case.batch, 0

    def step(x, y):
        nonlocal params, t
        k = len(case.sizes) - 1
        weights, biases = params[:k], params[k:]
        activations = [x]
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            z = activations[-1] @ w.T + b
            activations.append(1 / (1 + np.exp(-z)) if case.activation == "sigmoid" else np.maximum(z, 0))
        z = activations[-1] @ weights[-1].T + biases[-1]
        z -= z.max(axis=1, keepdims=True)
        e = np.exp(z)
        s = e.sum(axis=1, keepdims=True)
        loss = (np.log(s[:, 0]) - z[rows, y]).sum() / n
        delta = e / s
        delta[rows, y] -= 1
        delta /= n
        dws, dbs = [None] * k, [None] * k
        for layer in reversed(range(k)):
            a = activations[layer]
            dws[layer], dbs[layer] = delta.T @ a, delta.sum(axis=0)
            if layer:
                delta = delta @ weights[layer]
                delta = delta * (a * (1 - a)) if case.activation == "sigmoid" else delta * (a > 0)
        t += 1
        grads = dws + dbs
        if case.optimizer == "sgd":
            params = [p - LR * g for p, g in zip(params, grads, strict=True)]
        else:
            size, root = LR / (1 - 0.9**t), 1 / math.sqrt(1 - 0.999**t)
            for i, g in enumerate(grads):
                m[i] = 0.9 * m[i] + 0.1 * g
                v[i] = 0.999 * v[i] + 0.001 * (g * g)
                params[i] = params[i] - size * m[i] / (np.sqrt(v[i]) * root + 1e-8)
        return loss

    return step


def nnx_step(case):
    """The step as a user of nnx writes it."""
    layers = []
    for k, (i, o) in enumerate(case.layers()):
        layers += (
            [nnx.Linear(i, o)]
            if k == 0
            else [nnx.Sigmoid() if case.activation == "sigmoid" else nnx.ReLU(), nnx.Linear(i, o)]
        )
    model = nnx.Sequential(*layers)
    linears = [layer for layer in layers if isinstance(layer, nnx.Linear)]
    for layer, w, b in zip(linears, case.weights, case.biases, strict=True):
        layer.weight, layer.bias = nnx.asarray(w.copy()), nnx.asarray(b.copy())
    optimizer = nnx.optim.SGD(LR) if case.optimizer == "sgd" else nnx.optim.Adam(LR)
    value_and_grad = nnx.value_and_grad(lambda model, x, y: nnx.losses.cross_entropy(model(x), y))

    def step(x, y):
        loss, grads = value_and_grad(model, x, y)
        optimizer.update(model, grads)
        return loss

    return step


def torch_step(case):
    """The step in PyTorch eager."""
    import torch

    layers = []
    for k, (i, o) in enumerate(case.layers()):
        layers += (
            [torch.nn.Linear(i, o)]
            if k == 0
            else [
                torch.nn.Sigmoid() if case.activation == "sigmoid" else torch.nn.ReLU(),
                torch.nn.Linear(i, o),
            ]
        )
    model = torch.nn.Sequential(*layers)
    linears = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
    with torch.no_grad():
        for layer, w, b in zip(linears, case.weights, case.biases, strict=True):
            layer.weight.copy_(torch.from_numpy(w))
            layer.bias.copy_(torch.from_numpy(b))
    kind = torch.optim.SGD if case.optimizer == "sgd" else torch.optim.Adam
    optimizer = kind(model.parameters(), lr=LR)

    def step(x, y):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def measure(case, repeat):
    """Best time of a step in µs by contestant, and the losses after the same number of steps."""
    contestants = {"numpy": (numpy_step(case), case.x, case.y), "nnx": (nnx_step(case), case.x, case.y)}
    try:
        import torch
    except ImportError:
        print("torch is not installed: its column is left out")
    else:
        contestants["torch"] = (torch_step(case), torch.from_numpy(case.x), torch.from_numpy(case.y))
    best = dict.fromkeys(contestants, math.inf)
    losses = {}
    for _ in range(repeat):
        for name, (step, x, y) in contestants.items():
            inner = 20
            start = time.perf_counter()
            for _ in range(inner):
                losses[name] = float(step(x, y))
            best[name] = min(best[name], (time.perf_counter() - start) / inner * 1e6)
    return best, losses


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=60, help="rounds (best of)")
    parser.add_argument("--profile", action="store_true", help="also show where nnx's time goes")
    args = parser.parse_args()
    print(f"{'µs a step, best':28} {'numpy':>8} {'nnx':>8} {'torch':>8}   nnx/numpy  nnx/torch   losses agree to")
    for case in CASES:
        best, losses = measure(case, args.repeat)
        apart = max(abs(loss - losses["numpy"]) / abs(losses["numpy"]) for loss in losses.values())
        torch = best.get("torch", math.nan)
        print(
            f"{case.name:28} {best['numpy']:8.0f} {best['nnx']:8.0f} {torch:8.0f}   "
            f"{best['nnx'] / best['numpy']:9.2f}  {best['nnx'] / torch:9.2f}   {apart:.0e}"
        )
    if args.profile:
        for case in CASES[:2]:
            step = nnx_step(case)
            profile = cProfile.Profile()
            profile.enable()
            for _ in range(2000):
                step(case.x, case.y)
            profile.disable()
            print(f"\n{case.name}")
            pstats.Stats(profile).sort_stats("tottime").print_stats(18)


if __name__ == "__main__":
    main()
