"""Try the rows of the table, in a process of its own: SCIPY_ARRAY_API must be set before SciPy is imported.

    python -m tests.foreign.run

Prints a line of JSON a row: what it is, what happened on NumPy, and on array-api-strict where the library itself runs.
"""

import json
import os
import sys
import warnings

os.environ["SCIPY_ARRAY_API"] = "1"

import nnx
from nnx.autodiff.tree import tree_map
from tests.foreign.table import ARGUMENTS, ROWS

STRICT = ["array_api_strict", "CPU_DEVICE"]


def gradients(row, backend):
    """A function of the row's arguments, and these on a backend."""
    names = row.arguments()

    def f(*arrays):
        return row(nnx.namespace(*arrays), dict(zip(names, arrays, strict=True)))

    return f, [backend.asarray(ARGUMENTS[name], "float64") for name in names]


def on_numpy(row):
    """ "right", "zero", "constant" for a result that has no gradient at all, or what went wrong."""
    f, arrays = gradients(row, nnx.get_backend("numpy"))
    try:
        found = nnx.gradcheck(f, *arrays)
    except Exception as error:
        if "returns at least one floating array" not in str(error):
            return f"{type(error).__name__}: {error}"
        try:
            nnx.vjp(f, *arrays)
        except Exception as refused:  # it does not even take a watched array
            return f"{type(refused).__name__}: {refused}"
        return "constant"
    return "right" if any(c.analytic for c in found.comparisons) else "zero"


def on_strict(row):
    """The largest difference from NumPy's gradient; None where the library itself fails on these arrays."""
    f, arrays = gradients(row, nnx.get_backend(*STRICT))
    try:
        f(*arrays)
    except Exception:
        return None
    try:
        pairs = zip(*(pulled_back(row, nnx.get_backend(*name)) for name in (["numpy"], STRICT)), strict=True)
        return max(float(abs(a - b).max()) for a, b in pairs)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def pulled_back(row, backend):
    """The gradients of the sum of all outputs."""
    f, arrays = gradients(row, backend)
    y, pullback = nnx.vjp(f, *arrays)
    return [nnx.to_numpy(g) for g in pullback(tree_map(lambda y: nnx.namespace(y).ones_like(y), y))]


def main():
    warnings.simplefilter("ignore")
    for row in ROWS:
        found = on_numpy(row)
        strict = on_strict(row) if found == "right" else None
        print(json.dumps({"call": row.call, "numpy": found, "strict": strict}))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
