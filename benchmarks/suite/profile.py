"""Where a row's time goes in nnx: forward, backward and update, and the functions that take the most of it."""

import cProfile
import pstats
import time

import nnx
from benchmarks.suite import in_nnx


def phases(case, backend="numpy", repeat=20):
    """Best times in µs: the forward pass of a gradient, the backward pass, the update."""
    with nnx.use_backend(backend):
        model, loss_of, optimizer, x, y = in_nnx.parts(case)
    turned = [0.0]

    def noting(model, x, y):
        loss = loss_of(model, x, y)
        turned[0] = time.perf_counter()
        return loss

    value_and_grad = nnx.value_and_grad(noting)
    best = {"forward": 1e9, "backward": 1e9, "update": 1e9}
    for _ in range(repeat):
        start = time.perf_counter()
        _, grads = value_and_grad(model, x, y)
        end = time.perf_counter()
        if optimizer is not None:
            optimizer.update(model, grads)
        times = turned[0] - start, end - turned[0], time.perf_counter() - end
        best = {name: min(old, t) for (name, old), t in zip(best.items(), times, strict=True)}
    return {name: t * 1e6 for name, t in best.items()}


def show(row, case, steps=50, top=15):
    """Print the phases of the case and the functions of the row's step."""
    backend = row.name.partition(":")[0]
    if row.name.startswith("train"):
        print("  ".join(f"{name} {t:,.0f} µs" for name, t in phases(case).items()))
    step = row.contestants["nnx"]()
    step()
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(steps):
        step()
    profile.disable()
    print(f"{row.name} ({backend}), {steps} steps")
    pstats.Stats(profile).sort_stats("tottime").print_stats(top)
