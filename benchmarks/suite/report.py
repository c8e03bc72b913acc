"""What was found: a table, a line of JSON for the history, a picture."""

import datetime
import importlib.metadata
import json
import os
import platform
from pathlib import Path

from benchmarks.suite.measure import ratios

PACKAGES = ("numpy", "numba", "torch", "jax", "scikit-learn")
HEAD = f"{'row':18}{'nnx':>14}   {'peers':44} {'nnx ÷ peer (goal)':40} {'÷ goal':10} agree to"


def machine():
    """The processor, how many of them this process may use, OpenMP's threads, and when numba's loops are compiled."""
    processor = platform.processor() or platform.machine()
    path = Path("/proc/cpuinfo")
    if path.exists():
        names = [line.partition(":")[2].strip() for line in path.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads, loops = os.environ.get("OMP_NUM_THREADS", "default"), os.environ.get("NNX_FUSE_NUMBA", "once they pay")
    return {"processor": processor, "cores": cores, "threads": threads, "numba's loops": loops}


def versions():
    """Of Python and of the packages that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def distance(found):
    """The worst ratio ÷ its goal: over 1 is a miss. None without a peer that has a goal."""
    r = ratios(found)
    return max((r[peer] / goal for peer, goal in found["goals"].items() if peer in r), default=None)


def _short(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def line(found):
    """A row of the table."""
    values, r, goals = found["values"], ratios(found), found["goals"]
    peers = "  ".join(f"{name} {_short(value)}" for name, value in values.items() if name != "nnx")
    against = "  ".join(f"{p} {x:.2f}" + (f" ({goals[p]:.2f})" if p in goals else "") for p, x in r.items())
    d = distance(found)
    told = "-" if d is None else f"{d:.2f}{'' if d <= 1 else ' miss' if d <= 1.5 else ' FAR'}"
    own = f"{_short(values['nnx'])} {found['unit']}"
    return f"{found['name']:18}{own:>14}   {peers:44} {against:40} {told:10} {found['apart']:.0e}"


def append(path, table, clock):
    """One line of JSON behind the others."""
    entry = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(), "versions": versions(), "clock": clock, "rows": table,
    }  # fmt: skip
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def plot(path, table):
    """A bar a row, how far from its goal; 1 is the goal."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [(row["name"], d) for row in table if (d := distance(row)) is not None][::-1]
    figure, axes = pyplot.subplots(figsize=(7, 1 + 0.25 * len(shown)))
    colours = ["tab:green" if d <= 1 else "tab:orange" if d <= 1.5 else "tab:red" for _, d in shown]
    axes.barh([name for name, _ in shown], [d for _, d in shown], color=colours)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_xlabel("worst ratio to a peer ÷ its goal (left of the line: reached)")
    figure.savefig(path, bbox_inches="tight", dpi=120)
    pyplot.close(figure)
