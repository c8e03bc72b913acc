"""A line search: how far to go along a direction so that the strong Wolfe conditions hold (Nocedal and Wright, §3.5).

They are: the value fell enough, f(t) ≤ f(0) + c₁ t f'(0), and the slope is flat enough, |f'(t)| ≤ c₂ |f'(0)|. First
steps grow until a point with both lies between two of them; then that interval shrinks. As PyTorch's, after minFunc's.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from nnx.typing import Array

C1, C2 = 1e-4, 0.9


class Point(NamedTuple):
    """A place on the line: t, the value f and the slope there, and the whole gradient."""

    t: float
    f: float
    slope: float
    gradient: Array


Evaluate = Callable[[float], Point]


def strong_wolfe(
    evaluate: Evaluate, origin: Point, t: float, length: float, tolerance: float, most: int
) -> tuple[Point, int]:
    """The point found, and how many evaluations it took.

    t: the first step   length: of the direction's longest entry   tolerance: on the interval   most: iterations
    """
    ends, k, done = _bracket(evaluate, origin, t, most)
    low, high = (0, 1) if ends[0].f <= ends[-1].f else (1, 0)
    stuck = False
    while not done and k < most and not abs(ends[1].t - ends[0].t) * length < tolerance:
        t, stuck = _inside(_minimum(ends[0], ends[1]), ends, stuck)
        new = evaluate(t)
        k += 1
        if _too_high(new, origin) or new.f >= ends[low].f:
            ends[high] = new
            low, high = (0, 1) if ends[0].f <= ends[1].f else (1, 0)
            continue
        done = _flat(new, origin)
        if not done and new.slope * (ends[high].t - ends[low].t) >= 0.0:
            ends[high] = ends[low]
        ends[low] = new
    return ends[low], k + 1


def _bracket(evaluate: Evaluate, origin: Point, t: float, most: int) -> tuple[list[Point], int, bool]:
    """(two ends of an interval, or a point that will do; iterations; whether it will do)."""
    before, now = origin, evaluate(t)
    for k in range(most):
        if _too_high(now, origin) or (k > 1 and now.f >= before.f):
            return [before, now], k, False
        if _flat(now, origin):
            return [now], k, True
        if now.slope >= 0.0:
            return [before, now], k, False
        t = _minimum(before, now, (now.t + 0.01 * (now.t - before.t), now.t * 10.0))
        before, now = now, evaluate(t)
    return [origin, now], most, False


def _too_high(point: Point, origin: Point) -> bool:
    return point.f > origin.f + C1 * point.t * origin.slope


def _flat(point: Point, origin: Point) -> bool:
    return abs(point.slope) <= -C2 * origin.slope


def _inside(t: float, ends: list[Point], stuck: bool) -> tuple[float, bool]:
    """t, moved off an end of the interval if it was there twice in a row; and whether it was there now."""
    least, most = sorted((ends[0].t, ends[1].t))
    margin = 0.1 * (most - least)
    if min(most - t, t - least) >= margin:
        return t, False
    if stuck or t >= most or t <= least:
        return (most - margin if abs(t - most) < abs(t - least) else least + margin), False
    return t, True


def _minimum(a: Point, b: Point, bounds: tuple[float, float] | None = None) -> float:
    """Where the cubic through both points with their slopes is least, held in the bounds (by default: between them)."""
    least, most = bounds or (min(a.t, b.t), max(a.t, b.t))
    first, last = (a, b) if a.t <= b.t else (b, a)
    middle = (least + most) / 2.0
    if a.t == b.t:
        return middle
    d1 = a.slope + b.slope - 3.0 * (a.f - b.f) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not 0.0 <= square < math.inf:
        return middle
    d2 = math.sqrt(square)
    width = last.slope - first.slope + 2.0 * d2
    if width == 0.0:
        return middle
    t = last.t - (last.t - first.t) * ((last.slope + d2 - d1) / width)
    return min(max(t, least), most)
