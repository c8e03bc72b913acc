"""docs/array-api.md is what the tables say today."""

from collections import Counter

from tests.conformance import page
from tests.conformance.libraries import NEWEST, functions


def test_the_page_is_not_stale():
    assert page.PAGE.read_text() == page.text(), "write it anew: python -m tests.conformance.page"


def test_every_function_with_a_rule_has_a_case():
    tested = page.cases_by_function()
    kinds = {name: page.kind(name) for name in functions(NEWEST)}
    assert not [name for name, kind in kinds.items() if kind == "yes" and not tested[name]]
    assert set(kinds.values()) == {"yes", "constant", "refused", "no array"}


def test_the_recorder_sees_the_calls_of_a_case():
    seen = set()
    xp = page.Recorder(page.nnx.namespace(page.np.ones(2)), seen)
    xp.linalg.vector_norm(xp.exp(page.np.ones(2)))
    assert Counter(seen) == Counter(("exp", "linalg.vector_norm"))
