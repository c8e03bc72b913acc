"""The command: which mutants are tried, and what is said of them. See the package."""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import tests.mutants
from tests.mutants.accepted import ACCEPTED, reason, stale
from tests.mutants.changes import MODULES, Mutant, mutants
from tests.mutants.run import fate, prepare


def arguments(given: list[str] | None) -> argparse.Namespace:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description=tests.mutants.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}; all if none is given")
    parser.add_argument("--list", action="store_true", help="show the mutants, run nothing")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="one of N, for a quick look")
    parser.add_argument("--only", default="", metavar="TEXT", help="those alone whose description has this in it")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--least", type=float, default=97.0, metavar="PERCENT")
    options = parser.parse_args(given)
    if unknown := set(options.modules) - set(MODULES):
        parser.error(f"no file of rules is called {', '.join(sorted(unknown))}: choose from {', '.join(MODULES)}")
    options.modules = options.modules or MODULES
    return options


def report(fates: dict[Mutant, str], seconds: float) -> float:
    """Prints the counts of each file and of all; the share of the killed, in percent."""
    for module in dict.fromkeys(mutant.module for mutant in fates):
        own = [fate for mutant, fate in fates.items() if mutant.module == module]
        print(f"{module}: {len(own) - own.count('survived')} of {len(own)} killed")
    count = Counter(fates.values())
    killed, alive = len(fates) - count["survived"], [m for m, fate in fates.items() if fate == "survived"]
    share = 100.0 * killed / max(len(fates), 1)
    by = ", ".join(f"{count[who]} by {who}" for who in ("a case", "a test", "the clock"))
    print(f"{killed} of {len(fates)} mutants killed ({share:.1f}%) in {seconds:.0f} s: {by}")
    print(f"survived: {len(alive)}; accepted, changes nothing: {sum(reason(m) is not None for m in alive)}")
    return share


def main(given: list[str] | None = None) -> int:
    """1 if fewer than --least percent were killed, or if an accepted mutant is none or was killed."""
    options = arguments(given)
    found = [m for module in options.modules for m in mutants(module)]
    gone = stale(found, options.modules)
    for entry in gone:
        print(f"accepted.py lists what is no mutant any more: {entry}")
    chosen = [m for m in found if options.only in str(m)][:: options.every]
    if options.list:
        print(*chosen, sep="\n")
        print(f"{len(chosen)} mutants")
        return int(bool(gone))
    start = time.monotonic()
    cases, tests = prepare()
    if fate(None, [], []) != "survived":
        print("the tests fail on the rules as they are")
        return 2
    fates: dict[Mutant, str] = {}
    with ThreadPoolExecutor(options.processes) as pool:
        ends = pool.map(lambda m: fate(m, cases.by(m), tests.by(m)), chosen)
        for mutant, end in zip(chosen, ends, strict=True):
            fates[mutant] = end
            if end == "survived":
                why = reason(mutant)
                print(f"survived: {mutant}" if why is None else f"accepted: {mutant}  ({why})", flush=True)
            elif mutant.key in ACCEPTED:
                gone.append(mutant.key)
                print(f"accepted.py lists what is killed: {mutant}", flush=True)
    share = report(fates, time.monotonic() - start)
    return int(share < options.least or bool(gone))


if __name__ == "__main__":
    sys.exit(main())
