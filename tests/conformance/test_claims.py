"""What the standard demands holds on nnx's namespace wherever it holds on the library alone."""

from types import SimpleNamespace

import array_api_strict as strict
import numpy as np
import pytest

from tests.conformance.claims import CLAIMS, holds
from tests.conformance.libraries import LIBRARIES


@pytest.mark.parametrize("name", CLAIMS)
@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.name)
def test_claims(library, name):
    with library.in_version(), np.errstate(all="ignore"):
        alone, over = holds(library.below, name), holds(library.above, name)
    if alone is None and over is not None:
        raise AssertionError(f"{name} holds on {library.name} alone, but not on nnx's namespace") from over


WRONG = {
    "sqrt": lambda x: strict.abs(strict.sqrt(x)),  # loses the sign of -0.0
    "add": lambda x, y: strict.astype(strict.add(x, y), strict.float64),
    "concat": lambda xs: strict.concat([strict.astype(x, strict.float64) for x in xs]),
}


@pytest.mark.parametrize(
    ("function", "name"),
    [("sqrt", "special value sqrt (-0.0,) -0.0"), ("add", "promotion int8 int8"), ("concat", "promotion int8 int16")],
)
def test_a_wrong_function_is_noticed(function, name):
    xp = SimpleNamespace(**{n: getattr(strict, n) for n in strict.__all__} | {function: WRONG[function]})
    assert holds(strict, name) is None
    assert holds(xp, name) is not None
