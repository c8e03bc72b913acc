"""`NNX_TEST_CUPY=emulated python -m tests.portability` prints which rung catches which planted bug; -v says why."""

import os
import sys

if os.environ.get("NNX_TEST_CUPY") == "emulated":
    from tests import cuda_emulator

    cuda_emulator.activate()

from tests.portability.ladder import available, table, text

found = table(available())
print(text(found, available()))
if "-v" in sys.argv:
    for name, reasons in found.items():
        print(f"\n{name}", *(f"  {rung}: {why[:150]}" for rung, why in reasons.items()), sep="\n")
