"""Times in one run: rounds interleaved, so that a noisy machine is noisy for all, and the best of all rounds counts.

Nothing is timed before the contestants, from the same weights on the same batch, have agreed on the losses of a few
steps (or on the outputs): who computes something else may well be faster.
"""

import importlib.util
import math
import time

import numpy as np

from benchmarks.suite import memory
from benchmarks.suite.rows import NEEDS

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
STEPS, TOLERANCE, SHORTEST = 3, 1e-3, 5e-3


class Disagreement(AssertionError):
    """Two contestants compute different things."""


def installed(name):
    return name not in NEEDS or importlib.util.find_spec(NEEDS[name]) is not None


def agreement(found):
    """The largest distance from the first contestant's numbers, as a share of their size; raises Disagreement.

    found: {contestant: numbers}
    """
    (first, expected), *others = ((name, np.asarray(x, dtype="float64")) for name, x in found.items())
    if not np.isfinite(expected).all():
        raise Disagreement(f"{first}'s numbers are not finite")
    apart = 0.0
    for name, x in others:
        if x.shape != expected.shape:
            raise Disagreement(f"{first} gives {expected.shape}, {name} {x.shape}")
        d = float(np.abs(x - expected).max() / max(np.abs(expected).max(), 1e-12))
        if not d <= TOLERANCE:
            raise Disagreement(f"{first} and {name} are {d:.1e} apart, more than {TOLERANCE:.0e}: not the same work")
        apart = max(apart, d)
    return apart


def _numbers(step, n):
    """What a few steps return: losses and, where no optimizer shows what they were, the gradients; or the outputs."""
    if hasattr(step, "gradients"):
        found = step.gradients()
        return np.concatenate([[step()], *(np.ravel(found[name]) for name in sorted(found))])
    first = step()
    return [first, *(step() for _ in range(n - 1))] if isinstance(first, float) else first


def best(steps, repeat, clock):
    """The best time of a step by contestant, in seconds."""
    now = CLOCKS[clock]
    inner, found = {}, dict.fromkeys(steps, math.inf)
    for name, step in steps.items():
        start = time.perf_counter()
        step()
        inner[name] = max(1, min(200, round(SHORTEST / max(time.perf_counter() - start, 1e-9))))
    for _ in range(repeat):
        for name, step in steps.items():
            start = now()
            for _ in range(inner[name]):
                step()
            found[name] = min(found[name], (now() - start) / inner[name])
    return found


def measured(row, repeat=20, clock="wall"):
    """A row of the table: {"name", "title", "unit", "values": {contestant: number}, "goals", "apart"}."""
    makers = {name: make for name, make in row.contestants.items() if installed(name)}
    if row.exact:
        checked = {name: make() for name, make in row.exact.items() if installed(name)}
        apart = agreement({name: _numbers(step, 1) for name, step in checked.items()})
        steps = {name: make() for name, make in makers.items()}
    else:
        steps = {name: make() for name, make in makers.items()}
        apart = agreement({name: _numbers(step, STEPS) for name, step in steps.items()})
    if row.kind == "memory":
        values = {name: memory.peak(name, step) for name, step in steps.items()}
        unit = "MB"
    else:
        values, unit = {name: t * 1e6 for name, t in best(steps, repeat, clock).items()}, "µs"
    return {
        "name": row.name, "title": row.title, "unit": unit, "values": values, "goals": row.goals, "apart": apart,
    }  # fmt: skip


def ratios(found):
    """By peer: nnx's number ÷ the peer's."""
    own = found["values"]["nnx"]
    return {peer: own / value for peer, value in found["values"].items() if peer != "nnx"}
