"""`python -m tests.conformance [examples]` prints how many drawn calls nnx's namespace answers as the library alone."""

import sys
from collections import Counter

import numpy as np

from tests.conformance.checks import PARTS, run
from tests.conformance.claims import CLAIMS, holds
from tests.conformance.libraries import LIBRARIES

examples = int(sys.argv[1]) if len(sys.argv) > 1 else 100
wrong = []
print(f"{'':24}{'':12}{'constants':>18}{'watched':>18}{'refused':>10}")
for library in LIBRARIES:
    with library.in_version():
        for part, checks in PARTS.items():
            total = Counter()
            for name, (strategy, call) in checks(library).items():
                counts, found = run(library, name, strategy, call, examples)
                total += counts
                wrong += found[:1]
            figures = "".join(f"{total[f'{h} equal']:>9}/{total[h]:<8}" for h in ("constant", "watched"))
            print(f"{library.name:24}{part:12}{figures}{total['refused']:>10}")
print(f"\n{'claims of the standard that hold':36}{'the library alone':>20}{'under nnx':>12}")
for library in LIBRARIES:
    with library.in_version(), np.errstate(all="ignore"):
        alone, over = (sum(holds(xp, name) is None for name in CLAIMS) for xp in (library.below, library.above))
    print(f"{library.name:36}{alone:>16}/{len(CLAIMS)}{over:>8}/{len(CLAIMS)}")
print(*wrong, sep="\n")
sys.exit(bool(wrong))
