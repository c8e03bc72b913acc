"""What nnx.fuse saves on a CPU: GELU and Adam's update, as they are written, fused, and PyTorch's, in one run.

    python benchmarks/fusion.py [--gelu 1000000] [--adam 670000] [--repeat 60] [--json]

Wall-clock time and the time of this thread alone (µs, best and median of all; rounds are interleaved). `backward` is
one call of the pullback; numba's loops, if it is installed, are compiled at once. An update replaces its arrays, as an
optimizer's does: memory that is new each time costs more than the arithmetic. How many threads: NNX_FUSE_THREADS,
OMP_NUM_THREADS.
"""

import argparse
import json
import math
import statistics
import time

import numpy as np

import nnx
from nnx.backend import numba_fusion
from nnx.fusion import enabled, fuse
from nnx.optim.adam import _adam


def gelu(x):
    """x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³))), the way a user would write it."""
    return x * 0.5 * (nnx.namespace(x).tanh((x + x * x * x * 0.044715) * math.sqrt(2.0 / math.pi)) + 1.0)


def gelus(n):
    """name -> a call."""
    x = np.random.default_rng(0).standard_normal(n).astype("float32")
    fused = fuse(gelu)
    calls = {"gelu, plain": lambda: gelu(x), "gelu, fused": lambda: fused(x)}
    for name, call in (("plain", gelu), ("fused", fused)):
        _, pullback = nnx.vjp(call, x)
        calls[f"gelu backward, {name}"] = lambda pullback=pullback: pullback(x)
    try:
        import torch
    except ImportError:
        return calls
    t = torch.from_numpy(x).requires_grad_()
    y = torch.nn.functional.gelu(t, approximate="tanh")
    dy = t.detach()
    calls["gelu, torch"] = lambda: torch.nn.functional.gelu(dy, approximate="tanh")
    calls["gelu backward, torch"] = lambda: torch.autograd.grad(y, t, dy, retain_graph=True)
    return calls


def adams(n):
    """name -> a call that replaces its arrays."""
    rng = np.random.default_rng(0)
    numbers = (0.9, 0.999, 1e-8, None, None, 1e-3, 1.1)
    g = rng.random(n, dtype="float32")

    def updating(on):
        held = [rng.random(n, dtype="float32") for _ in range(3)]

        def call():
            with enabled(on):
                held[:] = _adam(held[0], g, *held[1:], *numbers)

        return call

    calls = {"adam, plain": updating(False), "adam, fused": updating(True)}
    try:
        import torch
    except ImportError:
        return calls
    for name, is_fused in (("torch", False), ("torch's fused", True)):
        p = torch.from_numpy(rng.random(n, dtype="float32"))
        p.grad = torch.from_numpy(g)
        calls[f"adam, {name}"] = torch.optim.Adam([p], fused=is_fused).step
    return calls


def measured(calls, repeat):
    """name -> (wall best, wall median, this thread's best) in µs."""
    found = {name: [] for name in calls}
    numba_fusion.AFTER = 0
    for _ in range(repeat):
        for name, call in calls.items():
            wall, own = time.perf_counter(), time.thread_time()
            call()
            found[name].append((time.perf_counter() - wall, time.thread_time() - own))
    return {
        name: (min(walls) * 1e6, statistics.median(walls) * 1e6, min(owns) * 1e6)
        for name, rounds in found.items()
        for walls, owns in [zip(*rounds, strict=True)]
    }


def main():
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gelu", type=int, default=1_000_000, help="elements")
    parser.add_argument("--adam", type=int, default=670_000, help="parameters")
    parser.add_argument("--repeat", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measured(gelus(options.gelu), options.repeat) | measured(adams(options.adam), options.repeat)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{'µs':28}{'best':>10}{'median':>10}{'thread':>10}")
    for name, times in found.items():
        print(f"{name:28}" + "".join(f"{t:10,.0f}" for t in times))


if __name__ == "__main__":
    main()
