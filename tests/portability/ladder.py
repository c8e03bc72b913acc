"""The rungs that a line of code climbs: what each of them catches. `python -m tests.portability` prints the table."""

import contextlib
import os
import warnings

import numpy as np

import nnx
from tests.portability.bugs import BUGS, RIGHT


def _numpy():
    return nnx.get_backend("numpy"), contextlib.nullcontext()


def _strict(device, **flags):
    def rung():
        import array_api_strict

        return nnx.get_backend("array_api_strict", device), array_api_strict.ArrayAPIStrictFlags(**flags)

    return rung


def _cupy():
    return nnx.get_backend("cupy"), contextlib.nullcontext()


RUNGS = {
    "numpy": _numpy,
    "strict device1": _strict("device1"),
    "strict flags": _strict("CPU_DEVICE", boolean_indexing=False, data_dependent_shapes=False),
    "strict no_float64": _strict("no_float64"),
    "cupy": _cupy,
    "cupy budget": _cupy,
}
X = np.asarray([[1.0, -2.0, 3.0], [0.5, 0.25, -1.0], [2.0, 4.0, -0.125]], "float32")
W = np.asarray([[0.5, 1.0, -1.0], [2.0, 0.0, 1.0], [1.0, 1.0, 1.0]], "float32")
INDEX = np.asarray([2, 0, 1])


def available():
    """The rungs that this process has: CuPy's under emulation alone, for the budget is counted there."""
    emulated = os.environ.get("NNX_TEST_CUPY") == "emulated"
    return [name for name in RUNGS if emulated or not name.startswith("cupy")]


def caught(rung, line, right=None):
    """Why the rung refuses the line: an error, a silently wrong result, a cost over budget; None if it does not."""
    backend, context = RUNGS[rung]()
    x, w, index = (backend.asarray(array) for array in (X, W, INDEX))
    arguments = backend.xp, x, w, index, backend.device
    with context, warnings.catch_warnings():
        warnings.simplefilter("error")
        if rung.endswith("budget"):
            return _over_budget(line, arguments)
        try:
            y = line(*arguments)
        except Exception as error:  # whatever a library raises is what it has to say
            return f"{type(error).__name__}: {error}".partition("\n")[0]
    return None if right is None else _wrong(nnx.to_numpy(y), right(X, INDEX))


def _wrong(found, expected):
    if found.dtype != expected.dtype:
        return f"dtype {found.dtype}, expected {expected.dtype}"
    return None if np.allclose(found, expected) else "wrong values"


def _over_budget(line, arguments):
    """A line of a training step may move nothing and wait for nothing, from its second call on."""
    from tests import cuda_emulator

    with contextlib.suppress(Exception):
        line(*arguments)
    with cuda_emulator.counting() as cost, contextlib.suppress(Exception):
        line(*arguments)
    spent = {"h2d": cost.h2d, "d2h": cost.d2h, "syncs": cost.syncs}
    return ", ".join(f"{name} {n}" for name, n in spent.items() if n) or None


def table(rungs):
    """For each bug the rungs that catch it, and why."""
    found = {name: {rung: caught(rung, line, RIGHT.get(name)) for rung in rungs} for name, line in BUGS.items()}
    return {name: {rung: why for rung, why in reasons.items() if why} for name, reasons in found.items()}


def text(found, rungs):
    """The table as text, a line a bug."""
    lines = [" " * 30 + "  ".join(rungs)]
    for name, reasons in found.items():
        marks = "  ".join(("x" if rung in reasons else ".").center(len(rung)) for rung in rungs)
        lines.append(f"{name:30}{marks}".rstrip())
    counts = ", ".join(f"{rung} {sum(rung in reasons for reasons in found.values())}" for rung in rungs)
    return "\n".join([*lines, f"caught of {len(found)}: {counts}"])
