"""How a step's time grows with batch, width and depth: the exponent from one size to the next, beside the arithmetic's.

A step of an MLP does about 6 n (i h + (d - 1) h² + h o) multiplications and additions, and Adam some 15 a parameter. A
term that grew faster than these would show as an exponent above the arithmetic's at the largest sizes.
"""

import math

from benchmarks.suite import in_nnx, in_torch
from benchmarks.suite.cases import mlp
from benchmarks.suite.measure import best, installed

SIZES = {
    "batch": [(n, 256, 2) for n in (16, 64, 256, 1024)],
    "width": [(64, w, 2) for w in (64, 256, 1024)],
    "depth": [(64, 128, d) for d in (2, 8, 32)],
}


def arithmetic(n, width, depth):
    """Operations of a step."""
    weights = 784 * width + (depth - 1) * width * width + width * 10
    return weights * (6 * n + 15)


def scaling(repeat, clock, sizes=SIZES):
    """{"axis", "size", "values", "operations", "exponent", "arithmetic"} of each; the last two from the size before."""
    found = []
    for axis, points in sizes.items():
        before = None
        for n, width, depth in points:
            case = mlp(784, *[width] * depth, 10, batch=n)
            steps = {"nnx": in_nnx.train(case)}
            if installed("torch"):
                steps["torch"] = in_torch.train(case)
            values = {name: t * 1e6 for name, t in best(steps, repeat, clock).items()}
            size = {"batch": n, "width": width, "depth": depth}[axis]
            point = {"axis": axis, "size": size, "values": values, "operations": arithmetic(n, width, depth)}
            if before is not None:
                ratio = math.log(size / before["size"])
                point["exponent"] = math.log(values["nnx"] / before["values"]["nnx"]) / ratio
                point["arithmetic"] = math.log(point["operations"] / before["operations"]) / ratio
            found.append(point)
            before = point
    return found


def line(point):
    """A row of the table."""
    values = "  ".join(f"{name} {value:,.4g} µs" for name, value in point["values"].items())
    begin = f"{point['axis']:6}{point['size']:>6}   {values:36}"
    if "exponent" not in point:
        return begin
    return f"{begin}   grows as size^{point['exponent']:.2f}, the arithmetic as size^{point['arithmetic']:.2f}"


def plot(path, points):
    """Time against each of the three, on logarithmic axes, the arithmetic as a dashed line through the last point."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(point["axis"] for point in points))
    figure, panes = pyplot.subplots(1, len(names), figsize=(4 * len(names), 3.2), squeeze=False)
    for pane, axis in zip(panes[0], names, strict=True):
        own = [point for point in points if point["axis"] == axis]
        sizes = [point["size"] for point in own]
        for name in own[0]["values"]:
            pane.loglog(sizes, [point["values"][name] for point in own], marker="o", label=name)
        last = own[-1]
        scale = last["values"]["nnx"] / last["operations"]
        pane.loglog(sizes, [point["operations"] * scale for point in own], "--", color="grey", label="arithmetic")
        pane.set_xlabel(axis)
        pane.set_ylabel("µs a step")
        pane.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
