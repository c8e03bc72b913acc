"""The official CuPy wheel, executing on a CPU, so that tests of GPU code run where there is no GPU (see README.md).

from tests.cuda_emulator import activate, counting
activate()                      # before the first `import cupy`
"""

from .activation import activate, active
from .counters import Counts, counters, counting, reset
from .errors import EmulatorError, NotEmulated
from .failures import FAILURES, fail_with
from .recording import Source, sources
from .wheel import missing

__all__ = [
    "FAILURES",
    "Counts",
    "EmulatorError",
    "NotEmulated",
    "Source",
    "activate",
    "active",
    "counters",
    "counting",
    "fail_with",
    "missing",
    "reset",
    "sources",
]
