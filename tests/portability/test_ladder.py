"""Each planted bug is caught by a rung, no clean line by any, and each kind of rung catches what no other does."""

import pytest

from tests.portability import ladder
from tests.portability.bugs import BUGS, CLEAN, RIGHT

# what CuPy alone can tell: by what it refuses, by what a value becomes on it, by what a line costs
CUPY_ALONE = {"np.from_dlpack(x)", "range(0-d)", "in place on a view"}
BUDGET_ALONE = {"constants moved in each step", "a result brought home", "bool of an array", "float(loss)"}


@pytest.fixture(scope="module")
def rungs():
    return ladder.available()


@pytest.fixture(scope="module")
def found(rungs):
    return ladder.table(rungs)


def test_the_list_is_long_enough():
    assert len(BUGS) >= 30
    assert RIGHT.keys() <= BUGS.keys()


@pytest.mark.parametrize("name", BUGS)
def test_each_bug_is_caught(found, rungs, name):
    if "cupy" not in rungs and name in CUPY_ALONE | BUDGET_ALONE:
        pytest.skip("CuPy alone catches it: NNX_TEST_CUPY=emulated")
    assert found[name], f"no rung of {', '.join(rungs)} catches '{name}'"


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_line_is_refused_nowhere(rungs, name):
    assert {rung: why for rung in rungs if (why := ladder.caught(rung, CLEAN[name]))} == {}


def test_no_rung_can_be_left_out(found, rungs, capsys):
    """array-api-strict catches most; what it cannot see is why CuPy runs here as well."""
    by = {rung: {name for name, reasons in found.items() if rung in reasons} for rung in rungs}
    strict = by["strict device1"] | by["strict flags"] | by["strict no_float64"]
    assert "a forgotten device" in by["strict device1"] - by["numpy"] - by["strict flags"]
    assert {"x[mask]", "nonzero", "unique"} <= by["strict flags"] - by["strict device1"]
    with capsys.disabled():
        print("\n" + ladder.text(found, rungs))
    if "cupy" in rungs:
        assert by["cupy"] - strict - by["numpy"] - by["cupy budget"] == CUPY_ALONE - by["numpy"]
        assert by["cupy budget"] - strict - by["numpy"] - by["cupy"] == BUDGET_ALONE
        assert "a forgotten device" not in by["cupy"], "one device: CuPy puts it where the others are"
