"""nnx beside what a user would pick instead, in one run: times, peak memory, goals and how far from them.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.suite [ROW ...] [--repeat 20]

Rows by name or pattern (train:lenet, "inference:*"; --list shows them). Peers that are not installed are left out.
`--clock cpu` counts the process's processor time: for a machine that is shared, with one thread set as above.
NNX_FUSE_NUMBA=now has numba's loops (extra `fast`) compiled before anything is timed, NNX_FUSE_NUMBA=0 goes without.
Kernel launches on CuPy: `nnx bench --count --backend cupy --counters tests.cuda_emulator`.
"""

import argparse
import fnmatch

from benchmarks.suite import profile, report, scaling
from benchmarks.suite.cases import CASES
from benchmarks.suite.measure import CLOCKS, Disagreement, measured
from benchmarks.suite.rows import rows


def parser():
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.suite", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = found.add_argument
    add("rows", nargs="*", metavar="ROW", help="names or patterns of rows (all)")
    add("--list", action="store_true", help="the names of the rows, and what they are")
    add("--repeat", type=int, default=20, help="rounds, the best of which counts (%(default)s)")
    add("--clock", choices=sorted(CLOCKS), default="wall", help="(%(default)s)")
    add("--compiled", action="store_true", help="also torch.compile, which needs a C++ compiler and a minute a row")
    add("--scaling", action="store_true", help="also the cost against batch, width and depth")
    add("--json", metavar="FILE", help="append a line: date, machine, versions, rows")
    add("--plot", metavar="FILE", help="a picture of the distances, or with --scaling of the growth (matplotlib)")
    add("--profile", metavar="ROW", help="only where this row's time goes")
    return found


def chosen(known, patterns):
    """The rows that match. Raises SystemExit for a pattern that matches none."""
    found = {}
    for pattern in patterns or ["*"]:
        names = fnmatch.filter(known, pattern)
        if not names:
            raise SystemExit(f"no row {pattern!r}; there is {', '.join(known)}")
        found |= {name: known[name] for name in names}
    return found


def main(arguments=None):
    """Returns 1 if two contestants computed different things."""
    args = parser().parse_args(arguments)
    known = rows(args.compiled)
    if args.list:
        print("\n".join(f"{name:18}{row.title}" for name, row in known.items()))
        return 0
    if args.profile:
        (row,) = chosen(known, [args.profile]).values()
        profile.show(row, CASES.get(row.name.partition(":")[2]))
        return 0
    print(", ".join(f"{k} {v}" for k, v in {**report.machine(), **report.versions(), "clock": args.clock}.items()))
    print(report.HEAD)
    table, wrong = [], False
    for row in chosen(known, args.rows).values():
        try:
            table.append(measured(row, args.repeat, args.clock))
        except Disagreement as error:
            wrong = True
            print(f"{row.name:18}not timed: {error}", flush=True)
        else:
            print(report.line(table[-1]), flush=True)
    points = scaling.scaling(args.repeat, args.clock) if args.scaling else []
    for point in points:
        print(scaling.line(point))
    if args.json:
        report.append(args.json, table + points, args.clock)
    if args.plot:
        scaling.plot(args.plot, points) if points else report.plot(args.plot, table)
    return int(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
