"""Every row of the table is tried: what is said to differentiate is right, what is said not to fails as it says."""

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.foreign.table import NOT_OF_ARRAYS, ROWS

NEEDS = {"SciPy": "scipy", "einops": "einops", "array-api-extra": "array_api_extra"}
ROOT = Path(__file__).parents[2]

STRICT_CANNOT = {
    "special.chdtr(3.0,p)": "Only Array objects are allowed",
    "special.chdtrc(3.0,p)": "Only Array objects are allowed",
    "special.stdtrit(xp.full_like(u,3.0),u)": "Fancy indexing __setitem__",
    "stats.bootstrap": "Integer index arrays are only allowed with integer indices",
    "stats.permutation_test": "Integer index arrays are only allowed with integer indices",
}
"""Where SciPy leaves the standard, and plain arrays of array-api-strict take another way: through NumPy."""


@functools.cache
def tried():
    """What happened, by call; one process for all, as SciPy looks at its environment when it is imported."""
    for module in NEEDS.values():
        pytest.importorskip(module, reason=f"{module}, whose functions are tried, is not installed")
    found = subprocess.run(
        [sys.executable, "-m", "tests.foreign.run"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    return {line["call"]: line for line in map(json.loads, found.stdout.splitlines())}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.call)
def test_row_is_as_it_says(row):
    found = tried()[row.call]
    if row.differentiates:
        assert found["numpy"] == "right"
        assert not row.why
    elif row.error:
        assert re.search(row.error, found["numpy"]), found["numpy"]
    else:
        assert found["numpy"] in ("zero", "constant")
    strict = found["strict"]
    expected = next((error for call, error in STRICT_CANNOT.items() if row.call.startswith(call)), None)
    if expected is not None:
        assert re.search(expected, strict), strict
    else:
        assert strict is None or (isinstance(strict, float) and strict < 1e-8), strict


def test_most_rows_ran_on_array_api_strict():
    ran = [line for line in tried().values() if line["strict"] is not None]
    assert len(ran) > 200


def test_table_has_every_public_function_of_array_api_extra():
    xpx = pytest.importorskip("array_api_extra", reason="array-api-extra is not installed")
    public = {name for name in dir(xpx) if not name.startswith("_")}
    assert public - set(NOT_OF_ARRAYS.split()) == {
        row.name.split(".")[1] for row in ROWS if row.library == "array-api-extra"
    }


def test_no_call_stands_twice():
    assert len({row.call for row in ROWS}) == len(ROWS)
