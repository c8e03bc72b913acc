"""What watching costs: one call on a small array, plain, watched by nnx, and watched by HIPS autograd, in one run.

    python benchmarks/overhead.py [--repeat 40] [--size 8] [--json]

forward: the call alone, on an array that is plain or already watched. backward: what one more such call adds to a
backward pass, the slope of the time over the length of a chain. Rounds are interleaved, and the best of all counts.
autograd (pip install autograd) is left out where it is missing.
"""

import argparse
import functools
import importlib
import json
import time

import numpy as np

import nnx
from nnx.autodiff import Tape

NAMES = ("add", "multiply", "exp", "tanh", "maximum", "pow", "sum", "matmul")
CALLS = {
    "add": lambda xp, x: xp.add(x, x),
    "multiply": lambda xp, x: xp.multiply(x, x),
    "exp": lambda xp, x: xp.exp(x),
    "tanh": lambda xp, x: xp.tanh(x),
    "maximum": lambda xp, x: xp.maximum(x, 0.0),
    "pow": lambda xp, x: x**2.0,
    "sum": lambda xp, x: xp.sum(x),
    "matmul": lambda xp, x: xp.matmul(x, x),
}
CHAIN = 20


def start(name, size):
    """The array: a vector, for matmul two by two."""
    x = np.random.default_rng(0).uniform(0.1, 0.9, size)
    return x.reshape(2, -1)[:, :2] / 4 if name == "matmul" else x


def timed(call, number):
    begin = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - begin) / number * 1e6


def autograd():
    """(its numpy, what watches an array, what takes the gradient of a scalar function), or None."""
    try:
        module, anp = importlib.import_module("autograd"), importlib.import_module("autograd.numpy")
        tracer = importlib.import_module("autograd.tracer")
        core = importlib.import_module("autograd.core")
    except ImportError:
        return None

    def watched(x):
        return tracer.new_box(x, 0, core.VJPNode.new_root())

    return anp, watched, module.grad


def forwards(name, size):
    """For each contestant, the time of one call, measured over a number of them."""
    f, x = CALLS[name], start(name, size)
    over = nnx.Var(x).__array_namespace__()

    def by_nnx(number):
        with Tape() as tape:
            v = tape.watch(x)
            return timed(lambda: f(over, v), number)

    found = {"plain": lambda number: timed(lambda: f(np, x), number), "nnx": by_nnx}
    if (other := autograd()) is not None:
        anp, watched, _ = other
        box = watched(x)
        found["autograd"] = lambda number: timed(lambda: f(anp, box), number)
    return found


def chained(name, total):
    """A scalar function of n such calls one after the other (a sum is stretched again, by a multiplication)."""
    f = CALLS[name]

    def chain(xp, x, n):
        y = x
        for _ in range(n):
            y = f(xp, y) * x if name == "sum" else f(xp, y)
        return total(xp, y)

    return chain


def steps(name, size):
    """For each contestant, the time of a whole gradient of a chain of n calls, as a function of n."""
    x, chain = start(name, size), chained(name, lambda xp, y: xp.sum(y))
    over = nnx.Var(x).__array_namespace__()
    found = {"nnx": lambda n: nnx.grad(lambda v: chain(over, v, n))}
    if (other := autograd()) is not None:
        anp, _, grad = other
        found["autograd"] = lambda n: grad(lambda v: chain(anp, v, n))
    return {who: {n: make(n) for n in (CHAIN, 2 * CHAIN)} for who, make in found.items()}, x


@np.errstate(over="ignore", under="ignore")  # a chain of exponentials
def measure(names, size, repeat, number):
    """By name: {"plain", "nnx", "autograd"} forward, and forward with backward, in µs a call."""
    best = {}
    calls = {name: forwards(name, size) for name in names}
    gradients = {name: steps(name, size) for name in names}
    for _ in range(repeat):
        for name in names:
            row = best.setdefault(name, {"forward": {}, "both": {}})
            for who, call in calls[name].items():
                row["forward"][who] = min(row["forward"].get(who, 1e9), call(number))
            by_who, x = gradients[name]
            for who, by_length in by_who.items():
                row.setdefault("chain", {})
                for n, step in by_length.items():
                    key = who, n
                    row["chain"][key] = min(row["chain"].get(key, 1e9), timed(functools.partial(step, x), 4))
    for row in best.values():
        chain = row.pop("chain")
        row["both"] = {
            who: (chain[who, 2 * CHAIN] - chain[who, CHAIN]) / CHAIN for who in row["forward"] if who != "plain"
        }
    return best


def report(found):
    print("µs a call      forward                          above plain         forward and backward, in a chain")
    print(
        f"{'':10}{'plain':>8}{'nnx':>8}{'autograd':>10}{'nnx':>12}{'autograd':>10}{'nnx':>14}{'autograd':>10}{'ratio':>8}"
    )
    for name, row in found.items():
        a, b = row["forward"], row["both"]
        other = a.get("autograd", float("nan"))
        both = b.get("autograd", float("nan"))
        print(
            f"{name:10}{a['plain']:8.2f}{a['nnx']:8.2f}{other:10.2f}{a['nnx'] - a['plain']:12.2f}"
            f"{other - a['plain']:10.2f}{b['nnx']:14.2f}{both:10.2f}{both / b['nnx']:8.1f}"
        )


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=40, help="rounds, of which the best counts")
    parser.add_argument("--size", type=int, default=8, help="elements of the array")
    parser.add_argument("--number", type=int, default=200, help="calls a round")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    options = parser.parse_args(arguments)
    found = measure(NAMES, options.size, options.repeat, options.number)
    print(json.dumps(found)) if options.json else report(found)
    return found


if __name__ == "__main__":
    main()
