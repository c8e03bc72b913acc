"""nnx's namespace and Var do what the library underneath does: drawn calls of everything that the standard names."""

import pytest

from tests.conformance.checks import PARTS, run
from tests.conformance.libraries import LIBRARIES

EXAMPLES = {LIBRARIES[0].name: 3}  # `python -m tests.conformance` draws more


def _cases():
    for library in LIBRARIES:
        with library.in_version():
            for part in PARTS.values():
                for name, (strategy, call) in part(library).items():
                    yield pytest.param(library, name, strategy, call, id=f"{library.name}-{name}")


@pytest.mark.parametrize(("library", "name", "strategy", "call"), list(_cases()))
def test_the_same_as_the_library(library, name, strategy, call):
    with library.in_version():
        counts, found = run(library, name, strategy, call, EXAMPLES.get(library.name, 7))
    assert not found, found[0]
    assert counts["constant"]
    assert counts["watched"]
